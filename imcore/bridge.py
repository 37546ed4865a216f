"""The only doors between async and sync code.

*Into the database*: storage functions are plain synchronous units of work; `in_database` runs one on a bounded pool of
threads, each with a database connection of its own. When all threads are busy, calls wait their turn here, and the
database's own time limits (`DATABASE_WAIT_SECONDS`) bound how long that can be.

*To a long calculation*: `calculated` runs a password hash on threads of their own, so that neither the loop nor the
database's threads wait for it.

*Into a thread*: `in_thread` runs a request's middleware and view (`imcore/http.py` says on how many).

*To the store of files*: `in_store` reads and writes bytes on threads of their own, so that a slow disk or bucket keeps
nobody from the database.

*Into async*: `in_async` runs one service coroutine from a view, a Celery task or a management command.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

from imcore.errors import StorageUnavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# Units of work that wait for each other: PostgreSQL ends one of them (after deadlock_timeout, a second), and that one
# has done nothing.
DEADLOCK = "40P01"
TRIES = 3

_threads = ThreadPoolExecutor(max_workers=settings.DATABASE_THREADS, thread_name_prefix="database")
_storing = ThreadPoolExecutor(max_workers=settings.FILES_THREADS, thread_name_prefix="files")
_calculating = ThreadPoolExecutor(max_workers=settings.PASSWORD_THREADS, thread_name_prefix="calculation")


def _unit_of_work(work: Callable[[], T]) -> T:
    try:
        return _despite_deadlocks(work)
    except (OperationalError, InterfaceError) as error:
        logger.warning("The database failed: %s", error)
        raise StorageUnavailable from error
    finally:
        # Django does this per request; here a unit of work is the request. It returns the connection to the pool, and
        # drops one that has broken.
        close_old_connections()


def _with_own_connections(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        # Django does this at the end of a request on a thread of its own, which the dashboard's views have not used.
        close_old_connections()


def _despite_deadlocks(work: Callable[[], T]) -> T:
    """Run a unit of work again that was ended for others to go on, TRIES times in all."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != DEADLOCK:
                raise
            logger.info("A unit of work was in a deadlock and is done again")
    return work()


async def in_database(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one storage function in a database thread and return what it returns.

    It must bear to be run again: one that PostgreSQL ends because of a deadlock is. Raises StorageUnavailable when the
    database is away or too busy; whether a write went through is then unknown.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, _unit_of_work, partial(work, *args, **kwargs))


async def calculated(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a calculation that takes long, and touches no database, and return what it returns."""
    return await asyncio.get_running_loop().run_in_executor(_calculating, partial(work, *args, **kwargs))


async def in_thread(threads: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run synchronous code that may wait, such as a request's middleware and view, on one of several threads.

    It may wait for services on the loop (`in_async`); nothing on the loop may wait for such a thread.
    """
    in_one = sync_to_async(_with_own_connections, thread_sensitive=False, executor=threads)
    return await in_one(partial(work, *args, **kwargs))


async def in_store(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run something that reads or writes bytes of files, and touches no database, and return what it returns."""
    return await asyncio.get_running_loop().run_in_executor(_storing, partial(work, *args, **kwargs))


def in_async(work: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one service coroutine from synchronous code and return what it returns."""
    return async_to_sync(work)(*args, **kwargs)
