"""Installations are found through indexes, on either engine."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from imcore.installations import storage
from imcore.installations.models import Channel, Installation
from imcore.installations.storage import Known
from imcore.models import Application
from tests.plans import plans_of

ROWS = 5000


@pytest.fixture(scope="module")
def crowded(database: None) -> Iterator[Application]:
    """An application with many installations."""
    application = Application.objects.create(name="crowded")
    rows = Installation.objects.bulk_create(
        Installation(
            application=application,
            object_id=f"id-{number}",
            installation_id=f"i-{number}",
            device_token=f"t-{number}",
            created_ms=0,
            updated_ms=number,
        )
        for number in range(ROWS)
    )
    Channel.objects.bulk_create(
        Channel(application=application, installation=row, name=f"c-{row.updated_ms % 1000}") for row in rows
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE installations_installation")
        cursor.execute("ANALYZE installations_channel")
    yield application
    application.delete()


def page(application: Application, **where: Any) -> Callable[[], object]:
    """Return the question for a page of installations."""
    return lambda: storage.page(
        application=application.pk, where_text=json.dumps(where), order_text="", limit=100, skip=0, counts=False
    )


@pytest.mark.parametrize(
    "where",
    [
        {"installationId": "i-7"},
        {"deviceToken": "t-7"},
        {"objectId": {"$in": ["id-7", "id-8"]}},
        {"channels": "c-7"},
        {"channels": {"$all": ["c-7", "c-8"]}},
    ],
)
def test_installations_are_found_by_indexes(crowded: Application, where: dict[str, Any]) -> None:
    for plan in plans_of(page(crowded, **where)):
        assert by_index(plan), plan


def test_a_page_is_read_in_the_order_of_an_index(crowded: Application) -> None:
    first, *_ = plans_of(page(crowded))

    assert by_index(first), first
    assert not re.search(r"Sort|TEMP B-TREE", first), first


@pytest.mark.parametrize("known", [Known("id-7", None, None), Known(None, "i-7", None), Known(None, None, "t-7")])
def test_a_device_is_known_by_indexes(crowded: Application, known: Known) -> None:
    def save() -> None:
        saved = storage.save(
            application=crowded.pk, known=known, creates_as="new", change=lambda before: before, now_ms=7
        )
        assert saved.object_id == "id-7"

    plans = plans_of(save)

    assert plans
    for plan in plans:
        assert by_index(plan), plan


def by_index(plan: str) -> bool:
    """Say whether a plan reads no table, and no index either, from one end to the other."""
    return not re.search(r"Seq Scan|\bSCAN\b", plan)
