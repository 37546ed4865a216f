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
HELD_MAX = 1000  # per conversation; more are let through as they come


class Sequencer:
    """Passes deliveries on to `deliver`, those with an order in that order."""

    def __init__(self, deliver: Callable[[Delivery, object], None]) -> None:
        self._deliver = deliver
        # conversation → (last seq passed on, when)
        self._last: LRUCache[int, tuple[int, float]] = LRUCache(maxsize=50_000)
        self._held: dict[int, dict[int, tuple[Delivery, object]]] = {}

    def submit(self, delivery: Delivery, skip: object = None) -> None:
        """Deliver now, or hold back until the messages before it have come or HOLD_SECONDS have passed."""
        if delivery.order is None:
            self._deliver(delivery, skip)
            return
        conversation, seq = delivery.order
        held = self._held.get(conversation)
        last, at = self._last.get(conversation, (0, 0.0))
        is_next = seq <= last + 1 or time.monotonic() - at > FORGET_SECONDS
        if (is_next and (held is None or seq < min(held))) or (held is not None and len(held) >= HELD_MAX):
            self._pass(conversation, seq, delivery, skip)
            self._release(conversation)
            return
        if held is None:
            held = self._held[conversation] = {}
            asyncio.get_running_loop().call_later(HOLD_SECONDS, self._give_up, conversation)
        held[seq] = (delivery, skip)

    def _pass(self, conversation: int, seq: int, delivery: Delivery, skip: object) -> None:
        last, _ = self._last.get(conversation, (0, 0.0))
        self._last[conversation] = (max(seq, last), time.monotonic())
        self._deliver(delivery, skip)

    def _release(self, conversation: int) -> None:
        held = self._held.get(conversation)
        while held:
            last, _ = self._last[conversation]
            if min(held) > last + 1:
                return
            seq = min(held)
            self._pass(conversation, seq, *held.pop(seq))
        self._held.pop(conversation, None)

    def _give_up(self, conversation: int) -> None:
        held = self._held.pop(conversation, None)
        if held:
            metrics.count("delivery.gap")
            for seq in sorted(held):
                self._pass(conversation, seq, *held[seq])
