"""What clients have received and read: batches of acknowledgements and of reads, each one transaction.

    what a client sent (Ack, Read) → up to which message (seq) → the messages in between: when first received, read
                                                              └→ the member's marks

Both are bounded, whatever a client sends: seqs are dense, so the newest thousand of a range is a range, too. Rows are
locked in the order of docs/adr/0008: messages before members.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import transaction

from conversations.storage import marks
from conversations.storage.marks import Mark, MemberTimes, Place, ReadMove, ReadReceipt, Received, of_members
from imcore import limits
from messaging.events import MessagesReceived, Receipt, UnreadChanged
from messaging.models import Message, ServiceMessage
from messaging.storage import service_receipts, unread
from messaging.storage.service_receipts import ServiceAck, ServiceRead
from messaging.storage.spans import EVER, Covered, Named, Point, Span, by_id, by_time, count_not_unread, cover

__all__ = [
    "Ack",
    "Acknowledged",
    "MemberTimes",
    "Place",
    "Read",
    "acknowledge",
    "conversations_of",
    "move_marks",
    "of_members",
    "read",
]

Event = MessagesReceived | UnreadChanged
Told = tuple[int, Event]  # the application, and what happened in it


class Ack(NamedTuple):
    """A client has received messages: those with these ids, else those of a time.

    `from_ms` None: all since its last acknowledgement. `receipts_members_max` is the application's setting.
    """

    place: Place
    message_ids: tuple[str, ...]
    from_ms: int | None
    to_ms: int
    receipts_members_max: int


class Read(NamedTuple):
    """A client has read up to a message, else to the end of a millisecond; without either, everything.

    `is_shown`: their senders may know.
    """

    place: Place
    message_id: str
    timestamp_ms: int | None
    is_shown: bool
    receipts_members_max: int


class Acknowledged(NamedTuple):
    """The timestamp of the newest message of each acknowledgement, None where it was of none; and what happened.

    `left`: what is still to be done with `move_marks`.
    """

    newest_ms: list[int | None]
    told: list[Told]
    left: list[Received]


class _Target(NamedTuple):
    """Up to where a client has read now: all in all, and as senders may know; None: no further than before."""

    reached: Point | None
    shown: Point | None
    is_asked: bool
    receipts_members_max: int


@transaction.atomic
def acknowledge(acks: Sequence[Ack], *, now_ms: int) -> Acknowledged:
    """Note what clients have received. Who is no member, and what is no message there, is passed over.

    The first delivery of a message counts, and that to its sender is none. Marks of members whose rows others hold are
    left: a message is new to its receiver once only, so tell what happened before you wait for these.
    """
    found = marks.find(places=[ack.place for ack in acks], now_ms=now_ms)
    newest, spans = _received(acks, found)
    covered = cover(spans, now_ms, are_read=False)
    furthest: dict[Place, Point] = {}
    told: list[Told] = []
    for ack, point in zip(acks, newest, strict=True):
        if point is None:
            continue
        if ack.place not in furthest:
            mark = found[ack.place]
            new = _newly_received(mark, covered.get((mark.conversation, ack.place.client_id), []))
            told += _receipts(ack.place, mark, new, ack.receipts_members_max, now_ms, are_read=False)
        furthest[ack.place] = max(point, furthest.get(ack.place, point))
    left = marks.acknowledge(moves=[Received(found[place].member, *point) for place, point in furthest.items()])
    newest_ms = [None if point is None else point.timestamp_ms for point in newest]
    return Acknowledged(_acknowledged_by_services(acks, found, newest_ms), told, left)


@transaction.atomic
def move_marks(moves: Sequence[Received]) -> list[Received]:
    """Move marks that `acknowledge` has left, at least one of them; return those that are left still."""
    return marks.acknowledge(moves=moves)


@transaction.atomic
def read(reads: Sequence[Read], *, now_ms: int) -> list[Told]:
    """Note what clients have read, and keep the receipts for senders who are away; return what happened.

    Never backwards, and never beyond the newest message. Who is no member is passed over; a member who reads nothing
    new is told its count all the same.
    """
    found = marks.lock(places=[one.place for one in reads], now_ms=now_ms)
    targets = _targets(reads, found)
    covered = cover(_read_spans(targets, found), now_ms, are_read=True)
    own = _own_since_read(targets, found)
    told: list[Told] = []
    kept: list[ReadReceipt] = []
    moves: list[ReadMove] = []
    changed: list[Place] = []
    for place, target in targets.items():
        mark = found[place]
        rows = covered.get((mark.conversation, place.client_id), [])
        new = _newly_received(mark, rows)
        told += _receipts(place, mark, new, target.receipts_members_max, now_ms, are_read=False)
        of_read = _receipts(place, mark, rows, target.receipts_members_max, now_ms, are_read=True)
        told += of_read
        kept += _kept(of_read, mark)
        move = _move(target, mark, own[place])
        if move is not None:
            moves.append(move)
        if target.is_asked or (move is not None and move.is_further):
            changed.append(place)
    marks.read(moves=moves, now_ms=now_ms)
    marks.keep_read_receipts(receipts=kept, at_ms=now_ms)
    counts = [
        found[place].unread_behind(place, _reached_seq(targets[place], found[place]), own[place]) for place in changed
    ]
    for place, described in zip(changed, unread.describe(counts), strict=True):
        told.append((place.application, UnreadChanged(place.client_id, [described], now_ms)))
    return told + service_receipts.read(
        [
            ServiceRead(one.place, one.message_id, one.timestamp_ms, one.is_shown)
            for one in reads
            if one.place not in found
        ],
        now_ms=now_ms,
    )


def conversations_of(*, application: int, message_ids: Collection[str]) -> list[str]:
    """Return the ids of the conversations that messages of an application are in."""
    rows = Message.objects.filter(pk__in=message_ids, application_id=application)
    of_services = ServiceMessage.objects.filter(message_id__in=message_ids, application_id=application)
    numbers = set(rows.values_list("conversation_id", flat=True))
    return marks.object_ids(conversations=numbers.union(of_services.values_list("conversation_id", flat=True)))


def _acknowledged_by_services(
    acks: Sequence[Ack], found: Mapping[Place, Mark], newest_ms: Sequence[int | None]
) -> list[int | None]:
    """Note those acknowledgements that may be of system conversations; return the newest of all."""
    wanted = [None if ack.place in found else ServiceAck(ack.place, ack.message_ids, ack.to_ms) for ack in acks]
    reached = service_receipts.acknowledge([one for one in wanted if one is not None])
    return [at_ms if one is None else reached.get(one) for one, at_ms in zip(wanted, newest_ms, strict=True)]


def _received(acks: Sequence[Ack], found: Mapping[Place, Mark]) -> tuple[list[Point | None], list[Span]]:
    """Return the newest message of each acknowledgement, and the spans of all."""
    named = by_id([message_id for ack in acks if ack.place in found for message_id in ack.message_ids])
    timed = by_time(
        (found[ack.place].conversation, at_ms)
        for ack in acks
        if ack.place in found and not ack.message_ids
        for at_ms in (ack.to_ms, *(() if ack.from_ms is None else (_before(ack.from_ms),)))
    )
    newest: list[Point | None] = []
    spans: list[Span] = []
    for ack in acks:
        mark = found.get(ack.place)
        stretches = [] if mark is None else _stretches(ack, mark, named, timed)
        newest.append(max((high for _, high in stretches), default=None))
        if mark is not None:
            in_group = 2 < mark.member_count <= ack.receipts_members_max
            receipts_after = mark.ack_seq if in_group else EVER
            spans += [
                Span(mark.conversation, ack.place.client_id, low, high.seq, receipts_after, is_read=False)
                for low, high in stretches
            ]
    return newest, spans


def _stretches(
    ack: Ack, mark: Mark, named: Mapping[str, Named], timed: Mapping[tuple[int, int], Point]
) -> list[tuple[int, Point]]:
    """Return which messages an acknowledgement is of: those above a seq, up to one of them."""
    if ack.message_ids:
        messages = [named[message_id] for message_id in ack.message_ids if message_id in named]
        return [
            (message.point.seq - 1, message.point)
            for message in messages
            # Native SDKs acknowledge copies of their own messages, too: that changes nothing (4.9.3).
            if message.conversation == mark.conversation and message.sender != ack.place.client_id
        ]
    high = timed.get((mark.conversation, ack.to_ms))
    if ack.from_ms is None:
        low = mark.ack_seq
    else:
        before = timed.get((mark.conversation, _before(ack.from_ms)))
        low = 0 if before is None else before.seq
    if high is None or high.seq <= low:
        return []
    return [(max(low, high.seq - limits.MARKED_MESSAGES_MAX), high)]


def _before(at_ms: int) -> int:
    return max(at_ms, 0) - 1


def _targets(reads: Sequence[Read], found: Mapping[Place, Mark]) -> dict[Place, _Target]:
    reads = [one for one in reads if one.place in found]
    named = by_id([one.message_id for one in reads if one.message_id])
    timed = by_time((found[one.place].conversation, _until(one)) for one in reads)
    targets: dict[Place, _Target] = {}
    for one in reads:
        mark = found[one.place]
        point = _read_point(one, mark, named, timed)
        if point is not None and point.seq < mark.read_seq:
            point = None
        before = targets.get(one.place, _Target(None, None, False, 0))
        targets[one.place] = _Target(
            reached=_later(point, before.reached),
            shown=_later(point, before.shown) if one.is_shown else before.shown,
            is_asked=one.is_shown or before.is_asked,
            receipts_members_max=one.receipts_members_max,
        )
    return targets


def _until(one: Read) -> int:
    return EVER if one.timestamp_ms is None else one.timestamp_ms


def _read_point(
    one: Read, mark: Mark, named: Mapping[str, Named], timed: Mapping[tuple[int, int], Point]
) -> Point | None:
    message = named.get(one.message_id)
    if message is not None and message.conversation == mark.conversation:
        return message.point
    if one.timestamp_ms is None and one.message_id:
        return None
    return timed.get((mark.conversation, _until(one)))


def _later(one: Point | None, other: Point | None) -> Point | None:
    return max((point for point in (one, other) if point is not None), default=None)


def _reached_seq(target: _Target, mark: Mark) -> int:
    return mark.read_seq if target.reached is None else target.reached.seq


def _read_spans(targets: Mapping[Place, _Target], found: Mapping[Place, Mark]) -> list[Span]:
    """Return what is newly read where it is noted with the messages: between two, or where there are receipts."""
    spans = []
    for place, target in targets.items():
        mark = found[place]
        receipts_max = target.receipts_members_max
        if target.shown is not None and mark.member_count <= max(2, receipts_max):
            high = target.shown.seq
            low = max(mark.read_seq, high - limits.MARKED_MESSAGES_MAX)
            receipts_after = low if mark.member_count <= receipts_max else EVER
            spans.append(Span(mark.conversation, place.client_id, low, high, receipts_after, is_read=True))
    return spans


def _own_since_read(targets: Mapping[Place, _Target], found: Mapping[Place, Mark]) -> dict[Place, int]:
    """Return how much behind the new mark is not unread: counted before it, or behind it."""
    ranges: list[tuple[int, int, str, int, int]] = []
    is_before: dict[Place, bool] = {}
    for place, target in targets.items():
        mark = found[place]
        reached = _reached_seq(target, mark)
        is_before[place] = reached - mark.read_seq < mark.last_seq - reached
        low, high = (mark.read_seq, reached) if is_before[place] else (reached, mark.last_seq)
        if low < high:
            ranges.append((mark.member, mark.conversation, place.client_id, low, high))
    counted = count_not_unread(ranges)
    return {
        # Not below 0, which no row may have, whatever an import has left out of the count.
        place: max(0, mark.own_since_read - counted.get(mark.member, 0))
        if is_before[place]
        else counted.get(mark.member, 0)
        for place, mark in found.items()
        if place in targets
    }


def _move(target: _Target, mark: Mark, own_since_read: int) -> ReadMove | None:
    if target.reached is None:
        return None
    is_further = target.reached.seq > mark.read_seq
    read_ms = 0
    if target.shown is not None and target.shown.timestamp_ms > (mark.read_ms or 0):
        read_ms = target.shown.timestamp_ms
    if not is_further and not read_ms:
        return None
    return ReadMove(mark.member, target.reached.seq, read_ms, own_since_read, is_further, *target.reached)


def _newly_received(mark: Mark, rows: Sequence[Covered]) -> list[Covered]:
    """Return what reached a client for the first time: of two, what reached the other one."""
    return [row for row in rows if row.ack_ms is None or (mark.member_count > 2 and row.seq > mark.ack_seq)]


def _receipts(
    place: Place, mark: Mark, rows: Iterable[Covered], members_max: int, now_ms: int, *, are_read: bool
) -> list[Told]:
    if mark.member_count > members_max:
        return []
    by_sender: dict[str, list[Covered]] = {}
    for row in [row for row in rows if row.wants_receipt][-limits.RECEIPTS_MAX :]:
        by_sender.setdefault(row.sender, []).append(row)
    return [
        (
            place.application,
            MessagesReceived(
                conversation=mark.conversation,
                conversation_id=place.conversation_id,
                kind=mark.kind,
                sender=sender,
                receiver=place.client_id,
                receipts=tuple(Receipt(row.message_id, max(now_ms, row.timestamp_ms)) for row in of_sender),
                last_seq=of_sender[-1].seq,
                are_read=are_read,
                in_group=mark.member_count > 2,
            ),
        )
        for sender, of_sender in by_sender.items()
    ]


def _kept(told: Iterable[Told], mark: Mark) -> list[ReadReceipt]:
    return [
        ReadReceipt(application, mark.conversation, event.sender, event.receiver, *receipt)
        for application, event in told
        if isinstance(event, MessagesReceived)
        for receipt in event.receipts[-limits.KEPT_RECEIPTS_MAX :]
    ]
