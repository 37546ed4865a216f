"""What system conversations have said to a client that was away: counts, or the messages, and patches.

    where it may have been said: what the client follows, what it has a mark in, what was said to everybody
      └ in each: to the client, to subscribers since it is one, to everybody while that is valid ─ behind its mark

One statement reads that as of one moment, so whatever is up to a conversation's last time is in it (docs/adr/0017).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection, transaction

from conversations.policy import Kind
from conversations.storage import following
from imcore import limits
from imcore.identifiers import DAY_MS
from messaging.events import Mentions, MessageKept, MessagePatched, Newest, UnreadConversation
from messaging.models import Audience, ServiceMessage
from messaging.storage import broadcast_marks
from messaging.storage.history import StoredMessage
from messaging.storage.service_history import COLUMNS, stored_message
from messaging.storage.service_marks import Move, move

# The newest of a client's system conversations; of those behind them it is told when they speak again.
PLACES_MAX = 500

_CLIENT, _SUBSCRIBERS, _EVERYBODY = Audience.CLIENT.value, Audience.SUBSCRIBERS.value, Audience.EVERYBODY.value

# What each audience has for the client, of the conversation `place`.
_TO_CLIENT = f"s.conversation_id = place.id AND s.audience = {_CLIENT} AND s.client_id = %(client)s"
_NOT_WITHHELD = "NOT EXISTS (SELECT 1 FROM messaging_withheldmessage w WHERE w.message_id = s.id AND w.client_id = {})"
_TO_SUBSCRIBERS = f"""s.conversation_id = place.id AND s.audience = {_SUBSCRIBERS} AND s.client_id = ''
  AND place.from_ms IS NOT NULL AND {_NOT_WITHHELD.format("%(client)s")}"""
_TO_EVERYBODY = f"""s.conversation_id = place.id AND s.audience = {_EVERYBODY} AND s.client_id = ''
  AND s.number > %(after)s"""
_VALID = "s.valid_till_ms > %(now_ms)s AND s.timestamp_ms > %(oldest_ms)s"
_IS_NEW = "s.timestamp_ms > place.mark_ms AND s.sender <> %(client)s AND NOT s.is_recalled AND NOT s.is_deleted"
_NEW = {
    Audience.CLIENT: f"{_TO_CLIENT} AND {_IS_NEW}",
    Audience.SUBSCRIBERS: f"{_TO_SUBSCRIBERS} AND s.timestamp_ms > place.from_ms AND {_IS_NEW}",
    Audience.EVERYBODY: f"{_TO_EVERYBODY} AND {_VALID} AND {_IS_NEW}",
}

_MINE = f"""
WITH followed AS ({following.FOLLOWED}),
marked AS (
  SELECT conversation_id, {{mark}} AS mark_ms, changed_ms FROM messaging_servicemark
  WHERE application_id = %(application)s AND client_id = %(client)s
),
place AS (
  SELECT c.id, c.object_id, c.last_message_ms, COALESCE(m.changed_ms, 0) AS changed_ms,
         COALESCE(m.mark_ms, 0) AS mark_ms, f.from_ms
  FROM (
    SELECT conversation_id FROM followed
    UNION SELECT conversation_id FROM marked
    UNION SELECT conversation_id FROM messaging_servicemessage
      WHERE application_id = %(application)s AND valid_till_ms > %(in_play_ms)s AND number > %(after)s
  ) AS p
  JOIN {following.CONVERSATIONS} AS c ON c.id = p.conversation_id
  LEFT JOIN followed f ON f.conversation_id = c.id
  LEFT JOIN marked m ON m.conversation_id = c.id
  WHERE c.last_message_ms > 0 {{only}}
  ORDER BY c.last_message_ms DESC LIMIT %(places_max)s
)"""  # noqa: S608 - constants


def _count(condition: str) -> str:
    found = f"SELECT 1 FROM messaging_servicemessage s WHERE {condition} LIMIT {limits.UNREAD_MAX}"  # noqa: S608
    return f"(SELECT COUNT(*) FROM ({found}) AS found)"  # noqa: S608 - constants


def _newest(condition: str) -> str:
    found = f"SELECT s.id FROM messaging_servicemessage s WHERE {condition} AND NOT s.is_deleted"  # noqa: S608
    return f"({found} ORDER BY s.timestamp_ms DESC LIMIT 1)"


def _was_patched(condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM messaging_servicemessage s WHERE {condition} AND s.patch_ms > %(since_ms)s)"  # noqa: S608


_WAITING = f"""{_MINE}
SELECT place.id, object_id, last_message_ms, changed_ms, mark_ms, from_ms,
       {", ".join(_count(condition) for condition in _NEW.values())},
       {_newest(_TO_CLIENT)}, {_newest(_TO_SUBSCRIBERS)}, {_newest(f"{_TO_EVERYBODY} AND {_VALID}")},
       {_was_patched(_TO_CLIENT)} OR {_was_patched(_TO_SUBSCRIBERS)} OR {_was_patched(_TO_EVERYBODY)}
         OR EXISTS (SELECT 1 FROM messaging_servicemessage s WHERE s.application_id = %(application)s
                    AND s.valid_till_ms > %(since_ms)s AND s.valid_till_ms <= %(now_ms)s
                    AND s.conversation_id = place.id AND s.number > %(after)s)
FROM place ORDER BY place.last_message_ms DESC, place.id DESC
"""  # noqa: S608 - constants

_READ_BEHIND = "read_ms"
_HANDED_BEHIND = "CASE WHEN ack_ms > read_ms THEN ack_ms ELSE read_ms END"

# Of one conversation and audience, behind a mark, up to the moment that was looked at.
_KEPT = f"""SELECT * FROM (
  SELECT s.conversation_id, {", ".join(f"s.{column}" for column in COLUMNS.split(", "))}
  FROM messaging_servicemessage s
  WHERE s.conversation_id = %s AND s.audience = %s AND s.client_id = %s AND s.timestamp_ms > %s AND s.timestamp_ms <= %s
    AND s.sender <> %s AND NOT s.is_recalled AND NOT s.is_deleted {{condition}}
  ORDER BY s.timestamp_ms DESC LIMIT %s
) AS part_{{number}}"""  # noqa: S608 - constants
_STILL_VALID = "AND s.number > %s AND s.valid_till_ms > %s"

_PATCHED = f"""
WITH followed AS ({following.FOLLOWED}),
wanted (conversation, audience, client) AS (
  SELECT conversation_id, {_SUBSCRIBERS}, '' FROM followed
  UNION ALL SELECT conversation_id, {_CLIENT}, client_id FROM messaging_servicemark
    WHERE application_id = %(application)s AND client_id = %(client)s
)
SELECT c.id, c.object_id, s.is_recalled, {", ".join(f"s.{column}" for column in COLUMNS.split(", "))}
FROM wanted
JOIN {following.CONVERSATIONS} AS c ON c.id = wanted.conversation
JOIN messaging_servicemessage s ON s.conversation_id = wanted.conversation AND s.audience = wanted.audience
  AND s.client_id = wanted.client AND s.patch_ms > %(after_ms)s AND s.patch_ms <> %(since_ms)s AND NOT s.is_deleted
WHERE {_NOT_WITHHELD.format("%(client)s")}
ORDER BY s.patch_ms DESC LIMIT %(most)s
"""  # noqa: S608 - constants


class Place(NamedTuple):
    """A system conversation as it stands for a client at `last_message_ms`: how much waits, and what is newest.

    What is behind `mark_ms` waits; of what was said to subscribers, what is behind `from_ms`, too (None: it is none).
    `new`: how many messages of each audience. `newest`: rows, the newest of each. `has_changed`: something that waited
    does so no longer, or reads otherwise, since the time that was asked for.
    """

    conversation: int
    conversation_id: str
    last_message_ms: int
    changed_ms: int
    mark_ms: int
    from_ms: int | None
    new: tuple[int, int, int]
    newest: tuple[int, ...]
    has_changed: bool


def unread(
    *, application: int, client_id: str, since_ms: int | None, limit: int, now_ms: int
) -> list[UnreadConversation]:
    """Return where a client has something unread, the newest activity first.

    With `since_ms`, where the count has changed after it instead, those included of which nothing is unread any more.
    """
    after = broadcast_marks.arrive(application, client_id, now_ms)
    places = _places(application, client_id, after, _READ_BEHIND, since_ms=since_ms, now_ms=now_ms)
    described = _described(places)
    if since_ms is None:
        return [one for one in described if one.unread][:limit]
    return [
        one
        for one, place in zip(described, places, strict=True)
        if place.has_changed
        or place.changed_ms > since_ms
        or (one.newest is not None and one.newest.timestamp_ms > since_ms)
    ][:limit]


def count(*, application: int, client_id: str, conversation: int, now_ms: int) -> list[UnreadConversation]:
    """Return what a client has not read of one system conversation; nothing, if none of it is for this client."""
    after = broadcast_marks.of_client(application, client_id, now_ms)
    return _described(
        _places(application, client_id, after, _READ_BEHIND, since_ms=None, now_ms=now_ms, only=conversation)
    )


def total(*, application: int, client_id: str, conversation: int | None, now_ms: int) -> int:
    """Return how much a client has not read of one system conversation, or of all."""
    after = broadcast_marks.of_client(application, client_id, now_ms)
    found = _places(application, client_id, after, _READ_BEHIND, since_ms=None, now_ms=now_ms, only=conversation)
    return sum(sum(place.new) for place in found)


@transaction.atomic(savepoint=False)
def hand_over(
    *, application: int, client_id: str, most: int, limit: int, now_ms: int
) -> tuple[list[MessageKept], dict[int, int]]:
    """Return the messages that a client was not handed, and mark them: of `limit` conversations the `most` newest each.

    And conversation → the time up to which these are all. So none is handed over twice: of two devices
    that ask at the same time, the second finds nothing.
    """
    after = broadcast_marks.arrive(application, client_id, now_ms, lock=True)
    found = _places(application, client_id, after, _HANDED_BEHIND, since_ms=None, now_ms=now_ms)
    places = [place for place in found if any(place.new)][:limit]
    kept = _kept(client_id, after, places, most, now_ms)
    told = {place.conversation: place.last_message_ms for place in places}
    move([Move(application, client_id, conversation, ack_ms=at_ms) for conversation, at_ms in told.items()])
    return kept, told


def patches(*, application: int, client_id: str, since_ms: int, margin_ms: int) -> list[MessagePatched]:
    """Return what was edited and recalled of what was said to a client, or to subscribers it is one of, oldest first.

    The latest ones. What is up to `margin_ms` older than `since_ms` may have been written since, and is told again.
    Who has had a message to everybody is not told of its changes (rest-api 8.9).
    """
    asked: dict[str, str | int] = {
        "application": application,
        "client": client_id,
        "since_ms": since_ms,
        "after_ms": since_ms - margin_ms,
        "most": limits.PATCHES_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PATCHED, asked)
        rows = cursor.fetchall()
    return [_patched(client_id, *row) for row in reversed(rows)]


def _places(
    application: int,
    client_id: str,
    after: int,
    mark: str,
    *,
    since_ms: int | None,
    now_ms: int,
    only: int | None = None,
) -> list[Place]:
    statement = _WAITING.format(mark=mark, only="" if only is None else "AND c.id = %(only)s")
    asked: dict[str, str | int | None] = {
        "application": application,
        "client": client_id,
        "after": after,
        "now_ms": now_ms,
        "oldest_ms": now_ms - limits.BROADCAST_VALID_DAYS * DAY_MS,
        "in_play_ms": now_ms if since_ms is None else min(since_ms, now_ms),
        "since_ms": now_ms if since_ms is None else since_ms,
        "places_max": PLACES_MAX,
        "only": only,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        return [_place(*row) for row in cursor.fetchall()]


def _place(
    conversation: int,
    conversation_id: str,
    last_message_ms: int,
    changed_ms: int,
    mark_ms: int,
    from_ms: int | None,
    *columns: Any,
) -> Place:
    to_client, to_subscribers, to_everybody, *newest, has_changed = columns
    return Place(
        conversation,
        conversation_id,
        last_message_ms,
        changed_ms,
        mark_ms,
        from_ms,
        (to_client, to_subscribers, to_everybody),
        tuple(pk for pk in newest if pk is not None),
        bool(has_changed),
    )


def _described(places: Sequence[Place]) -> list[UnreadConversation]:
    """Return the counts of places, with the newest message of each."""
    wanted = [pk for place in places for pk in place.newest]
    rows = ServiceMessage.objects.filter(pk__in=wanted) if wanted else []
    messages = {row.pk: row for row in rows}
    described = []
    for place in places:
        newest = max(
            (messages[pk] for pk in place.newest if pk in messages), key=lambda row: row.timestamp_ms, default=None
        )
        described.append(
            UnreadConversation(
                conversation=place.conversation,
                conversation_id=place.conversation_id,
                kind=Kind.SYSTEM,
                unread=sum(place.new),
                is_mentioned=False,
                last_seq=place.last_message_ms,
                newest=None if newest is None else _shown(newest),
            )
        )
    return described


def _shown(row: ServiceMessage) -> Newest:
    message = stored_message(
        row.message_id, row.timestamp_ms, row.sender, row.text, row.data, row.is_binary, row.patch_ms
    )
    return Newest(message.message_id, message.timestamp_ms, message.sender, message.body, message.patch_ms)


def _kept(client_id: str, after: int, places: Sequence[Place], most: int, now_ms: int) -> list[MessageKept]:
    texts: list[str] = []
    parameters: list[Any] = []
    for place in places:
        since_it_follows = max(place.mark_ms, place.from_ms or 0)
        wanted: list[tuple[Audience, str, int, str, list[Any]]] = [
            (Audience.CLIENT, client_id, place.mark_ms, "", []),
            (Audience.SUBSCRIBERS, "", since_it_follows, f"AND {_NOT_WITHHELD.format('%s')}", [client_id]),
            (Audience.EVERYBODY, "", place.mark_ms, _STILL_VALID, [after, now_ms]),
        ]
        for new, (audience, whose, behind_ms, condition, named) in zip(place.new, wanted, strict=True):
            if new:
                texts.append(_KEPT.format(condition=condition, number=len(texts)))
                parameters += [place.conversation, audience.value, whose, behind_ms, place.last_message_ms, client_id]
                parameters += [*named, most + 1]
    if not texts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(texts), parameters)
        rows = cursor.fetchall()
    found: dict[int, list[StoredMessage]] = {}
    for conversation, *row in rows:
        found.setdefault(conversation, []).append(stored_message(*row))
    kept = []
    for place in places:
        messages = sorted(found.get(place.conversation, []), key=lambda message: message.timestamp_ms)
        kept += [_as_kept(message, place, len(messages) > most, client_id) for message in messages[-most:]]
    return kept


def _as_kept(message: StoredMessage, place: Place, has_more: bool, client_id: str) -> MessageKept:
    return MessageKept(
        conversation_id=place.conversation_id,
        kind=Kind.SYSTEM,
        message_id=message.message_id,
        timestamp_ms=message.timestamp_ms,
        sender=message.sender,
        body=message.body,
        mentions=Mentions(),
        patch_ms=message.patch_ms,
        has_more=has_more,
        client_id=client_id,
    )


def _patched(client_id: str, conversation: int, conversation_id: str, is_recalled: bool, *row: Any) -> MessagePatched:
    message = stored_message(*row)
    assert message.patch_ms is not None
    return MessagePatched(
        conversation=conversation,
        conversation_id=conversation_id,
        kind=Kind.SYSTEM,
        message_id=message.message_id,
        seq=0,
        timestamp_ms=message.timestamp_ms,
        sender=message.sender,
        body=message.body,
        mentions=Mentions(),
        is_recalled=bool(is_recalled),
        patch_ms=message.patch_ms,
        to=(client_id,),
    )
