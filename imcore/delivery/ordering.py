"""What belongs to one stream in the order of its positions, whoever committed it.

A conversation's messages are a stream (by seq), the changes of its members another (by members_version). Two nodes, or
two threads of one, may commit positions 1 and 2 and publish them at the same time; nobody must see 2 before 1. Since
positions are dense and a node that serves a member gets everything (what it committed itself included), a hole means
that something is on its way. It is waited for, but not long: a hint may be lost.

What only follows a position (`Order.follows`) waits for it likewise, and takes no place: a count of unread messages
must not overtake the messages it counts.
"""

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from imcore import metrics
from imcore.delivery.encoding import Delivery, Order

HOLD_SECONDS = 0.1
# After this silence a gap says nothing: this node may have had no member on line meanwhile.
FORGET_SECONDS = 5.0
STREAMS_MAX = 50_000  # remembered; of a forgotten one, whatever comes next is next
HELD_MAX = 1000  # per stream; at more, the gap is given up


# Position, whether it follows it, and which came first; then what it is.
_Held = tuple[int, bool, int, Delivery, object]


class _Gap:
    """What is held back of one stream because something earlier is missing, first comes first, and until when."""

    __slots__ = ("held", "timer")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.held: list[_Held] = []
        self.timer = timer


class Sequencer:
    """Passes deliveries on to `deliver`, those with an order in that order."""

    def __init__(self, deliver: Callable[[Delivery, object], None]) -> None:
        self._deliver = deliver
        # stream → (last position passed on, when); the one that was silent longest comes first
        self._last: dict[str, tuple[int, float]] = {}
        self._gaps: dict[str, _Gap] = {}
        self._arrivals = count()

    def submit(self, delivery: Delivery, skip: object = None) -> None:
        """Deliver now, or hold back until what comes before it is there or HOLD_SECONDS have passed."""
        if delivery.order is None:
            self._deliver(delivery, skip)
            return
        stream, position, follows = delivery.order
        gap = self._gaps.get(stream)
        last, at = self._last.get(stream, (0, 0.0))
        is_next = position <= (last if follows else last + 1) or (
            gap is None and time.monotonic() - at > FORGET_SECONDS
        )
        if gap is not None and not is_next and len(gap.held) >= HELD_MAX:
            gap.timer.cancel()
            self._give_up(stream)
            gap, is_next = None, True
        if is_next:
            self._pass(delivery.order, delivery, skip)
            if gap is not None:
                self._release(stream, gap)
            return
        if gap is None:
            gap = self._gaps[stream] = _Gap(self._timer(stream))
        heappush(gap.held, (position, follows, next(self._arrivals), delivery, skip))

    def _timer(self, stream: str) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(HOLD_SECONDS, self._give_up, stream)

    def _pass(self, order: Order, delivery: Delivery, skip: object) -> None:
        if not order.follows:
            last, _ = self._last.pop(order.stream, (0, 0.0))
            self._last[order.stream] = (max(order.position, last), time.monotonic())
            if len(self._last) > STREAMS_MAX:
                del self._last[next(iter(self._last))]
        self._deliver(delivery, skip)

    def _release(self, stream: str, gap: _Gap) -> None:
        """Pass on what follows without a hole; a hole behind it is another gap, with a time of its own."""
        before = len(gap.held)
        while gap.held:
            position, follows, *_ = gap.held[0]
            last, _ = self._last.get(stream, (0, 0.0))
            if position > (last if follows else last + 1):
                break
            self._pass_first(gap)
        if len(gap.held) == before:
            return
        gap.timer.cancel()
        if gap.held:
            gap.timer = self._timer(stream)
        else:
            del self._gaps[stream]

    def _give_up(self, stream: str) -> None:
        gap = self._gaps.pop(stream)
        metrics.count("delivery.gap")
        while gap.held:
            self._pass_first(gap)

    def _pass_first(self, gap: _Gap) -> None:
        *_, delivery, skip = heappop(gap.held)
        assert delivery.order is not None
        self._pass(delivery.order, delivery, skip)
