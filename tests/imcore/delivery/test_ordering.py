"""What belongs to one stream in the order of its positions."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcore.delivery import ordering
from imcore.delivery.encoding import Delivery, Order
from imcore.delivery.ordering import (
    FORGET_SECONDS,
    HOLD_SECONDS,
    LOOK_UP_SECONDS,
    Found,
    Late,
    Missing,
    Sequencer,
    Ways,
)

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

    def __init__(self, *, kept: set[int] | None = None, here_since_ms: int | None = None) -> None:
        self.loop = FrozenLoop()
        self.passed: list[Order] = []
        self.skipped: list[object] = []
        self.late: list[int] = []
        self.asked: list[Missing] = []
        self.here_since_ms = here_since_ms
        self.ways = Ways(
            self._take, self._take_late, self._missed_since, lambda stream: kept is not None, self._look_up
        )
        self._kept = kept or set()
        self._answers: list[Callable[[Found | None], None]] = []
        self._sequencer = Sequencer(self.ways)

    def _take(self, delivery: Delivery, skip: object) -> None:
        assert delivery.order is not None
        self.passed.append(delivery.order)
        self.skipped.append(skip)

    def _take_late(self, late: Late) -> None:
        self.late.append(late.position)
        self._take(late.delivery, None)

    def _missed_since(self, delivery: Delivery, at_ms: int) -> int | None:
        is_here = self.here_since_ms is not None and self.here_since_ms <= at_ms
        return self.here_since_ms if is_here else None

    def _look_up(self, missing: Missing, take: Callable[[Found | None], None]) -> None:
        self.asked.append(missing)
        self._answers.append(take)

    @property
    def is_looking(self) -> bool:
        """Whether a look-up has no answer yet."""
        return bool(self._answers)

    def answer(self, *, at_most: int = 100, has_failed: bool = False) -> None:
        """Let the oldest look-up find what is kept, so many at a time."""
        missing, take = self.asked[-len(self._answers)], self._answers.pop(0)
        seqs = [seq for seq in sorted(self._kept) if missing.first <= seq <= missing.last and seq >= missing.since_ms]
        page = seqs[:at_most]
        reached = page[-1] if len(page) < len(seqs) else missing.last
        late = [Late(Delivery(1, [], Order(missing.stream, seq, at_ms=seq)), seq, seq) for seq in page]
        with self._frozen():
            take(None if has_failed else Found(late, reached))

    def submit(
        self, *seqs: int, conversation: int = 1, skip: object = None, follows: bool = False, at_ms: int | None = None
    ) -> None:
        """Submit messages of a conversation, or what follows them. Each was sent at the millisecond that is its seq."""
        for seq in seqs:
            times = (0, 0) if follows else (seq if at_ms is None else at_ms, seq - 1)
            with self._frozen():
                self._sequencer.submit(Delivery(1, [], Order(f"messages/{conversation}", seq, follows, *times)), skip)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._frozen():
            self.loop.advance(seconds)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as frozen:
            frozen.setattr(ordering, "asyncio", SimpleNamespace(get_running_loop=lambda: self.loop))
            frozen.setattr(ordering, "time", self.loop)
            yield

    def seqs(self, conversation: int = 1) -> list[int]:
        """Return what was passed on of a conversation."""
        return [one.position for one in self.passed if one.stream == f"messages/{conversation}" and not one.follows]

    def places(self) -> list[tuple[int, bool]]:
        """Return what was passed on, each with whether it follows its position."""
        return [(one.position, one.follows) for one in self.passed]


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

    assert harness.places() == [(1, False), (1, True), (2, False), (2, True), (2, True), (3, False)]


def test_what_follows_a_lost_message_is_not_lost_with_it() -> None:
    """It is held as long as a message would be."""
    harness = Harness()
    harness.submit(1)

    harness.submit(2, follows=True)
    held = harness.places()
    harness.advance(HOLD_SECONDS * 1.1)

    assert held == [(1, False)]
    assert harness.places() == [(1, False), (2, True)]


@given(st.permutations([(seq, follows) for seq in range(2, 8) for follows in (False, True)]))
def test_in_any_order_of_arrival_each_follower_stands_behind_its_message(arrival: list[tuple[int, bool]]) -> None:
    """When nothing is lost."""
    harness = Harness()
    harness.submit(1)

    for seq, follows in arrival:
        harness.submit(seq, follows=follows)

    assert harness.seqs() == list(range(1, 8))
    shown = harness.places()
    assert all(shown.index((seq, False)) < shown.index((seq, True)) for seq in range(2, 8))


def test_what_has_no_order_passes_at_once() -> None:
    """Notices and transient messages wait for nothing."""
    passed: list[Delivery] = []
    delivery = Delivery(1, [])

    Sequencer(Harness().ways._replace(deliver=lambda delivery, skip: passed.append(delivery))).submit(delivery)

    assert passed == [delivery]


def test_what_did_not_come_is_looked_up_and_comes_in_its_place() -> None:
    """Its node died between commit and publish, or Redis was away."""
    harness = Harness(kept=set(range(1, 10)))
    harness.submit(1, 4, 5, 7)
    harness.advance(HOLD_SECONDS)
    while_looking = harness.seqs()

    harness.submit(9)
    harness.answer()
    at_once = harness.seqs()
    harness.submit(6, 8)

    assert while_looking == [1]
    assert [(missing.first, missing.last) for missing in harness.asked] == [(2, 6)]
    assert at_once == [1, 2, 3, 4, 5, 6, 7]
    assert harness.late == [2, 3, 6]
    assert harness.seqs() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_much_that_did_not_come_is_looked_up_page_by_page() -> None:
    """Redis was away for long."""
    harness = Harness(kept=set(range(1, 10)))
    harness.submit(1, 8)
    harness.advance(HOLD_SECONDS)

    for _ in range(3):
        harness.answer(at_most=2)

    assert [missing.first for missing in harness.asked] == [2, 4, 6]
    assert harness.seqs() == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("follows", [False, True])
def test_a_hole_that_came_while_another_was_looked_up_is_waited_for_and_looked_up_itself(follows: bool) -> None:
    """While Redis is away every second message may be missing."""
    harness = Harness(kept=set(range(1, 10)))
    harness.submit(1)
    harness.submit(3, follows=follows)
    harness.advance(HOLD_SECONDS)

    harness.submit(5)
    harness.answer()
    harness.advance(HOLD_SECONDS)
    harness.answer()

    assert harness.late == ([2, 3, 4] if follows else [2, 4])
    assert harness.seqs() == [1, 2, 3, 4, 5]


def test_what_comes_while_it_is_looked_up_comes_once() -> None:
    """Late, but before the answer; or after it."""
    harness = Harness(kept=set(range(1, 10)))
    harness.submit(1, 4)
    harness.advance(HOLD_SECONDS)

    harness.submit(2)
    harness.answer()
    harness.submit(3, 2, 4, 5)

    assert harness.late == [3]
    assert harness.seqs() == [1, 2, 3, 4, 5]


def test_what_is_not_kept_any_more_is_not_waited_for() -> None:
    """It was deleted."""
    harness = Harness(kept={1, 3, 5})
    harness.submit(1, 5)
    harness.advance(HOLD_SECONDS)

    harness.answer()

    assert harness.seqs() == [1, 3, 5]


@pytest.mark.parametrize("has_failed", [False, True])
def test_what_cannot_be_looked_up_is_given_up_and_shown_if_it_comes_after_all(has_failed: bool) -> None:
    """The database is away, too, or slow: later messages do not wait for ever, and nothing is swallowed."""
    harness = Harness(kept=set(range(1, 10)))
    harness.submit(1, 3, 5)
    harness.advance(HOLD_SECONDS)

    if has_failed:
        harness.answer(has_failed=True)
    else:
        harness.advance(LOOK_UP_SECONDS)
        harness.answer()
    given_up = harness.seqs()
    harness.submit(2, 2, 3, 6)

    assert given_up == [1, 3, 5]
    assert harness.seqs() == [1, 3, 5, 2, 6]


@pytest.mark.parametrize("here_since_ms", [None, 48, 49, 50])
def test_after_a_silence_a_gap_matters_to_who_was_here_all_the_time(here_since_ms: int | None) -> None:
    """Whoever came later was told of the message before when it came."""
    harness = Harness(kept=set(range(1, 60)), here_since_ms=here_since_ms)
    harness.submit(1)
    harness.advance(FORGET_SECONDS + 1)

    harness.submit(50)
    harness.advance(HOLD_SECONDS)
    if harness.is_looking:
        harness.answer()

    assert harness.late == ({48: [48, 49], 49: [49]}.get(here_since_ms or 0, []))
    assert harness.seqs() == [1, *harness.late, 50]


def test_the_first_messages_a_server_hears_of_are_in_order() -> None:
    """Somebody is here since before the first of them was sent."""
    harness = Harness(kept=set(range(1, 60)), here_since_ms=40)

    harness.submit(43, 42)
    harness.advance(HOLD_SECONDS)
    harness.answer()

    assert harness.seqs() == [40, 41, 42, 43]


def test_of_a_forgotten_conversation_nothing_is_looked_up_that_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be shown twice."""
    monkeypatch.setattr(ordering, "STREAMS_MAX", 1)
    monkeypatch.setattr(ordering, "identifiers", SimpleNamespace(now_ms=lambda: 49))
    harness = Harness(kept=set(range(1, 60)), here_since_ms=10)
    harness.submit(49)
    harness.advance(HOLD_SECONDS)
    harness.answer()
    harness.submit(1, conversation=2)

    harness.submit(50)

    assert harness.asked[0].last == 48
    assert len(harness.asked) == 1
    assert harness.seqs()[-2:] == [49, 50]


def test_a_database_that_was_set_back_is_believed() -> None:
    """A standby took over that lacked the last messages: their seqs are given out once more, later."""
    harness = Harness(kept=set(range(1, 10)))
    harness.submit(1, 2, 3)

    harness.submit(2, at_ms=1000)
    harness.submit(3, at_ms=1001)

    assert harness.seqs() == [1, 2, 3, 2, 3]


@given(
    st.permutations(range(2, 12)),
    st.sets(st.integers(min_value=2, max_value=12)),
    st.lists(st.sampled_from(["wait", "answer", "fail"]), max_size=12),
)
def test_whatever_is_lost_or_late_each_message_is_shown_once_and_in_order_unless_looking_up_fails(
    arrival: list[int], lost: set[int], happens: list[str]
) -> None:
    """Two nodes, a network between them, and a database that keeps everything."""
    harness = Harness(kept=set(range(1, 15)))
    harness.submit(1)

    for seq, what in itertools.zip_longest(arrival, happens):
        if seq is not None and seq not in lost:
            harness.submit(seq)
        if what == "wait":
            harness.advance(HOLD_SECONDS)
        elif what and harness.is_looking:
            harness.answer(has_failed=what == "fail")
    harness.submit(13, 14)
    for _ in range(20):
        harness.advance(HOLD_SECONDS)
        while harness.is_looking:
            harness.answer()

    shown = harness.seqs()
    assert len(shown) == len(set(shown))
    assert set(shown) >= set(range(1, 15)) - lost
    if "fail" not in happens:
        assert shown == list(range(1, 15))
