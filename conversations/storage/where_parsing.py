"""From the text of a `where` to its tree, refusing whatever cannot be evaluated within bounds."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

from conversations.storage.where_matching import LITERAL_DEPTH_MAX, MISSING, geo_point, matcher
from conversations.storage.where_regex import translate
from conversations.storage.where_tree import (
    ALWAYS,
    INSTANTS,
    NEVER,
    AllOf,
    Attribute,
    Box,
    Column,
    Compare,
    CompareDate,
    Condition,
    Equals,
    Every,
    Exists,
    Field,
    In,
    Json,
    Leaf,
    Members,
    Near,
    Not,
    Operator,
    Size,
    Some,
    Test,
    Where,
)
from imcore.errors import ConversationQueryFailed

# Our own bounds, above what the SDKs' query builders write.
TEXT_MAX_CHARACTERS: Final = 256 * 1024
DEPTH_MAX: Final = 10
CONDITIONS_MAX: Final = 200
LIST_MAX: Final = 1000  # realtime-protocol 4.4: JS looks up 999 ids at once
PATH_MAX: Final = 20
PATTERNS_MAX_CHARACTERS: Final = 4096  # together; nothing interrupts their compilation

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final[dict[str, Column]] = {column.value: column for column in Column}
_MEMBERS: Final[dict[str, Members]] = {members.value: members for members in Members}
_LOGICAL: Final = frozenset({"$and", "$or", "$nor"})
_ORDERS: Final[dict[str, Operator]] = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
# rest-api 6.2: the earth's radius is 6371 km or 3959 miles.
_RADIANS_PER: Final = {"": 1.0, "InRadians": 1.0, "InKilometers": 1 / 6371, "InMiles": 1 / 3959}
_COMPANIONS: Final = {
    "$regex": frozenset({"$options"}),
    "$nearSphere": frozenset(f"${bound}Distance{unit}" for bound in ("min", "max") for unit in _RADIANS_PER),
}


def parse(text: str) -> Where:
    """Read the text of a `where`; blank text is one without conditions.

    Raises ConversationQueryFailed, with a detail for the developer, for text that is no JSON object, for
    operators that are unknown or unsupported, for operands that do not fit them, and for whatever exceeds a
    bound of this module.
    """
    query = _load(text)
    _check_bounds(query)
    return Where(tuple(_conditions(query)))


def _refuse(why: str) -> NoReturn:
    raise ConversationQueryFailed(detail=why)


def _load(text: str) -> Json:
    if len(text) > TEXT_MAX_CHARACTERS:
        _refuse(f"where is longer than {TEXT_MAX_CHARACTERS} characters")
    if not text.strip():
        return {}
    try:
        loaded: Json = json.loads(text, parse_float=_finite, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse("where is not JSON")
    return loaded


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # Python's reader takes NaN and Infinity, which are no JSON


def _check_bounds(query: Json) -> None:
    pattern_characters = 0
    for number, (name, operand) in enumerate(_operators_in(query, depth=0), start=1):
        if number > CONDITIONS_MAX:
            _refuse(f"more than {CONDITIONS_MAX} conditions")
        if name == "$regex" and isinstance(operand, str):
            pattern_characters += len(operand)
        if pattern_characters > PATTERNS_MAX_CHARACTERS:
            _refuse(f"patterns of more than {PATTERNS_MAX_CHARACTERS} characters")


def _operators_in(query: Json, *, depth: int) -> Iterator[tuple[str, Json]]:
    """Yield each operator, or key of an equality, with its operand; what is malformed is not looked into."""
    if depth > DEPTH_MAX:
        _refuse(f"conditions nest deeper than {DEPTH_MAX}")
    for key, value in query.items() if isinstance(query, dict) else ():
        if key in _LOGICAL and isinstance(value, list):
            for part in value:
                yield from _operators_in(part, depth=depth + 1)
        elif isinstance(value, dict) and any(name.startswith("$") for name in value):
            yield from value.items()
        else:
            yield key, value


def _conditions(query: Json) -> list[Condition]:
    """Return the conditions that must all hold for `query`, the whole `where` or a part of it."""
    if not isinstance(query, dict):
        _refuse("a condition is not a JSON object")
    conditions: list[Condition] = []
    for key, value in query.items():
        if key == "$and":
            for part in _list_of_conditions(key, value):
                conditions += _conditions(part)
        elif key in ("$or", "$nor"):
            parts = _list_of_conditions(key, value)
            some = Some(tuple(_every(_conditions(part)) for part in parts))
            conditions.append(some if key == "$or" else Not(some))
        elif key.startswith("$"):
            _refuse(f"operator {key} is not supported")
        else:
            conditions += _field_conditions(_field(key), value)
    return conditions


def _list_of_conditions(key: str, value: Json) -> list[Json]:
    if not isinstance(value, list) or not value:
        _refuse(f"{key} takes a list of conditions")
    return value


def _every(conditions: list[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else Every(tuple(conditions))


def _field(key: str) -> Field:
    if key in _COLUMNS:
        return _COLUMNS[key]
    if key in _MEMBERS:
        return _MEMBERS[key]
    path = tuple(key.split("."))
    if len(path) > PATH_MAX:
        _refuse(f"a key has more than {PATH_MAX} parts")
    return Attribute(path)


def _field_conditions(field: Field, value: Json) -> list[Condition]:
    if not isinstance(value, dict) or not any(key.startswith("$") for key in value):
        return [_leaf(field, Equals(_operand(field, value)))]
    companions = {name for operator in value for name in _COMPANIONS.get(operator, ())}
    return [_condition(field, key, value) for key in value if key not in companions]


def _condition(field: Field, name: str, operators: dict[str, Json]) -> Condition:
    """Return what the operator `name` of `operators` asks of `field`."""
    operand = operators[name]
    match name:
        case "$ne":
            return Not(_leaf(field, Equals(_operand(field, operand))))
        case "$in":
            return _leaf(field, In(_operands(field, name, operand)))
        case "$nin":
            return Not(_leaf(field, In(_operands(field, name, operand))))
        case "$all":
            return _leaf(field, AllOf(_operands(field, name, operand)))
        case "$lt" | "$lte" | "$gt" | "$gte":
            return _leaf(field, _comparison(field, name, operand))
        case "$size":
            return _leaf(field, Size(_length(operand)))
        case "$exists":
            if operand not in (0, 1):
                _refuse("$exists takes true or false")
            exists = _leaf(field, Exists())
            return exists if operand else Not(exists)
        case "$regex":
            options = operators.get("$options", "")
            if not isinstance(operand, str) or not isinstance(options, str):
                _refuse("$regex and $options take strings")
            return _leaf(field, translate(operand, options))
        case "$nearSphere":
            return _leaf(field, _near(operators))
        case "$within":
            return _leaf(field, _box(operand))
    return _refuse(f"operator {name} is not supported" if name.startswith("$") else "a key among operators")


def _leaf(field: Field, test: Test) -> Condition:
    """Return the condition, decided at once where it concerns text that no database row can hold."""
    if isinstance(field, Attribute) and not _is_storable(list(field.path)):
        return ALWAYS if matcher(test)(MISSING) else NEVER
    match test:
        case Equals(value) if not _is_storable(value):
            return NEVER
        case Compare(_, operand) | CompareDate(_, operand) if not _is_storable(operand):
            return NEVER
        case AllOf(values) if not values or not all(_is_element(field, value) for value in values):
            return NEVER
        case In(values):
            elements = tuple(value for value in values if _is_element(field, value))
            return Leaf(field, In(elements)) if elements else NEVER
    return Leaf(field, test)


def _is_element(field: Field, value: Json) -> bool:
    """Return whether `value` can be among those of `field`: members are strings."""
    return _is_storable(value) and (isinstance(value, str) or not isinstance(field, Members))


def _is_storable(value: Json, depth: int = 0) -> bool:
    """Return whether all text in `value` can be stored: PostgreSQL has no NUL, UTF-8 no lone surrogates."""
    if depth > LITERAL_DEPTH_MAX:
        _refuse(f"a value nests deeper than {LITERAL_DEPTH_MAX}")
    match value:
        case str():
            return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value)
        case list():
            return all(_is_storable(element, depth + 1) for element in value)
        case dict():
            return all(_is_storable(key) and _is_storable(item, depth + 1) for key, item in value.items())
    return True


def _operand(field: Field, value: Json) -> Json:
    """Return `value` as the field has it: instants in milliseconds, members as a sorted list."""
    if isinstance(value, list) and len(value) > LIST_MAX:
        _refuse(f"a list has more than {LIST_MAX} values")
    if field in INSTANTS:
        if isinstance(value, str):
            return _milliseconds(value)
        if isinstance(value, dict) and value.get("__type") == "Date":
            return _milliseconds(_iso(value))
    if isinstance(field, Members) and isinstance(value, list):
        return sorted(value, key=_text_first)
    return value


def _text_first(value: Json) -> tuple[bool, str]:
    return (False, value) if isinstance(value, str) else (True, "")


def _operands(field: Field, name: str, values: Json) -> tuple[Json, ...]:
    if not isinstance(values, list):
        _refuse(f"{name} takes a list")
    if len(values) > LIST_MAX:
        _refuse(f"a list has more than {LIST_MAX} values")
    return tuple(_operand(field, value) for value in values)


def _comparison(field: Field, name: str, value: Json) -> Test:
    operand = _operand(field, value)
    match operand:
        case bool():
            pass
        case int() | float() | str():
            return Compare(_ORDERS[name], operand)
        case dict() if operand.get("__type") == "Date":
            return CompareDate(_ORDERS[name], _iso(operand))
    return _refuse(f"{name} takes a number, a string or a Date")


def _iso(date: dict[str, Json]) -> str:
    iso = date.get("iso")
    if not isinstance(iso, str):
        _refuse("a Date has no iso string")
    return iso


def _milliseconds(iso: str) -> int:
    try:
        instant = datetime.fromisoformat(iso)
    except ValueError:
        _refuse("a date is not ISO 8601")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def _length(operand: Json) -> int:
    if isinstance(operand, bool) or not isinstance(operand, int) or operand < 0:
        _refuse("$size takes a whole number")
    return min(operand, 2**31 - 1)  # beyond any array, within any engine's integers


def _near(operators: dict[str, Json]) -> Near:
    latitude, longitude = _point(operators["$nearSphere"])
    return Near(latitude, longitude, _radians(operators, "$min", max), _radians(operators, "$max", min))


def _radians(operators: dict[str, Json], bound: str, stricter: Callable[..., float]) -> float | None:
    """Return the strictest of the distances given by the names `bound`Distance…, in radians."""
    found: float | None = None
    for unit, radians in _RADIANS_PER.items():
        if (name := f"{bound}Distance{unit}") in operators:
            distance = operators[name]
            if isinstance(distance, bool) or not isinstance(distance, int | float) or distance < 0:
                _refuse(f"{name} takes a distance")
            # Nothing is further than π; and an integer may be too long for a float.
            limited = min(distance, 10**9) * radians
            found = limited if found is None else stricter(found, limited)
    return found


def _box(operand: Json) -> Box:
    match operand:
        case {"$box": [south_west, north_east], **rest} if not rest:
            corners = _point(south_west), _point(north_east)
            # As in MongoDB the corners may come in any order and the box never crosses the date line.
            (south, north), (west, east) = (sorted(degrees) for degrees in zip(*corners, strict=True))
            return Box(south, west, north, east)
    return _refuse('$within takes {"$box": [GeoPoint, GeoPoint]}')


def _point(value: Json) -> tuple[float, float]:
    point = geo_point(value)
    if point is None:
        _refuse("a GeoPoint needs a latitude within ±90 and a longitude within ±180")
    return point
