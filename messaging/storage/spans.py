"""Messages as clients speak of them, by id, by time or as a stretch of seqs; and noting who has had them when.

Seqs are dense, but for what the application has deleted, so a range of a thousand seqs has the newest thousand messages
at most: what a client may ask for is bounded before any message is looked at.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest

from imcore.rows import given
from messaging.models import Message

EVER = 2**63 - 1
UPDATE_BATCH = 1000  # SQLite does not take as many parameters as one likes

_BY_TIME = """
WITH wanted (conversation, at_ms) AS ({given}),
reached AS MATERIALIZED (
  SELECT conversation, at_ms, (
    SELECT m.seq FROM messaging_message m WHERE m.conversation_id = wanted.conversation
      AND m.timestamp_ms <= wanted.at_ms ORDER BY m.timestamp_ms DESC, m.seq DESC LIMIT 1
  ) AS seq FROM wanted
)
SELECT conversation, at_ms, m.seq, m.timestamp_ms
FROM reached JOIN messaging_message m ON m.conversation_id = reached.conversation AND m.seq = reached.seq
"""

# Those with something to note, or to tell.
_COVERED = """
WITH spans (conversation, client, low, high, receipts_after, is_read) AS ({given})
SELECT m.message_id, m.conversation_id, spans.client, m.seq, m.timestamp_ms, m.sender, m.wants_receipt, m.ack_ms,
       m.read_ms
FROM spans
JOIN messaging_message m ON m.conversation_id = spans.conversation AND m.seq > spans.low AND m.seq <= spans.high
WHERE m.sender <> spans.client AND (
  m.ack_ms IS NULL
  OR (m.read_ms IS NULL AND spans.is_read > 0)
  OR (m.wants_receipt AND m.seq > spans.receipts_after)
)
ORDER BY m.conversation_id, m.seq
{lock}
"""

_UNREAD = """
WITH ranges (member, conversation, client, low, high) AS ({given})
SELECT ranges.member, COUNT(*)
FROM ranges
JOIN messaging_message m ON m.conversation_id = ranges.conversation AND m.seq > ranges.low AND m.seq <= ranges.high
WHERE m.sender <> ranges.client AND NOT m.is_recalled
GROUP BY ranges.member
"""


class Point(NamedTuple):
    """A message in the order of its conversation."""

    seq: int
    timestamp_ms: int


class Named(NamedTuple):
    """A message that a client has named."""

    conversation: int
    sender: str
    point: Point


class Span(NamedTuple):
    """The messages above `low` up to `high` that a client has received or read.

    Above `receipts_after` their senders are told, whether or not somebody has received them before.
    """

    conversation: int
    client_id: str
    low: int
    high: int
    receipts_after: int
    is_read: bool


class Covered(NamedTuple):
    """A message in a client's span, as it was before."""

    message_id: str
    conversation: int
    client_id: str
    seq: int
    timestamp_ms: int
    sender: str
    wants_receipt: bool
    ack_ms: int | None
    read_ms: int | None


def by_id(message_ids: Collection[str]) -> dict[str, Named]:
    if not message_ids:
        return {}
    rows = Message.objects.filter(pk__in=message_ids)
    columns = rows.values_list("message_id", "conversation_id", "sender", "seq", "timestamp_ms")
    return {
        message_id: Named(conversation, sender, Point(seq, at_ms))
        for message_id, conversation, sender, seq, at_ms in columns
    }


def by_time(wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Point]:
    """Return the newest message up to a time, of (conversation, milliseconds)."""
    asked = list(dict.fromkeys(wanted))
    if not asked:
        return {}
    rows, parameters = given(asked, "bigint", "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_BY_TIME.format(given=rows), parameters)
        return {
            (conversation, at_ms): Point(seq, timestamp) for conversation, at_ms, seq, timestamp in cursor.fetchall()
        }


def count_not_unread(ranges: Sequence[tuple[int, int, str, int, int]]) -> dict[int, int]:
    """Return how many seqs of each member's range are not unread for it: own messages, recalled and deleted ones.

    A range is given as member, conversation, client, and the seqs it is above and up to. What is deleted has left but
    a hole, so what is there and unread is counted.
    """
    if not ranges:
        return {}
    rows, parameters = given(ranges, "bigint", "bigint", "text", "bigint", "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_UNREAD.format(given=rows), parameters)
        counted = dict(cursor.fetchall())
    return {member: high - low - counted.get(member, 0) for member, _, _, low, high in ranges}


def cover(spans: Sequence[Span], now_ms: int, *, are_read: bool) -> dict[tuple[int, str], list[Covered]]:
    """Note with the messages of spans that they were received, or read, where nobody else was first.

    Returns them as they were before, by conversation and client, in the order of their seq.
    """
    if not spans:
        return {}
    rows, parameters = given(
        [(*span[:5], int(span.is_read)) for span in spans], "bigint", "text", "bigint", "bigint", "bigint", "bigint"
    )
    lock = "FOR UPDATE OF m" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(_COVERED.format(given=rows, lock=lock), parameters)
        # Once each: the spans of a client may overlap.
        found = dict.fromkeys(Covered(*row) for row in cursor.fetchall())
    new = [row.message_id for row in found if row.ack_ms is None or (are_read and row.read_ms is None)]
    at_ms = Greatest(Value(now_ms), F("timestamp_ms"))
    changes = {"ack_ms": Coalesce("ack_ms", at_ms)} | ({"read_ms": Coalesce("read_ms", at_ms)} if are_read else {})
    for start in range(0, len(new), UPDATE_BATCH):
        Message.objects.filter(pk__in=new[start : start + UPDATE_BATCH]).update(**changes)
    covered: dict[tuple[int, str], list[Covered]] = {}
    for row in found:
        covered.setdefault((row.conversation, row.client_id), []).append(row)
    return covered
