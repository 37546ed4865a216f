"""What belongs to one stream in the order of its positions."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcore.delivery import ordering
from imcore.delivery.encoding import Delivery, Order
from imcore.delivery.ordering import FORGET_SECONDS, HOLD_SECONDS, Sequencer

# Hypothesis takes the jitter that a database pool's own thread draws meanwhile for ours.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")


class FrozenLoop:
    """Time that passes when a test says so; stands for the loop and for the `time` module."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *args: object) -> SimpleNamespace:
        """Call back when the time has come."""
        timer = (self.now + delay, next(self._order), callback, args)
        self._timers.append(timer)

        def cancel() -> None:
            if timer in self._timers:
                self._timers.remove(timer)

        return SimpleNamespace(cancel=cancel)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while due := [timer for timer in self._timers if timer[0] <= until]:
            timer = min(due)
            self._timers.remove(timer)
            self.now = timer[0]
            timer[2](*timer[3])
        self.now = until


class Harness:
    """A sequencer in frozen time, and what it has passed on."""

    def __init__(self) -> None:
        self.loop = FrozenLoop()
        self.passed: list[Order] = []
        self.skipped: list[object] = []
        self._sequencer = Sequencer(self._take)

    def _take(self, delivery: Delivery, skip: object) -> None:
        assert delivery.order is not None
        self.passed.append(delivery.order)
        self.skipped.append(skip)

    def submit(self, *seqs: int, conversation: int = 1, skip: object = None, follows: bool = False) -> None:
        """Submit messages of a conversation, or what follows them."""
        with pytest.MonkeyPatch.context() as frozen:
            frozen.setattr(ordering, "asyncio", SimpleNamespace(get_running_loop=lambda: self.loop))
            frozen.setattr(ordering, "time", self.loop)
            for seq in seqs:
                self._sequencer.submit(Delivery(1, [], Order(f"messages/{conversation}", seq, follows)), skip)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with pytest.MonkeyPatch.context() as frozen:
            frozen.setattr(ordering, "time", self.loop)
            self.loop.advance(seconds)

    def seqs(self, conversation: int = 1) -> list[int]:
        """Return what was passed on of a conversation."""
        return [seq for stream, seq, follows in self.passed if stream == f"messages/{conversation}" and not follows]


@given(st.permutations(range(2, 12)), st.integers(min_value=0, max_value=10**12))
def test_any_order_comes_out_in_order_when_nothing_is_lost(arrival: list[int], base: int) -> None:
    """Two nodes publish at the same time; a third shows one order. The first message seen sets the pace."""
    harness = Harness()

    harness.submit(base + 1, *(base + seq for seq in arrival))

    assert harness.seqs() == [base + seq for seq in range(1, 12)]


@given(st.permutations([(conversation, seq) for conversation in (1, 2, 3) for seq in (2, 3, 4)]))
def test_conversations_do_not_wait_for_each_other(arrival: list[tuple[int, int]]) -> None:
    """Each is in order by itself."""
    harness = Harness()
    for conversation in (1, 2, 3):
        harness.submit(1, conversation=conversation)

    for conversation, seq in arrival:
        harness.submit(seq, conversation=conversation)

    for conversation in (1, 2, 3):
        assert harness.seqs(conversation) == [1, 2, 3, 4]


@given(st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=60), st.data())
def test_whatever_comes_goes_out_once_whatever_is_lost(arrival: list[int], data: st.DataObject) -> None:
    """Lost, doubled or late: nothing is kept for ever and nothing is swallowed."""
    harness = Harness()

    for seq in arrival:
        harness.submit(seq)
        harness.advance(data.draw(st.sampled_from([0, 0, 0, HOLD_SECONDS / 2, HOLD_SECONDS, FORGET_SECONDS * 2])))
    harness.advance(HOLD_SECONDS)

    assert len(harness.passed) <= len(arrival)
    assert set(harness.seqs()) == set(arrival)


def test_a_gap_is_waited_for_and_then_given_up() -> None:
    """A hint may be lost; what comes too late is shown all the same."""
    harness = Harness()
    harness.submit(1, 4, 3)
    harness.advance(HOLD_SECONDS * 0.9)
    while_held = harness.seqs()

    harness.advance(HOLD_SECONDS * 0.2)
    given_up = harness.seqs()
    harness.submit(2, 5)

    assert while_held == [1]
    assert given_up == [1, 3, 4]
    assert harness.seqs() == [1, 3, 4, 2, 5]


def test_a_gap_after_another_is_waited_for_as_long() -> None:
    """The time of a gap that was filled is over with it."""
    harness = Harness()
    harness.submit(1, 3)
    harness.advance(HOLD_SECONDS * 0.9)
    harness.submit(2, 5)

    harness.advance(HOLD_SECONDS * 0.9)

    assert harness.seqs() == [1, 2, 3]
    harness.submit(4)
    assert harness.seqs() == [1, 2, 3, 4, 5]


def test_after_a_silence_a_gap_means_nothing() -> None:
    """This node may have had no member on line meanwhile."""
    harness = Harness()
    harness.submit(1)
    harness.advance(FORGET_SECONDS + 1)

    harness.submit(50, 51)

    assert harness.seqs() == [1, 50, 51]


def test_too_many_held_messages_are_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, also for a conversation whose message was lost under load."""
    monkeypatch.setattr(ordering, "HELD_MAX", 3)
    harness = Harness()
    harness.submit(1, 3, 4, 5)
    at_the_bound = harness.seqs()

    harness.submit(6)

    assert at_the_bound == [1]
    assert harness.seqs() == [1, 3, 4, 5, 6]


def test_what_was_held_still_skips_its_sender() -> None:
    """The sending connection has its ack and gets no copy."""
    harness = Harness()
    sender = object()

    harness.submit(1)
    harness.submit(3, skip=sender)
    harness.submit(2)

    assert harness.skipped == [None, None, sender]


def test_what_follows_a_message_waits_for_it_and_for_no_other() -> None:
    """A count of unread messages comes after those it counts and before the next."""
    harness = Harness()
    harness.submit(1)

    harness.submit(2, follows=True)
    harness.submit(1, follows=True)
    harness.submit(3)
    harness.submit(2, follows=True)
    harness.submit(2)

    marks = [(position, follows) for _, position, follows in harness.passed]
    assert marks == [(1, False), (1, True), (2, False), (2, True), (2, True), (3, False)]


def test_what_follows_a_lost_message_is_not_lost_with_it() -> None:
    """It is held as long as a message would be."""
    harness = Harness()
    harness.submit(1)

    harness.submit(2, follows=True)
    held = list(harness.passed)
    harness.advance(HOLD_SECONDS * 1.1)

    assert held == [Order("messages/1", 1)]
    assert harness.passed == [Order("messages/1", 1), Order("messages/1", 2, follows=True)]


@given(st.permutations([(seq, follows) for seq in range(2, 8) for follows in (False, True)]))
def test_in_any_order_of_arrival_each_follower_stands_behind_its_message(arrival: list[tuple[int, bool]]) -> None:
    """When nothing is lost."""
    harness = Harness()
    harness.submit(1)

    for seq, follows in arrival:
        harness.submit(seq, follows=follows)

    assert harness.seqs() == list(range(1, 8))
    shown = [(position, follows) for _, position, follows in harness.passed]
    assert all(shown.index((seq, False)) < shown.index((seq, True)) for seq in range(2, 8))


def test_what_has_no_order_passes_at_once() -> None:
    """Notices and transient messages wait for nothing."""
    passed: list[Delivery] = []
    sequencer = Sequencer(lambda delivery, skip: passed.append(delivery))
    delivery = Delivery(1, [])

    sequencer.submit(delivery)

    assert passed == [delivery]
