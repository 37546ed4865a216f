"""What waits for clients that were away: in which of their conversations, and how much of it.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, Q, Sum

from conversations.models import Member
from conversations.policy import Kind
from conversations.storage.marks import Count, mention_all_seq_for

__all__ = ["Asking", "Unacknowledged", "select", "total", "unacknowledged", "unread"]

# The conversations of a client, with its marks. One that has expired is gone, though it may not be deleted yet.
_MINE = f"""(
  SELECT c.id, c.object_id, c.kind, c.last_seq, COALESCE(c.last_message_ms, 0) AS last_message_ms,
         m.read_seq, m.ack_seq, m.own_since_read, m.unread_changed_ms,
         m.mentioned_seq > m.read_seq OR {mention_all_seq_for("m.client_id")} > m.read_seq AS is_mentioned
  FROM conversations_member m JOIN conversations_conversation c ON c.id = m.conversation_id
  WHERE m.application_id = {{application}} AND m.client_id = {{client}}
    AND (c.expires_ms IS NULL OR c.expires_ms > %(now_ms)s)
    AND ({{knows_temporary}} OR c.kind <> {Kind.TEMPORARY.value})
) AS mine"""  # noqa: S608 - constants

_UNREAD = """
SELECT last_message_ms, id, object_id, kind, last_seq - read_seq - own_since_read, is_mentioned, last_seq
FROM {mine}
WHERE CASE WHEN {since_ms} IS NULL THEN last_seq > read_seq + own_since_read
           ELSE last_message_ms > {since_ms} OR unread_changed_ms > {since_ms} END
ORDER BY last_message_ms DESC, id DESC LIMIT {most}
"""

_UNACKNOWLEDGED = """
SELECT last_message_ms, id, object_id, kind, ack_seq, last_seq
FROM {mine}
WHERE last_seq > ack_seq
ORDER BY last_message_ms DESC, id DESC LIMIT {most}
"""

# What is asked, in the order of Asking.
_ASKING = ("application", "client", "device", "generation", "knows_temporary", "since_ms", "most")

_FOR_MANY = """
SELECT number, found.*
FROM unnest(%(application)s::bigint[], %(client)s::text[], %(device)s::bigint[], %(generation)s::bigint[],
            %(knows_temporary)s::boolean[], %(since_ms)s::bigint[], %(most)s::bigint[])
     WITH ORDINALITY AS asking (application, client, device, generation, knows_temporary, since_ms, most, number)
     CROSS JOIN LATERAL ({body}) AS found
"""


class Asking(NamedTuple):
    """A client whose conversations are asked for: the newest `limit` of those that changed after `since_ms`, or of all.

    Temporary ones only if it knows what they are. `device` and `generation` say from which device it asks, and by which
    of that one's tokens.
    """

    application: int
    client_id: str
    device: int
    generation: int
    knows_temporary: bool
    since_ms: int | None
    limit: int


class Unacknowledged(NamedTuple):
    """A conversation with messages behind the newest one that a member has acknowledged."""

    conversation: int
    conversation_id: str
    kind: Kind
    ack_seq: int
    last_seq: int


def unread(clients: Sequence[Asking], *, now_ms: int) -> list[list[Count]]:
    """Return, for each client, where it has something unread, the newest activity first.

    With `since_ms`, where the count has changed after it instead, those included of which nothing is unread any more.
    """
    return [
        [
            Count(pk, object_id, Kind(kind), max(0, count), bool(is_mentioned) and count > 0, last_seq)
            for _, pk, object_id, kind, count, is_mentioned, last_seq in found
        ]
        for found in select(_UNREAD, clients, now_ms=now_ms)
    ]


def total(*, application: int, client_id: str, conversation: int | None, now_ms: int) -> int:
    """Return how much a client has not read of one of its conversations, or of all together; 0 if it has none."""
    mine = Member.objects.filter(
        Q(conversation__expires_ms=None) | Q(conversation__expires_ms__gt=now_ms),
        application=application,
        client_id=client_id,
        conversation__last_seq__gt=F("read_seq") + F("own_since_read"),
    )
    if conversation is not None:
        mine = mine.filter(conversation=conversation)
    return mine.aggregate(unread=Sum(F("conversation__last_seq") - F("read_seq") - F("own_since_read")))["unread"] or 0


def unacknowledged(clients: Sequence[Asking], *, now_ms: int) -> list[list[Unacknowledged]]:
    """Return, for each client, where there is something that it has not acknowledged, the newest activity first.

    Its own messages are among it.
    """
    return [
        [Unacknowledged(pk, object_id, Kind(kind), *seqs) for _, pk, object_id, kind, *seqs in found]
        for found in select(_UNACKNOWLEDGED, clients, now_ms=now_ms)
    ]


def select(body: str, clients: Sequence[Asking], *, now_ms: int) -> list[list[tuple[Any, ...]]]:
    """Run a SELECT on the conversations of each client: one statement for all on PostgreSQL, one for each on SQLite.

    `body` has places for `{mine}`, and for what is asked (_ASKING), as `{since_ms}`. Its rows come in descending order
    of their first two columns, which must be numbers.
    """
    rows: list[list[tuple[Any, ...]]] = [[] for _ in clients]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = dict(zip(_ASKING, map(list, zip(*clients, strict=True)), strict=True))
            statement = _FOR_MANY.format(body=_completed(body, {name: f"asking.{name}" for name in _ASKING}))
            cursor.execute(statement, {**columns, "now_ms": now_ms})
            for number, *row in cursor.fetchall():
                rows[number - 1].append(tuple(row))
        else:
            statement = _completed(body, {name: f"%({name})s" for name in _ASKING})
            for of_client, asking in zip(rows, clients, strict=True):
                cursor.execute(statement, {**dict(zip(_ASKING, asking, strict=True)), "now_ms": now_ms})
                of_client.extend(cursor.fetchall())
    for of_client in rows:
        of_client.sort(key=lambda row: row[:2], reverse=True)
    return rows


def _completed(body: str, names: dict[str, str]) -> str:
    return body.format(mine=_MINE.format(**names), **names)
