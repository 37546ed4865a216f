"""What a client missed, as it stands when it signs in: counts or messages, and patches."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.db import connection, transaction

from conversations.policy import Kind
from conversations.storage import waiting
from conversations.storage.waiting import Asking, Unacknowledged
from imcore import limits
from messaging.events import MessageKept, MessagePatched, UnreadConversation
from messaging.models import DeviceState
from messaging.storage import service_waiting, unread
from messaging.storage.history import COLUMNS, StoredMessage, stored_message

# Of so many of a conversation's newest messages, those of others are looked for: one's own are not acknowledged, so
# any number of them may lie behind the mark.
LOOKED_THROUGH = 1000

# A patch with a time so little before a client's position may have been written after the client was given that: by a
# server whose clock is behind, or because it took a moment. It is told again to who has it already, which changes
# nothing; so not the one at the position, which most clients take from the last patch they saw.
PATCH_MARGIN_MS = 2_000

_OF_OTHERS = """
FROM messaging_message
WHERE conversation_id = conversation AND seq > after_seq AND seq <= last_seq AND sender <> %s
ORDER BY seq DESC LIMIT %s
"""
# Of these again the newest, until their bodies are too much; each with how many of its conversation there were.
_NEWEST_OF_OTHERS = f"""
WITH wanted (conversation, after_seq, last_seq) AS (VALUES {{rows}})
SELECT conversation, in_conversation, {COLUMNS}
FROM (
  SELECT conversation, {COLUMNS}, COUNT(*) OVER (PARTITION BY conversation) AS in_conversation,
         SUM(%s) OVER (ORDER BY timestamp_ms DESC, conversation ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
           AS newer_bytes
  FROM wanted %s
) AS sized
WHERE newer_bytes IS NULL OR newer_bytes < %%s
"""  # noqa: S608 - constants
_NEWEST_OF_OTHERS_POSTGRESQL = _NEWEST_OF_OTHERS % (
    "COALESCE(octet_length(text), 0) + COALESCE(octet_length(data), 0)",
    f"CROSS JOIN LATERAL (SELECT {COLUMNS} {_OF_OTHERS}) AS found",
)
_NEWEST_OF_OTHERS_SQLITE = _NEWEST_OF_OTHERS % (
    "COALESCE(LENGTH(CAST(text AS BLOB)), 0) + COALESCE(LENGTH(data), 0)",
    f"JOIN messaging_message ON conversation_id = conversation AND seq IN (SELECT seq {_OF_OTHERS})",
)

_MISSED = f"conversation_id = mine.id AND patch_ms > {{since_ms}} - {PATCH_MARGIN_MS} AND patch_ms <> {{since_ms}}"
_NEWEST_PATCHES = "ORDER BY patch_ms DESC LIMIT {most}"
_PATCHED_POSTGRESQL = f"""
SELECT id, object_id, kind, patched.* FROM {{mine}} CROSS JOIN LATERAL (
  SELECT is_recalled, {COLUMNS} FROM messaging_message
  WHERE {_MISSED} {_NEWEST_PATCHES}
) AS patched {_NEWEST_PATCHES}
"""  # noqa: S608 - constants
_PATCHED_SQLITE = f"""
SELECT id, object_id, kind, is_recalled, {COLUMNS} FROM {{mine}} CROSS JOIN messaging_message
WHERE {_MISSED} {_NEWEST_PATCHES}
"""  # noqa: S608 - constants

# How it stands with the device: beside each patch, or alone if there is none. Counted, since for EXISTS PostgreSQL may
# read all devices there are into memory.
_WITH_DEVICE = f"""
SELECT COALESCE(patch_ms, 0), COALESCE(id, 0), is_signed_in, has_will, hears_services, object_id, kind,
       is_recalled, {COLUMNS}
FROM (
  SELECT (
    SELECT COUNT(*) FROM messaging_device
    WHERE id = {{device}} AND generation = {{generation}} AND state = '{DeviceState.SIGNED_IN.value}'
  ) AS is_signed_in, (SELECT COUNT(*) FROM messaging_will WHERE device_id = {{device}}) AS has_will,
  (SELECT COUNT(*) FROM messaging_serviceuse WHERE application_id = {{application}}) AS hears_services
) AS device LEFT JOIN (%s) AS patched ON TRUE
"""  # noqa: S608 - constants


class Absent(NamedTuple):
    """A client that was away, and what it wants to be told of up to `conversations_max` conversations.

    What is unread, or what has changed since `unread_since_ms`; if `messages_max` is not None, so many messages of each
    instead. And patches since `patched_since_ms`, if that is not None. It has signed in from `device` with a token of
    `generation`.
    """

    application: int
    client_id: str
    device: int
    generation: int
    knows_temporary: bool
    conversations_max: int
    unread_since_ms: int | None
    messages_max: int | None
    patched_since_ms: int | None


class DeviceNow(NamedTuple):
    """Whether a device's tokens are good, and whether something is to be said in its client's name if it is lost.

    `hears_services`: its application has spoken through system conversations.
    """

    is_signed_in: bool
    has_will: bool
    hears_services: bool


class Missed(NamedTuple):
    """What a client missed: counts, newest activity first; patches and messages, oldest first.

    `told`: conversation → the last seq that this covers. `device`: how it stands with that.
    """

    device: DeviceNow
    unread: Sequence[UnreadConversation]
    patches: Sequence[MessagePatched]
    messages: Sequence[MessageKept]
    told: dict[int, int]


def missed_by(clients: Sequence[Absent], *, now_ms: int) -> list[Missed]:
    """Return what each of these clients missed; three statements, whatever the number of conversations.

    On PostgreSQL also whatever the number of clients, if none of them wants messages: these are two more for each.
    """
    counts = _counts(clients, now_ms)
    devices = _devices_and_patches(clients, now_ms)
    messages = [_messages(client, now_ms) for client in clients]
    missed = [
        Missed(
            device=device,
            unread=of_counts,
            patches=patches,
            messages=[kept for kept, _ in of_messages],
            told={one.conversation: one.last_seq for one in of_counts}
            | {place.conversation: place.last_seq for _, place in of_messages},
        )
        for of_counts, (device, patches), of_messages in zip(counts, devices, messages, strict=True)
    ]
    if not any(one.device.hears_services for one in missed):
        return missed
    # In one order, so that no two of these wait for each other.
    order = sorted(range(len(clients)), key=lambda number: (clients[number].application, clients[number].client_id))
    # What clients are handed is marked: for all or for none, or when this is done again after a deadlock, the first of
    # them would find nothing any more.
    with transaction.atomic() if any(client.messages_max for client in clients) else nullcontext():
        for number in order:
            if missed[number].device.hears_services:
                missed[number] = _with_services(missed[number], clients[number], now_ms)
    return missed


def _asking(client: Absent, since_ms: int | None, limit: int) -> Asking:
    return Asking(
        application=client.application,
        client_id=client.client_id,
        device=client.device,
        generation=client.generation,
        knows_temporary=client.knows_temporary,
        since_ms=since_ms,
        limit=limit,
    )


def _counts(clients: Sequence[Absent], now_ms: int) -> list[list[UnreadConversation]]:
    asking = {
        number: _asking(client, client.unread_since_ms, client.conversations_max)
        for number, client in enumerate(clients)
        if client.messages_max is None
    }
    counts: list[list[UnreadConversation]] = [[] for _ in clients]
    if asking:
        found = waiting.unread(list(asking.values()), now_ms=now_ms)
        described = iter(unread.describe([count for of_client in found for count in of_client]))
        for number, of_client in zip(asking, found, strict=True):
            counts[number] = [next(described) for _ in of_client]
    return counts


def _messages(client: Absent, now_ms: int) -> list[tuple[MessageKept, Unacknowledged]]:
    """Return messages of others that the client has not acknowledged, each with its conversation.

    The newest of each conversation, and of all. A conversation none of which are among these is left for the next time.
    """
    most = client.messages_max
    if not most:
        return []
    [places] = waiting.unacknowledged([_asking(client, None, client.conversations_max)], now_ms=now_ms)
    if not places:
        return []
    found = _newest_of_others(client.client_id, places, most + 1)
    kept = []
    for one in places:
        messages, count = found.get(one.conversation, ([], 0))
        has_more = count > min(len(messages), most)
        kept += [(_kept(message, one, has_more, client.client_id), one) for message in messages[-most:]]
    return sorted(kept, key=lambda pair: pair[0].timestamp_ms)


def _newest_of_others(
    client_id: str, places: Sequence[Unacknowledged], most: int
) -> dict[int, tuple[list[StoredMessage], int]]:
    """Return conversation → the newest messages that others sent behind the client's mark, oldest first.

    And how many of up to `most` there are, of which the oldest may be missing because all together are too large.
    """
    bounds = [(one.conversation, max(one.ack_seq, one.last_seq - LOOKED_THROUGH), one.last_seq) for one in places]
    statement = _NEWEST_OF_OTHERS_POSTGRESQL if connection.vendor == "postgresql" else _NEWEST_OF_OTHERS_SQLITE
    with connection.cursor() as cursor:
        cursor.execute(
            statement.format(rows=", ".join(["(%s, %s, %s)"] * len(bounds))),
            [*(number for bound in bounds for number in bound), client_id, most, limits.OFFLINE_MAX_BYTES],
        )
        rows = cursor.fetchall()
    found: dict[int, tuple[list[StoredMessage], int]] = {}
    for conversation, count, *row in rows:
        found.setdefault(conversation, ([], count))[0].append(stored_message(*row))
    for messages, _ in found.values():
        messages.sort(key=lambda message: message.seq)
    return found


def _kept(message: StoredMessage, place: Unacknowledged, has_more: bool, client_id: str) -> MessageKept:
    return MessageKept(
        conversation_id=place.conversation_id,
        kind=place.kind,
        message_id=message.message_id,
        timestamp_ms=message.timestamp_ms,
        sender=message.sender,
        body=message.body,
        mentions=message.mentions,
        patch_ms=message.patch_ms,
        has_more=has_more,
        client_id=client_id,
    )


def _devices_and_patches(clients: Sequence[Absent], now_ms: int) -> list[tuple[DeviceNow, list[MessagePatched]]]:
    """Return for each client how it stands with its device, and the patches it missed, if it asks for any."""
    patched = _PATCHED_POSTGRESQL if connection.vendor == "postgresql" else _PATCHED_SQLITE
    asking = [_asking(client, client.patched_since_ms, limits.PATCHES_MAX) for client in clients]
    found = waiting.select(_WITH_DEVICE % patched, asking, now_ms=now_ms)
    return [
        (DeviceNow(*map(bool, rows[0][2:5])), [_patched(client.client_id, *row) for row in reversed(rows) if row[1]])
        for client, rows in zip(clients, found, strict=True)
    ]


def _patched(client_id: str, patch_ms: int, conversation: int, *row: Any) -> MessagePatched:
    _, _, _, conversation_id, kind, is_recalled, *columns = row
    message = stored_message(*columns)
    return MessagePatched(
        conversation=conversation,
        conversation_id=conversation_id,
        kind=Kind(kind),
        message_id=message.message_id,
        seq=message.seq,
        timestamp_ms=message.timestamp_ms,
        sender=message.sender,
        body=message.body,
        mentions=message.mentions,
        is_recalled=bool(is_recalled),
        patch_ms=patch_ms,
        to=(client_id,),
    )


def _with_services(missed: Missed, client: Absent, now_ms: int) -> Missed:
    """Return what a client missed together with what system conversations have said to it."""
    whose: dict[str, Any] = {"application": client.application, "client_id": client.client_id}
    most, limit = client.messages_max, client.conversations_max
    counts: Sequence[UnreadConversation] = []
    messages: Sequence[MessageKept] = []
    patches: Sequence[MessagePatched] = []
    told: dict[int, int] = {}
    if most is None:
        counts = service_waiting.unread(**whose, since_ms=client.unread_since_ms, limit=limit, now_ms=now_ms)
    elif most:
        messages, told = service_waiting.hand_over(**whose, most=most, limit=limit, now_ms=now_ms)
    if client.patched_since_ms is not None:
        patches = service_waiting.patches(**whose, since_ms=client.patched_since_ms, margin_ms=PATCH_MARGIN_MS)
    return Missed(
        device=missed.device,
        unread=sorted([*missed.unread, *counts], key=_newest_ms, reverse=True)[:limit],
        patches=sorted([*missed.patches, *patches], key=lambda one: one.patch_ms)[-limits.PATCHES_MAX :],
        messages=sorted([*missed.messages, *messages], key=lambda one: one.timestamp_ms),
        told=missed.told | told | {one.conversation: one.last_seq for one in counts},
    )


def _newest_ms(one: UnreadConversation) -> int:
    return 0 if one.newest is None else one.newest.timestamp_ms
