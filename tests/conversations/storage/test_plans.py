"""How a query finds its conversations among many: by an index, wherever there is one for its condition or order."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings

from conversations.policy import THE_APPLICATION
from conversations.storage import queries
from conversations.storage.queries import FoundConversation, SortKey
from conversations.storage.where import parse
from imcore.models import Application
from tests.conversations.storage import crowd
from tests.conversations.storage.crowd import FORMS, NOW_MS, Form

pytestmark = pytest.mark.slow

INDEXED = [name for name, form in FORMS.items() if not form.may_scan]
OTHERS = [name for name, form in FORMS.items() if form.may_scan]


@contextmanager
def patient_cursor() -> Iterator[Any]:
    """Open a cursor in a transaction that may take longer than a server would wait."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield cursor


@pytest.fixture(scope="module")
def application(database: None) -> Iterator[int]:
    """The number of an application with the crowd, gone after the module's tests."""
    application = Application.objects.create(name="crowd")
    with patient_cursor() as cursor:
        crowd.fill(cursor, application=application.pk, vendor=connection.vendor)
        cursor.execute("ANALYZE")
    yield application.pk
    with patient_cursor() as cursor:
        for table in ("conversations_member", "conversations_conversation"):
            cursor.execute(f"DELETE FROM {table} WHERE application_id = %s", [application.pk])
    # Not before the commit: its checks of foreign keys would be planned for tables that are empty, and are not yet.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    application.delete()


def order(form: Form) -> list[SortKey]:
    """Return the order of a query as storage takes it."""
    return [SortKey(form.sort.removeprefix("-"), form.sort.startswith("-"))] if form.sort else []


def ask(application: int, form: Form, limit: int = 10) -> list[FoundConversation]:
    """Ask a query as the gateway does."""
    return queries.query(
        application=application,
        client_id=crowd.CALLER,
        where=parse(form.where),
        sort=order(form),
        limit=limit,
        skip=0,
        with_members=True,
    )


def plan(application: int, form: Form, client_id: str = crowd.CALLER) -> str:
    """Return the plan of a query's statement."""
    sql, parameters = queries.statement(
        application=application,
        client_id=client_id,
        where=parse(form.where),
        sort=order(form),
        limit=10,
        skip=0,
        vendor=connection.vendor,
    )
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql, parameters)
        return "\n".join(str(line[-1]) for line in cursor.fetchall())


def scans(plan: str) -> list[str]:
    """Return the lines of a plan that read a whole table of ours."""
    if connection.vendor == "postgresql":
        return re.findall(r".*Seq Scan on conversations_.*", plan)
    return re.findall(r"^SCAN [cm]\b.*$", plan, re.MULTILINE)


@pytest.mark.parametrize("name", INDEXED)
def test_a_query_by_id_member_last_message_or_change_reads_no_table_from_end_to_end(
    application: int, name: str
) -> None:
    """Checklist 34: on 100 000 conversations with members and attributes."""
    found = plan(application, FORMS[name])

    assert not scans(found), found
    assert ask(application, FORMS[name])


@pytest.mark.parametrize("where", ["", *(json.dumps({"conv_type": kind}) for kind in (1, 2, 3))])
def test_a_back_end_lists_a_family_by_an_index(application: int, where: str) -> None:
    """Rest-api 8.2: as its lists are without a condition, the last changed first, however rare the kind."""
    found = plan(application, Form(where, "-updatedAt"), THE_APPLICATION)

    assert not scans(found), found


@pytest.mark.parametrize("name", OTHERS)
def test_a_query_by_anything_else_finds_what_there_is(application: int, name: str) -> None:
    """Checklist 34: whatever the plan, and however long that takes on a busy machine."""
    with override_settings(QUERY_SECONDS=60):
        found = ask(application, FORMS[name])

    assert found


def test_the_check_sees_a_scan(application: int) -> None:
    """Without an index it would be told."""
    with connection.cursor() as cursor:
        sql = "SELECT COUNT(*) FROM conversations_conversation c WHERE creator LIKE 'x'"
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
        found = "\n".join(str(line[-1]) for line in cursor.fetchall())

    assert scans(found), found


@pytest.mark.parametrize("sort", ["lm", "-lm"])
def test_the_order_is_by_the_last_message_and_silence_is_the_oldest(application: int, sort: str) -> None:
    form = Form('{"attr.level": {"$lt": 3}}', sort)

    times = [found.last_message_ms or 0 for found in ask(application, form, limit=1000)]

    assert len(times) == 300
    assert 0 in times
    assert max(times) <= NOW_MS
    assert times == sorted(times, reverse=sort == "-lm")
