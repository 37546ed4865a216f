"""Files that lie elsewhere; reading, listing, deleting; and what is never asked for (rest-api 10.4)."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from imcore import limits
from imcore.appsettings import ApplicationSnapshot, stored_applications
from imcore.bridge import in_database, in_store
from imcore.files import bytestore, storage
from imcore.files.errors import InvalidUrl, UploadRefused
from imcore.files.records import StoredFile
from imcore.files.services import naming, removing, uploading
from imcore.identifiers import DAY_MS, object_id
from imcore.writes import Write

PAGE = 500


def registration(
    *, application: ApplicationSnapshot, asked: Mapping[str, Any], owner_id: str, now_ms: int
) -> Write[StoredFile]:
    """Prepare a file of an address elsewhere: `POST /files`, `/classes/_File`, or an item of `/batch/save`.

    The address is kept and told, and never asked by this server. Raises InvalidUrl, InvalidFileName, InvalidMetadata.
    """
    url = _readable_url(asked.get("url"))
    name = naming.readable_name(asked.get("name"))
    store = partial(
        storage.create,
        application=application.pk,
        object_id=object_id(now_ms),
        key=None,
        url=url,
        name=name,
        mime_type=naming.readable_type(asked.get("mime_type"), name),
        metadata=uploading.readable_metadata(asked.get("metaData")),
        owner_id=owner_id,
        now_ms=now_ms,
    )
    return Write(lambda more: store())


async def delete(
    *, application: ApplicationSnapshot, object_ids: Sequence[str], is_master: bool, user_id: str, now_ms: int
) -> None:
    """Delete files and their bytes, all or none, for the developer or for the user who made them.

    Raises FileUnknown, UploadRefused.
    """
    files = []
    for one in object_ids:
        file = await uploading.found(application=application, object_id=one, now_ms=now_ms)
        if not is_master and (not user_id or file.owner_id != user_id):
            raise UploadRefused("Only the developer, and who made a file, delete it.")
        files.append(file.pk)
    await removing.remove(files)


async def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[StoredFile], int]:
    """Return files by condition, in the order of their ids if no other is asked for, and how many match.

    Raises UnfitQuery.
    """
    return await in_database(
        storage.page,
        application=application,
        where_text=where_text,
        order_text=order_text,
        limit=limit,
        skip=skip,
        counts=counts,
    )


async def scan(
    *, application: int, where_text: str, after: str | None, is_descending: bool, limit: int
) -> list[StoredFile]:
    """Return the next files in the order of their ids, those behind `after`. Raises UnfitQuery."""
    return await in_database(
        storage.scan,
        application=application,
        where_text=where_text,
        after=after,
        is_descending=is_descending,
        limit=limit,
    )


async def with_ids(*, application: int, object_ids: Sequence[str]) -> list[StoredFile]:
    """Return those of the files that are here."""
    return await in_database(storage.with_ids, application=application, object_ids=object_ids)


async def clean(*, now_ms: int) -> int:
    """Delete what was announced a day ago and never came, and what deleted applications left; return how many."""
    before_ms, deleted = now_ms - DAY_MS, 0
    known = {application.pk: application for application in await in_database(stored_applications)}
    for application in known.values():
        after = 0
        while late := await in_database(
            storage.pending, application=application.pk, before_ms=before_ms, limit=PAGE, after=after
        ):
            after = late[-1].pk
            gone = [
                file.pk
                for file in late
                if not await uploading.look_in_bucket(application=application, file=file, now_ms=now_ms)
            ]
            await removing.remove(gone, only_pending=True)
            deleted += len(gone)
    await in_store(bytestore.sweep_incoming, older_than_seconds=DAY_MS / 1000)
    return deleted + await removing.sweep()


def _readable_url(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= limits.FILE_URL_MAX_CHARACTERS:
        raise InvalidUrl
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise InvalidUrl from error
    # A script in an address would run in the web page that shows it as a link.
    if parts.scheme not in ("http", "https") or not parts.netloc or any(ord(one) < 33 for one in value):
        raise InvalidUrl
    return value
