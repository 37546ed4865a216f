"""Files as the wire writes them (rest-api 5, 10.4)."""

from typing import Any, Final

from django.conf import settings

from imcore.files.records import StoredFile
from imcore.identifiers import iso_date
from imcore.rest.openapi import DATE, OBJECT, STRING, record

FILE = record(
    objectId=STRING, name=STRING, url=STRING, mime_type=STRING, metaData=OBJECT, createdAt=DATE, updatedAt=DATE
)
# Some SDKs put it into addresses, all keep it.
FOLDER: Final = "im-files"


def url_of(file: StoredFile, origin: str) -> str:
    """Return where a file is downloaded."""
    if file.key is None:
        return file.url
    return f"{settings.FILES_PUBLIC_URL or f'{origin}/files'}/{file.key}"


def bucket() -> str:
    """Return the name of what files are in."""
    return settings.FILES_BUCKET or FOLDER


def file(stored: StoredFile, origin: str) -> dict[str, Any]:
    """Return a file, as an object and as the value of a column."""
    where = {} if stored.key is None else {"key": stored.key, "bucket": bucket()}
    return {
        "__type": "File",
        "objectId": stored.object_id,
        "name": stored.name,
        "url": url_of(stored, origin),
        "mime_type": stored.mime_type,
        "metaData": stored.metadata,
        **where,
        "createdAt": iso_date(stored.created_ms),
        "updatedAt": iso_date(stored.updated_ms),
    }
