"""How the database does what it is asked."""

import re
from collections.abc import Callable
from typing import Any

from django.db import connection


def plans_of(work: Callable[[], object]) -> list[str]:
    """Do something and return how the database does each of its statements."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not re.match("SAVEPOINT|RELEASE", sql):
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        work()
    word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    plans = []
    with connection.cursor() as cursor:
        for sql, params in asked:
            cursor.execute(f"{word} {sql}", params)
            plans.append("\n".join(str(row) for row in cursor.fetchall()))
    return plans


def by_index(plan: str) -> bool:
    """Say whether a plan reads no table from one end to the other."""
    return not re.search(r"Seq Scan|SCAN (?!.*USING)", plan)
