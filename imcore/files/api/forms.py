"""The file in a form, as Qiniu takes uploads: `multipart/form-data` with the part `file` (rest-api 10.4)."""

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from imcore.files.bytestore import Incoming
from imcore.files.errors import UploadIncomplete

PART = "file"


class _Taker(FileUploadHandler):
    """Writes the first part named `file` to a file of its own, and nothing else anywhere."""

    chunk_size = 256 * 1024

    def __init__(self) -> None:
        super().__init__()
        self.incoming: Incoming | None = None
        self.is_complete = False
        self._is_wanted = False

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        """Begin a part."""
        super().new_file(field_name, *args, **kwargs)
        self._is_wanted = field_name == PART and self.incoming is None
        if self._is_wanted:
            self.incoming = Incoming()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Take bytes of the part."""
        if self._is_wanted and self.incoming is not None:
            self.incoming.write(raw_data)

    def close(self) -> None:
        """Delete what has been taken."""
        if self.incoming is not None:
            self.incoming.close()

    def file_complete(self, file_size: int) -> None:
        """End the part."""
        self.is_complete = self.is_complete or self._is_wanted


def file_in(form: Incoming, headers: dict[str, str]) -> Incoming:
    """Return the file of a form that is here to its end. Raises UploadIncomplete if there is none."""
    form.file.flush()
    form.file.seek(0)
    taker = _Taker()
    source: Any = form.file
    meta = {"CONTENT_TYPE": headers["content-type"], "CONTENT_LENGTH": str(form.size)}
    try:
        MultiPartParser(meta, source, [taker]).parse()
    except (MultiPartParserError, SuspiciousOperation, ValueError) as error:
        taker.is_complete = False
        reason: Exception | None = error
    except OSError:
        # Of a full disk, which must not stay full of this.
        taker.close()
        raise
    else:
        reason = None
    if taker.incoming is None or not taker.is_complete:
        taker.close()
        raise UploadIncomplete(f"There is no part named {PART}.") from reason
    return taker.incoming
