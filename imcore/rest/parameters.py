"""What endpoints are asked, read by name and type, tolerant where SDKs differ (rest-api 3).

    asked = parameters.of(request)
    sender = asked.string("from_client")              # must be there
    is_transient = asked.boolean("transient", False)  # or else the default
    client_ids = asked.client_ids("client_ids", at_most=20)

A field of the body counts before one of the query, `null` is as good as absent, and nobody asks about fields that no
reader names. What cannot be read is a BadParameter that names the field.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

import orjson
from django.http import QueryDict
from rest_framework.request import Request

from imcore import limits
from imcore.errors import InvalidLogin
from imcore.rest.bodies import body_of
from imcore.rest.exceptions import BadParameter

T = TypeVar("T")
D = TypeVar("D")

# A default that says: there must be one.
_MUST_BE_THERE: Final[Any] = object()

_NUMBER: Final = re.compile(r"\s*(-?[0-9]{1,18})(\.[0-9]*)?\s*", re.ASCII)
# Python's requests writes `True` (rest-api 3.4).
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
INTEGER_MAX: Final = 2**63 - 1


def of(request: Request) -> "Parameters":
    """Return what a request says in its body or else in its query; the body of a GET is none. Raises InvalidJson."""
    return Parameters({} if request.method in ("GET", "HEAD") else body_of(request), request.query_params)


def is_client_id(text: str) -> bool:
    """Return whether a text can be a client id."""
    return 0 < len(text) <= limits.CLIENT_ID_MAX_CHARACTERS and "\0" not in text


class Parameters:
    """The parameters of a request: `body` is JSON, `query` is text. Every reader raises BadParameter."""

    def __init__(self, body: Mapping[str, Any], query: QueryDict) -> None:
        self.body = body
        self.query = query

    @overload
    def string(self, name: str) -> str: ...
    @overload
    def string(self, name: str, default: D) -> str | D: ...
    def string(self, name: str, default: Any = _MUST_BE_THERE) -> Any:
        """Return a text."""
        return self._read(name, default, _text)

    @overload
    def boolean(self, name: str) -> bool: ...
    @overload
    def boolean(self, name: str, default: D) -> bool | D: ...
    def boolean(self, name: str, default: Any = _MUST_BE_THERE) -> Any:
        """Return a switch: `true`, `True`, `1` and their opposites, or JSON's own."""
        return self._read(name, default, _boolean)

    @overload
    def integer(self, name: str, *, least: int = ..., most: int = ...) -> int: ...
    @overload
    def integer(self, name: str, default: D, *, least: int = ..., most: int = ...) -> int | D: ...
    def integer(
        self, name: str, default: Any = _MUST_BE_THERE, *, least: int = -INTEGER_MAX, most: int = INTEGER_MAX
    ) -> Any:
        """Return a whole number within bounds; a fraction is cut off."""
        number = self._read(name, default, _integer)
        if isinstance(number, int) and not isinstance(number, bool) and not least <= number <= most:
            raise BadParameter(f"{name} is a number from {least} to {most}.")
        return number

    @overload
    def client_id(self, name: str) -> str: ...
    @overload
    def client_id(self, name: str, default: D) -> str | D: ...
    def client_id(self, name: str, default: Any = _MUST_BE_THERE) -> Any:
        """Return the id of a client. Raises InvalidLogin for a text that can be none (rest-api 4.1: 4103)."""
        return self._read(name, default, _client_id)

    @overload
    def client_ids(self, name: str, *, at_most: int) -> list[str]: ...
    @overload
    def client_ids(self, name: str, default: D, *, at_most: int) -> list[str] | D: ...
    def client_ids(self, name: str, default: Any = _MUST_BE_THERE, *, at_most: int) -> Any:
        """Return ids of clients, each once, in their order. Raises InvalidLogin for a text that can be none."""
        client_ids = self.strings(name, default, at_most=at_most)
        if client_ids is default:
            return default
        return list(dict.fromkeys(_client_id(one, name) for one in client_ids))

    @overload
    def strings(self, name: str, *, at_most: int) -> list[str]: ...
    @overload
    def strings(self, name: str, default: D, *, at_most: int) -> list[str] | D: ...
    def strings(self, name: str, default: Any = _MUST_BE_THERE, *, at_most: int) -> Any:
        """Return a list of texts. In the query it is JSON, or the name comes once for each (rest-api 3.3)."""
        if self.body.get(name) is None and any(self.query.getlist(name)):
            values: Any = _list_in_query(self.query.getlist(name), name)
        else:
            values = self._read(name, default, _as_it_is)
            if values is default:
                return default
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise BadParameter(f"{name} is a list of texts.")
        if len(values) > at_most:
            raise BadParameter(f"{name} has at most {at_most} items.")
        return [_text(one, name) for one in values]

    @overload
    def json_object(self, name: str) -> dict[str, Any]: ...
    @overload
    def json_object(self, name: str, default: D) -> dict[str, Any] | D: ...
    def json_object(self, name: str, default: Any = _MUST_BE_THERE) -> Any:
        """Return a JSON object, or the one a text holds, as the query has it."""
        return self._read(name, default, _json_object)

    def limit(self) -> int:
        """Return how many a page has at most; what is out of bounds counts as nothing said (rest-api 6.1)."""
        return self._within_or("limit", limits.REST_PAGE_DEFAULT, most=limits.REST_PAGE_MAX)

    def skip(self) -> int:
        """Return how many come before the page."""
        return self._within_or("skip", 0, most=limits.REST_SKIP_MAX)

    def _within_or(self, name: str, default: int, *, most: int) -> int:
        try:
            return self.integer(name, default, least=0, most=most)
        except BadParameter:
            return default

    def _read(self, name: str, default: Any, read: Callable[[Any, str], Any]) -> Any:
        value = self.body.get(name)
        if value is None:
            # Something like `limit=` says nothing.
            value = self.query.get(name) or None
        if value is not None:
            return read(value, name)
        if default is _MUST_BE_THERE:
            raise BadParameter(f"{name} is missing.")
        return default


def _as_it_is(value: Any, name: str) -> Any:
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise BadParameter(f"{name} is a text.")
    return value


def _boolean(value: Any, name: str) -> bool:
    switch = _BOOLEANS.get(str(value).strip().lower()) if isinstance(value, bool | int | str) else None
    if switch is None:
        raise BadParameter(f"{name} is true or false.")
    return switch


def _integer(value: Any, name: str) -> int:
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value)):
        return int(found[1])
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    raise BadParameter(f"{name} is a number.")


def _client_id(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadParameter(f"{name} is a client id.")
    if not is_client_id(value):
        raise InvalidLogin(f"{name} is a client id: 1 to {limits.CLIENT_ID_MAX_CHARACTERS} characters.")
    return value


def _json_object(value: Any, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError as error:
        raise BadParameter(f"{name} is not JSON.") from error
    if not isinstance(found, dict):
        raise BadParameter(f"{name} is a JSON object.")
    return found


def _list_in_query(texts: list[str], name: str) -> Any:
    if len(texts) > 1 or not texts[0].lstrip().startswith("["):
        return texts
    try:
        return orjson.loads(texts[0])
    except orjson.JSONDecodeError as error:
        raise BadParameter(f"{name} is not JSON.") from error
