"""What a stored message moves in its conversation's row, and how cheaply."""

from typing import Any

import pytest
from django.db import connection, transaction

from conversations.models import HOUR_MS, Conversation
from conversations.policy import Kind
from conversations.storage import conversations, positions, queries
from conversations.storage.conversations import NewConversation
from conversations.storage.where import parse
from imcore.models import Application

HOUR = 440_000
T = HOUR * HOUR_MS


def new(application: Application, object_id: str) -> int:
    """Create a conversation of tom's; return its number."""
    made = NewConversation(object_id=object_id, creator="tom", members=("tom",), attributes={}, is_unique=False)
    return conversations.create(application=application.pk, kind=Kind.NORMAL, new=made, now_ms=T)[0].pk


def last(pk: int) -> tuple[int | None, int | None]:
    """Return when the last message was, in milliseconds and in hours."""
    row = Conversation.objects.get(pk=pk)
    return row.last_message_ms, row.last_message_hour


def test_the_hour_of_the_last_message_goes_with_its_time(application: Application) -> None:
    pk = new(application, "a")

    seen = [last(pk)]
    for now_ms, messages in [(T, 1), (T + HOUR_MS - 1, 1), (T, 1), (T + 3 * HOUR_MS - 2, 3)]:
        with transaction.atomic():
            positions.advance(messages={pk: {"tom": messages}}, now_ms=now_ms)
        seen.append(last(pk))

    assert seen == [
        (None, None),
        (T, HOUR),
        (T + HOUR_MS - 1, HOUR),
        (T + HOUR_MS, HOUR + 1),
        (T + 3 * HOUR_MS, HOUR + 3),
    ]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (f'{{"lm": {{"$gt": {T}}}}}', ["c"]),
        (f'{{"lm": {{"$gte": {T}}}}}', ["c", "b"]),
        (f'{{"lm": {{"$lt": {T + 1}}}}}', ["b"]),
        (f'{{"lm": {{"$lt": {T}}}}}', []),
        (f'{{"lm": {{"$lte": {T + HOUR_MS - 0.5}}}}}', ["b"]),
        (f'{{"lm": {T + HOUR_MS}}}', ["c"]),
        (f'{{"lm": {{"$in": [{T}, null]}}}}', ["b", "a"]),
        (f'{{"lm": {{"$ne": {T}}}}}', ["c", "a"]),
        ('{"lm": {"$exists": false}}', ["a"]),
        (f'{{"$nor": [{{"lm": {{"$lt": {T + 1}}}}}]}}', ["c", "a"]),
    ],
)
def test_a_query_by_the_last_message_is_exact_to_the_millisecond(
    application: Application, where: str, expected: list[str]
) -> None:
    """Checklist 34: what never had a message is found as if it had none, and comes last."""
    _, spoken_in, spoken_in_later = (new(application, object_id) for object_id in "abc")
    with transaction.atomic():
        positions.advance(messages={spoken_in: {"tom": 1}}, now_ms=T)
        positions.advance(messages={spoken_in_later: {"tom": 1}}, now_ms=T + HOUR_MS)

    found = queries.query(
        application=application.pk, client_id="tom", where=parse(where), sort=[], limit=10, skip=0, with_members=False
    )

    assert [one.object_id for one in found] == expected


def test_a_message_in_the_same_hour_writes_no_index(application: Application) -> None:
    """On PostgreSQL every update but that which moves the hour is a heap-only one."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes an index only when its columns change")
    with transaction.atomic(), connection.cursor() as cursor:
        # So that the row gets a page with room for its versions, whatever other tests have left.
        cursor.execute("ALTER TABLE conversations_conversation SET (fillfactor = 10)")
        pk = new(application, "a")

        def updates(now_ms: int) -> tuple[int, int]:
            """Store a message; return how many updates that took, and how many of them were heap-only."""
            before = counters(cursor)
            positions.advance(messages={pk: {"tom": 1}}, now_ms=now_ms)
            after = counters(cursor)
            return after[0] - before[0], after[1] - before[1]

        first = updates(T)
        same_hour = [updates(T + minute * 60_000) for minute in range(1, 10)]
        next_hour = updates(T + HOUR_MS)
        transaction.set_rollback(True)

    assert (first, next_hour) == ((1, 0), (1, 0))
    assert same_hour == [(1, 1)] * 9


def counters(cursor: Any) -> tuple[int, int]:
    """Return the updates of conversations so far that this connection has not reported, and the heap-only ones."""
    cursor.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'conversations_conversation'"
    )
    updated, heap_only = cursor.fetchone()
    return updated, heap_only
