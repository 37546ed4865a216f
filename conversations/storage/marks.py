"""The marks of members: what a client has received and read, and so what is unread for it.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).

Whoever changes members' rows holds the lock of their conversations; acknowledgements alone do without, so they never
wait for a member's row while they hold another (docs/adr/0008, where the order of all locks is).
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from django.db import connection

from conversations.models import Conversation, Member
from conversations.policy import POLICIES, Kind
from conversations.storage.kept_notices import ReadReceipt, keep_read_receipts
from imcore.rows import given

__all__ = [
    "Count",
    "Mark",
    "MemberTimes",
    "Place",
    "ReadMove",
    "ReadReceipt",
    "Received",
    "acknowledge",
    "find",
    "keep_read_receipts",
    "lock",
    "lock_conversations",
    "mention_all_seq_for",
    "object_ids",
    "of_members",
    "read",
]

_KINDS = ", ".join(str(int(kind)) for kind, policy in POLICIES.items() if policy.keeps_members)


def mention_all_seq_for(client: str) -> str:
    """Return the SQL of what `Conversation.mention_all_seq_for` says of the conversation `c` and a column's client."""
    return f"CASE WHEN c.mention_all_sender = {client} THEN c.mention_all_seq_before ELSE c.mention_all_seq END"


# Materialized, so that a member is looked up by both columns of its index at once.
_FIND = f"""
WITH wanted (application, object_id, client) AS ({{given}}),
place AS MATERIALIZED (
  SELECT c.application_id, c.object_id, c.id, c.kind, c.member_count, c.last_seq,
         {mention_all_seq_for("w.client")} AS mention_all_seq, w.client
  FROM wanted w
  JOIN conversations_conversation c ON c.application_id = w.application AND c.object_id = w.object_id
  WHERE c.kind IN ({_KINDS}) AND (c.expires_ms IS NULL OR c.expires_ms > %s)
)
SELECT p.application_id, p.object_id, p.client, p.id, p.kind, p.member_count, p.last_seq, p.mention_all_seq,
       m.id, m.read_seq, m.ack_seq, m.own_since_read, m.mentioned_seq, m.read_ms
FROM place p JOIN conversations_member m ON m.conversation_id = p.id AND m.client_id = p.client
"""  # noqa: S608 - constants

_ACKNOWLEDGE = """
WITH moves (member, seq, at_ms) AS ({given})
UPDATE conversations_member AS m SET ack_seq = moves.seq, ack_ms = moves.at_ms
FROM moves WHERE m.id = moves.member AND m.ack_seq < moves.seq
"""

_READ = """
WITH moves (member, read_seq, read_ms, own_since_read, is_further, ack_seq, ack_ms) AS ({given})
UPDATE conversations_member AS m
SET read_seq = moves.read_seq,
    read_ms = CASE WHEN moves.read_ms > 0 THEN moves.read_ms ELSE m.read_ms END,
    own_since_read = moves.own_since_read,
    unread_changed_ms = CASE WHEN moves.is_further > 0 THEN %s ELSE m.unread_changed_ms END,
    ack_seq = CASE WHEN moves.ack_seq > m.ack_seq THEN moves.ack_seq ELSE m.ack_seq END,
    ack_ms = CASE WHEN moves.ack_seq > m.ack_seq OR m.ack_ms IS NULL THEN moves.ack_ms ELSE m.ack_ms END
FROM moves WHERE m.id = moves.member
"""


class Count(NamedTuple):
    """What a member has not read of a conversation, as it stands at `last_seq`."""

    conversation: int
    conversation_id: str
    kind: Kind
    unread: int
    is_mentioned: bool
    last_seq: int


class Place(NamedTuple):
    """Where marks are asked for: a client in a conversation, which may not be there, or it not a member."""

    application: int
    conversation_id: str
    client_id: str


class Mark(NamedTuple):
    """The marks of one member, and where its conversation stands.

    `mention_all_seq`: the newest message in which somebody else mentions everybody. `read_ms`: what `read_seq` stands
    at, if the client has read itself.
    """

    conversation: int
    kind: Kind
    member_count: int
    last_seq: int
    mention_all_seq: int
    member: int
    read_seq: int
    ack_seq: int
    own_since_read: int
    mentioned_seq: int
    read_ms: int | None

    def unread_behind(self, place: Place, read_seq: int, own_since_read: int) -> Count:
        """Return what is unread once the member has read up to a position."""
        return Count(
            conversation=self.conversation,
            conversation_id=place.conversation_id,
            kind=self.kind,
            unread=max(0, self.last_seq - read_seq - own_since_read),
            is_mentioned=max(self.mentioned_seq, self.mention_all_seq) > read_seq,
            last_seq=self.last_seq,
        )


class Received(NamedTuple):
    """A member has received what is up to a message: its seq and timestamp."""

    member: int
    seq: int
    timestamp_ms: int


class ReadMove(NamedTuple):
    """A member's marks after a read. `read_ms` 0: it stays. `is_further`: the read mark was before this position.

    It has received, at least, what is up to `ack_seq`.
    """

    member: int
    read_seq: int
    read_ms: int
    own_since_read: int
    is_further: bool
    ack_seq: int
    ack_ms: int


class MemberTimes(NamedTuple):
    """Up to which times a member has received and read; None if it never said so."""

    client_id: str
    ack_ms: int | None
    read_ms: int | None


def find(*, places: Collection[Place], now_ms: int) -> dict[Place, Mark]:
    """Return the marks where the client is a member of a conversation that is there and counts unread."""
    if not places:
        return {}
    rows, parameters = given(list(dict.fromkeys(places)), "bigint", "text", "text")
    with connection.cursor() as cursor:
        cursor.execute(_FIND.format(given=rows), [*parameters, now_ms])
        return {
            Place(application, object_id, client_id): Mark(number, Kind(kind), *numbers)
            for application, object_id, client_id, number, kind, *numbers in cursor.fetchall()
        }


def lock(*, places: Collection[Place], now_ms: int) -> dict[Place, Mark]:
    """Do as `find`, and lock the conversations until the caller's transaction ends, as `positions.advance` does."""
    if connection.vendor == "postgresql":
        lock_conversations(numbers={mark.conversation for mark in find(places=places, now_ms=now_ms).values()})
    return find(places=places, now_ms=now_ms)


def lock_conversations(*, numbers: Collection[int]) -> list[int]:
    """Lock conversations until the caller's transaction ends, as `positions.advance` does; return those there are."""
    rows = Conversation.objects.select_for_update().filter(pk__in=numbers).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def object_ids(*, conversations: Collection[int]) -> list[str]:
    """Return the ids of conversations by their numbers."""
    return list(Conversation.objects.filter(pk__in=conversations).values_list("object_id", flat=True))


def acknowledge(*, moves: Sequence[Received]) -> list[Received]:
    """Move ack marks forward, of one move per member; return those that others held up.

    Call it again with these in a transaction of their own: it takes at least one of them.
    """
    if not moves:
        return []
    taken = _taken([move.member for move in moves])
    rows, parameters = given([move for move in moves if move.member in taken], "bigint", "bigint", "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_ACKNOWLEDGE.format(given=rows), parameters)
    return [move for move in moves if move.member not in taken]


def read(*, moves: Sequence[ReadMove], now_ms: int) -> None:
    """Move read marks, of one move per member, whose conversations the caller has locked. Ack marks go with them."""
    if not moves:
        return
    numbers = [tuple(map(int, move)) for move in moves]
    rows, parameters = given(numbers, "bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_READ.format(given=rows), [*parameters, now_ms])


def of_members(*, conversation: int) -> list[MemberTimes]:
    """Return up to which times each member has received and read, in the order they joined."""
    rows = Member.objects.filter(conversation_id=conversation).order_by("id")
    return [MemberTimes(*row) for row in rows.values_list("client_id", "ack_ms", "read_ms")]


def _taken(members: Sequence[int]) -> set[int]:
    """Lock those members' rows that nobody else holds; if there are none, one of them, once it is free."""
    if connection.vendor != "postgresql" or len(members) == 1:
        return set(members)
    free = Member.objects.filter(pk__in=members).select_for_update(skip_locked=True).values_list("pk", flat=True)
    first = Member.objects.filter(pk=members[0]).select_for_update().values_list("pk", flat=True)
    # One who has left meanwhile is as good as taken: there is nothing to wait for.
    return set(free) or {*first, members[0]}
