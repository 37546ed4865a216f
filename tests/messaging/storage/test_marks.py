"""Marks and counters after any history of sends, acks, reads and recalls: what counting would find."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.models import Member
from conversations.storage.conversations import ConversationInfo
from imcore.models import Application
from messaging.events import MessagesReceived, UnreadChanged
from messaging.models import Message
from messaging.storage import messages, receipts
from messaging.storage.receipts import Ack, Place, Read
from tests.messaging.storage.drafts import T, draft, member, new_conversation, row, stored

# `IMCORE_COUNTER_EXAMPLES=2000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_COUNTER_EXAMPLES", "40"))

NAMES = ("tom", "jerry", "mary")


@dataclass(frozen=True)
class Send:
    """Somebody sends, and mentions."""

    name: str
    mentioned: tuple[str, ...]
    everybody: bool


@dataclass(frozen=True)
class Mark:
    """Somebody has read, or received, up to a message: by its id, or by time, or everything.

    `at` counts from the first message; there may be none such.
    """

    name: str
    at: int
    form: str


@dataclass(frozen=True)
class Reads:
    """One batch of reads."""

    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Acks:
    """One batch of acknowledgements."""

    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Recall:
    """A message is recalled, if it is there, and was not."""

    at: int


Step = Send | Reads | Acks | Recall

names = st.sampled_from(NAMES)
positions = st.integers(0, 12)


def batches(form: Sequence[str]) -> st.SearchStrategy[tuple[Mark, ...]]:
    """Make batches of marks."""
    return st.lists(st.builds(Mark, names, positions, st.sampled_from(form)), min_size=1, max_size=3).map(tuple)


sends = st.builds(Send, names, st.lists(names, max_size=2).map(tuple), st.booleans())
steps = st.one_of(
    sends,
    sends,
    st.builds(Reads, batches(["id", "time", "all", "quiet"])),
    st.builds(Acks, batches(["id", "upto", "range"])),
    st.builds(Recall, positions),
)


@dataclass
class Truth:
    """Everything, kept the plain way. Positions are seqs."""

    said: list[Send] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    recalled: set[int] = field(default_factory=set)
    acked: set[int] = field(default_factory=set)

    def unread(self, name: str) -> int:
        """Count what others have said and not recalled behind a mark."""
        behind = enumerate(self.said, 1)
        return sum(seq > self.read[name] and one.name != name and seq not in self.recalled for seq, one in behind)

    def mentioned(self, name: str) -> bool:
        """Say whether somebody else mentions somebody behind its mark."""
        behind = self.said[self.read[name] :]
        return any(one.name != name and (name in one.mentioned or one.everybody) for one in behind)

    def receive(self, name: str, low: int, high: int) -> None:
        """Note that somebody has received what is above one seq, up to another."""
        high = min(high, len(self.said))
        if high > low:
            self.received[name] = max(self.received[name], high)
            self.acked |= {seq for seq in range(low + 1, high + 1) if self.said[seq - 1].name != name}


@given(history=st.lists(steps, max_size=14))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_counters_and_marks_are_what_counting_would_find(application: Application, history: list[Step]) -> None:
    """Checklist 58 to 60: for every member, after every step."""
    room = new_conversation(application, *NAMES)
    truth = Truth()

    for step in history:
        match step:
            case Send():
                sent = draft(room, step.name, mention_ids=step.mentioned, mention_all=step.everybody)
                messages.store([sent], now_ms=T)
                truth.said.append(step)
            case Reads():
                before = dict(truth.read)
                told = receipts.read([to_read(room, mark) for mark in step.marks], now_ms=T)
                for mark in step.marks:
                    note_read(truth, mark, before[mark.name])
                check_told(truth, [event for _, event in told])
            case Acks():
                before = dict(truth.received)
                assert not receipts.acknowledge([to_ack(room, mark) for mark in step.marks], now_ms=T).left
                for mark in step.marks:
                    note_ack(truth, mark, before[mark.name])
            case Recall():
                recall(room, truth, step.at)
        check(room, truth)


def place(room: ConversationInfo, name: str) -> Place:
    """Return where somebody's marks are."""
    return Place(room.application, room.object_id, name)


def message_id(room: ConversationInfo, at: int) -> str:
    """Return the id of a message, or one that is none."""
    found = [one.message_id for one in stored(room) if one.seq == at]
    return found[0] if found else "unknown"


def to_read(room: ConversationInfo, mark: Mark) -> Read:
    """Make the read. Messages are a millisecond apart, the first at T."""
    named = message_id(room, mark.at) if mark.form == "id" else ""
    at_ms = T + mark.at - 1 if mark.form in ("time", "quiet") else None
    return Read(place(room, mark.name), named, at_ms, is_shown=mark.form != "quiet", receipts_members_max=3)


def note_read(truth: Truth, mark: Mark, since: int) -> None:
    """Move the mark the plain way; `since` is where it was when the batch began."""
    end = len(truth.said)
    if mark.form == "id" and not 0 < mark.at <= end:
        return
    upto = end if mark.form == "all" else min(mark.at, end)
    if mark.form != "quiet":
        truth.receive(mark.name, since, upto)
    truth.read[mark.name] = max(truth.read[mark.name], upto)
    truth.received[mark.name] = max(truth.received[mark.name], upto if upto > since else 0)


def to_ack(room: ConversationInfo, mark: Mark) -> Ack:
    """Make the acknowledgement; a range is of three messages."""
    named = (message_id(room, mark.at),) if mark.form == "id" else ()
    from_ms = T + mark.at - 3 if mark.form == "range" else None
    return Ack(place(room, mark.name), named, from_ms, T + mark.at - 1, receipts_members_max=3)


def note_ack(truth: Truth, mark: Mark, since: int) -> None:
    """Move the mark the plain way; `since` is where it was when the batch began."""
    if mark.form == "id":
        if 0 < mark.at <= len(truth.said) and truth.said[mark.at - 1].name != mark.name:
            truth.receive(mark.name, mark.at - 1, mark.at)
    elif mark.form == "upto":
        truth.receive(mark.name, since, mark.at)
    else:
        truth.receive(mark.name, max(0, mark.at - 3), mark.at)


def recall(room: ConversationInfo, truth: Truth, at: int) -> None:
    """Recall a message: it is unread for nobody any more."""
    if not 0 < at <= len(truth.said) or at in truth.recalled:
        return
    truth.recalled.add(at)
    Message.objects.filter(conversation_id=room.pk, seq=at).update(is_recalled=True)
    for one in Member.objects.filter(conversation_id=room.pk, read_seq__lt=at):
        if one.client_id != truth.said[at - 1].name:
            one.own_since_read += 1
            one.save()


def check_told(truth: Truth, events: list[MessagesReceived | UnreadChanged]) -> None:
    """Compare what readers are told with the truth."""
    for event in events:
        if isinstance(event, UnreadChanged):
            [one] = event.conversations
            assert (one.unread, one.is_mentioned) == (truth.unread(event.client_id), truth.mentioned(event.client_id))
            assert (one.newest is not None) == bool(truth.said)


def check(room: ConversationInfo, truth: Truth) -> None:
    """Compare the marks and counters of every member with the truth, and which messages were received."""
    conversation = row(room)
    assert conversation.last_seq == len(truth.said)
    for name in NAMES:
        marks = member(room, name)
        assert marks.read_seq == truth.read[name]
        assert marks.ack_seq == truth.received[name]
        assert marks.ack_ms == (T + marks.ack_seq - 1 if marks.ack_seq else None)
        assert conversation.last_seq - marks.read_seq - marks.own_since_read == truth.unread(name)
        mentioned_seq = max(marks.mentioned_seq, conversation.mention_all_seq_for(name))
        assert (mentioned_seq > marks.read_seq) == truth.mentioned(name)
    assert {one.seq for one in stored(room) if one.ack_ms is not None} == truth.acked


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads, each with a connection of its own that is closed afterwards."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_acks_wait_for_nobody_while_they_hold_anybody_up(application: Application, threads: ThreadPoolExecutor) -> None:
    """A send holds one member's row and wants another's, which the acks have: they wait for each other, else."""
    rooms = [new_conversation(application, "tom", "jerry") for _ in range(3)]
    for room in rooms:
        messages.store([draft(room, "tom")], now_ms=T)
    of_jerry = [member(room, "jerry").pk for room in rooms]
    held, waited = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            list(Member.objects.select_for_update().filter(pk=of_jerry[0]))
            held.set()
            assert waited.wait(10)
            # Nobody holds these meanwhile, though they are of the same batch.
            list(Member.objects.select_for_update(nowait=True).filter(pk__in=of_jerry[1:]))

    def on_a_connection(work: Callable[[], object]) -> object:
        try:
            return work()
        finally:
            connection.close()

    holding = threads.submit(on_a_connection, hold)
    assert held.wait(10)
    acks = [to_ack(room, Mark("jerry", 1, "upto")) for room in rooms]
    left = receipts.acknowledge(acks, now_ms=T).left
    assert [member(room, "jerry").ack_seq for room in rooms] == [0, 1, 1]
    waited.set()

    holding.result(10)
    assert receipts.move_marks(left) == []
    assert [member(room, "jerry").ack_seq for room in rooms] == [1, 1, 1]
