"""Objects of classes, as storage SDKs write them: what any of them can be refused for (rest-api 4.1, 10.1).

The codes and texts are those of the hosted service.
"""

import re
from typing import Final

from imcore.attributes import UnfitAttributes
from imcore.errors import ImError

# At the top of an answer it makes Python raise (rest-api 4).
ERROR: Final = "error"
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}", re.ASCII)


class ClassUnknown(ImError):
    """No class of this name, or an object that is not there where that is no empty answer."""

    code = 101
    reason = "Class or object doesn't exists."
    http_status = 404


class InvalidKey(ImError):
    """A column that cannot be named so."""

    code = 105
    reason = "Invalid key name."


class InvalidType(ImError):
    """A value of another type than its column; the detail says which."""

    code = 111
    reason = "Invalid value type for the column."


class ObjectTooLarge(ImError):
    """More than an object may hold."""

    code = 116
    reason = "The object is too large."


class ReadOnlyKey(ImError):
    """A column that only the server or the developer writes."""

    code = 117
    reason = "The column is read-only."


class QueryTooSlow(ImError):
    """A condition that cannot be evaluated in time, a regular expression for instance (rest-api 6.2)."""

    code = 124
    reason = "The query takes too long."


class ConditionUnmet(ImError):
    """A write that was to happen only where a condition holds, and it does not (rest-api 10.1)."""

    code = 305
    reason = "No effect on updating or deleting a document."


class UnfitQuery(Exception):
    """A condition or an order that cannot be evaluated; the text says why. To callers it is a bad parameter."""


def check_key(key: str) -> str:
    """Return the column that a key, dotted perhaps, is about. Raises InvalidKey."""
    check_answerable(key)
    top = key.partition(".")[0]
    if not _KEY.fullmatch(top):
        raise InvalidKey(key[:100])
    return top


def check_answerable(key: str) -> None:
    """Raise InvalidKey for a key, dotted perhaps, of the column that no object can be answered with."""
    if key.partition(".")[0] == ERROR:
        raise InvalidKey(key[:100])


def error_of(unfit: UnfitAttributes) -> ImError:
    """Return what is told of columns that cannot be stored, or not be changed so."""
    text = str(unfit)
    return ObjectTooLarge(text) if "bytes" in text else InvalidType(text)
