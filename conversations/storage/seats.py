"""Which chat room a device may come back to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Case, Q, Value, When

from conversations.models import Block, Conversation, RoomSeat
from imcore.errors import BlockedByConversation, ConversationNotFound, ImError


class Seat(NamedTuple):
    """A device's place in a chat room, taken at `taken_ms`; `conversation` None gives up whatever it has."""

    device: int
    client_id: str
    conversation: int | None
    taken_ms: int


class Departure(NamedTuple):
    """Until when a device may come back to the seat it took at `taken_ms`. Another one, taken since, stays as it is."""

    device: int
    taken_ms: int
    until_ms: int


class Return(NamedTuple):
    """A device that has come back, at `at_ms`."""

    device: int
    at_ms: int


@transaction.atomic
def write(seats: Sequence[Seat]) -> list[type[ImError] | None]:
    """Write the last of what is given for each device; answer for each why it cannot have its seat, None if it has.

    Who enters a room first and takes a seat then, cannot be overlooked by a block in between: either the block finds
    him there, or this finds the block.
    """
    last = {seat.device: seat for seat in seats}
    # In one order, so that no two transactions wait for each other.
    wanted = {
        seat: seat.conversation
        for seat in sorted(last.values(), key=lambda seat: seat.device)
        if seat.conversation is not None
    }
    refusals = _refusals(wanted) if wanted else {}
    given_up = [seat.device for seat in last.values() if seat not in wanted or seat.device in refusals]
    if given_up:
        RoomSeat.objects.filter(device__in=given_up).delete()
    RoomSeat.objects.bulk_create(
        (
            RoomSeat(
                device=seat.device,
                conversation_id=conversation,
                client_id=seat.client_id,
                until_ms=None,
                taken_ms=seat.taken_ms,
            )
            for seat, conversation in wanted.items()
            if seat.device not in refusals
        ),
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["conversation", "client_id", "until_ms", "taken_ms"],
    )
    return [refusals.get(seat.device) for seat in seats]


def depart(departures: Sequence[Departure]) -> list[None]:
    """Note until when devices may come back; nothing happens to those that have left, or sat down elsewhere since."""
    taken = Q()
    ends = []
    for departure in departures:
        is_it = Q(device=departure.device, taken_ms=departure.taken_ms)
        taken |= is_it
        ends.append(When(is_it, then=Value(departure.until_ms)))
    RoomSeat.objects.filter(taken).update(until_ms=Case(*ends))
    return [None] * len(departures)


def give_up(*, device: int, taken_ms: int) -> None:
    """Delete the seat a device took at `taken_ms`, unless it has taken another one since."""
    RoomSeat.objects.filter(device=device, taken_ms=taken_ms).delete()


def take_from(*, conversation: int, client_ids: Sequence[str]) -> None:
    """Delete all seats of some clients in a room: they were put out of it."""
    RoomSeat.objects.filter(conversation=conversation, client_id__in=client_ids).delete()


def find(returns: Sequence[Return]) -> list[str | None]:
    """Return for each device the id of the room it may come back to, if there is one."""
    rows = RoomSeat.objects.filter(device__in={one.device for one in returns})
    found = {
        device: (object_id, until_ms)
        for device, object_id, until_ms in rows.values_list("device", "conversation__object_id", "until_ms")
    }
    rooms = []
    for one in returns:
        object_id, until_ms = found.get(one.device, (None, None))
        rooms.append(object_id if until_ms is None or until_ms > one.at_ms else None)
    return rooms


def forget(*, before_ms: int, taken_before_ms: int, limit: int) -> int:
    """Delete up to `limit` seats nobody can come back to; return how many there were.

    Those without an end are left by servers that died; they go when they were taken before `taken_before_ms`.
    """
    over = RoomSeat.objects.filter(Q(until_ms__lte=before_ms) | Q(until_ms=None, taken_ms__lt=taken_before_ms))
    devices = list(over.values_list("device", flat=True)[:limit])
    return RoomSeat.objects.filter(device__in=devices).delete()[0]


def _refusals(wanted: Mapping[Seat, int]) -> dict[int, type[ImError]]:
    """Return by device why it cannot have its seat: the room is gone, or has blocked its client."""
    rooms = dict(Conversation.objects.filter(pk__in=set(wanted.values())).values_list("pk", "has_blocked"))
    blocked: set[tuple[int, str]] = set()
    if any(rooms.values()):
        blocks = Block.objects.filter(
            conversation_id__in=[pk for pk, has_blocked in rooms.items() if has_blocked],
            client_id__in={seat.client_id for seat in wanted},
            is_by_client=False,
        )
        blocked = set(blocks.values_list("conversation_id", "client_id"))
    refusals: dict[int, type[ImError]] = {}
    for seat, conversation in wanted.items():
        if conversation not in rooms:
            refusals[seat.device] = ConversationNotFound
        elif (conversation, seat.client_id) in blocked:
            refusals[seat.device] = BlockedByConversation
    return refusals
