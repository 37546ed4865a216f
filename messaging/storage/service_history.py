"""History of a system conversation as one client sees it: ranges of an index, merged; the same at any depth.

    to the client ─┐
    to subscribers ┼─ each from one place on, a page at most ─ by (time, id) ─ a page
    to everybody ──┤
    its own ───────┘

What was said to subscribers is history to whoever follows now, as a conversation's messages are to its members,
whenever they joined.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from imcore import limits
from imcore.identifiers import DAY_MS
from messaging.models import Audience, ServiceMessage, SysMessage
from messaging.storage.history import Boundary, StoredMessage

COLUMNS = "message_id, timestamp_ms, sender, text, data, is_binary, patch_ms"

_OWN_COLUMNS = "message_id, timestamp_ms, sender, text, data, is_binary, CAST(NULL AS bigint)"

Condition = tuple[str, list[Any]]  # a text with places, and what goes there


class Parts(NamedTuple):
    """Which parts of a system conversation are wanted beside what was said to the client itself."""

    to_subscribers: bool
    to_everybody: bool
    own: bool


class Range(NamedTuple):
    """Rows of a table with an index for them in the order of (time, id)."""

    table: str
    columns: str
    whose: Condition


class Broadcast(NamedTuple):
    """A message to everybody, and until when it comes to those who log in."""

    message: StoredMessage
    valid_till_ms: int


def page(
    *,
    conversation: int,
    client_id: str,
    parts: Parts,
    older_end: Boundary | None,
    newer_end: Boundary | None,
    newest: bool,
    limit: int,
    message_type: int | None,
) -> list[StoredMessage]:
    """Return up to `limit` messages between two ends, oldest first; the newest of the range, or the oldest."""
    places = _places(conversation, [end.message_id for end in (older_end, newer_end) if end and end.message_id])
    bounds = [*_bound(">", older_end, places), *_bound("<", newer_end, places)]
    if message_type is not None:
        bounds.append((" AND message_type = %s", [message_type]))
    statement, parameters = merged(wanted(conversation, client_id, parts), bounds, newest=newest, limit=limit)
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found = [stored_message(*row) for row in cursor.fetchall()]
    return found[::-1] if newest else found


def has_received(*, conversation: int, client_id: str) -> bool:
    """Return whether a system conversation has said something to a client itself, or to everybody."""
    for audience, whose in ((Audience.CLIENT, client_id), (Audience.EVERYBODY, "")):
        rows = ServiceMessage.objects.filter(
            conversation_id=conversation, audience=audience, client_id=whose, is_deleted=False
        )
        # In an order, or PostgreSQL may read the table until it comes by one.
        if rows.order_by("timestamp_ms").values_list("pk").first() is not None:
            return True
    return False


def broadcasts(*, conversation: int, limit: int, skip: int, now_ms: int) -> list[Broadcast]:
    """Return what a system conversation said to everybody and who logs in still gets, newest first."""
    rows = ServiceMessage.objects.filter(
        conversation_id=conversation,
        audience=Audience.EVERYBODY,
        client_id="",
        is_deleted=False,
        is_recalled=False,
        valid_till_ms__gt=now_ms,
        # What is over is not looked through, however much that is: none is valid for longer.
        timestamp_ms__gt=now_ms - limits.BROADCAST_VALID_DAYS * DAY_MS,
    ).order_by("-timestamp_ms")
    columns = rows.values_list(*COLUMNS.split(", "), "valid_till_ms")[skip : skip + limit]
    return [Broadcast(stored_message(*row), valid_till_ms) for *row, valid_till_ms in columns]


def stored_message(
    message_id: str,
    timestamp_ms: int,
    sender: str,
    text: str | None,
    data: bytes | memoryview | None,
    is_binary: bool,
    patch_ms: int | None,
) -> StoredMessage:
    """Make a message of what a SELECT of COLUMNS finds."""
    return StoredMessage(
        message_id=message_id,
        seq=0,
        timestamp_ms=timestamp_ms,
        sender=sender,
        text=text,
        data=None if data is None else bytes(data),
        is_binary=bool(is_binary),
        mention_ids=(),
        mention_all=False,
        patch_ms=patch_ms,
        ack_ms=None,
        read_ms=None,
    )


def wanted(conversation: int, client_id: str, parts: Parts) -> list[Range]:
    """Return what was said to a client itself, and the parts that are wanted beside."""
    audiences = [(Audience.CLIENT, client_id)]
    audiences += [(Audience.SUBSCRIBERS, "")] if parts.to_subscribers else []
    audiences += [(Audience.EVERYBODY, "")] if parts.to_everybody else []
    found = []
    for audience, whose in audiences:
        text = "conversation_id = %s AND audience = %s AND client_id = %s AND NOT is_deleted"
        values: list[Any] = [conversation, audience.value, whose]
        if audience is Audience.SUBSCRIBERS:
            text += (
                " AND NOT EXISTS (SELECT 1 FROM messaging_withheldmessage AS w"
                " WHERE w.message_id = messaging_servicemessage.id AND w.client_id = %s)"
            )
            values.append(client_id)
        found.append(Range("messaging_servicemessage", COLUMNS, (text, values)))
    if parts.own:
        own = ("conversation_id = %s AND sender = %s", [conversation, client_id])
        found.append(Range("messaging_sysmessage", _OWN_COLUMNS, own))
    return found


def merged(ranges: Sequence[Range], bounds: Sequence[Condition], *, newest: bool, limit: int) -> Condition:
    """Return the query for up to `limit` rows of some ranges within bounds, in the order of (time, id)."""
    order = "timestamp_ms DESC, message_id DESC" if newest else "timestamp_ms, message_id"
    within = "".join(text for text, _ in bounds)
    texts = []
    parameters: list[Any] = []
    for number, (table, columns, (whose, named)) in enumerate(ranges):
        texts.append(
            f"SELECT * FROM (SELECT {columns} FROM {table} WHERE {whose}{within} "  # noqa: S608 - constants
            f"ORDER BY {order} LIMIT %s) AS part_{number}"
        )
        parameters += [*named, *(value for _, values in bounds for value in values), limit]
    return f"{' UNION ALL '.join(texts)} ORDER BY {order} LIMIT %s", [*parameters, limit]


def _places(conversation: int, message_ids: Collection[str]) -> dict[str, int]:
    """Return when messages were sent, of those that there are."""
    # PostgreSQL's text cannot hold U+0000, so there is no message with such an id to look for.
    storable = [message_id for message_id in message_ids if "\0" not in message_id]
    if not storable:
        return {}
    of_service = ServiceMessage.objects.filter(message_id__in=storable, conversation_id=conversation)
    to_service = SysMessage.objects.filter(message_id__in=storable, conversation_id=conversation)
    return dict(of_service.values_list("message_id", "timestamp_ms")) | dict(
        to_service.values_list("message_id", "timestamp_ms")
    )


def _bound(sign: str, end: Boundary | None, places: Mapping[str, int]) -> list[Condition]:
    """Return the condition that one end is: behind the message it names, else its time; none, if it has neither."""
    if end is None or (end.message_id not in places and end.timestamp_ms <= 0):
        return []
    sign += "=" if end.is_included else ""
    if end.message_id in places:
        return [(f" AND (timestamp_ms, message_id) {sign} (%s, %s)", [places[end.message_id], end.message_id])]
    return [(f" AND timestamp_ms {sign} %s", [end.timestamp_ms])]
