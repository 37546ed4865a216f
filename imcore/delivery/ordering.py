"""What belongs to one stream in the order of its positions, whoever committed it.

A conversation's messages are a stream (by seq), the changes of its members another (by members_version). Two nodes, or
two threads of one, may commit positions 1 and 2 and publish them at the same time; nobody must see 2 before 1. Since
positions are dense and a node that serves a member gets everything (what it committed itself included), a hole means
that something is on its way, or was lost on it: its node died between commit and publish, or Redis was away.

    a hole ─ held back for HOLD_SECONDS ─┬ it came: in order
                                         └ looked up where it is kept, for LOOK_UP_SECONDS ─┬ found: in order
                                                                                            └ given up

Only streams whose app can look positions up (`Node.look_up_with`) are completed so; a hole in another is given up when
it is not filled in time, and what comes later all the same is shown out of order.

What only follows a position (`Order.follows`) waits for it likewise, and takes no place: a count of unread messages
must not overtake the messages it counts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from imcore import identifiers, metrics
from imcore.delivery.encoding import Delivery, Order

logger = logging.getLogger(__name__)

HOLD_SECONDS = 0.1
LOOK_UP_SECONDS = 2.0
# After this silence a gap says nothing by itself: this node may have had no member on line meanwhile. It does if
# somebody is here who was when the position before was taken.
FORGET_SECONDS = 5.0
STREAMS_MAX = 50_000  # remembered; of a forgotten one, whatever comes next is next
HELD_MAX = 1000  # per stream; at more, the gap is given up
LOST_MAX = 1000  # per stream; what was lost before is dropped if it comes after all


# Position, whether it follows it, and which came first; then what it is, and the session to be skipped; or, if it was
# looked up, what was found.
_Held = tuple[int, bool, int, Delivery, object]


class Missing(NamedTuple):
    """Positions of a stream, both ends included, of which some did not come.

    `since_ms`: nobody here needs what was taken before that; where `first` is not known, it is 1.
    """

    application: int
    stream: str
    first: int
    last: int
    since_ms: int


class Late(NamedTuple):
    """What was looked up at a position of a stream, and when that was taken."""

    delivery: Delivery
    position: int
    at_ms: int


class Found(NamedTuple):
    """What is kept of what was missing up to `reached`, in order."""

    late: Sequence[Late]
    reached: int


class Ways(NamedTuple):
    """What a sequencer asks of its node.

    `deliver` takes what is next; `deliver_late` what was looked up, for those whom it did not reach. `missed_since`
    says since when somebody was here, where a delivery goes, who should have had what was taken at a time; None if
    nobody was. `completes` tells whether positions of a stream can be looked up; `look_up` does it and calls back, with
    None if it failed.
    """

    deliver: Callable[[Delivery, object], None]
    deliver_late: Callable[[Late], None]
    missed_since: Callable[[Delivery, int], int | None]
    completes: Callable[[str], bool]
    look_up: Callable[[Missing, Callable[[Found | None], None]], None]


class _Stream:
    """Where a stream is: from `first` to `last` everything was passed on, but what was given up (`lost`)."""

    __slots__ = ("at", "first", "last", "last_ms", "lost")

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self.last_ms = 0
        self.at = 0.0
        self.lost: set[int] | None = None

    def has_had(self, position: int, at_ms: int) -> bool:
        """Return whether a position, taken at `at_ms`, was passed on."""
        is_lost = self.lost is not None and position in self.lost
        return self.first <= position <= self.last and at_ms <= self.last_ms and not is_lost


class _Gap:
    """What is held back of one stream because something earlier is missing, first comes first, and until when."""

    __slots__ = ("held", "since_ms", "timer")

    def __init__(self, timer: asyncio.TimerHandle, since_ms: int = 0) -> None:
        self.held: list[_Held] = []
        self.timer = timer
        self.since_ms = since_ms

    @property
    def until(self) -> int:
        """The last position that is missing before what is held."""
        position, follows, *_ = self.held[0]
        return position if follows else position - 1


class Sequencer:
    """Passes deliveries on, those with an order in that order."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        # The one that was silent longest comes first.
        self._streams: dict[str, _Stream] = {}
        self._gaps: dict[str, _Gap] = {}
        self._arrivals = count()
        # When the last of the streams that are forgotten were heard of, in milliseconds since the epoch.
        self._forgotten_ms = 0

    def submit(self, delivery: Delivery, skip: object = None) -> None:
        """Deliver now, or hold back until what comes before it is there, or was looked up, or is given up."""
        order = delivery.order
        if order is None or order.is_sparse:
            self._ways.deliver(delivery, skip)
            return
        stream, position, follows, at_ms, _, _ = order
        known = self._streams.get(stream)
        last = self._last(stream)
        gap = self._gaps.get(stream)
        if position > (last if follows else last + 1):
            if gap is not None and len(gap.held) >= HELD_MAX:
                self._give_up(stream, gap)
                self.submit(delivery, skip)
                return
            if gap is None:
                gap = self._new_gap(known, delivery)
            if gap is not None:
                heappush(gap.held, (position, follows, next(self._arrivals), delivery, skip))
                return
            if not follows:
                self._streams.pop(stream, None)  # it starts anew
        elif known is not None and position <= known.last and not follows and self._ways.completes(stream):
            # Another copy of what was passed on, or the belated first one. Where positions cannot be looked up, several
            # deliveries may have one.
            if known.has_had(position, at_ms):
                metrics.count("delivery.repeat")
                return
            if at_ms > known.last_ms:
                del self._streams[stream]  # the database was set back, and goes on from there
        self._pass(order, delivery, skip)
        if gap is not None:
            self._release(stream, gap)

    def _new_gap(self, known: _Stream | None, delivery: Delivery) -> _Gap | None:
        """Return a new gap before a delivery; None if what is missing need not have come here."""
        assert delivery.order is not None
        stream, _, follows, at_ms, before_ms, _ = delivery.order
        missing_ms = at_ms if follows else before_ms
        since_ms: int | None = 0
        if known is None or time.monotonic() - known.at > FORGET_SECONDS:
            if missing_ms <= (self._forgotten_ms if known is None else 0):
                return None
            since_ms = self._ways.missed_since(delivery, missing_ms)
        if since_ms is None:
            return None
        gap = self._gaps[stream] = _Gap(self._timer(HOLD_SECONDS, self._look_up, delivery), since_ms)
        return gap

    def _timer(self, seconds: float, callback: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback, *args)

    def _pass(self, order: Order, delivery: Delivery, skip: object) -> None:
        if not order.follows:
            self._reach(order.stream, order.position, order.at_ms)
        self._ways.deliver(delivery, skip)

    def _reach(self, stream: str, position: int, at_ms: int) -> None:
        known = self._streams.pop(stream, None)
        if known is None:
            known = _Stream(position)
            if len(self._streams) >= STREAMS_MAX:
                self._forget()
        elif known.lost:
            known.lost.discard(position)
        if position >= known.last:
            known.last = position
            known.last_ms = at_ms or known.last_ms
        known.at = time.monotonic()
        self._streams[stream] = known

    def _forget(self) -> None:
        oldest = self._streams.pop(next(iter(self._streams)))
        silent_ms = int((time.monotonic() - oldest.at) * 1000)
        self._forgotten_ms = max(self._forgotten_ms, identifiers.now_ms() - silent_ms)

    def _release(self, stream: str, gap: _Gap) -> None:
        """Pass on what follows without a hole; a hole behind it is another gap, with a time of its own."""
        before = len(gap.held)
        while gap.held:
            position, follows, *_ = gap.held[0]
            if position > self._last(stream) + (not follows):
                break
            self._pass_first(gap)
        if len(gap.held) < before:
            self._begin_again(stream, gap)

    def _begin_again(self, stream: str, gap: _Gap) -> None:
        """End a gap; what is still held waits for what is missing now."""
        gap.timer.cancel()
        if gap.held:
            *_, first, _ = gap.held[0]
            self._gaps[stream] = another = _Gap(self._timer(HOLD_SECONDS, self._look_up, first))
            another.held = gap.held
        else:
            del self._gaps[stream]

    def _last(self, stream: str) -> int:
        known = self._streams.get(stream)
        return 0 if known is None else known.last

    def _look_up(self, held: Delivery) -> None:
        """Look up what did not come in time."""
        assert held.order is not None
        stream = held.order.stream
        gap = self._gaps[stream]
        metrics.count("delivery.gap")
        if not self._ways.completes(stream):
            self._give_up(stream, gap)
            return
        gap.timer = self._timer(LOOK_UP_SECONDS, self._give_up, stream, gap)
        # All the holes there are at once: while Redis is away, there are many.
        last = max(position - (not follows) for position, follows, *_ in gap.held)
        missing = Missing(held.application, stream, self._last(stream) + 1, last, gap.since_ms)
        self._ways.look_up(missing, partial(self._take, held, gap, missing))

    def _take(self, held: Delivery, gap: _Gap, missing: Missing, found: Found | None) -> None:
        """Pass on what was found, in order with what is held, unless it came meanwhile."""
        stream = missing.stream
        if self._gaps.get(stream) is not gap:
            return
        if found is None:
            self._give_up(stream, gap)
            return
        last = self._last(stream)
        came = {position for position, follows, *_ in gap.held if not follows}
        for late in found.late:
            if late.position > last and late.position not in came:
                heappush(gap.held, (late.position, False, next(self._arrivals), late.delivery, late))
        # What is not there by now is not kept any more.
        while gap.held and gap.held[0][0] <= found.reached:
            self._pass_first(gap)
        if found.reached > self._last(stream):
            self._reach(stream, found.reached, 0)
        if found.reached < missing.last:
            gap.timer.cancel()
            self._look_up(held)
        else:
            self._begin_again(stream, gap)
            if (rest := self._gaps.get(stream)) is not None:
                self._release(stream, rest)

    def _give_up(self, stream: str, gap: _Gap) -> None:
        """Pass on all that is held, without what is missing; that is shown out of order if it comes after all."""
        gap.timer.cancel()
        del self._gaps[stream]
        metrics.count("delivery.given_up")
        if self._ways.completes(stream):
            logger.warning("%s goes on without what is missing up to %d", stream, gap.until)
        while gap.held:
            position = gap.until
            known = self._streams.get(stream)
            if known is not None and position > known.last:
                missing = {*(known.lost or ()), *range(max(known.last, position - LOST_MAX) + 1, position + 1)}
                known.lost = {one for one in missing if one > position - LOST_MAX}
            self._pass_first(gap)

    def _pass_first(self, gap: _Gap) -> None:
        position, *_, delivery, skip = heappop(gap.held)
        assert delivery.order is not None
        if isinstance(skip, Late):
            self._reach(delivery.order.stream, position, skip.at_ms)
            self._ways.deliver_late(skip)
        else:
            self._pass(delivery.order, delivery, skip)
