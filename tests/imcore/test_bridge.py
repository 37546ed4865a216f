"""`in_database`: what becomes of a unit of work that the database ends."""

import pytest
from django.db import OperationalError

from imcore.bridge import TRIES, in_database
from imcore.errors import StorageUnavailable


class _DriverError(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


class Work:
    """A unit of work that is ended some times before it is done."""

    def __init__(self, sqlstate: str, times: int) -> None:
        self.runs = 0
        self._sqlstate = sqlstate
        self._times = times

    def __call__(self) -> str:
        """Fail, or return that it is done."""
        self.runs += 1
        if self.runs <= self._times:
            raise OperationalError from _DriverError(self._sqlstate)
        return "done"


async def test_a_unit_of_work_that_ends_for_a_deadlock_is_done_again() -> None:
    work = Work("40P01", TRIES - 1)

    assert await in_database(work) == "done"


async def test_it_is_not_done_again_for_ever() -> None:
    work = Work("40P01", TRIES)

    with pytest.raises(StorageUnavailable):
        await in_database(work)
    assert work.runs == TRIES


async def test_one_whose_outcome_is_unknown_is_not_done_again() -> None:
    """A lost connection may have committed."""
    work = Work("57P01", 1)

    with pytest.raises(StorageUnavailable):
        await in_database(work)
    assert work.runs == 1
