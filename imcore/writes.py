"""Writes that are prepared one by one and stored together: all of them or none (rest-api 10.1, `batch/save`).

A service prepares a write: it checks what needs no lock, and returns what is left to be done.

    write = Write(store, done)        store(more): a unit of work, which may run again, or in vain; `more` are further
                                      columns; done(stored): what this server remembers of it, once it is sure
    stored = await stored_alone(write)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import transaction

from imcore.bridge import in_database

T = TypeVar("T")
Columns = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Write(Generic[T]):
    """A write that is left to be stored."""

    store: Callable[[Columns], T]
    done: Callable[[T], None] = lambda stored: None


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
    stored = await in_database(_store, steps)
    for step, one in zip(steps, stored, strict=True):
        step.write.done(one)
    return stored


@transaction.atomic
def _store(steps: Sequence[Step]) -> list[Any]:
    stored: list[Any] = []
    for step in steps:
        stored.append(step.write.store(step.more(stored)))
    return stored
