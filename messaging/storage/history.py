"""Pages of history, by time and id: one index range, whatever the depth.

A conversation's messages are ordered by (timestamp, seq), a pair no two of them share. Every bound of the protocol,
with or without an id, inclusive or not, is a half-open range of such pairs.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from django.db import connection

from messaging.events import Body, Mentions
from messaging.message_types import TEXT
from messaging.models import Message

COLUMNS = """
message_id, seq, timestamp_ms, sender, text, data, is_binary, mention_ids, mention_all, patch_ms, ack_ms, read_ms
"""

Place = tuple[int, int]  # timestamp, seq
# Not -(2**63): PostgreSQL reads its digits first, which are too large for a bigint, and compares as numeric.
_START: Place = (1 - 2**63, 0)
_END: Place = (2**63 - 1, 2**63 - 1)

# The last one there is: the application may have deleted some. A look into the index for each.
_NEWEST_POSTGRESQL = f"""
SELECT conversation, {COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (conversation, last_seq) CROSS JOIN LATERAL (
  SELECT {COLUMNS} FROM messaging_message WHERE conversation_id = conversation AND seq <= last_seq
  ORDER BY seq DESC LIMIT 1
) AS found
"""  # noqa: S608 - constants
_NEWEST_SQLITE = f"""
WITH wanted (conversation, last_seq) AS (VALUES {{rows}})
SELECT conversation, {COLUMNS}
FROM wanted JOIN messaging_message ON conversation_id = conversation AND seq = (
  SELECT m.seq FROM messaging_message m WHERE m.conversation_id = conversation AND m.seq <= last_seq
  ORDER BY m.seq DESC LIMIT 1
)
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Boundary:
    """One end of a range: exactly a message if `message_id` names one, else a time; and whether it belongs to it.

    With neither, since 0 is no time, there is no end.
    """

    timestamp_ms: int
    message_id: str
    is_included: bool


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it is kept. `data` holds the body if it is binary or not storable as text; else `text` does.

    `patch_ms`: when it was last edited, or recalled. `ack_ms`, `read_ms`: when another member first had and read it.
    """

    message_id: str
    seq: int
    timestamp_ms: int
    sender: str
    text: str | None
    data: bytes | None
    is_binary: bool
    mention_ids: tuple[str, ...]
    mention_all: bool
    patch_ms: int | None
    ack_ms: int | None
    read_ms: int | None

    @property
    def body(self) -> Body:
        """The body as it was sent, or edited."""
        if self.is_binary:
            return Body(None, self.data or b"")
        return Body(self.wire_text, None)

    @property
    def mentions(self) -> Mentions:
        """Whom it mentions."""
        return Mentions(self.mention_ids, self.mention_all)

    @property
    def wire_text(self) -> str:
        """The body where the protocol has room for text only: as it is, or base64 if it is binary."""
        if self.text is not None:
            return self.text
        data = self.data or b""
        return b64encode(data).decode() if self.is_binary else data.decode()


def page(
    *,
    conversation: int,
    older_end: Boundary | None,
    newer_end: Boundary | None,
    newest: bool,
    limit: int,
    message_type: int | None,
) -> list[StoredMessage]:
    """Return up to `limit` messages between two ends, oldest first; the newest of the range, or the oldest."""
    places = _places(conversation, [end.message_id for end in (older_end, newer_end) if end and end.message_id])
    condition = "conversation_id = %s AND (timestamp_ms, seq) >= (%s, %s) AND (timestamp_ms, seq) < (%s, %s)"
    parameters: list[int] = [conversation, *_lower(older_end, places), *_upper(newer_end, places)]
    if message_type is not None:
        condition += " AND message_type = %s"
        parameters.append(message_type)
        if message_type != TEXT and connection.vendor == "sqlite":
            # Said in so many words, or SQLite would not see that the index of these suffices. PostgreSQL does, and
            # would take it for two ranges, to be sorted together.
            condition += f" AND (message_type < {TEXT} OR message_type > {TEXT})"
    direction = "DESC" if newest else "ASC"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM messaging_message WHERE {condition} "  # noqa: S608 - constants
            f"ORDER BY timestamp_ms {direction}, seq {direction} LIMIT %s",
            [*parameters, limit],
        )
        found = [stored_message(*row) for row in cursor.fetchall()]
    return found[::-1] if newest else found


def newest(*, last_seqs: Mapping[int, int]) -> dict[int, StoredMessage]:
    """Return the newest message of each conversation: conversation → last seq, in; conversation → message, out.

    The last seq may be that of a message that was deleted.
    """
    if not last_seqs:
        return {}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_NEWEST_POSTGRESQL, [list(last_seqs), list(last_seqs.values())])
        else:
            statement = _NEWEST_SQLITE.format(rows=", ".join(["(%s, %s)"] * len(last_seqs)))
            cursor.execute(statement, [number for pair in last_seqs.items() for number in pair])
        return {conversation: stored_message(*row) for conversation, *row in cursor.fetchall()}


def stored_message(
    message_id: str,
    seq: int,
    timestamp_ms: int,
    sender: str,
    text: str | None,
    data: bytes | memoryview | None,
    is_binary: bool,
    mention_ids: str | list[str] | None,
    mention_all: bool,
    patch_ms: int | None,
    ack_ms: int | None,
    read_ms: int | None,
) -> StoredMessage:
    """Make a message of what a SELECT of COLUMNS finds."""
    if isinstance(mention_ids, str):
        mention_ids = orjson.loads(mention_ids)
    return StoredMessage(
        message_id,
        seq,
        timestamp_ms,
        sender,
        text,
        None if data is None else bytes(data),
        bool(is_binary),
        tuple(mention_ids or ()),
        bool(mention_all),
        patch_ms,
        ack_ms,
        read_ms,
    )


def _places(conversation: int, message_ids: list[str]) -> dict[str, Place]:
    # PostgreSQL's text cannot hold U+0000, so there is no message with such an id to look for.
    storable = [message_id for message_id in message_ids if "\0" not in message_id]
    if not storable:
        return {}
    rows = Message.objects.filter(conversation_id=conversation, message_id__in=storable)
    return {
        message_id: (timestamp_ms, seq)
        for message_id, timestamp_ms, seq in rows.values_list("message_id", "timestamp_ms", "seq")
    }


def _lower(end: Boundary | None, places: Mapping[str, Place]) -> Place:
    if end is None:
        return _START
    if end.message_id in places:
        timestamp_ms, seq = places[end.message_id]
        return (timestamp_ms, seq if end.is_included else seq + 1)
    if end.timestamp_ms <= 0:
        return _START
    return (end.timestamp_ms, 0) if end.is_included else _after(end.timestamp_ms)


def _upper(end: Boundary | None, places: Mapping[str, Place]) -> Place:
    if end is None:
        return _END
    if end.message_id in places:
        timestamp_ms, seq = places[end.message_id]
        return (timestamp_ms, seq + 1 if end.is_included else seq)
    if end.timestamp_ms <= 0:
        return _END
    return _after(end.timestamp_ms) if end.is_included else (end.timestamp_ms, 0)


def _after(timestamp_ms: int) -> Place:
    return (timestamp_ms + 1, 0) if timestamp_ms < _END[0] else _END
