"""The bytes of files, in what `STORAGES["files"]` of the settings names: a folder, or a bucket of any S3-like store.

Everything here waits for a disk or a network: services call it through `in_store`. A key is made by this server from
letters, digits, `-`, `_`, `.` and one `/`, so that it is a path in any store.
"""

import hashlib
import os
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from django.conf import settings
from django.core.files.storage import storages
from django.core.files.uploadedfile import UploadedFile

from imcore.files.errors import FileUnknown
from imcore.files.records import Arrival

if TYPE_CHECKING:
    _UploadedFile = UploadedFile[Any]
else:
    # Django's own class takes no type arguments while running.
    _UploadedFile = UploadedFile

BLOCK_BYTES: Final = 256 * 1024
_COPIED_IN_MEMORY_BYTES: Final = 1024 * 1024


class Readable(Protocol):
    """An open file, or a part of one."""

    def read(self, most: int, /) -> bytes:
        """Return the next bytes, nothing at the end."""

    def close(self) -> None:
        """Let go of it."""


class FewReads:
    """A file in which one can go back and forth, for a reader that an evil file may make read it byte by byte."""

    def __init__(self, file: IO[bytes], *, most: int) -> None:
        self._file = file
        self._left = most

    def read(self, most: int = -1, /) -> bytes:
        """Return the next bytes, nothing at the end. Raises OSError once it was asked too often."""
        self._left -= 1
        if self._left < 0:
            raise OSError("The file takes too many reads.")
        return self._file.read(most)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()


class Incoming:
    """Bytes that are on their way here, in a file that nobody else sees. `close` deletes it unless it was kept."""

    def __init__(self) -> None:
        folder = incoming_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115 - see close
        self.path = Path(self.file.name)
        self.size = 0
        self._digest = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Add bytes."""
        self.file.write(block)
        self.size += len(block)
        self._digest.update(block)

    def close(self) -> None:
        """Delete what is still here."""
        try:
            # Writes what it still has, which a full disk does not take.
            self.file.close()
        finally:
            self.path.unlink(missing_ok=True)

    @property
    def arrival(self) -> Arrival:
        """Return what has come."""
        return Arrival(self.size, self._digest.hexdigest())


class _Complete(_UploadedFile):
    """An incoming file as Django's storages know it: a folder's moves it instead of copying."""

    def __init__(self, incoming: Incoming, *, key: str, mime_type: str) -> None:
        super().__init__(incoming.file, name=key, content_type=mime_type, size=incoming.size)
        self._path = incoming.path

    def temporary_file_path(self) -> str:
        return str(self._path)


def keep(incoming: Incoming, *, key: str, mime_type: str) -> None:
    """Put all of an incoming file where its key says, at once; whatever was there is gone."""
    incoming.file.flush()
    # What a row says is here must be here after a power cut, too.
    os.fsync(incoming.file.fileno())
    incoming.file.seek(0)
    storages["files"].save(key, _Complete(incoming, key=key, mime_type=mime_type))


def opened(key: str, *, start: int = 0, length: int | None = None) -> Readable:
    """Open the bytes of a key, or a part of them. Raises FileUnknown."""
    if settings.FILES_BUCKET:
        end = "" if length is None else start + length - 1
        return _asked(key, "get_object", Range=f"bytes={start}-{end}") if start or end else _asked(key, "get_object")
    try:
        file: Any = storages["files"].open(key)
    except FileNotFoundError as error:
        raise FileUnknown from error
    file.seek(start)
    readable: Readable = file
    return readable


def copied(key: str) -> IO[bytes]:
    """Return the bytes of a key as a file in which one can go back and forth. Raises FileUnknown."""
    source: Any = opened(key)
    if not settings.FILES_BUCKET:
        whole: IO[bytes] = source
        return whole
    copy = tempfile.SpooledTemporaryFile(max_size=_COPIED_IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    with closing(source):
        while block := source.read(BLOCK_BYTES):
            copy.write(block)
    copy.seek(0)
    return copy


def delete(key: str) -> None:
    """Delete the bytes of a key; nothing if there are none."""
    storage = storages["files"]
    storage.delete(key)
    if not settings.FILES_BUCKET:
        # The folder that was this file's alone. An upload that is just ending may be in it, and clears it up then.
        with suppress(OSError):
            storage.delete(key.rpartition("/")[0])


def has_clients_upload() -> bool:
    """Return whether clients can upload to the store themselves."""
    return bool(settings.FILES_BUCKET)


def upload_url(key: str, *, mime_type: str, seconds: int) -> str:
    """Return where a client puts the bytes of a key into the bucket, as this type."""
    named = {"Bucket": settings.FILES_BUCKET, "Key": key, "ContentType": mime_type}
    signed: str = _client().generate_presigned_url("put_object", Params=named, ExpiresIn=seconds)
    return signed


def found_in_bucket(key: str) -> Arrival | None:
    """Return what a client has put into the bucket, or None if it has not yet."""
    try:
        head = _client().head_object(Bucket=settings.FILES_BUCKET, Key=key)
    except _errors() as error:
        if _is_missing(error):
            return None
        raise
    return Arrival(head["ContentLength"], head["ETag"].strip('"'))


def sweep_incoming(*, older_than_seconds: float) -> None:
    """Delete what a server that died has left on its way."""
    before = time.time() - older_than_seconds
    for path in incoming_folder().glob("*"):
        # An upload may end meanwhile.
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()


def incoming_folder() -> Path:
    """Return where bytes are that are still coming: beside those that are here, so that they need only be moved."""
    return Path(settings.FILES_ROOT) / "incoming"


def _asked(key: str, what: str, **more: str) -> Readable:
    try:
        body: Readable = getattr(_client(), what)(Bucket=settings.FILES_BUCKET, Key=key, **more)["Body"]
    except _errors() as error:
        if _is_missing(error):
            raise FileUnknown from error
        raise
    return body


def _client() -> Any:
    """Return the client of this thread."""
    storage: Any = storages["files"]
    return storage.connection.meta.client


def _errors() -> type[Exception]:
    errors: type[Exception] = _client().exceptions.ClientError
    return errors


def _is_missing(error: Any) -> bool:
    return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 404)
