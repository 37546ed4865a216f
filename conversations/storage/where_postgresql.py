"""How PostgreSQL tests attributes: with jsonb operators that cannot fail, whatever a document holds.

Text and JSON in parameters carry explicit casts, as drivers may send them without a type.
"""

# ruff: noqa: S608 - all that comes from clients is a parameter

import json
from collections.abc import Iterable
from typing import Final

from conversations.storage.where_sql import Sql
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

CODE_POINT_ORDER: Final = ' COLLATE "C"'

_STRING: Final = "(e.value #>> '{}')"  # the text of a JSON string
_LATITUDE: Final = "e.value -> 'latitude'"
_LONGITUDE: Final = "e.value -> 'longitude'"
# jsonb numbers compare among themselves before they become floats: 1e999 has no float and would be an error.
_IS_GEO_POINT: Final = (
    """e.value @> '{"__type": "GeoPoint"}'"""
    f" AND jsonb_typeof({_LATITUDE}) = 'number' AND ({_LATITUDE}) BETWEEN '-90' AND '90'"
    f" AND jsonb_typeof({_LONGITUDE}) = 'number' AND ({_LONGITUDE}) BETWEEN '-180' AND '180'"
)
_HAVERSINE: Final = (
    f"2 * asin(LEAST(1, sqrt(power(sin(radians(({_LATITUDE})::float8 - %s) / 2), 2)"
    f" + cos(radians(%s)) * cos(radians(({_LATITUDE})::float8))"
    f" * power(sin(radians(({_LONGITUDE})::float8 - %s) / 2), 2))))"
)


def attribute(path: tuple[str, ...], test: Test) -> Sql:
    """Return whether the attribute at `path` passes `test`."""
    value = _value(path)
    match test:
        case Exists():
            return Sql(f"({value.text}) IS NOT NULL", value.params)
        case Size(length):
            return _where_of_value(value, Sql(_size("v.value") + " = %s", (length,)))
        case Equals(bool() | int() | float() | str() as scalar):
            # An array contains a scalar, and a scalar itself.
            return Sql(f"COALESCE({value.text} @> %s::jsonb, FALSE)", (*value.params, _json(scalar)))
        case Equals(whole):
            return _of_candidates(value, Sql("e.value = %s::jsonb", (_json(whole),)))
        case In(values):
            return _of_candidates(value, Sql("e.value = ANY(%s::jsonb[])", (_array(values),)))
        case AllOf(values):
            candidates = f"ARRAY(SELECT e.value FROM {_candidates(value)})"
            return Sql(f"{candidates} @> %s::jsonb[]", (*value.params, _array(values)))
        case Near():
            nearest = distance(path, test)
            return Sql(f"({nearest.text}) IS NOT NULL", nearest.params)
        case Compare() | CompareDate() | Regex() | Box():
            return _of_candidates(value, _element(test))


def text(expression: str, regex: Regex) -> Sql:
    """Return whether `regex` is found in a text that is not NULL."""
    # "***:" says that an advanced expression follows, w that ^ and $ also match at line ends.
    flags = ("i" if regex.ignore_case else "") + ("w" if regex.multiline else "")
    return Sql(f"{expression} ~ %s", (f"***:{f'(?{flags})' if flags else ''}{regex.pattern}",))


def distance(path: tuple[str, ...], near: Near) -> Sql:
    """Return how far, in radians, the attribute at `path` is from the point of `near`; NULL out of bounds."""
    haversine = Sql(f"CASE WHEN {_IS_GEO_POINT} THEN {_HAVERSINE} END", (near.latitude, near.latitude, near.longitude))
    value = _value(path)
    conditions, bounds = ["TRUE"], []
    for order, bound in ((">=", near.minimum), ("<=", near.maximum)):
        if bound is not None:
            conditions.append(f"d.radians {order} %s")
            bounds.append(bound)
    # OFFSET 0 keeps PostgreSQL from computing the distance once for each mention of it.
    distances = f"SELECT {haversine.text} AS radians FROM {_candidates(value)} OFFSET 0"
    return Sql(
        f"SELECT MIN(d.radians) FROM ({distances}) d WHERE {' AND '.join(conditions)}",
        (*haversine.params, *value.params, *bounds),
    )


def _element(test: Compare | CompareDate | Regex | Box) -> Sql:
    """Return whether the JSON value `e.value` passes `test`."""
    match test:
        case Compare(operator, str() as operand):
            return Sql(
                f"jsonb_typeof(e.value) = 'string' AND {_STRING}{CODE_POINT_ORDER} {operator} %s::text",
                (operand,),
            )
        case Compare(operator, operand):
            return Sql(f"jsonb_typeof(e.value) = 'number' AND e.value {operator} %s::jsonb", (_json(operand),))
        case CompareDate(operator, iso):
            return Sql(
                """e.value @> '{"__type": "Date"}' AND jsonb_typeof(e.value -> 'iso') = 'string'"""
                f" AND (e.value ->> 'iso'){CODE_POINT_ORDER} {operator} %s::text",
                (iso,),
            )
        case Regex():
            found = text(_STRING, test)
            return Sql(f"CASE jsonb_typeof(e.value) WHEN 'string' THEN {found.text} END", found.params)
        case Box():
            return Sql(
                f"{_IS_GEO_POINT} AND ({_LATITUDE}) BETWEEN %s::jsonb AND %s::jsonb"
                f" AND ({_LONGITUDE}) BETWEEN %s::jsonb AND %s::jsonb",
                (_json(test.south), _json(test.north), _json(test.west), _json(test.east)),
            )


def _value(path: tuple[str, ...]) -> Sql:
    # `->` with text takes keys of objects only; `#>` would take "0" for an index too.
    return Sql("c.attributes" + " -> %s::text" * len(path), path)


def _size(array: str) -> str:
    return f"CASE jsonb_typeof({array}) WHEN 'array' THEN jsonb_array_length({array}) END"


def _where_of_value(value: Sql, condition: Sql) -> Sql:
    return Sql(
        f"EXISTS (SELECT 1 FROM (SELECT {value.text} AS value) v WHERE {condition.text})",
        (*value.params, *condition.params),
    )


def _of_candidates(value: Sql, condition: Sql) -> Sql:
    return Sql(
        f"EXISTS (SELECT 1 FROM {_candidates(value)} WHERE {condition.text})",
        (*value.params, *condition.params),
    )


def _candidates(value: Sql) -> str:
    """Return the FROM clause of the value and its elements, as `e.value`; a missing value is null."""
    return (
        f"(SELECT {value.text} AS value) v CROSS JOIN LATERAL jsonb_array_elements("
        "jsonb_build_array(v.value) || CASE jsonb_typeof(v.value) WHEN 'array' THEN v.value ELSE '[]' END"
        ") AS e(value)"
    )


def _json(value: Json) -> str:
    return json.dumps(value)


def _array(values: Iterable[Json]) -> list[str]:
    return [_json(value) for value in values]
