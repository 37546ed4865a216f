"""Attributes: what developers write on conversations and users, as JSON, and what an update asks of them.

    {"name": "x"}                                     replaces a top-level key
    {"attr.topic": "y"}                               changes one key inside `attr` and leaves the others
    {"attr.count": {"__op": "Increment", "amount": 1}}

The operators are those of realtime-protocol 4.6.1 and rest-api 5.1, but for relations, which do not exist here. Pure:
nothing here reads a database, and no argument is changed.
"""

import copy
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

Json = Any
Path = tuple[str, ...]

# Above what anyone nests by hand, below what any JSON writer on the way to a query's result takes (orjson: 254).
DEPTH_MAX = 64

# Of one Batch: each goes through the whole of a list.
BATCH_MAX = 100

# What JSON readers of all SDKs, and ours, take for an integer.
INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1


class UnfitAttributes(Exception):
    """Attributes that cannot be stored, or a change of them that cannot be made; the text says why."""


class ColumnDecoder(json.JSONDecoder):
    """Reads a column of attributes so that it can be written again.

    PostgreSQL writes 1e300 digit by digit, Python's reader makes an integer of it, and no JSON writer of ours takes one
    so long. This one makes a float again.
    """

    def decode(self, s: str, *args: Any) -> Json:
        """Return what the text says."""
        return orjson.loads(s)


class _Absent:
    """What an operator finds where there is nothing: not the same as null."""


_ABSENT = _Absent()


def path_of(key: str) -> Path:
    """Return the steps of a dotted key. Raises UnfitAttributes for one with an empty step, or too many."""
    steps = tuple(key.split(".", DEPTH_MAX))
    if len(steps) > 1 and not all(steps):
        raise UnfitAttributes(f"{key[:100]!r} has an empty step.")
    if len(steps) > DEPTH_MAX:
        raise UnfitAttributes(f"A key has at most {DEPTH_MAX} steps.")
    return steps


def applied(attributes: Mapping[str, Json], changes: Mapping[Path, Json]) -> dict[str, Json]:
    """Return the attributes as they are after the changes, which are made one after the other.

    Raises UnfitAttributes if one cannot be made: an unknown or incomplete operator, one that does not fit the
    value it meets, a step into something that is not an object.
    """
    touched = {path[0] for path in changes}
    # Copied once, however many keys a request has: it may have thousands.
    after = {key: copy.deepcopy(value) if key in touched else value for key, value in attributes.items()}
    for path, wanted in changes.items():
        _apply(after, path, wanted)
    return after


def check_storable(attributes: Mapping[str, Json], *, max_bytes: int) -> None:
    """Return if attributes can be stored; raise UnfitAttributes if not."""
    try:
        size = len(orjson.dumps(attributes))
    except orjson.JSONEncodeError:
        raise UnfitAttributes(f"Attributes nest deeper than {DEPTH_MAX}.") from None
    # First, since what follows looks at every value: of a request with twenty megabytes it would for seconds.
    if size > max_bytes:
        raise UnfitAttributes(f"Attributes have at most {max_bytes} bytes as JSON.")
    _check_storable(attributes, depth=0)


def _check_storable(value: object, *, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise UnfitAttributes(f"Attributes nest deeper than {DEPTH_MAX}.")
    match value:
        case str() if "\0" in value:
            # PostgreSQL's jsonb cannot hold it, so neither engine takes it.
            raise UnfitAttributes("Attributes cannot contain the character U+0000.")
        case dict():
            for key, item in value.items():
                _check_storable(key, depth=depth)
                _check_storable(item, depth=depth + 1)
        case list():
            for item in value:
                _check_storable(item, depth=depth + 1)


def _apply(attributes: dict[str, Json], path: Path, wanted: Json) -> None:
    operator = _operator(path, wanted)
    inside = attributes
    for step in path[:-1]:
        found = inside.get(step, _ABSENT)
        if found is _ABSENT:
            if operator is _delete:
                return
            found = inside[step] = {}
        if not isinstance(found, dict):
            raise UnfitAttributes(f"{_written(path)}: {step!r} is not an object.")
        inside = found
    value = operator(inside.get(path[-1], _ABSENT), wanted, path)
    if value is _ABSENT:
        inside.pop(path[-1], None)
    else:
        inside[path[-1]] = value


Operator = Callable[[Json, Json, Path], Json]


def _operator(path: Path, wanted: Json) -> Operator:
    if not isinstance(wanted, dict) or "__op" not in wanted:
        return _replace
    name = wanted["__op"]
    operator = _OPERATORS.get(name) if isinstance(name, str) else None
    if operator is None:
        raise UnfitAttributes(f"{_written(path)}: the operators are {', '.join(_OPERATORS)}.")
    return operator


def _replace(found: Json, wanted: Json, path: Path) -> Json:
    # A copy, since a later key of the same request may change what is inside.
    return copy.deepcopy(wanted)


def _delete(found: Json, wanted: Json, path: Path) -> Json:
    return _ABSENT


def _counting(sign: int) -> Operator:
    def operator(found: Json, wanted: Json, path: Path) -> Json:
        amount = wanted.get("amount")
        before = 0 if found is _ABSENT else found
        if not _is_number(amount) or not _is_number(before):
            raise UnfitAttributes(f"{_written(path)}: {wanted['__op']} takes an amount and a number.")
        return _in_range(before + sign * amount, path)

    return operator


def _add(found: Json, wanted: Json, path: Path) -> Json:
    return [*_list(found, path), *_objects(wanted, path)]


def _add_unique(found: Json, wanted: Json, path: Path) -> Json:
    result = _list(found, path)
    present = {_identity(one) for one in result}
    for one in _objects(wanted, path):
        if (identity := _identity(one)) not in present:
            present.add(identity)
            result.append(one)
    return result


def _remove(found: Json, wanted: Json, path: Path) -> Json:
    unwanted = {_identity(one) for one in _objects(wanted, path)}
    return [one for one in _list(found, path) if _identity(one) not in unwanted]


def _bitwise(combine: Callable[[int, int], int]) -> Operator:
    def operator(found: Json, wanted: Json, path: Path) -> Json:
        value = wanted.get("value")
        before = 0 if found is _ABSENT else found
        if not _is_integer(value) or not _is_integer(before):
            raise UnfitAttributes(f"{_written(path)}: {wanted['__op']} combines two integers.")
        return _in_range(combine(before, value), path)

    return operator


def _batch(found: Json, wanted: Json, path: Path) -> Json:
    steps = wanted.get("ops")
    if not isinstance(steps, list) or any(_operator(path, step) in (_replace, _batch) for step in steps):
        raise UnfitAttributes(f"{_written(path)}: Batch needs `ops`, a list of other operators.")
    if len(steps) > BATCH_MAX:
        raise UnfitAttributes(f"{_written(path)}: Batch has at most {BATCH_MAX} steps.")
    for step in steps:
        found = _operator(path, step)(found, step, path)
    return found


_OPERATORS: Mapping[str, Operator] = {
    "Delete": _delete,
    "Increment": _counting(1),
    "Decrement": _counting(-1),
    "Add": _add,
    "AddUnique": _add_unique,
    "Remove": _remove,
    "BitAnd": _bitwise(lambda before, value: before & value),
    "BitOr": _bitwise(lambda before, value: before | value),
    "BitXor": _bitwise(lambda before, value: before ^ value),
    "Batch": _batch,
}


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Json) -> bool:
    return _is_integer(value) or isinstance(value, float)


def _in_range(number: int | float, path: Path) -> int | float:
    is_writable = INTEGER_MIN <= number <= INTEGER_MAX if isinstance(number, int) else math.isfinite(number)
    if not is_writable:
        raise UnfitAttributes(f"{_written(path)}: the number would be out of range.")
    return number


def _list(found: Json, path: Path) -> list[Json]:
    if found is _ABSENT:
        return []
    if not isinstance(found, list):
        raise UnfitAttributes(f"{_written(path)} is not a list.")
    return list(found)


def _objects(wanted: Json, path: Path) -> list[Json]:
    objects = wanted.get("objects")
    if not isinstance(objects, list):
        raise UnfitAttributes(f"{_written(path)}: {wanted['__op']} needs `objects`, a list.")
    return copy.deepcopy(objects)


def _identity(value: Json) -> object:
    """Return what two JSON values share only if they are equal. Python holds True and 1 for equal, JSON does not."""
    match value:
        case bool():
            return (bool, value)
        case dict():
            return (dict, frozenset((key, _identity(one)) for key, one in value.items()))
        case list():
            return (list, tuple(_identity(one) for one in value))
    return value


def _written(path: Path) -> str:
    return repr(".".join(path)[:100])
