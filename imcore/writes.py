"""Writes that are prepared one by one and stored together: all of them or none (rest-api 10.1, `batch/save`).

A service prepares a write: it checks what needs no lock, and returns what is left to be done.

    write = Write(store, done)        store(more): a unit of work, which may run again, or in vain; `more` are further
                                      columns; done(stored): what this server remembers of it, once it is sure
    stored = await stored_alone(write)

Rows that writes change are locked before the first of several is stored, in one order (docs/adr/0008), so that no two
that are stored at the same time wait for each other, whatever the order of their writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import transaction

from imcore.bridge import in_database

T = TypeVar("T")
Columns = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a write finds and changes: rows of a table, by a key. `lock` takes those of several keys, in one order."""

    table: str
    key: Any
    lock: Callable[[Sequence[Any]], None]


@dataclass(frozen=True, slots=True)
class Write(Generic[T]):
    """A write that is left to be stored. `rows` are what there is of it already, if it is not new."""

    store: Callable[[Columns], T]
    done: Callable[[T], None] = lambda stored: None
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One write of several. `more`: the columns that follow from what the steps before it have stored."""

    write: Write[Any]
    more: Callable[[Sequence[Any]], Columns] = lambda before: {}


async def stored_alone(write: Write[T]) -> T:
    """Store one write and return what came of it. Raises what its `store` raises."""
    stored = await in_database(write.store, {})
    write.done(stored)
    return stored


async def stored_together(steps: Sequence[Step]) -> list[Any]:
    """Store several writes in one transaction, in their order. Raises what one of them raises; then none is stored."""
    stored = await in_database(store_together, steps)
    for step, one in zip(steps, stored, strict=True):
        step.write.done(one)
    return stored


@transaction.atomic
def store_together(steps: Sequence[Step]) -> list[Any]:
    """Store several writes, as a unit of work."""
    _lock([step.write.rows for step in steps if step.write.rows is not None])
    stored: list[Any] = []
    for step in steps:
        stored.append(step.write.store(step.more(stored)))
    return stored


def _lock(rows: Sequence[Rows]) -> None:
    """Lock rows table by table, in the order of the tables' names: conversations come first."""
    for table in sorted({one.table for one in rows}):
        of_table = [one for one in rows if one.table == table]
        of_table[0].lock([one.key for one in of_table])
