"""Every query on files and every write of their rows, as units of work."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from django.db.models import QuerySet

from imcore.files.models import File
from imcore.files.records import Arrival, StoredFile
from imcore.where import Column, InstantColumn, TextColumn, condition, order, part

# What files can be selected by.
COLUMNS: Final[Mapping[str, Column]] = {
    "objectId": TextColumn("object_id"),
    "key": TextColumn("key"),
    "name": TextColumn("name"),
    "url": TextColumn("url"),
    "mime_type": TextColumn("mime_type"),
    "createdAt": InstantColumn("created_ms"),
    "updatedAt": InstantColumn("updated_ms"),
}


def create(
    *,
    application: int,
    object_id: str,
    key: str | None,
    url: str,
    name: str,
    mime_type: str,
    metadata: Mapping[str, Any],
    owner_id: str,
    now_ms: int,
) -> StoredFile:
    """Store a new file: one at `url`, which is there already, or one whose bytes are to come to `key`."""
    row = File.objects.create(
        application_id=application,
        object_id=object_id,
        key=key,
        url=url,
        name=name,
        mime_type=mime_type,
        metadata=metadata,
        owner_id=owner_id,
        created_ms=now_ms,
        updated_ms=now_ms,
        arrived_ms=now_ms if key is None else None,
    )
    return _stored(row)


def find(*, application: int, object_id: str) -> StoredFile | None:
    """Return a file of an application, or None."""
    return _first(File.objects.filter(application=application, object_id=object_id))


def find_owned(*, key: str) -> tuple[StoredFile, str] | None:
    """Return the file of a download, and the App ID of whose it is, or None."""
    row = File.objects.select_related("application").filter(key=key, application__isnull=False).first()
    return None if row is None or row.application is None else (_stored(row), row.application.app_id)


def claim(*, file: int, arrival: Arrival) -> bool:
    """Say which bytes a file is to have; False if others were first, or it is no longer waited for."""
    pending = File.objects.filter(pk=file, application__isnull=False, arrived_ms__isnull=True)
    return bool(pending.filter(digest__in=("", arrival.digest)).update(digest=arrival.digest))


def settle(*, file: int, arrival: Arrival, now_ms: int) -> bool:
    """Say that the bytes of a file are here; False if it is no longer waited for."""
    pending = File.objects.filter(pk=file, application__isnull=False, arrived_ms__isnull=True)
    changed = pending.update(size=arrival.size, digest=arrival.digest, arrived_ms=now_ms, updated_ms=now_ms)
    return bool(changed)


def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[StoredFile], int]:
    """Return files that are here by condition, by their ids if no other order is asked for, and how many match.

    Raises UnfitQuery.
    """
    rows = _rows(application, where_text)
    found = rows.order_by(*order(order_text, COLUMNS, "object_id"))[skip : skip + limit]
    return [_stored(row) for row in found], rows.count() if counts else 0


def scan(*, application: int, where_text: str, after: str | None, is_descending: bool, limit: int) -> list[StoredFile]:
    """Return the next files that are here in the order of their ids, those behind `after`. Raises UnfitQuery."""
    rows = part(_rows(application, where_text), after=after, is_descending=is_descending, limit=limit)
    return [_stored(row) for row in rows]


def with_ids(*, application: int, object_ids: Sequence[str]) -> list[StoredFile]:
    """Return those of the files that are here."""
    return [_stored(row) for row in _rows(application, "").filter(object_id__in=object_ids)]


def give_up(*, files: Collection[int], only_pending: bool = False) -> None:
    """Take files from their application, so that nobody finds them any more and their bytes can be deleted."""
    rows = File.objects.filter(pk__in=files)
    if only_pending:
        rows = rows.filter(arrived_ms__isnull=True)
    rows.update(application=None)


def given_up(*, limit: int, among: Collection[int] | None = None) -> list[StoredFile]:
    """Return files that nobody finds any more, those of deleted applications among them."""
    rows = File.objects.filter(application__isnull=True)
    if among is not None:
        rows = rows.filter(pk__in=among)
    return [_stored(row) for row in rows.order_by("pk")[:limit]]


def pending(*, application: int, before_ms: int, limit: int, after: int) -> list[StoredFile]:
    """Return files that have been waited for since before an instant, in the order of their rows from `after` on."""
    rows = File.objects.filter(application=application, arrived_ms__isnull=True, created_ms__lt=before_ms)
    return [_stored(row) for row in rows.filter(pk__gt=after).order_by("pk")[:limit]]


def forget(*, files: Iterable[int]) -> None:
    """Delete rows that nobody finds any more."""
    File.objects.filter(pk__in=list(files), application__isnull=True).delete()


def _rows(application: int, where_text: str) -> QuerySet[File]:
    return File.objects.filter(condition(where_text, COLUMNS), application=application, arrived_ms__isnull=False)


def _first(rows: QuerySet[File]) -> StoredFile | None:
    row = rows.first()
    return None if row is None else _stored(row)


def _stored(row: File) -> StoredFile:
    return StoredFile(**{name: getattr(row, name) for name in StoredFile.__slots__})
