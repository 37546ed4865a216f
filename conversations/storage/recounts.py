"""What edited and recalled messages change for those who have not read them: counts and mentions.

A door for messaging's storage, as `positions.py` is (docs/adr/0008). Callers have locked the conversations.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from django.db import connection

from conversations.policy import Kind
from conversations.storage.marks import Count, mention_all_seq_for
from imcore.rows import given

__all__ = ["Mention", "counts", "mention", "mention_all", "mentions", "reconsider"]

# A member has not read a changed message of somebody else: it counts, or says, less for it now.
_CONCERNING = """
SELECT {what} FROM changed
WHERE changed.conversation = m.conversation_id AND changed.sender <> m.client_id AND changed.seq > m.read_seq
"""
_RECONSIDER = f"""
WITH changed (conversation, seq, sender, recalled) AS ({{given}})
UPDATE conversations_member AS m
SET own_since_read = m.own_since_read + ({_CONCERNING.format(what="SUM(changed.recalled)")}), unread_changed_ms = %s
WHERE m.conversation_id IN ({{numbers}}) AND EXISTS ({_CONCERNING.format(what="1")})
RETURNING conversation_id, client_id
"""  # noqa: S608 - constants

_MENTIONS = """
WITH wanted (conversation, client) AS ({given})
SELECT m.conversation_id, m.client_id, m.read_seq, m.mentioned_seq
FROM wanted JOIN conversations_member m ON m.conversation_id = wanted.conversation AND m.client_id = wanted.client
"""

_MENTION = """
WITH newest (conversation, client, seq) AS ({given})
UPDATE conversations_member AS m SET mentioned_seq = newest.seq, unread_changed_ms = %s
FROM newest WHERE m.conversation_id = newest.conversation AND m.client_id = newest.client
"""

_MENTION_ALL = """
WITH newest (conversation, seq, sender, before) AS ({given})
UPDATE conversations_conversation AS c
SET mention_all_seq = newest.seq, mention_all_sender = newest.sender, mention_all_seq_before = newest.before
FROM newest WHERE c.id = newest.conversation
"""

_COUNTS = f"""
WITH wanted (conversation, client) AS ({{given}})
SELECT m.client_id, c.id, c.object_id, c.kind, c.last_seq - m.read_seq - m.own_since_read,
       m.mentioned_seq > m.read_seq OR {mention_all_seq_for("m.client_id")} > m.read_seq, c.last_seq
FROM wanted
JOIN conversations_conversation c ON c.id = wanted.conversation
JOIN conversations_member m ON m.conversation_id = wanted.conversation AND m.client_id = wanted.client
ORDER BY m.id
"""  # noqa: S608 - a constant


class Mention(NamedTuple):
    """What a member has read, and where it was mentioned last as far as it knows."""

    conversation: int
    client_id: str
    read_seq: int
    mentioned_seq: int


def reconsider(*, messages: Sequence[tuple[int, int, str, int]], now_ms: int) -> set[tuple[int, str]]:
    """Note that messages have changed for those who have not read them, and did not write them.

    Each is given as conversation, seq, sender and 1 if it was recalled, which makes it count for nobody. Returns the
    conversation and client of each member concerned. The caller has locked the conversations.
    """
    if not messages:
        return set()
    rows, parameters = given(messages, "bigint", "bigint", "text", "bigint")
    numbers = list({conversation for conversation, *_ in messages})
    statement = _RECONSIDER.format(given=rows, numbers=", ".join(["%s"] * len(numbers)))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, now_ms, *numbers])
        return {(conversation, client_id) for conversation, client_id in cursor.fetchall()}


def mentions(*, members: Collection[tuple[int, str]]) -> list[Mention]:
    """Return what clients have read and where they were mentioned, of conversation and client; of members only."""
    if not members:
        return []
    rows, parameters = given(list(members), "bigint", "text")
    with connection.cursor() as cursor:
        cursor.execute(_MENTIONS.format(given=rows), parameters)
        return [Mention(*row) for row in cursor.fetchall()]


def mention(*, seqs: Sequence[tuple[int, str, int]], now_ms: int) -> None:
    """Note that the newest message to mention a member is another one now: conversation, client, seq or 0."""
    if not seqs:
        return
    rows, parameters = given(seqs, "bigint", "text", "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_MENTION.format(given=rows), [*parameters, now_ms])


def mention_all(*, newest: Mapping[int, tuple[int, str, int]]) -> None:
    """Note which messages of conversations mention everybody: the newest's seq and sender, and the seq of the newest
    by somebody else. Without one, 0 and nobody."""
    if not newest:
        return
    rows, parameters = given(
        [(number, *marks) for number, marks in newest.items()], "bigint", "bigint", "text", "bigint"
    )
    with connection.cursor() as cursor:
        cursor.execute(_MENTION_ALL.format(given=rows), parameters)


def counts(*, members: Collection[tuple[int, str]]) -> list[tuple[str, Count]]:
    """Return what members, given as conversation and client, have not read, each with its client's id.

    The caller has locked the conversations, so that the count and its `last_seq` are of one moment.
    """
    if not members:
        return []
    rows, parameters = given(list(members), "bigint", "text")
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS.format(given=rows), parameters)
        return [
            (client_id, Count(number, object_id, Kind(kind), max(0, unread), bool(is_mentioned), last_seq))
            for client_id, number, object_id, kind, unread, is_mentioned, last_seq in cursor.fetchall()
        ]
