"""Messages of one conversation in the order of their seq, whichever node stored them.

Two nodes may store messages 1 and 2 of a conversation and publish them at the same time; a third must not show 2
before 1. Since seq is dense and a node that serves a member sees every message (those it stored itself included), a
gap means that the missing one is on its way. It is waited for, but not long: a hint may be lost.
"""

import asyncio
import time
from collections.abc import Callable

from cachetools import LRUCache

from imcore import metrics
from imcore.delivery.encoding import Delivery

HOLD_SECONDS = 0.1
# After this silence a gap says nothing: this node may have had no member on line meanwhile.
FORGET_SECONDS = 5.0
HELD_MAX = 1000  # per conversation; at more, the gap is given up


class _Gap:
    """What is held back of one conversation because an earlier message is missing, and until when."""

    __slots__ = ("held", "timer")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.held: dict[int, tuple[Delivery, object]] = {}
        self.timer = timer


class Sequencer:
    """Passes deliveries on to `deliver`, those with an order in that order."""

    def __init__(self, deliver: Callable[[Delivery, object], None]) -> None:
        self._deliver = deliver
        # conversation → (last seq passed on, when)
        self._last: LRUCache[int, tuple[int, float]] = LRUCache(maxsize=50_000)
        self._gaps: dict[int, _Gap] = {}

    def submit(self, delivery: Delivery, skip: object = None) -> None:
        """Deliver now, or hold back until the messages before it have come or HOLD_SECONDS have passed."""
        if delivery.order is None:
            self._deliver(delivery, skip)
            return
        conversation, seq = delivery.order
        gap = self._gaps.get(conversation)
        last, at = self._last.get(conversation, (0, 0.0))
        is_next = seq <= last + 1 or (gap is None and time.monotonic() - at > FORGET_SECONDS)
        if is_next or (gap is not None and len(gap.held) >= HELD_MAX):
            self._pass(conversation, seq, delivery, skip)
            if gap is not None:
                self._release(conversation, gap)
            return
        if gap is None:
            gap = self._gaps[conversation] = _Gap(self._timer(conversation))
        gap.held[seq] = (delivery, skip)

    def _timer(self, conversation: int) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(HOLD_SECONDS, self._give_up, conversation)

    def _pass(self, conversation: int, seq: int, delivery: Delivery, skip: object) -> None:
        last, _ = self._last.get(conversation, (0, 0.0))
        self._last[conversation] = (max(seq, last), time.monotonic())
        self._deliver(delivery, skip)

    def _release(self, conversation: int, gap: _Gap) -> None:
        """Pass on what follows without a hole; a hole behind it is another gap, with a time of its own."""
        before = len(gap.held)
        while gap.held and (seq := min(gap.held)) <= self._last[conversation][0] + 1:
            self._pass(conversation, seq, *gap.held.pop(seq))
        if len(gap.held) == before:
            return
        gap.timer.cancel()
        if gap.held:
            gap.timer = self._timer(conversation)
        else:
            del self._gaps[conversation]

    def _give_up(self, conversation: int) -> None:
        gap = self._gaps.pop(conversation)
        metrics.count("delivery.gap")
        for seq in sorted(gap.held):
            self._pass(conversation, seq, *gap.held[seq])
