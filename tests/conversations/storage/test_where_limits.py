"""Time limits, and what remains usable after a query has failed."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import pytest
from django.db import DatabaseError, connection, connections, transaction

from conversations.models import Conversation
from conversations.storage import where
from imcore.errors import ConversationQueryFailed
from imcore.models import Application
from tests.conversations.storage.where_support import Document, found, store

# The `regex` module gives up on the first at once, as it sees that a "!" is missing; not on the second.
EXPLODING = ["(a+)+$", "^((a|aa)+)+$", "(.*)(.*)(.*)(.*)(.*)(.*)[xy]$", "^(?!((a|aa)+)+$)b"]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture
def stored(application: Application) -> Application:
    store(application, [{"objectId": "a", "name": "a" * 4000 + "!"}, {"objectId": "b", "name": "b", "m": ["tom"]}])
    return application


def _refused_or_found(application: Application, query: Document, seconds: float) -> None:
    # PostgreSQL's automaton answers most patterns that explode in a backtracking engine.
    try:
        found(application, query, seconds=seconds)
    except ConversationQueryFailed as refusal:
        assert refusal.code == 4310  # noqa: PT017 - either end is right


@pytest.mark.parametrize("pattern", EXPLODING)
def test_an_exploding_pattern_ends_in_time(stored: Application, pattern: str) -> None:
    with at_most(2):
        _refused_or_found(stored, {"name": {"$regex": pattern}}, 0.3)

    assert found(stored, {"objectId": "b"}) == ["b"]


@pytest.mark.parametrize(
    "pattern", ["(((a|b){0,17}){0,17}){0,17}", "((?:a?){0,70}){0,70}b", "(?:" * 20 + "a{2}" + "){2}" * 9]
)
def test_a_pattern_of_many_counts_ends_in_time(stored: Application, pattern: str) -> None:
    with at_most(2):
        _refused_or_found(stored, {"name": {"$regex": pattern}}, 0.3)

    assert found(stored, {"objectId": "b"}) == ["b"]


def count_to(number: int) -> int:
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) SELECT COUNT(*) FROM n"
    with connection.cursor() as cursor:
        cursor.execute(rows, [number])
        (count,) = cursor.fetchone()
    return int(count)


def take_too_long() -> None:
    count_to(10**9)


def test_a_query_that_takes_too_long_fails_with_4310() -> None:
    with at_most(2), pytest.raises(ConversationQueryFailed, match="too long"), where.time_limit(connection, 0.2):
        take_too_long()


def test_a_pattern_that_takes_too_long_fails_with_4310(stored: Application) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's automaton does not explode")

    with at_most(2), pytest.raises(ConversationQueryFailed, match="too long"):
        found(stored, {"name": {"$regex": "^((a|aa)+)+$"}}, seconds=0.2)


def test_other_threads_run_while_a_pattern_explodes(stored: Application) -> None:
    instants = [time.monotonic()]
    is_over = threading.Event()

    def tick() -> None:
        while not is_over.wait(0.01):
            instants.append(time.monotonic())

    ticking = threading.Thread(target=tick)
    ticking.start()
    _refused_or_found(stored, {"name": {"$regex": "^((a|aa)+)+$"}}, 0.6)
    is_over.set()
    ticking.join()

    assert max(later - earlier for earlier, later in pairwise([*instants, time.monotonic()])) < 0.4


def test_an_open_transaction_survives_a_query_that_fails(application: Application) -> None:
    with transaction.atomic():
        store(application, [{"objectId": "before"}])
        with pytest.raises(ConversationQueryFailed), where.time_limit(connection, 0.2):
            take_too_long()
        store(application, [{"objectId": "after"}])

    stored_ids = Conversation.objects.filter(application=application).values_list("object_id", flat=True)
    assert set(stored_ids) == {"before", "after"}


@pytest.mark.parametrize("surroundings", [nullcontext, transaction.atomic])
def test_the_limit_ends_with_its_block(surroundings: Callable[[], AbstractContextManager[None]]) -> None:
    with surroundings():
        with where.time_limit(connection, 0.05):
            count_to(1)

        with at_most(10):
            assert count_to(600_000) == 600_000


def test_the_shorter_of_two_nested_limits_holds_on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("on PostgreSQL each statement has the inner limit")

    with (
        at_most(2),
        pytest.raises(ConversationQueryFailed),
        where.time_limit(connection, 0.2),
        where.time_limit(connection, 60),
    ):
        take_too_long()


def test_the_outer_limit_holds_again_after_the_inner_one() -> None:
    def nested() -> None:
        with where.time_limit(connection, 60):
            count_to(1)
        take_too_long()

    with at_most(2), pytest.raises(ConversationQueryFailed), where.time_limit(connection, 0.2):
        nested()


def test_a_mistake_of_ours_is_not_blamed_on_the_query() -> None:
    with (
        pytest.raises(DatabaseError, match="no_such_table"),
        where.time_limit(connection, 1),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1 FROM no_such_table")


def test_a_connection_that_was_reopened_is_prepared_again(stored: Application) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("nothing to prepare")
    assert found(stored, {"name": "b"}) == ["b"]

    connection.close()

    assert found(stored, {"name": "b"}) == ["b"]
    where.prepare_connection(connections["default"])
    assert found(stored, {"m": {"$regex": "t"}}) == ["b"]


@pytest.mark.parametrize(
    "attributes",
    ['{"place": {"__type": "GeoPoint", "latitude": 1e999, "longitude": 0}}', '"text"', "[]", "5"],
)
def test_an_odd_document_makes_no_query_fail(application: Application, attributes: str) -> None:
    store(
        application,
        [{"objectId": "odd"}, {"objectId": "even", "place": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}}],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE conversations_conversation SET attributes = %s WHERE application_id = %s AND object_id = 'odd'",
            [attributes, application.pk],
        )
    near = {"$nearSphere": {"__type": "GeoPoint", "latitude": 0, "longitude": 0}}

    assert found(application, {"place": near}) == ["even"]
    assert found(application, {"name": {"$exists": True}}) == []
    assert found(application, {"place": {"$gt": 0}}) == []


def test_a_document_too_deep_for_python_has_no_keys(application: Application) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL bounds the depth of a document when it is stored")
    store(application, [{"objectId": "deep"}, {"objectId": "even", "name": "a"}])
    deep = '{"name":' + "[" * 1500 + "]" * 1500 + "}"  # SQLite's JSON ends at 2000
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE conversations_conversation SET attributes = %s WHERE application_id = %s AND object_id = 'deep'",
            [deep, application.pk],
        )

    assert found(application, {"name": "a"}) == ["even"]
    assert found(application, {"name": {"$ne": "a"}}) == ["deep"]


def test_a_deep_value_equals_no_operand(application: Application) -> None:
    deep = json.loads("[" * 200 + "]" * 200)
    store(application, [{"objectId": "deep", "name": deep}])

    assert found(application, {"name": json.loads("[" * 20 + "]" * 20)}) == []
    assert found(application, {"name": {"$in": [[], [[]]]}}) == []
    assert found(application, {"name": {"$size": 1}}) == ["deep"]
