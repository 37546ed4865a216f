"""Deleting messages by age, and all of what has no conversation any more: a bounded batch per transaction.

    find the oldest → lock their conversations, then them → move the members' marks past them → delete them

Rows are locked in the order of docs/adr/0008.
"""

from collections.abc import Sequence

from django.db import connection, transaction

from conversations.storage import marks, positions
from messaging.models import Message, ServiceMark, ServiceMessage, SysMessage

EVER = 2**63 - 1

# LATERAL with LIMIT: else the planner prefers to read the whole table for the first of many conversations.
_OLDEST_POSTGRESQL = """
SELECT m.message_id, w.conversation
FROM unnest(%s::bigint[]) AS w (conversation)
CROSS JOIN LATERAL (
  SELECT message_id FROM messaging_message
  WHERE conversation_id = w.conversation AND timestamp_ms < %s ORDER BY timestamp_ms, seq LIMIT %s
) AS m
LIMIT %s
"""

_COUNT = """
WITH wanted (conversation) AS (VALUES {rows})
SELECT COALESCE(SUM((
  SELECT COUNT(*) FROM messaging_message WHERE conversation_id = wanted.conversation AND timestamp_ms < %s
)), 0) FROM wanted
"""


@transaction.atomic
def delete(*, conversations: Sequence[int], before_ms: int, limit: int) -> int:
    """Delete up to `limit` messages older than a time from conversations, the oldest first; return how many.

    They are no longer unread for anybody. Fewer than `limit` says that there are none left. Those that another run has
    deleted at the same moment are counted.
    """
    found = _oldest(conversations, before_ms, limit)
    if not found:
        return 0
    marks.lock_conversations(numbers={conversation for _, conversation in found})
    messages = Message.objects.filter(pk__in=[message_id for message_id, _ in found])
    gone: dict[int, list[tuple[int, str, bool]]] = {}
    # Looked at again: one may have been recalled before it was locked.
    locked = messages.select_for_update().order_by("conversation_id", "seq")
    for conversation, seq, sender, is_recalled in locked.values_list("conversation_id", "seq", "sender", "is_recalled"):
        gone.setdefault(conversation, []).append((seq, sender, is_recalled))
    if gone:
        positions.discard(messages=gone)
        messages.delete()
    return len(found)


def count(*, conversations: Sequence[int], before_ms: int) -> int:
    """Return how many messages `delete` would delete in all."""
    if not conversations:
        return 0
    statement = _COUNT.format(rows=", ".join(["(%s)"] * len(conversations)))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*conversations, before_ms])
        return int(cursor.fetchone()[0])


def delete_upstream(*, application: int, before_ms: int, limit: int) -> int:
    """Delete up to `limit` messages to system conversations that are older than a time; return how many."""
    rows = SysMessage.objects.filter(application_id=application, timestamp_ms__lt=before_ms)
    ids = list(rows.order_by("timestamp_ms").values_list("pk", flat=True)[:limit])
    SysMessage.objects.filter(pk__in=ids).delete()
    return len(ids)


def count_upstream(*, application: int, before_ms: int) -> int:
    """Return how many messages `delete_upstream` would delete in all."""
    return SysMessage.objects.filter(application_id=application, timestamp_ms__lt=before_ms).count()


def delete_of_services(*, application: int, before_ms: int, limit: int) -> int:
    """Delete up to `limit` messages of system conversations that are older than a time; return how many.

    Marks are times, so they stay true.
    """
    rows = ServiceMessage.objects.filter(application_id=application, timestamp_ms__lt=before_ms)
    ids = list(rows.order_by("timestamp_ms").values_list("pk", flat=True)[:limit])
    ServiceMessage.objects.filter(pk__in=ids).delete()
    return len(ids)


def count_of_services(*, application: int, before_ms: int) -> int:
    """Return how many messages `delete_of_services` would delete in all."""
    return ServiceMessage.objects.filter(application_id=application, timestamp_ms__lt=before_ms).count()


def delete_of_gone_services(*, conversations: Sequence[int], limit: int) -> int:
    """Delete up to `limit` messages and marks of conversations that are gone; return how many of both."""
    deleted = 0
    for model in (ServiceMessage, ServiceMark):
        rows = model._default_manager.filter(conversation_id__in=conversations)
        ids = list(rows.values_list("pk", flat=True)[: limit - deleted])
        model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted


def _oldest(conversations: Sequence[int], before_ms: int, limit: int) -> list[tuple[str, int]]:
    """Return the ids of messages, each with its conversation."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_OLDEST_POSTGRESQL, [list(conversations), before_ms, limit, limit])
            found: list[tuple[str, int]] = cursor.fetchall()
            return found
    rows = Message.objects.filter(conversation_id__in=conversations, timestamp_ms__lt=before_ms)
    ordered = rows.order_by("conversation_id", "timestamp_ms", "seq")
    return list(ordered.values_list("message_id", "conversation_id")[:limit])
