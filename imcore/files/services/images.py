"""Sizes of images, and smaller ones of them, by Pillow: synchronous, to be called through `in_store`.

An image may be made to cost its reader dearly: a few kilobytes that unfold to gigabytes. So the header is judged before
a pixel is read, only plain formats are read at all, few are worked on at a time, and what is too much is not resized.
"""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Final

from PIL import Image, ImageOps

from imcore.files.bytestore import BLOCK_BYTES

FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
# Of the image as it is stored, and of what is unfolded in memory, which for JPEG may be a fraction of it.
STORED_PIXELS_MAX: Final = 100_000_000
UNFOLDED_PIXELS_MAX: Final = 25_000_000
SIDE_MAX: Final = 2048
# Each scan of a progressive JPEG is a walk through the whole image, and need not be longer than 100 bytes. Cameras and
# programs write 10 or so.
SCANS_MAX: Final = 50
AT_A_TIME: Final = 2
QUALITY_DEFAULT: Final = 75

_MIME_TYPES: Final = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}
_WISH = re.compile(r"imageView/(?P<mode>[12])(?P<rest>(?:/(?:w|h|q|format)/\w{1,9})*)/?", re.ASCII)
# The marker, which image data never contains.
_SCAN: Final = b"\xff\xda"
_working = threading.Semaphore(AT_A_TIME)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image is."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Wish:
    """The smaller image that is asked for. `crops`: it fills the box, and what is beyond is cut off."""

    crops: bool
    width: int
    height: int
    quality: int
    format: str


def wish_of(query: str) -> Wish | None:
    """Return what `imageView/2/w/100/h/100/q/80/format/png` asks for, None if it asks for nothing that can be had."""
    found = _WISH.fullmatch(query.partition("&")[0])
    if found is None:
        return None
    parts = found["rest"].split("/")[1:]
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    numbers = {name: int(named[name]) for name in ("w", "h", "q") if named.get(name, "").isdecimal()}
    width, height = (min(numbers.get(side, 0), SIDE_MAX) for side in ("w", "h"))
    if not width and not height:
        return None
    quality = min(max(numbers.get("q", QUALITY_DEFAULT), 1), 100)
    return Wish(found["mode"] == "1", width, height, quality, named.get("format", "").lower())


def facts_of(file: IO[bytes]) -> ImageFacts | None:
    """Return what an image's header says, None if it is no image."""
    with _opened(file) as image:
        return None if image is None else ImageFacts((image.format or "").lower(), image.width, image.height)


def smaller(file: IO[bytes], wish: Wish) -> tuple[bytes, str] | None:
    """Return an image as is wished, and its MIME type; None if it cannot be, or others are being worked on."""
    if not _working.acquire(blocking=False):
        return None
    try:
        with _opened(file) as image:
            return None if image is None else _resized(image, file, wish)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # Pillow's for images that are broken further on.
        return None
    finally:
        _working.release()


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[Image.Image | None]:
    with warnings.catch_warnings():
        # Its own bound of pixels is lower than ours; and a broken image could fill the log, with a line for each tag.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            image = Image.open(file, formats=FORMATS)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            yield None
            return
        with image:
            yield image


def _resized(image: Image.Image, file: IO[bytes], wish: Wish) -> tuple[bytes, str] | None:
    if image.width * image.height > STORED_PIXELS_MAX:
        return None
    stored_format = (image.format or "").lower()
    if "progressive" in image.info and _is_dear_in_scans(image, file):
        return None
    # JPEG can be read at an eighth of its size.
    image.draft(None, (max(wish.width, wish.height) * 2,) * 2)
    if image.width * image.height > UNFOLDED_PIXELS_MAX:
        return None
    # Others, of palettes for instance, cannot be made smaller as they are; a copy of these would be as dear as they.
    turned = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA")
    _turn(turned)
    format_ = wish.format if wish.format in _MIME_TYPES else stored_format if stored_format in _MIME_TYPES else "png"
    mime_type = _MIME_TYPES[format_]
    fitted = _fitted(turned, wish)
    made = BytesIO()
    plain = fitted.convert("RGB") if mime_type == "image/jpeg" else fitted
    plain.save(made, mime_type.partition("/")[2].upper(), quality=wish.quality)
    return made.getvalue(), mime_type


def _is_dear_in_scans(image: Image.Image, file: IO[bytes]) -> bool:
    """Return whether a progressive JPEG, all of which is in memory from scan to scan, is too large or has too many."""
    if image.width * image.height > UNFOLDED_PIXELS_MAX:
        return True
    place, scans, last = file.tell(), 0, b""
    file.seek(0)
    while scans <= SCANS_MAX and (block := file.read(BLOCK_BYTES)):
        scans += (last + block).count(_SCAN)
        last = block[-1:]
    file.seek(place)
    return scans > SCANS_MAX


def _turn(image: Image.Image) -> None:
    """Turn an image as its camera was held."""
    image.getexif()
    # Of what is kept here Pillow would write a new edition, which fails where it is odd; no smaller image has it.
    for edition in ("exif", "Raw profile type exif"):
        image.info.pop(edition, None)
    ImageOps.exif_transpose(image, in_place=True)


def _fitted(image: Image.Image, wish: Wish) -> Image.Image:
    width, height = wish.width or image.width, wish.height or image.height
    if wish.crops:
        box = (min(wish.width or wish.height, image.width), min(wish.height or wish.width, image.height))
        return ImageOps.fit(image, box)
    image.thumbnail((width, height))
    return image
