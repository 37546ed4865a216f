"""Storing messages: a batch, one transaction, and what the batch may not assume.

Order is decided here. `positions.advance` locks the conversations of the batch and gives out dense seqs and rising
timestamps; nobody else gets one until this transaction ends.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson
from django.db import connection, transaction

from conversations.policy import Kind, Roster, sending_refusal
from conversations.storage import positions
from imcore.errors import ConversationNotFound, ImError

# Each try after the second can only fail if something changed in the moment since the last one.
TRIES = 10

_COLUMNS = """
message_id, application_id, conversation_id, seq, timestamp_ms, sender, text, data, is_binary, message_type,
mention_ids, mention_all, wants_receipt, deduplication_token
"""

# Each column as one JSON array: psycopg takes twice as long to write arrays of PostgreSQL's own, and PostgreSQL as
# long again to read JSON objects.
_INSERT_POSTGRESQL = f"""
INSERT INTO messaging_message ({_COLUMNS})
SELECT i, a::bigint, c::bigint, s::bigint, t::bigint, f, x, decode(d, 'base64'), b::boolean, y::integer, m::jsonb,
       e::boolean, w::boolean, k
FROM ROWS FROM ({", ".join(["json_array_elements_text(%s::json)"] * 14)})
  AS r (i, a, c, s, t, f, x, d, b, y, m, e, w, k)
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant

_INSERT_SQLITE = f"INSERT INTO messaging_message ({_COLUMNS}) VALUES ({', '.join(['%s'] * 14)}) ON CONFLICT DO NOTHING"  # noqa: S608

# LATERAL with LIMIT: else the planner prefers to read a whole table of some ten thousand messages.
_KNOWN_POSTGRESQL = """
SELECT w.conversation, w.sender, w.token, m.message_id, m.timestamp_ms, m.seq
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS w (conversation, sender, token)
CROSS JOIN LATERAL (
  SELECT message_id, timestamp_ms, seq FROM messaging_message
  WHERE conversation_id = w.conversation AND sender = w.sender AND deduplication_token = w.token LIMIT 1
) AS m
"""

_KNOWN_SQLITE = """
SELECT conversation_id, sender, deduplication_token, message_id, timestamp_ms, seq FROM messaging_message
WHERE conversation_id = %s AND sender = %s AND deduplication_token = %s
"""

_Token = tuple[int, str, str]  # conversation, sender, deduplication token


class Draft(NamedTuple):
    """A message to be stored. `members_version` is that of the members its sender was checked against.

    `as_application`: nothing is asked of the sender, in whose name the application speaks.
    A tuple, because there is one per message: a frozen dataclass of so many fields takes several times as long to make.
    """

    message_id: str
    application: int
    conversation: int
    kind: Kind
    members_version: int
    sender: str
    text: str | None
    data: bytes | None
    is_binary: bool
    message_type: int | None
    mention_ids: tuple[str, ...]
    mention_all: bool
    wants_receipt: bool
    deduplication_token: str | None
    as_application: bool = False

    @property
    def token(self) -> _Token | None:
        """What makes a resend recognisable, or None if the client sent nothing to recognise it by."""
        if self.deduplication_token is None:
            return None
        return (self.conversation, self.sender, self.deduplication_token)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a message is. `is_repeat`: it was there already, with this id and time. `roster`: the members, if they
    were others than the draft's version knew. `previous_ms`: when the message before was stored, if that is known."""

    message_id: str
    timestamp_ms: int
    seq: int
    is_repeat: bool
    roster: Roster | None = None
    previous_ms: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was stored, because of `error`: the sender may not, or no longer, send, or the conversation is gone."""

    error: type[ImError]


class _RepeatsError(Exception):
    """Some of the batch is stored already."""


class _MembersChangedError(Exception):
    def __init__(self, conversations: list[int]) -> None:
        self.conversations = conversations


def store(drafts: Sequence[Draft], *, now_ms: int) -> list[Stored | Refused]:
    """Store a batch in one transaction and return, in its order, where each message is.

    A draft whose sender, conversation and deduplication token are those of a stored message, or of an earlier draft,
    is not stored again but answered with that one. Resends are rare, so they are not looked for at first: the unique
    constraint finds them, and then the batch is taken back and stored without them. When members have changed since a
    sender was checked, the check is repeated against the members the transaction sees; a refused draft leaves no gap
    in the sequence.
    """
    rosters: dict[int, Roster] = {}
    missing: set[int] = set()
    has_repeats = False
    for _ in range(TRIES):
        outcomes = {
            draft.message_id: Refused(error)
            for draft in drafts
            if (error := _refusal(draft, rosters.get(draft.conversation), missing, now_ms)) is not None
        }
        accepted = [_checked(draft, rosters) for draft in drafts if draft.message_id not in outcomes]
        try:
            with transaction.atomic():
                stored = _store(accepted, now_ms, has_repeats)
        except _RepeatsError:
            has_repeats = True
            continue
        except _MembersChangedError as changed:
            rosters |= positions.rosters(conversations=changed.conversations)
            missing |= set(changed.conversations) - set(rosters)
            continue
        return [
            outcomes.get(draft.message_id) or _with_roster(stored[draft.message_id], rosters.get(draft.conversation))
            for draft in drafts
        ]
    raise RuntimeError("A batch could not be stored: what it was checked against kept changing.")


def _refusal(draft: Draft, roster: Roster | None, missing: set[int], now_ms: int) -> type[ImError] | None:
    if draft.conversation in missing:
        return ConversationNotFound
    if roster is None or draft.as_application:
        return None
    return sending_refusal(draft.kind, draft.sender, roster, now_ms)


def _checked(draft: Draft, rosters: Mapping[int, Roster]) -> Draft:
    roster = rosters.get(draft.conversation)
    return draft if roster is None else draft._replace(members_version=roster.members_version)


def _with_roster(stored: Stored, roster: Roster | None) -> Stored:
    return stored if roster is None else replace(stored, roster=roster)


def _store(drafts: Sequence[Draft], now_ms: int, has_repeats: bool) -> dict[str, Stored]:
    known = _known(drafts) if has_repeats else {}
    new: list[Draft] = []
    first_by_token: dict[_Token, str] = {}
    for draft in drafts:
        if draft.token is None:
            new.append(draft)
        elif draft.token not in known and draft.token not in first_by_token:
            first_by_token[draft.token] = draft.message_id
            new.append(draft)
    stored = _insert(new, now_ms) if new else {}
    for draft in drafts:
        if draft.message_id in stored or draft.token is None:
            continue
        first = known.get(draft.token) or stored[first_by_token[draft.token]]
        stored[draft.message_id] = replace(first, is_repeat=True)
    return stored


def _known(drafts: Sequence[Draft]) -> dict[_Token, Stored]:
    tokens = [draft.token for draft in drafts if draft.token is not None]
    if not tokens:
        return {}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_KNOWN_POSTGRESQL, [list(column) for column in zip(*tokens, strict=True)])
            rows = cursor.fetchall()
        else:
            rows = []
            for token in tokens:
                cursor.execute(_KNOWN_SQLITE, token)
                rows += cursor.fetchall()
    return {
        (conversation, sender, token): Stored(message_id, timestamp_ms, seq, is_repeat=True)
        for conversation, sender, token, message_id, timestamp_ms, seq in rows
    }


def _insert(drafts: Sequence[Draft], now_ms: int) -> dict[str, Stored]:
    messages: dict[int, dict[str, int]] = {}
    totals: dict[int, int] = {}
    for draft in drafts:
        senders = messages.setdefault(draft.conversation, {})
        senders[draft.sender] = senders.get(draft.sender, 0) + 1
        totals[draft.conversation] = totals.get(draft.conversation, 0) + 1
    reached = positions.advance(messages=messages, now_ms=now_ms)
    outdated = {
        draft.conversation
        for draft in drafts
        if draft.conversation not in reached or reached[draft.conversation].members_version != draft.members_version
    }
    if outdated:
        raise _MembersChangedError(sorted(outdated))
    stored: dict[str, Stored] = {}
    behind = dict(totals)
    previous_ms = {conversation: position.before_ms for conversation, position in reached.items()}
    for draft in drafts:
        behind[draft.conversation] -= 1
        after = behind[draft.conversation]
        position = reached[draft.conversation]
        timestamp_ms = position.last_message_ms - after
        stored[draft.message_id] = Stored(
            draft.message_id,
            timestamp_ms,
            position.last_seq - after,
            is_repeat=False,
            previous_ms=previous_ms[draft.conversation],
        )
        previous_ms[draft.conversation] = timestamp_ms
    _write([_row(draft, stored[draft.message_id]) for draft in drafts])
    _note_mentions(drafts, stored)
    return stored


def _row(draft: Draft, stored: Stored) -> tuple[Any, ...]:
    return (
        draft.message_id,
        draft.application,
        draft.conversation,
        stored.seq,
        stored.timestamp_ms,
        draft.sender,
        draft.text,
        draft.data,
        draft.is_binary,
        draft.message_type,
        draft.mention_ids or None,
        draft.mention_all,
        draft.wants_receipt,
        draft.deduplication_token,
    )


def _write(rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = [orjson.dumps(column, default=_base64).decode() for column in zip(*rows, strict=True)]
            cursor.execute(_INSERT_POSTGRESQL, columns)
        else:
            cursor.executemany(_INSERT_SQLITE, [(*row[:10], _json(row[10]), *row[11:]) for row in rows])
        if cursor.rowcount < len(rows):
            raise _RepeatsError


def _json(mention_ids: tuple[str, ...] | None) -> str | None:
    return None if mention_ids is None else orjson.dumps(mention_ids).decode()


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _note_mentions(drafts: Sequence[Draft], stored: Mapping[str, Stored]) -> None:
    everybody: list[tuple[int, int, str]] = []
    clients: dict[int, dict[str, int]] = {}
    for draft in drafts:
        seq = stored[draft.message_id].seq
        if draft.mention_all:
            everybody.append((draft.conversation, seq, draft.sender))
        for client_id in draft.mention_ids:
            if client_id != draft.sender:
                clients.setdefault(draft.conversation, {})[client_id] = seq
    if everybody:
        positions.mention_all(messages=everybody)
    if clients:
        positions.mention(seqs=clients)
