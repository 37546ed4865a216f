"""The tree that `where` text becomes.

    Where ── Every · Some · Not · Leaf      conditions
                                   ├── field   which value: a Column, the Members, or an Attribute path
                                   └── test    what must hold of it: Equals, In, Compare, Regex, Near, …

Operands are plain JSON values. Those of instants are already milliseconds, so a test never needs to know its
field. `$ne`, `$nin`, `$nor` and `{"$exists": false}` are `Not` of their opposites: every condition is true or
false, never unknown.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Column(Enum):
    """A key that is a column of the conversation; the value is the key."""

    OBJECT_ID = "objectId"
    CREATOR = "c"
    UNIQUE_ID = "uniqueId"
    LAST_MESSAGE = "lm"
    CREATED = "createdAt"
    UPDATED = "updatedAt"
    KIND = "conv_type"
    IS_CHAT_ROOM = "tr"
    IS_SYSTEM = "sys"
    IS_TEMPORARY = "temp"
    IS_UNIQUE = "unique"


INSTANTS: Final = frozenset({Column.LAST_MESSAGE, Column.CREATED, Column.UPDATED})


class Members(Enum):
    """A key that is an array of client ids, kept as member rows; the value is the key."""

    ALL = "m"
    MUTED = "mu"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A key set by clients; `path` leads through nested objects."""

    path: tuple[str, ...]


Field: TypeAlias = Column | Members | Attribute


@dataclass(frozen=True, slots=True)
class Equals:
    """The value, or an element of it, equals `value`; null also matches what is missing."""

    value: Json


@dataclass(frozen=True, slots=True)
class In:
    """The value, or an element of it, equals one of `values`."""

    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of `values`, of which there is at least one, equals the value or an element of it."""

    values: tuple[Json, ...]


Operator: TypeAlias = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """The value, or an element of it, is of the operand's type and in this order to it."""

    operator: Operator
    operand: int | float | str


@dataclass(frozen=True, slots=True)
class CompareDate:
    """The value, or an element of it, is a Date object whose `iso` is in this order to the operand's."""

    operator: Operator
    iso: str


@dataclass(frozen=True, slots=True)
class Size:
    """The value is an array of this length."""

    length: int


@dataclass(frozen=True, slots=True)
class Exists:
    """The key is there, be it null."""


@dataclass(frozen=True, slots=True)
class Regex:
    """The value, or an element of it, is a string in which `pattern` is found.

    `pattern` is in the dialect that both engines read alike (`where_regex`).
    """

    pattern: str
    ignore_case: bool
    multiline: bool


@dataclass(frozen=True, slots=True)
class Near:
    """The value, or an element of it, is a GeoPoint at a distance, in radians, within the bounds."""

    latitude: float
    longitude: float
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Box:
    """The value, or an element of it, is a GeoPoint between these borders."""

    south: float
    west: float
    north: float
    east: float


Test: TypeAlias = Equals | In | AllOf | Compare | CompareDate | Size | Exists | Regex | Near | Box


@dataclass(frozen=True, slots=True)
class Leaf:
    """`test` holds of the value of `field`."""

    field: Field
    test: Test


@dataclass(frozen=True, slots=True)
class Every:
    """Every part is true; of none, true."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """Some part is true; of none, false."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The part is false."""

    part: "Condition"


Condition: TypeAlias = Every | Some | Not | Leaf

NEVER: Final = Some(())
# Not `Every(())`, which is a `where` without any condition and means the caller's own conversations.
ALWAYS: Final = Not(NEVER)


@dataclass(frozen=True, slots=True)
class Where:
    """A parsed `where`: conditions that must all be true."""

    conditions: tuple[Condition, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition at all, so that the default query applies (realtime-protocol 4.4)."""
        return not self.conditions

    @property
    def object_ids(self) -> tuple[str, ...] | None:
        """Return the only ids that can match, or None where neither equality nor `$in` bounds `objectId`."""
        found: dict[str, None] | None = None
        for leaf in self.required_leaves:
            if leaf.field is not Column.OBJECT_ID or not isinstance(leaf.test, Equals | In):
                continue
            values = leaf.test.values if isinstance(leaf.test, In) else (leaf.test.value,)
            ids = [value for value in values if isinstance(value, str)]
            found = dict.fromkeys(id_ for id_ in ids if found is None or id_ in found)
        return None if found is None else tuple(found)

    @property
    def required_leaves(self) -> tuple[Leaf, ...]:
        """The leaves that every match fulfils. The parser leaves no `Every` at the top, so these are all."""
        return tuple(condition for condition in self.conditions if isinstance(condition, Leaf))
