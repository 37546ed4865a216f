"""Files are found through indexes, on either engine."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from imcore.files import storage
from imcore.files.models import File
from imcore.models import Application
from tests.plans import by_index, plans_of

FILES = 5000


@pytest.fixture(scope="module")
def crowded(database: None) -> Iterator[Application]:
    """An application with many files, of which few are waited for."""
    application = Application.objects.create(name="crowded")
    File.objects.bulk_create(
        File(
            application=application,
            object_id=f"id-{number}",
            key=f"crowded-{number}/x",
            name="x",
            mime_type="image/png",
            created_ms=number,
            updated_ms=number,
            arrived_ms=number if number % 1000 else None,
        )
        for number in range(FILES)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE files_file")
    yield application
    File.objects.filter(application=application).delete()
    application.delete()


def test_a_file_is_found_by_an_index(crowded: Application) -> None:
    """By its id, and by what every download names."""
    [by_id] = plans_of(lambda: storage.find(application=crowded.pk, object_id="id-7"))
    [by_key] = plans_of(lambda: storage.find_owned(key="crowded-7/x"))

    assert by_index(by_id)
    # PostgreSQL reads the few applications there are as it likes.
    assert not re.search(r"Seq Scan on files_file|SCAN files_file(?!.*USING)", by_key)


def test_cleaning_reads_what_is_waited_for_alone(crowded: Application) -> None:
    [waiting] = plans_of(lambda: storage.pending(application=crowded.pk, before_ms=FILES, limit=100, after=0))
    [given_up] = plans_of(lambda: storage.given_up(limit=100))

    assert by_index(waiting)
    assert by_index(given_up)


def test_a_page_of_files_is_read_in_the_order_of_an_index(crowded: Application) -> None:
    asked: Any = {"application": crowded.pk, "where_text": "", "limit": 100}
    [page] = plans_of(lambda: storage.page(**asked, order_text="", skip=0, counts=False))
    [scan] = plans_of(lambda: storage.scan(**asked, after="id-7", is_descending=False))

    for plan in (page, scan):
        assert by_index(plan)
        assert not re.search(r"Sort|TEMP B-TREE", plan)
