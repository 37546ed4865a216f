"""What clients have received and read of system conversations, beside `receipts.py`, which has that of all others."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from conversations.storage import following
from conversations.storage.following import Place, System
from messaging.events import UnreadChanged
from messaging.models import ServiceMark, ServiceMessage
from messaging.storage import service_waiting
from messaging.storage.service_marks import Move, move


class ServiceAck(NamedTuple):
    """A client was handed what a conversation, maybe a system one, said: these messages, or all up to a time."""

    place: Place
    message_ids: tuple[str, ...]
    to_ms: int


class ServiceRead(NamedTuple):
    """A client has read up to a message, else to a time, else everything; `is_asked`: it is to be told what is left."""

    place: Place
    message_id: str
    timestamp_ms: int | None
    is_asked: bool


def acknowledge(acks: Sequence[ServiceAck]) -> dict[ServiceAck, int]:
    """Note what clients were handed of those conversations that are system ones; return up to when."""
    found = following.find(places=[ack.place for ack in acks])
    times = _times(
        [(found[ack.place].conversation, one) for ack in acks if ack.place in found for one in ack.message_ids]
    )
    reached: dict[ServiceAck, int] = {}
    for ack in acks:
        system = found.get(ack.place)
        if system is None:
            continue
        named = [times[key] for one in ack.message_ids if (key := (system.conversation, one)) in times]
        at_ms = max(named, default=0) if ack.message_ids else min(ack.to_ms, system.last_message_ms)
        if at_ms > 0:
            reached[ack] = at_ms
    move(
        [
            Move(ack.place.application, ack.place.client_id, found[ack.place].conversation, ack_ms=at_ms)
            for ack, at_ms in reached.items()
        ]
    )
    return reached


def read(reads: Sequence[ServiceRead], *, now_ms: int) -> list[tuple[int, UnreadChanged]]:
    """Note up to where clients have read those conversations that are system ones; return what they are told.

    Never backwards, and never beyond the newest message.
    """
    found = following.find(places=[one.place for one in reads])
    if not found:
        return []
    times = _times([(found[one.place].conversation, one.message_id) for one in reads if one.place in found])
    before = _read_before(found)
    moves: list[Move] = []
    changed: dict[Place, None] = {}
    for one in reads:
        if one.place not in found:
            continue
        at_ms = _reached(one, found[one.place], times)
        is_further = at_ms > before.get(one.place, 0)
        if is_further:
            place = (one.place.application, one.place.client_id, found[one.place].conversation)
            moves.append(Move(*place, read_ms=at_ms, ack_ms=at_ms, changed_ms=now_ms))
        if is_further or one.is_asked:
            changed[one.place] = None
    move(moves)
    return [
        (place.application, UnreadChanged(place.client_id, [count], now_ms))
        for place in changed
        for count in service_waiting.count(
            application=place.application,
            client_id=place.client_id,
            conversation=found[place].conversation,
            now_ms=now_ms,
        )
    ]


def _reached(one: ServiceRead, system: System, times: Mapping[tuple[int, str], int]) -> int:
    named = times.get((system.conversation, one.message_id))
    if named is not None:
        return named
    if one.timestamp_ms is None:
        return 0 if one.message_id else system.last_message_ms
    return min(one.timestamp_ms, system.last_message_ms)


def _times(named: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return when the messages were sent that are in the conversations they are said to be in."""
    ids = {message_id for _, message_id in named if message_id}
    if not ids:
        return {}
    rows = ServiceMessage.objects.filter(message_id__in=ids).values_list(
        "conversation_id", "message_id", "timestamp_ms"
    )
    return {(conversation, message_id): at_ms for conversation, message_id, at_ms in rows}


def _read_before(found: Mapping[Place, System]) -> dict[Place, int]:
    rows = ServiceMark.objects.filter(
        application_id__in={place.application for place in found},
        client_id__in={place.client_id for place in found},
        conversation_id__in={system.conversation for system in found.values()},
    )
    marks = {row[:3]: row[3] for row in rows.values_list("application_id", "client_id", "conversation_id", "read_ms")}
    return {
        place: marks.get((place.application, place.client_id, system.conversation), 0)
        for place, system in found.items()
    }
