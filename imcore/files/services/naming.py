"""What clients call files, made safe: names, types, and the keys under which the bytes are (rest-api 10.4)."""

import mimetypes
import re
import secrets
import unicodedata
from typing import Final

from imcore import limits
from imcore.files.errors import InvalidFileName
from imcore.files.models import FileSettings, types_in

UNNAMED: Final = "file"
ANY_TYPE: Final = "application/octet-stream"
# It becomes a header, in which lines must not end.
_MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+([ \t]*;[ \t]*[\w.+-]+=[\w.+-]+)*", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_KEPT_OF_NAME: Final = 100


def readable_name(value: object) -> str:
    """Return the name of a file, without the folders it was in. Raises InvalidFileName (rest-api 4.1: 122)."""
    if value is None or value == "":
        return UNNAMED
    if not isinstance(value, str) or len(value) > limits.FILE_NAME_MAX_CHARACTERS:
        raise InvalidFileName
    # Without the white space around them, as the last is kept: " .. " is a step up, too.
    steps = [step.strip() for step in re.split(r"[/\\]", value)]
    # Cc: control characters; Cf: those that turn the reading direction, by which an .exe looks like a .png; Cs: halves.
    if {"..", "."} & set(steps) or any(unicodedata.category(one) in ("Cc", "Cf", "Cs") for one in value):
        raise InvalidFileName
    if not steps[-1]:
        raise InvalidFileName
    return steps[-1]


def new_key(name: str) -> str:
    """Return where the bytes of a file with this name are to be: nobody can guess it."""
    return f"{secrets.token_hex(16)}/{_UNSAFE.sub('_', name)[-_KEPT_OF_NAME:]}"


def readable_type(value: object, name: str) -> str:
    """Return the MIME type of a file: what is said, if that can be one, else what its name suggests. Never none."""
    if isinstance(value, str) and len(value) <= limits.MIME_TYPE_MAX_CHARACTERS and _MIME_TYPE.fullmatch(value.strip()):
        return value.strip()
    guessed, encoding = mimetypes.guess_type(name, strict=False)
    return guessed if guessed and not encoding else ANY_TYPE


def is_taken(mime_type: str, settings: FileSettings) -> bool:
    """Return whether an application takes files of this type."""
    named = types_in(settings.file_types)
    if not named:
        return True
    plain = plain_type(mime_type)
    is_named = any(plain == one or (one.endswith("/*") and plain.startswith(one[:-1])) or one == "*/*" for one in named)
    return is_named is not settings.file_types.strip().startswith("!")


def plain_type(mime_type: str) -> str:
    """Return a MIME type without its parameters, in small letters."""
    return mime_type.partition(";")[0].strip().lower()
