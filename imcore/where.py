"""Conditions on the rows of a table, as far as indexes and plain columns carry: a part of rest-api 6.2.

Each class says which columns can be asked for:

    COLUMNS = {"deviceType": TextColumn("device_type"), "channels": …}
    rows.filter(condition(where_text, COLUMNS)).order_by(*order(order_text, COLUMNS, "objectId"))

The whole language, on attributes too, is that of conversations (`conversations/storage/where.py`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import orjson
from django.db.models import Model, Q, QuerySet

from imcore.objects import UnfitQuery

Json = Any
RowT = TypeVar("RowT", bound=Model)
DEPTH_MAX: Final = 10
CONDITIONS_MAX: Final = 200  # as of conversations; SQLite takes no thousand
LIST_MAX: Final = 1000
ORDER_MAX: Final = 5

_LOGICAL: Final = ("$and", "$or", "$nor")
_COMPARISONS: Final = {"$lt": "lt", "$lte": "lte", "$gt": "gt", "$gte": "gte"}
_IGNORED: Final = ("$comment", "$hint")


class Column(Protocol):
    """A column of a class: where it is in the table, and how its values are read."""

    @property
    def name(self) -> str:
        """Its name in the table."""

    def among(self, values: Sequence[Json]) -> Q:
        """Return the condition that a row has one of the values, or for a list that one of its elements is among them.

        Raises UnfitQuery.
        """

    def exists(self) -> Q:
        """Return the condition that a row has a value."""

    def asked(self, operator: str, operand: Json) -> Q | None:
        """Return what an operator means that only this kind of column has, or None. Raises UnfitQuery."""


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column with values of its own kind; null is none."""

    name: str

    def read(self, value: Json) -> Any:
        """Return a value as the table has it. Raises UnfitQuery for what the column cannot hold."""
        raise NotImplementedError

    def among(self, values: Sequence[Json]) -> Q:
        """Return the condition that a row has one of the values; null is a row that has none."""
        found = Q(**{f"{self.name}__in": [self.read(value) for value in values if value is not None]})
        return found | ~self.exists() if None in values else found

    def exists(self) -> Q:
        """Return the condition that a row has a value."""
        return Q(**{f"{self.name}__isnull": False})

    def asked(self, operator: str, operand: Json) -> Q | None:
        """Compare values."""
        if operator not in _COMPARISONS:
            return None
        return Q(**{f"{self.name}__{_COMPARISONS[operator]}": self.read(operand)})


class TextColumn(PlainColumn):
    """Text."""

    def read(self, value: Json) -> str:
        """Return a text."""
        if not isinstance(value, str) or "\0" in value:
            raise UnfitQuery("A value is a text.")
        return value


class NumberColumn(PlainColumn):
    """Whole numbers."""

    def read(self, value: Json) -> int:
        """Return a number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UnfitQuery("A value is a number.")
        return max(-(2**63), min(int(value), 2**63 - 1))


class SwitchColumn(PlainColumn):
    """True or false."""

    def read(self, value: Json) -> bool:
        """Return a switch."""
        if not isinstance(value, bool):
            raise UnfitQuery("A value is true or false.")
        return value


class InstantColumn(PlainColumn):
    """Milliseconds since the epoch, which the wire writes as a Date or as text."""

    def read(self, value: Json) -> int:
        """Return an instant."""
        iso: Any = value.get("iso") if isinstance(value, dict) and value.get("__type") == "Date" else value
        try:
            instant = datetime.fromisoformat(iso)
        except (TypeError, ValueError):
            raise UnfitQuery("A value is a Date.") from None
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return int(instant.timestamp() * 1000)


def condition(where_text: str, columns: Mapping[str, Column]) -> Q:
    """Return what a `where` asks for; blank text asks for nothing.

    Raises UnfitQuery for what is no JSON object, for columns and operators that there are not, which it names, for
    values that a column cannot hold, and for what nests too deep.
    """
    if not where_text.strip():
        return Q()
    try:
        where = orjson.loads(where_text)
    except orjson.JSONDecodeError as error:
        raise UnfitQuery("where is not JSON.") from error
    _check_number(where)
    return _every(where, columns, depth=0)


def order(order_text: str, columns: Mapping[str, Column], *last: str) -> list[str]:
    """Return an order as Django takes it, ending with `last`, names in the table. Raises UnfitQuery."""
    names = {key: column.name for key, column in columns.items() if isinstance(column, PlainColumn)}
    keys = [key.strip() for key in order_text.split(",") if key.strip()]
    if len(keys) > ORDER_MAX or any(key.removeprefix("-") not in names for key in keys):
        raise UnfitQuery(f"order has at most {ORDER_MAX} of {', '.join(names)}.")
    return [("-" if key.startswith("-") else "") + names[key.removeprefix("-")] for key in keys] + list(last)


def part(rows: QuerySet[RowT], *, after: str | None, is_descending: bool, limit: int) -> QuerySet[RowT]:
    """Return the next rows in the order of their object ids, those behind `after` (rest-api 6.3)."""
    if after is not None:
        rows = rows.filter(object_id__lt=after) if is_descending else rows.filter(object_id__gt=after)
    return rows.order_by("-object_id" if is_descending else "object_id")[:limit]


def _check_number(where: Json) -> None:
    left, number = [where], 0
    while left:
        one = left.pop()
        for key, value in one.items() if isinstance(one, dict) else ():
            parts = value if key in _LOGICAL and isinstance(value, list) else ()
            left += parts
            number += 1 + len(parts)
        if number > CONDITIONS_MAX:
            raise UnfitQuery(f"where has at most {CONDITIONS_MAX} conditions.")


def _every(where: Json, columns: Mapping[str, Column], *, depth: int) -> Q:
    if not isinstance(where, dict):
        raise UnfitQuery("A condition is a JSON object.")
    if depth > DEPTH_MAX:
        raise UnfitQuery(f"Conditions nest deeper than {DEPTH_MAX}.")
    found = Q()
    for key, value in where.items():
        if key in _LOGICAL:
            found &= _joined(key, value, columns, depth)
        elif key in columns:
            found &= _of_column(key, columns[key], value)
        elif key.startswith("$") and key not in _IGNORED:
            raise UnfitQuery(f"The operator {key[:100]} is not supported.")
        elif key not in _IGNORED:
            raise UnfitQuery(f"where has {', '.join(columns)} only, not {key[:100]}.")
    return found


def _joined(key: str, value: Json, columns: Mapping[str, Column], depth: int) -> Q:
    if not isinstance(value, list) or not value:
        raise UnfitQuery(f"{key} takes a list of conditions.")
    parts = [_every(part, columns, depth=depth + 1) for part in value]
    if key == "$and":
        return Q(*parts)
    # An empty condition holds of everything, which Django's own `or` would leave out.
    some = Q() if not all(parts) else Q(*parts, _connector=Q.OR)
    return some if key == "$or" else ~(some or Q(pk__isnull=False))


def _of_column(key: str, column: Column, value: Json) -> Q:
    if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
        return column.among(_listed(key, [value]))
    found = Q()
    for operator, operand in value.items():
        found &= _operator(key, column, operator, operand)
    return found


def _operator(key: str, column: Column, operator: str, operand: Json) -> Q:
    match operator:
        case "$ne":
            return ~column.among(_listed(key, [operand]))
        case "$in":
            return column.among(_listed(key, operand))
        case "$nin":
            return ~column.among(_listed(key, operand))
        case "$exists":
            if operand not in (0, 1):
                raise UnfitQuery("$exists takes true or false.")
            return column.exists() if operand else ~column.exists()
    if operator in _IGNORED:
        return Q()
    found = column.asked(operator, operand)
    if found is None:
        raise UnfitQuery(f"The operator {operator[:100]} is not supported for {key}.")
    return found


def _listed(key: str, values: Json) -> list[Json]:
    if not isinstance(values, list):
        raise UnfitQuery(f"{key}: a list is missing.")
    if len(values) > LIST_MAX:
        raise UnfitQuery(f"{key}: a list has at most {LIST_MAX} values.")
    return values
