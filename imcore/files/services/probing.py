"""How long audio and video last: synchronous, to be called through `in_store`."""

from dataclasses import dataclass
from typing import IO, Any, Final

from tinytag import TinyTag, TinyTagException

_MP4: Final = "mov,mp4,m4a,3gp,3g2,mj2"
# As ffprobe names them, which the hosted service's answers came from.
_FORMATS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/aiff": "aiff",
    "audio/mp4": _MP4,
    "audio/x-m4a": _MP4,
    "video/mp4": _MP4,
    "video/quicktime": _MP4,
    "video/x-ms-wmv": "asf",
    "audio/x-ms-wma": "asf",
}


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a recording is, and for how many seconds."""

    format_name: str
    seconds: float


def facts_of(file: IO[bytes], *, mime_type: str) -> MediaFacts | None:
    """Return what audio or video is, None if it is neither, or in a format that cannot be read."""
    reader: Any = TinyTag
    try:
        found = reader.get(file_obj=file, tags=False)
    except (TinyTagException, OSError, ValueError):
        return None
    if found.duration is None:
        return None
    kind = _FORMATS.get(mime_type) or _FORMATS.get(found.mime_type or "") or mime_type.partition("/")[2]
    return MediaFacts(kind, float(found.duration))
