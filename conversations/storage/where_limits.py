"""Preparing a connection for the SQL of a `where`, and bounding how long that may take."""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from conversations.storage.where_sqlite import Evaluator
from imcore.errors import ConversationQueryFailed, ConversationQueryTooSlow

# How many steps of its virtual machine SQLite makes between two looks at the clock: some 0.1 ms.
STEPS_BETWEEN_LOOKS: Final = 10_000

# SQLSTATE classes and codes that a query itself can cause: data exception, program limit exceeded, out of
# memory, query cancelled (which is how a statement_timeout ends).
_SQLSTATES_OF_A_QUERY: Final = ("22", "54", "53200", "57014")

# SET LOCAL, as a function, which takes parameters.
_SET_STATEMENT_TIMEOUT: Final = "SELECT set_config('statement_timeout', %s, true)"

# All that sqlite3 tells of a TimeoutError in the matcher, whose clock may be a little ahead.
_MATCHER_RAISED: Final = "user-defined function raised exception"

_evaluators: WeakKeyDictionary[BaseDatabaseWrapper, Evaluator] = WeakKeyDictionary()


def prepare_connection(connection: BaseDatabaseWrapper) -> None:
    """Register on SQLite, once per connection, the functions that a compiled `where` calls."""
    if connection.vendor == "sqlite":
        _evaluator(connection)


@contextmanager
def time_limit(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    """Bound the evaluation of compiled queries in the block; `prepare_connection` is included.

    Raises ConversationQueryTooSlow when time is up, and ConversationQueryFailed when the database cannot evaluate a
    query, such as a regular expression too complex for it. The connection, and the transaction if one is open, can be
    used afterwards. Other failures of the database pass through. On PostgreSQL each statement has the limit to itself,
    on SQLite the block as a whole.
    """
    limited = _sqlite_limit if connection.vendor == "sqlite" else _postgresql_limit
    started = time.monotonic()
    try:
        with limited(connection, seconds):
            yield
    except DatabaseError as error:
        if not _is_fault_of_query(error):
            raise
        if time.monotonic() - started >= seconds or _MATCHER_RAISED in str(error):
            raise ConversationQueryTooSlow(detail="the query takes too long") from error
        why = f"cannot be evaluated: {error}".splitlines()[0]
        raise ConversationQueryFailed(detail=f"the query {why}") from error


def _evaluator(connection: BaseDatabaseWrapper) -> Evaluator:
    connection = connections[connection.alias]  # `django.db.connection` is only a proxy for it
    connection.ensure_connection()
    raw: sqlite3.Connection = connection.connection
    evaluator = _evaluators.get(connection)
    if evaluator is None or evaluator.connection is not raw:
        evaluator = _evaluators[connection] = Evaluator(raw)
    return evaluator


@contextmanager
def _sqlite_limit(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    evaluator = _evaluator(connection)
    outer = evaluator.deadline
    deadline = evaluator.deadline = min(outer, time.monotonic() + seconds)
    raw = evaluator.connection
    raw.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        evaluator.deadline = outer
        if math.isinf(outer):
            raw.set_progress_handler(None, 0)
        else:
            raw.set_progress_handler(lambda: time.monotonic() > outer, STEPS_BETWEEN_LOOKS)


@contextmanager
def _postgresql_limit(connection: BaseDatabaseWrapper, seconds: float) -> Iterator[None]:
    was_in_transaction = connection.in_atomic_block
    # A savepoint, if a transaction is open: a statement that fails aborts all up to it.
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            (before,) = cursor.fetchone()
            # At least 1: 0 would mean no limit at all.
            cursor.execute(_SET_STATEMENT_TIMEOUT, [f"{max(1, int(seconds * 1000))}ms"])
        yield
        if was_in_transaction:
            with connection.cursor() as cursor:
                cursor.execute(_SET_STATEMENT_TIMEOUT, [before])


def _is_fault_of_query(error: DatabaseError) -> bool:
    cause = error.__cause__
    return (
        (getattr(cause, "sqlstate", None) or "").startswith(_SQLSTATES_OF_A_QUERY)
        or getattr(cause, "sqlite_errorname", "") == "SQLITE_INTERRUPT"
        or _MATCHER_RAISED in str(error)
    )
