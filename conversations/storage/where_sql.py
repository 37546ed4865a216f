"""SQL with its parameters, and what the two engines write differently."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from conversations.storage.where_tree import Near, Regex, Test


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL expression and the parameters of its `%s`, in order."""

    text: str
    params: tuple[object, ...] = ()


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")


class Dialect(Protocol):
    """What an engine's module offers the compiler. Every boolean expression is TRUE or FALSE, never NULL."""

    CODE_POINT_ORDER: str  # collation under which text compares by code point

    def attribute(self, path: tuple[str, ...], test: Test) -> Sql:
        """Return whether the attribute at `path` passes `test`."""

    def text(self, expression: str, regex: Regex) -> Sql:
        """Return whether `regex` is found in a text that is not NULL."""

    def distance(self, path: tuple[str, ...], near: Near) -> Sql:
        """Return how far, in radians, the attribute at `path` is from the point of `near`."""


def every(parts: Iterable[Sql]) -> Sql:
    """Return the conjunction of boolean expressions."""
    return _joined(parts, " AND ", TRUE)


def some(parts: Iterable[Sql]) -> Sql:
    """Return the disjunction of boolean expressions."""
    return _joined(parts, " OR ", FALSE)


def negated(part: Sql) -> Sql:
    """Return the negation of a boolean expression."""
    return Sql(f"NOT ({part.text})", part.params)


def placeholders(values: Iterable[object]) -> str:
    """Return `%s, %s, …` for as many values."""
    return ", ".join("%s" for _ in values)


def _joined(parts: Iterable[Sql], word: str, of_none: Sql) -> Sql:
    parts = tuple(parts)
    if not parts:
        return of_none
    text = word.join(f"({part.text})" for part in parts)
    return Sql(text, tuple(param for part in parts for param in part.params))
