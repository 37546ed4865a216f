"""Whether a JSON value passes a test, in plain Python: what SQLite calls and PostgreSQL must agree with.

Comparison knows JSON types: a boolean is no number, a number no string, and what differs in type is neither
equal nor in any order. Numbers compare as they are written (1 = 1.0), strings by code point. An array stands
for itself and for each of its elements. A missing value equals null and passes nothing else.
"""

import math
import operator
import time
from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias, TypeGuard

import regex

from conversations.storage.where_tree import (
    AllOf,
    Box,
    Compare,
    CompareDate,
    Equals,
    Exists,
    In,
    Json,
    Near,
    Regex,
    Size,
    Test,
)

# No operand is deeper, so no value that is can equal one (`where_parsing` refuses such operands).
LITERAL_DEPTH_MAX: Final = 20


class Missing(Enum):
    """The value of a key that is not there."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
Value: TypeAlias = "Json | Missing"
Matcher: TypeAlias = Callable[[Value], bool]

_ORDERS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def matcher(test: Test, *, deadline: Callable[[], float] = lambda: math.inf) -> Matcher:
    """Return the function that says whether a value passes `test`.

    A pattern still unmatched at `deadline()`, on the monotonic clock, raises TimeoutError.
    """
    match test:
        case Equals(value):
            return _equals_any((value,))
        case In(values):
            return _equals_any(values)
        case AllOf(values):
            wanted = frozenset(canonical(value) for value in values)
            return lambda value: wanted <= {canonical(candidate) for candidate in _candidates(value)}
        case Size(length):
            return lambda value: isinstance(value, list) and len(value) == length
        case Exists():
            return lambda value: value is not MISSING
        case Compare(order, operand) | CompareDate(order, operand):
            return _compares(order, operand, is_date=isinstance(test, CompareDate))
        case Regex():
            return _finds(test, deadline)
        case Near():
            return lambda value: distance_to(test, value) is not None
        case Box():
            return lambda value: any(_is_inside(test, *point) for point in _points(value))


def value_at(document: Json, path: tuple[str, ...]) -> Value:
    """Return what `path` leads to through nested objects."""
    value: Value = document
    for key in path:
        if not isinstance(value, dict):
            return MISSING
        value = value.get(key, MISSING)
    return value


def distance_to(near: Near, value: Value) -> float | None:
    """Return how far, in radians, the nearest point of `value` within the bounds is, if there is one."""
    least, most = near.minimum or 0.0, math.inf if near.maximum is None else near.maximum
    distances = (great_circle(near.latitude, near.longitude, *point) for point in _points(value))
    return min((radians for radians in distances if least <= radians <= most), default=None)


def great_circle(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the angle in radians between two points given in degrees, by the haversine formula."""
    north, east = math.radians(other_latitude - latitude), math.radians(other_longitude - longitude)
    shrink = math.cos(math.radians(latitude)) * math.cos(math.radians(other_latitude))
    half_chord = math.sqrt(math.sin(north / 2) ** 2 + shrink * math.sin(east / 2) ** 2)
    return 2 * math.asin(min(1.0, half_chord))


def geo_point(value: Json) -> tuple[float, float] | None:
    """Return the latitude and longitude of a GeoPoint; None for anything else and for places not on earth."""
    if not isinstance(value, dict) or value.get("__type") != "GeoPoint":
        return None
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if _is_degrees(latitude, 90) and _is_degrees(longitude, 180):
        return float(latitude), float(longitude)
    return None


def canonical(value: Json, depth: int = 0) -> Hashable:
    """Return what is equal for equal JSON values and for no others."""
    match value:
        case bool():  # which Python takes for a number
            return "boolean", value
        case float() if value.is_integer():
            # As PostgreSQL reads the digits: 1e23 is 10**23 there, though the float is a little less.
            return int(Decimal(repr(value)))
        case list() if depth < LITERAL_DEPTH_MAX:
            return "array", *(canonical(element, depth + 1) for element in value)
        case dict() if depth < LITERAL_DEPTH_MAX:
            return "object", frozenset((key, canonical(item, depth + 1)) for key, item in value.items())
        case list() | dict():
            return "too deep", id(value)
    return value


def _candidates(value: Value) -> tuple[Json, ...]:
    if value is MISSING:
        return (None,)
    return (value, *value) if isinstance(value, list) else (value,)


def _elements(value: Value) -> list[Json]:
    if value is MISSING:
        return []
    return value if isinstance(value, list) else [value]


def _equals_any(values: tuple[Json, ...]) -> Matcher:
    wanted = frozenset(canonical(value) for value in values)
    return lambda value: any(canonical(candidate) in wanted for candidate in _candidates(value))


def _compares(order: str, operand: float | str, *, is_date: bool) -> Matcher:
    compare: Callable[[Any, Any], bool] = _ORDERS[order]
    bound = canonical(operand)
    is_text = isinstance(operand, str)

    def passes(element: Json) -> bool:
        if is_date:
            if not isinstance(element, dict) or element.get("__type") != "Date":
                return False
            element = element.get("iso")
        if isinstance(element, bool) or not isinstance(element, str if is_text else int | float):
            return False
        return compare(canonical(element), bound)

    return lambda value: any(passes(element) for element in _elements(value))


def _finds(test: Regex, deadline: Callable[[], float]) -> Matcher:
    # DOTALL always: what a "." must not match, `where_regex` has written out.
    flags = regex.DOTALL
    flags |= regex.IGNORECASE if test.ignore_case else 0
    flags |= regex.MULTILINE if test.multiline else 0
    pattern = regex.compile(test.pattern, flags)

    def passes(text: str) -> bool:
        seconds_left = deadline() - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError
        # `concurrent` lets other threads run meanwhile: an exploding pattern must not stop the event loop.
        limit = None if math.isinf(seconds_left) else seconds_left
        return pattern.search(text, concurrent=True, timeout=limit) is not None

    return lambda value: any(isinstance(element, str) and passes(element) for element in _elements(value))


def _points(value: Value) -> Iterator[tuple[float, float]]:
    for element in _elements(value):
        if (point := geo_point(element)) is not None:
            yield point


def _is_degrees(number: Json, bound: int) -> TypeGuard[int | float]:
    return isinstance(number, int | float) and not isinstance(number, bool) and -bound <= number <= bound


def _is_inside(box: Box, latitude: float, longitude: float) -> bool:
    return box.south <= latitude <= box.north and box.west <= longitude <= box.east
