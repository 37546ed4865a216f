"""How SQLite tests attributes: it calls the Python matcher, row by row.

An `Evaluator` registers two functions on a connection, `imcore_matches` and `imcore_distance`. Both take a
document in JSON and a question, in JSON too: the path into the document, and the test.
"""

import json
import math
import sqlite3
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final, cast

from conversations.storage.where_matching import Matcher, distance_to, matcher, value_at
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

CODE_POINT_ORDER: Final = ""

_TESTS: Final[dict[str, type[Test]]] = {
    kind.__name__: kind for kind in (Equals, In, AllOf, Compare, CompareDate, Size, Exists, Regex, Near, Box)
}


def attribute(path: tuple[str, ...], test: Test) -> Sql:
    """Return whether the attribute at `path` passes `test`."""
    return Sql("imcore_matches(c.attributes, %s)", (_question(path, test),))


def text(expression: str, regex: Regex) -> Sql:
    """Return whether `regex` is found in a text that is not NULL."""
    return Sql(f"imcore_matches(json_quote({expression}), %s)", (_question((), regex),))


def distance(path: tuple[str, ...], near: Near) -> Sql:
    """Return how far, in radians, the attribute at `path` is from the point of `near`; NULL out of bounds."""
    return Sql("imcore_distance(c.attributes, %s)", (_question(path, near),))


class Evaluator:
    """Answers the questions of the queries on one connection, until `deadline` on the monotonic clock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection: Final = connection
        self.deadline = math.inf
        # A query asks the same few questions of every row, and all of them of one row before the next.
        self._matcher = lru_cache(maxsize=64)(self._read_matcher)
        self._near = lru_cache(maxsize=4)(_read_question)
        self._document = lru_cache(maxsize=1)(_read_document)
        connection.create_function("imcore_matches", 2, self._matches, deterministic=True)
        connection.create_function("imcore_distance", 2, self._distance, deterministic=True)

    def _matches(self, document: str | None, question: str) -> bool:
        path, passes = self._matcher(question)
        return passes(value_at(self._document(document), path))

    def _distance(self, document: str | None, question: str) -> float | None:
        path, near = self._near(question)
        return distance_to(cast("Near", near), value_at(self._document(document), path))

    def _read_matcher(self, question: str) -> tuple[tuple[str, ...], Matcher]:
        path, test = _read_question(question)
        return path, matcher(test, deadline=lambda: self.deadline)


def _question(path: tuple[str, ...], test: Test) -> str:
    return json.dumps({"path": path, "test": type(test).__name__, "operands": asdict(test)})


def _read_question(question: str) -> tuple[tuple[str, ...], Test]:
    read: dict[str, Any] = json.loads(question)
    operands = read["operands"]
    if "values" in operands:
        operands["values"] = tuple(operands["values"])
    return tuple(read["path"]), _TESTS[read["test"]](**operands)


def _read_document(text: str | None) -> Json:
    """Read a stored document; one that Python cannot read has no keys, lest it make every query fail."""
    try:
        document: Json = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return document
