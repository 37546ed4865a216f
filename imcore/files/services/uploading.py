"""The way of a file here (rest-api 10.4).

    fileTokens ──► a row that waits, an upload URL ──► the bytes come ──► the row is found ──► fileCallback, or not

The upload URL holds everything that is needed to judge an upload before its first byte is read: whose it is, how many
bytes may come, of which type, until when; signed with the server's secret key. With a bucket, it is the bucket's own
URL, and the row is found once somebody looks: at the callback, at a download, or when the hour is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core import signing

from imcore import limits
from imcore.appsettings import ApplicationSnapshot, applications
from imcore.attributes import UnfitAttributes, check_storable
from imcore.bridge import in_database, in_store
from imcore.files import bytestore, storage
from imcore.files.bytestore import Incoming
from imcore.files.errors import FileUnknown, InvalidMetadata, UploadRefused, UploadTooLarge
from imcore.files.models import FileSettings
from imcore.files.records import StoredFile
from imcore.files.services import naming, removing
from imcore.identifiers import object_id

S3: Final = "s3"
QINIU: Final = "qiniu"
_UPLOAD = "imcore.files.upload"
_CALLBACK = "imcore.files.callback"


@dataclass(frozen=True, slots=True)
class Grant:
    """A file that is waited for, and how its bytes come: `bucket_url`, or this server's path with `signed` in it."""

    file: StoredFile
    provider: str
    token: str
    signed: str
    bucket_url: str | None


@dataclass(frozen=True, slots=True)
class Admission:
    """An upload that may come: for which file, and at most how many bytes."""

    application: ApplicationSnapshot
    file: StoredFile
    most_bytes: int


async def grant(
    *, application: ApplicationSnapshot, asked: Mapping[str, Any], needs_form: bool, owner_id: str, now_ms: int
) -> Grant:
    """Make a row for a file as `/fileTokens` asks, and tell where its bytes may come.

    `needs_form`: the client can send forms only. Raises InvalidFileName, InvalidMetadata, UploadTooLarge, UploadRefused
    for a type that the application does not take.
    """
    settings = application.of(FileSettings)
    name = naming.readable_name(asked.get("name"))
    mime_type = naming.readable_type(asked.get("mime_type"), name)
    check_type(mime_type, settings)
    metadata = readable_metadata(asked.get("metaData"))
    most_bytes = _most_bytes(metadata.get("size"), settings)
    file = await in_database(
        storage.create,
        application=application.pk,
        object_id=object_id(now_ms),
        key=naming.new_key(name),
        url="",
        name=name,
        mime_type=mime_type,
        metadata=metadata,
        owner_id=owner_id,
        now_ms=now_ms,
    )
    provider = settings.file_provider or (QINIU if needs_form else S3)
    named = {"app": application.app_id, "file": file.object_id}
    bucket_url = None
    if provider == S3 and bytestore.has_clients_upload():
        assert file.key is not None
        bucket_url = await in_store(
            bytestore.upload_url, file.key, mime_type=mime_type, seconds=limits.UPLOAD_URL_SECONDS
        )
    bound = {**named, "key": file.key, "bytes": most_bytes, "type": mime_type}
    token = signing.dumps(named, salt=_CALLBACK)
    return Grant(file, provider, token, signing.dumps(bound, salt=_UPLOAD), bucket_url)


async def admit(*, signed: str, content_type: str, announced_bytes: int) -> Admission:
    """Return what an upload URL admits, before anything is read.

    Raises UploadRefused for a URL that is not whole or too old, an application that is off, a file that is here or no
    longer waited for, a type that is not taken; UploadTooLarge if too much is announced.
    """
    try:
        bound = signing.loads(signed, salt=_UPLOAD, max_age=limits.UPLOAD_URL_SECONDS)
    except signing.BadSignature as error:
        raise UploadRefused("The upload URL is not good, or no longer.") from error
    application = await applications.get(bound["app"])
    if application is None or not application.is_active:
        raise UploadRefused("The application is switched off.")
    settings = application.of(FileSettings)
    for mime_type in filter(None, (bound["type"], content_type)):
        check_type(mime_type, settings)
    file = await in_database(storage.find, application=application.pk, object_id=bound["file"])
    if file is None or file.key != bound["key"]:
        raise UploadRefused("The file is not waited for.")
    most_bytes = min(bound["bytes"], settings.file_max_bytes)
    if announced_bytes > most_bytes:
        raise UploadTooLarge
    return Admission(application, file, most_bytes)


async def arrive(*, admission: Admission, incoming: Incoming, now_ms: int) -> str:
    """Keep the bytes of an upload that is complete, and return their digest.

    The same bytes once more are answered as the first time: the client has not heard. Raises UploadRefused for others.
    """
    file, arrival = admission.file, incoming.arrival
    assert file.key is not None
    # What the file was at admission it need not be any more, after a slow upload.
    if await in_database(storage.claim, file=file.pk, arrival=arrival):
        await in_store(bytestore.keep, incoming, key=file.key, mime_type=file.mime_type)
        if await in_database(storage.settle, file=file.pk, arrival=arrival, now_ms=now_ms):
            return arrival.digest
    now = await in_database(storage.find, application=admission.application.pk, object_id=file.object_id)
    if now is None:
        # It was given up, or its application deleted, while the bytes came.
        await in_store(bytestore.delete, file.key)
    if now is None or now.digest != arrival.digest:
        raise UploadRefused("The file has its bytes already, or is not waited for.")
    return arrival.digest


async def call_back(*, application: ApplicationSnapshot, token: object, succeeded: bool, now_ms: int) -> None:
    """Hear from a client how its upload went. A token that is none, or another application's, changes nothing."""
    try:
        named = signing.loads(token, salt=_CALLBACK) if isinstance(token, str) else {}
    except signing.BadSignature:
        return
    if named.get("app") != application.app_id:
        return
    file = await in_database(storage.find, application=application.pk, object_id=named["file"])
    if file is None or not file.is_pending:
        return
    if succeeded:
        await look_in_bucket(application=application, file=file, now_ms=now_ms)
    else:
        await removing.remove([file.pk], only_pending=True)


async def look_in_bucket(*, application: ApplicationSnapshot, file: StoredFile, now_ms: int) -> bool:
    """Return whether a file that is waited for is here after all: its bytes may have gone to the bucket directly.

    One that is larger than it may be is deleted.
    """
    if not bytestore.has_clients_upload() or file.key is None:
        return False
    arrival = await in_store(bytestore.found_in_bucket, file.key)
    if arrival is None:
        return False
    if arrival.size > _most_bytes(file.metadata.get("size"), application.of(FileSettings), refuses=False):
        await removing.remove([file.pk], only_pending=True)
        return False
    return await in_database(storage.settle, file=file.pk, arrival=arrival, now_ms=now_ms)


async def found(*, application: ApplicationSnapshot, object_id: str, now_ms: int) -> StoredFile:
    """Return a file of an application whose bytes are here. Raises FileUnknown."""
    file = await in_database(storage.find, application=application.pk, object_id=object_id)
    if file is not None and file.is_pending and await look_in_bucket(application=application, file=file, now_ms=now_ms):
        file = await in_database(storage.find, application=application.pk, object_id=object_id)
    if file is None or file.is_pending:
        raise FileUnknown
    return file


async def found_by_key(key: str, *, now_ms: int) -> StoredFile | None:
    """Return the file of a download once its bytes are here, or None."""
    owned = await in_database(storage.find_owned, key=key)
    if owned is None:
        return None
    file, app_id = owned
    if not file.is_pending:
        return file
    application = await applications.get(app_id)
    if application is None or not await look_in_bucket(application=application, file=file, now_ms=now_ms):
        return None
    return await in_database(storage.find, application=application.pk, object_id=file.object_id)


def check_type(mime_type: str, settings: FileSettings) -> None:
    """Raise UploadRefused for a type that the application does not take."""
    if not naming.is_taken(mime_type, settings):
        raise UploadRefused(f"Files of the type {naming.plain_type(mime_type)} are not taken.")


def readable_metadata(value: object) -> dict[str, Any]:
    """Return `metaData`, none if nothing is said. Raises InvalidMetadata."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidMetadata("metaData")
    try:
        check_storable(value, max_bytes=limits.FILE_METADATA_MAX_BYTES)
    except UnfitAttributes as error:
        raise InvalidMetadata(str(error)) from error
    return value


def _most_bytes(announced: object, settings: FileSettings, *, refuses: bool = True) -> int:
    """Return how many bytes may come. Raises UploadTooLarge if more are announced than the application takes."""
    if not isinstance(announced, int | float) or isinstance(announced, bool) or announced <= 0:
        return settings.file_max_bytes
    if refuses and announced > settings.file_max_bytes:
        raise UploadTooLarge
    return min(int(announced) + limits.UPLOAD_SLACK_BYTES, settings.file_max_bytes)
