"""Rows that a statement is handed, to be joined with tables: many items, one statement, on either engine."""

from collections.abc import Sequence
from typing import Any, Literal

import orjson
from django.db import connection


def given(rows: Sequence[Sequence[Any]], *types: Literal["bigint", "text"]) -> tuple[str, list[Any]]:
    """Return a query of these rows, one at least, for a WITH clause that names their columns; and its parameters.

    Texts must not have a NUL: PostgreSQL takes none.
    """
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{name}[]" for name in types)
        return f"SELECT * FROM unnest({arrays})", [list(column) for column in zip(*rows, strict=True)]  # noqa: S608
    extracted = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(len(types)))
    return f"SELECT {extracted} FROM json_each(%s)", [orjson.dumps([tuple(row) for row in rows]).decode()]  # noqa: S608
