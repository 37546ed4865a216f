"""Which chat room a device may come back to."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Q

from conversations.models import RoomSeat


class Seat(NamedTuple):
    """A device's place in a chat room; `conversation` None gives it up. `until_ms` is set when the device has gone."""

    device: int
    conversation: int | None
    until_ms: int | None
    now_ms: int


def write(seats: Sequence[Seat]) -> list[None]:
    """Write the last of what is given for each device."""
    last = {seat.device: seat for seat in seats}
    given_up = [seat.device for seat in last.values() if seat.conversation is None]
    if given_up:
        RoomSeat.objects.filter(device__in=given_up).delete()
    RoomSeat.objects.bulk_create(
        (
            RoomSeat(
                device=seat.device, conversation_id=seat.conversation, until_ms=seat.until_ms, taken_ms=seat.now_ms
            )
            for seat in last.values()
            if seat.conversation is not None
        ),
        update_conflicts=True,
        unique_fields=["device"],
        update_fields=["conversation", "until_ms", "taken_ms"],
    )
    return [None] * len(seats)


def find(*, device: int, now_ms: int) -> tuple[int, str] | None:
    """Return the number and id of the room a device may come back to now, if there is one."""
    rows = RoomSeat.objects.filter(Q(until_ms=None) | Q(until_ms__gt=now_ms), device=device)
    return rows.values_list("conversation_id", "conversation__object_id").first()


def forget(*, before_ms: int, taken_before_ms: int, limit: int) -> int:
    """Delete up to `limit` seats nobody can come back to; return how many there were.

    Those without an end are left by servers that died; they go when they were taken before `taken_before_ms`.
    """
    over = RoomSeat.objects.filter(Q(until_ms__lt=before_ms) | Q(until_ms=None, taken_ms__lt=taken_before_ms))
    devices = list(over.values_list("device", flat=True)[:limit])
    return RoomSeat.objects.filter(device__in=devices).delete()[0]
