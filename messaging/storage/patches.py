"""Edits and recalls: several messages, one transaction, with all that follows for what is unread.

    lock the conversations → judge and change each message in turn → write them → the members' marks → the new counts

Everything is read under the lock, so patch times rise strictly in a conversation, and of two who change one message at
once the second sees what the first has done. Rows are locked in the order of docs/adr/0008: messages before members.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import orjson
from django.db import connection, transaction

from conversations.policy import Roster
from conversations.storage import marks, positions, recounts
from imcore import limits
from imcore.errors import ConversationNotFound, ConversationQuotaExceeded
from imcore.rows import given
from messaging.events import Body, Mentions, UnreadConversation
from messaging.models import Message
from messaging.storage import unread

_NEWEST_PATCHES = """
WITH wanted (conversation) AS ({given})
SELECT conversation, COALESCE((
  SELECT m.patch_ms FROM messaging_message m
  WHERE m.conversation_id = wanted.conversation AND m.patch_ms IS NOT NULL ORDER BY m.patch_ms DESC LIMIT 1
), 0) FROM wanted
"""

_WRITE = """
UPDATE messaging_message
SET text = %s, data = %s, is_binary = %s, message_type = %s, mention_ids = %s, mention_all = %s, is_recalled = %s,
    patch_ms = %s
WHERE message_id = %s
"""

# Who has read a message is not asked whether it mentions him.
_NEWEST_MENTIONS = """
WITH wanted (conversation, client, read_seq) AS ({given})
SELECT conversation, client, COALESCE((
  SELECT m.seq FROM messaging_message m
  WHERE m.conversation_id = wanted.conversation AND m.seq > wanted.read_seq AND m.mention_ids IS NOT NULL
    AND m.sender <> wanted.client AND {mentions}
  ORDER BY m.seq DESC LIMIT 1
), 0) FROM wanted
"""
_MENTIONS_POSTGRESQL = "m.mention_ids ? wanted.client"
_MENTIONS_SQLITE = "EXISTS (SELECT 1 FROM json_each(m.mention_ids) AS e WHERE e.value = wanted.client)"

_NEWEST_TO_ALL = """
WITH wanted (conversation) AS ({given})
SELECT m.conversation_id, m.seq, m.sender, COALESCE((
  SELECT b.seq FROM messaging_message b
  WHERE b.conversation_id = m.conversation_id AND b.mention_all AND b.sender <> m.sender ORDER BY b.seq DESC LIMIT 1
), 0)
FROM wanted JOIN messaging_message m ON m.conversation_id = wanted.conversation AND m.seq = (
  SELECT n.seq FROM messaging_message n
  WHERE n.conversation_id = wanted.conversation AND n.mention_all ORDER BY n.seq DESC LIMIT 1
)
"""


class Change(NamedTuple):
    """What is to become of a message: `text` and `data` are the columns of `body`. A recalled one mentions nobody.

    `may_be_binary`: if the message is binary, the body is not a text but the bytes of it. `keeps_mentions`: an edited
    one goes on to mention whom it does.
    """

    conversation: int
    message_id: str
    is_recall: bool
    body: Body
    text: str | None
    data: bytes | None
    message_type: int | None
    mentions: Mentions
    may_be_binary: bool = False
    keeps_mentions: bool = False

    def meant_for(self, message: "Subject") -> "Change":
        """Return the change with the body, and the mentions, that are meant for a message."""
        change = self._replace(mentions=message.mentions) if self.keeps_mentions else self
        if self.body.text is None or not (self.may_be_binary and message.is_binary):
            return change
        data = self.body.text.encode()
        return change._replace(body=Body(text=None, binary=data), text=None, data=data, message_type=None)


class Subject(NamedTuple):
    """A message as far as changes are concerned."""

    message_id: str
    conversation: int
    seq: int
    timestamp_ms: int
    sender: str
    is_binary: bool
    mentions: Mentions
    is_recalled: bool
    patch_ms: int | None


# The service's rule, on the facts of this moment: it raises what forbids a change. None: there is no such message.
Judge = Callable[[Change, Subject | None, Roster], None]


class Patched(NamedTuple):
    """A message after a change. Not `is_new`: it had been recalled before, at `patch_ms`, and nothing is different."""

    message: Subject
    change: Change
    patch_ms: int
    is_new: bool


class Changed(NamedTuple):
    """What came of changes, in their order; the rosters of their conversations; and whose counts are others now."""

    patched: list[Patched]
    rosters: dict[int, Roster]
    unread: list[tuple[str, UnreadConversation]]


@transaction.atomic
def apply(changes: Sequence[Change], *, judge: Judge, clock: Callable[[], int]) -> Changed:
    """Edit and recall messages, all or none. Raises ConversationNotFound, what `judge` raises, and for several messages
    ConversationQuotaExceeded when patch times are as far ahead of the clock as they may be.

    The clock is read when nobody else can change them any more: that may take a while, and what is stamped before is
    behind positions that clients are given meanwhile.
    """
    numbers = sorted({change.conversation for change in changes})
    if marks.lock_conversations(numbers=numbers) != numbers:
        raise ConversationNotFound
    now_ms = clock()
    rosters = positions.rosters(conversations=numbers)
    before = load([change.message_id for change in changes])
    newest_ms = _newest_patches(numbers)
    # One by one they take longer than the millisecond that each moves the time on.
    if len(changes) > 1 and max(newest_ms.values()) + len(changes) > now_ms + limits.PATCHES_AHEAD_MAX_MS:
        raise ConversationQuotaExceeded("Too many edits and recalls; try again in a moment, or one by one.")
    patched = _patch(changes, before, rosters, newest_ms, judge, now_ms)
    after = {one.message.message_id: one.message for one in patched if one.is_new}
    _write(after, {change.message_id: change for _, change, _, is_new in patched if is_new})
    affected = move_marks(before, after, rosters, now_ms)
    counts = recounts.counts(members=affected)
    described = unread.describe([count for _, count in counts])
    clients = [client_id for client_id, _ in counts]
    return Changed(patched, rosters, list(zip(clients, described, strict=True)))


def _patch(
    changes: Sequence[Change],
    messages: dict[str, Subject],
    rosters: dict[int, Roster],
    newest_ms: dict[int, int],
    judge: Judge,
    now_ms: int,
) -> list[Patched]:
    """Judge the changes one after the other, each on what those before it have left; return the messages after them."""
    messages, newest_ms = dict(messages), dict(newest_ms)
    patched = []
    for asked in changes:
        message = messages.get(asked.message_id)
        if message is not None and message.conversation != asked.conversation:
            message = None
        change = asked if message is None else asked.meant_for(message)
        judge(change, message, rosters[change.conversation])
        assert message is not None, "no rule allows to change what is not there"
        if message.is_recalled and message.patch_ms is not None:
            patched.append(Patched(message, change, message.patch_ms, is_new=False))
            continue
        at_ms = max(now_ms, newest_ms[change.conversation] + 1, message.timestamp_ms)
        message = message._replace(
            is_binary=change.body.text is None,
            mentions=change.mentions,
            is_recalled=change.is_recall,
            patch_ms=at_ms,
        )
        messages[change.message_id], newest_ms[change.conversation] = message, at_ms
        patched.append(Patched(message, change, at_ms, is_new=True))
    return patched


def load(message_ids: Collection[str]) -> dict[str, Subject]:
    """Return the messages with these ids that there are."""
    # PostgreSQL's text cannot hold U+0000, so there is no message with such an id to look for.
    ids = {message_id for message_id in message_ids if "\0" not in message_id}
    return {
        row.message_id: Subject(
            row.message_id,
            row.conversation_id,
            row.seq,
            row.timestamp_ms,
            row.sender,
            row.is_binary,
            Mentions(tuple(row.mention_ids or ()), row.mention_all),
            row.is_recalled,
            row.patch_ms,
        )
        for row in Message.objects.filter(pk__in=ids).defer("text", "data")
    }


def _newest_patches(numbers: Sequence[int]) -> dict[int, int]:
    rows, parameters = given([(number,) for number in numbers], "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_PATCHES.format(given=rows), parameters)
        return dict(cursor.fetchall())


def _write(messages: dict[str, Subject], changes: dict[str, Change]) -> None:
    """Write the messages as they are after the last change of each."""
    rows = []
    for message in sorted(messages.values(), key=lambda one: (one.conversation, one.seq)):
        change, mentions = changes[message.message_id], message.mentions
        mention_ids = orjson.dumps(mentions.client_ids).decode() if mentions.client_ids else None
        rows.append(
            (change.text, change.data, message.is_binary, change.message_type, mention_ids, mentions.everybody,
             message.is_recalled, message.patch_ms, message.message_id)
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(_WRITE, rows)


def move_marks(
    before: Mapping[str, Subject], after: Mapping[str, Subject], rosters: Mapping[int, Roster], now_ms: int
) -> set[tuple[int, str]]:
    """Move the members' marks as changed messages ask for; return the conversation and client of those concerned.

    The messages are written, or deleted, which is as if they were recalled; their conversations are locked.
    """
    concerning_all = []
    members: set[tuple[int, str]] = set()
    to_all: set[int] = set()
    for message_id, message in after.items():
        mentions, mentioned = message.mentions, before[message_id].mentions
        if mentions.everybody != mentioned.everybody:
            to_all.add(message.conversation)
        if message.is_recalled or mentions.everybody != mentioned.everybody:
            concerning_all.append((message.conversation, message.seq, message.sender, int(message.is_recalled)))
        named = set(mentions.client_ids).symmetric_difference(mentioned.client_ids) - {message.sender}
        named.intersection_update(rosters[message.conversation].members)
        members.update((message.conversation, client_id) for client_id in named)
    _mark_mentions_of_all(to_all)
    affected = recounts.reconsider(messages=concerning_all, now_ms=now_ms)
    return affected | _mark_mentions(members, now_ms)


def _mark_mentions(members: Collection[tuple[int, str]], now_ms: int) -> set[tuple[int, str]]:
    marked = {mark[:2]: mark for mark in recounts.mentions(members=members)}
    if not marked:
        return set()
    rows, parameters = given([mark[:3] for mark in marked.values()], "bigint", "text", "bigint")
    mentions = _MENTIONS_POSTGRESQL if connection.vendor == "postgresql" else _MENTIONS_SQLITE
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_MENTIONS.format(given=rows, mentions=mentions), parameters)
        newest = cursor.fetchall()
    different = [
        (conversation, client_id, seq)
        for conversation, client_id, seq in newest
        for mark in [marked[conversation, client_id]]
        if seq != (mark.mentioned_seq if mark.mentioned_seq > mark.read_seq else 0)
    ]
    recounts.mention(seqs=different, now_ms=now_ms)
    return {(conversation, client_id) for conversation, client_id, _ in different}


def _mark_mentions_of_all(conversations: Collection[int]) -> None:
    if not conversations:
        return
    rows, parameters = given([(number,) for number in conversations], "bigint")
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_TO_ALL.format(given=rows), parameters)
        newest = {conversation: (seq, sender, before) for conversation, seq, sender, before in cursor.fetchall()}
    recounts.mention_all(newest={number: newest.get(number, (0, "", 0)) for number in conversations})
