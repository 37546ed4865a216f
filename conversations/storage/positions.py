"""What a stored message moves in its conversation: sequence, timestamp, and the members' counters.

The one door through which messaging's storage writes here, in its own transaction (docs/adr/0008).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection

from conversations.storage.rosters import load as rosters

__all__ = ["Position", "advance", "discard", "mention", "mention_all", "rosters"]

_ADVANCE_POSTGRESQL = """
WITH wanted AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS w (id, messages)),
locked AS (
  -- Always in this order, so that two servers' batches cannot wait for each other.
  SELECT c.id, COALESCE(c.last_message_ms, 0) AS before_ms
  FROM conversations_conversation c JOIN wanted USING (id) ORDER BY c.id FOR UPDATE OF c
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
RETURNING c.id, c.last_seq, c.last_message_ms, c.members_version, locked.before_ms
"""

_ADVANCE_SQLITE = """
UPDATE conversations_conversation
SET last_seq = last_seq + %s,
    last_message_ms = max(%s, COALESCE(last_message_ms, 0) + 1) + %s - 1,
    last_message_hour = (max(%s, COALESCE(last_message_ms, 0) + 1) + %s - 1) / 3600000
WHERE id = %s
RETURNING id, last_seq, last_message_ms, members_version
"""
_BEFORE_SQLITE = "SELECT COALESCE(last_message_ms, 0) FROM conversations_conversation WHERE id = %s"

_OWN_SQLITE = """
UPDATE conversations_member SET own_since_read = own_since_read + %s WHERE conversation_id = %s AND client_id = %s
"""

_MENTION_POSTGRESQL = """
UPDATE conversations_member m SET mentioned_seq = w.seq
FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS w (seq, conversation, client)
WHERE m.conversation_id = w.conversation AND m.client_id = w.client
"""

_MENTION_SQLITE = "UPDATE conversations_member SET mentioned_seq = %s WHERE conversation_id = %s AND client_id = %s"

_MENTION_ALL = """
UPDATE conversations_conversation
SET mention_all_seq_before = CASE WHEN mention_all_sender = %s THEN mention_all_seq_before ELSE mention_all_seq END,
    mention_all_sender = %s,
    mention_all_seq = %s
WHERE id = %s
"""

# `gone` has the messages as conversation, seq, sender, and whether they were recalled (1 or 0). A member that has read
# less than them has then read just them. All up to the last of them but what was unread had been counted as not unread:
# own messages, recalled ones, and those that were deleted before, of which nothing is left to count.
_DISCARD = """
WITH gone (conversation, seq, sender, recalled) AS ({gone}),
floors AS (SELECT conversation, MAX(seq) AS seq FROM gone GROUP BY conversation)
UPDATE conversations_member AS m
SET own_since_read = {greatest}(0, m.own_since_read - (floors.seq - m.read_seq) + (
      SELECT COUNT(*) FROM gone
      WHERE gone.conversation = m.conversation_id AND gone.seq > m.read_seq
        AND gone.sender <> m.client_id AND gone.recalled = 0
    )),
    read_seq = floors.seq,
    ack_seq = {greatest}(m.ack_seq, floors.seq)
FROM floors
WHERE m.conversation_id = floors.conversation AND m.read_seq < floors.seq{named}
"""
_DISCARD_POSTGRESQL = _DISCARD.format(
    gone="SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::integer[])",
    greatest="GREATEST",
    # The planner knows nothing of the lists above and would read the whole table.
    named=" AND m.conversation_id = ANY(%s::bigint[])",
)
_DISCARD_SQLITE = _DISCARD.format(
    gone="""
  SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
         json_extract(value, '$[3]')
  FROM json_each(%s)
""",
    greatest="max",
    named="",
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a conversation stands after `advance`: its last seq and timestamp, and the version of its members.

    `before_ms` is its last timestamp before, 0 if it had none.
    """

    last_seq: int
    last_message_ms: int
    members_version: int
    before_ms: int


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
                cursor.execute(_BEFORE_SQLITE, [conversation])
                before = cursor.fetchone()
                cursor.execute(_ADVANCE_SQLITE, [count, now_ms, count, now_ms, count, conversation])
                rows += [(*row, *before) for row in cursor.fetchall()]
            cursor.executemany(_OWN_SQLITE, [(count, conversation, sender) for conversation, sender, count in own])
    return {pk: Position(*position) for pk, *position in rows}


def mention(*, seqs: Mapping[int, Mapping[str, int]]) -> None:
    """Note the seq of the newest message that mentions a member: conversation → client → seq."""
    rows = [(seq, conversation, client) for conversation, clients in seqs.items() for client, seq in clients.items()]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_MENTION_POSTGRESQL, [list(column) for column in zip(*rows, strict=True)])
        else:
            cursor.executemany(_MENTION_SQLITE, rows)


def mention_all(*, messages: Sequence[tuple[int, int, str]]) -> None:
    """Note messages that mention everybody, each as conversation, seq and sender, in the order of their seq."""
    with connection.cursor() as cursor:
        for conversation, seq, sender in messages:
            cursor.execute(_MENTION_ALL, [sender, sender, seq, conversation])


def discard(*, messages: Mapping[int, Sequence[tuple[int, str, bool]]]) -> None:
    """Move the members' marks past messages that the caller deletes, so that they are unread for nobody any more.

    Conversation → seq, sender and whether it was recalled of each, the oldest there are in it. The caller has locked
    the conversations. What is behind the marks then no longer counts among what is not unread either.
    """
    gone = [
        (conversation, seq, sender, int(is_recalled))
        for conversation, rows in messages.items()
        for seq, sender, is_recalled in rows
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = [list(column) for column in zip(*gone, strict=True)]
            cursor.execute(_DISCARD_POSTGRESQL, [*columns, list(messages)])
        else:
            cursor.execute(_DISCARD_SQLITE, [orjson.dumps(gone).decode()])
