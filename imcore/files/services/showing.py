"""What is shown to who knows a download URL: a file, and what is told of it (rest-api 10.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final, TypeVar

from imcore.bridge import in_store
from imcore.files import bytestore
from imcore.files.errors import FileUnknown
from imcore.files.records import StoredFile
from imcore.files.services import images, probing, uploading
from imcore.files.services.images import Wish
from imcore.files.services.naming import plain_type

T = TypeVar("T")

# What is looked into is read, in the worst case, to its end.
LOOKED_INTO_MAX_BYTES: Final = 100 * 1024 * 1024
# A photo of 20 megabytes takes some ten thousand, a file made for it one for each of its bytes.
LOOKED_INTO_MAX_READS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Smaller:
    """A smaller image of a file."""

    content: bytes
    mime_type: str


async def shown(key: str, *, now_ms: int) -> StoredFile:
    """Return the file whose bytes are at a key. Raises FileUnknown."""
    # No database stores a NUL, so nothing has such a key.
    file = None if "\0" in key else await uploading.found_by_key(key, now_ms=now_ms)
    if file is None:
        raise FileUnknown
    return file


def is_safe_inline(file: StoredFile) -> bool:
    """Return whether a browser runs nothing of a file that it shows: all else is to be saved, not shown."""
    plain = plain_type(file.mime_type)
    return plain == "text/plain" or (plain.startswith(("image/", "audio/", "video/")) and "xml" not in plain)


async def image_info(file: StoredFile) -> dict[str, Any]:
    """Return `?imageInfo`, which Java reads before it sends an image; zeros for what is none."""
    facts = await in_store(_image_facts, file)
    if facts is None:
        return {"format": "", "width": 0, "height": 0, "size": file.size}
    return {"format": facts.format, "width": facts.width, "height": facts.height, "size": file.size}


async def media_info(file: StoredFile) -> dict[str, Any]:
    """Return `?avinfo`, which Java reads before it sends audio or video; no duration for what is neither."""
    facts = await in_store(_media_facts, file)
    if facts is None:
        return {"format": {"format_name": "", "duration": 0, "size": str(file.size)}}
    seconds = str(round(facts.seconds, 6))
    return {"format": {"format_name": facts.format_name, "duration": seconds, "size": str(file.size)}}


async def smaller(file: StoredFile, wish: Wish) -> Smaller | None:
    """Return a smaller image, or None for what cannot be made one."""
    return await in_store(_smaller, file, wish)


def _image_facts(file: StoredFile) -> images.ImageFacts | None:
    return _looked_into(file, images.facts_of)


def _media_facts(file: StoredFile) -> probing.MediaFacts | None:
    return _looked_into(file, partial(probing.facts_of, mime_type=plain_type(file.mime_type)))


def _smaller(file: StoredFile, wish: Wish) -> Smaller | None:
    made = _looked_into(file, partial(images.smaller, wish=wish))
    return None if made is None else Smaller(*made)


def _looked_into(file: StoredFile, look: Callable[[IO[bytes]], T | None]) -> T | None:
    if file.key is None or (file.size or 0) > LOOKED_INTO_MAX_BYTES:
        return None
    with bytestore.copied(file.key) as content:
        readable: Any = bytestore.FewReads(content, most=LOOKED_INTO_MAX_READS)
        return look(readable)
