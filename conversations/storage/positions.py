"""What a stored message moves in its conversation: sequence, timestamp, and the members' counters.

The one door through which messaging's storage writes here, in its own transaction (docs/adr/0008).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection

from conversations.models import Conversation
from conversations.storage.rosters import load as rosters

__all__ = ["Position", "advance", "mention", "mention_all", "rosters"]

_ADVANCE_POSTGRESQL = """
WITH wanted AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS w (id, messages)),
locked AS (
  -- Always in this order, so that two servers' batches cannot wait for each other.
  SELECT c.id FROM conversations_conversation c JOIN wanted USING (id) ORDER BY c.id FOR UPDATE OF c
),
own AS (
  UPDATE conversations_member m SET own_since_read = m.own_since_read + o.messages
  FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS o (conversation, client, messages)
  WHERE m.conversation_id = o.conversation AND m.client_id = o.client
    AND m.conversation_id IN (SELECT id FROM locked)
)
UPDATE conversations_conversation c
SET last_seq = c.last_seq + w.messages,
    last_message_ms = GREATEST(%s, COALESCE(c.last_message_ms, 0) + 1) + w.messages - 1,
    last_message_hour = (GREATEST(%s, COALESCE(c.last_message_ms, 0) + 1) + w.messages - 1) / 3600000
FROM wanted w JOIN locked USING (id)
WHERE c.id = w.id
RETURNING c.id, c.last_seq, c.last_message_ms, c.members_version
"""

_ADVANCE_SQLITE = """
UPDATE conversations_conversation
SET last_seq = last_seq + %s,
    last_message_ms = max(%s, COALESCE(last_message_ms, 0) + 1) + %s - 1,
    last_message_hour = (max(%s, COALESCE(last_message_ms, 0) + 1) + %s - 1) / 3600000
WHERE id = %s
RETURNING id, last_seq, last_message_ms, members_version
"""

_OWN_SQLITE = """
UPDATE conversations_member SET own_since_read = own_since_read + %s WHERE conversation_id = %s AND client_id = %s
"""

_MENTION_POSTGRESQL = """
UPDATE conversations_member m SET mentioned_seq = w.seq
FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS w (seq, conversation, client)
WHERE m.conversation_id = w.conversation AND m.client_id = w.client
"""

_MENTION_SQLITE = "UPDATE conversations_member SET mentioned_seq = %s WHERE conversation_id = %s AND client_id = %s"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a conversation stands after `advance`: its last seq and timestamp, and the version of its members."""

    last_seq: int
    last_message_ms: int
    members_version: int


def advance(*, messages: Mapping[int, Mapping[str, int]], now_ms: int) -> dict[int, Position]:
    """Make room for messages: conversation → sender → how many. Returns the new position of each that exists.

    Locks the conversations until the caller's transaction ends, so its messages get the seqs up to `last_seq` and
    timestamps up to `last_message_ms` (one millisecond apart, none before `now_ms`), and nobody else does. A sender's
    own messages are counted, since they are never unread for it.
    """
    counts = {conversation: sum(senders.values()) for conversation, senders in messages.items()}
    own = [
        (conversation, sender, count) for conversation, senders in messages.items() for sender, count in senders.items()
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                _ADVANCE_POSTGRESQL,
                [
                    list(counts),
                    list(counts.values()),
                    *(list(column) for column in zip(*own, strict=True)),
                    now_ms,
                    now_ms,
                ],
            )
            rows = cursor.fetchall()
        else:
            rows = []
            for conversation, count in counts.items():
                cursor.execute(_ADVANCE_SQLITE, [count, now_ms, count, now_ms, count, conversation])
                rows += cursor.fetchall()
            cursor.executemany(_OWN_SQLITE, [(count, conversation, sender) for conversation, sender, count in own])
    return {pk: Position(last_seq, last_message_ms, version) for pk, last_seq, last_message_ms, version in rows}


def mention(*, seqs: Mapping[int, Mapping[str, int]]) -> None:
    """Note the seq of the newest message that mentions a member: conversation → client → seq."""
    rows = [(seq, conversation, client) for conversation, clients in seqs.items() for client, seq in clients.items()]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_MENTION_POSTGRESQL, [list(column) for column in zip(*rows, strict=True)])
        else:
            cursor.executemany(_MENTION_SQLITE, rows)


def mention_all(*, seqs: Mapping[int, int]) -> None:
    """Note the seq of the newest message that mentions everybody: conversation → seq."""
    for conversation, seq in seqs.items():
        Conversation.objects.filter(pk=conversation).update(mention_all_seq=seq)
