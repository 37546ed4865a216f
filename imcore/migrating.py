"""Migrations on PostgreSQL: one process at a time, each statement for as long as it needs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

# Any number that nobody else locks: several servers may start on one new database.
LOCK = 7_404_158_330
WAITING = "Another process prepares the database; waiting for it …"


@contextmanager
def alone(waiting: Callable[[], None]) -> Iterator[None]:
    """Wait for other processes that are in here; call `waiting` first if there are any.

    An index on millions of messages takes longer than IMCORE_DATABASE_WAIT_SECONDS, and so does waiting for the process
    that makes it. That limit still holds for locks on tables: while a migration waits for one, so does everybody else.
    May be entered again. On SQLite nothing waits: one server has the file.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if cursor.fetchone() != (True,):
            waiting()
            cursor.execute("SET lock_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            cursor.execute("RESET lock_timeout")
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
            cursor.execute("RESET statement_timeout")
