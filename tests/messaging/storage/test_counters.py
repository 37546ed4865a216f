"""Unread and mentioned are arithmetic on counters: after any history they are what counting would find."""

import os
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.storage.conversations import ConversationInfo
from imcore.models import Application
from messaging.storage import messages
from messaging.storage.messages import Draft, Stored
from tests.messaging.storage.drafts import T, draft, joined, left, member, new_conversation, row, with_version

# `IMCORE_COUNTER_EXAMPLES=2000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_COUNTER_EXAMPLES", "40"))

NAMES = ("tom", "jerry", "mary", "paul")


@dataclass(frozen=True)
class Join:
    """Somebody is added."""

    name: str


@dataclass(frozen=True)
class Leave:
    """Somebody is removed."""

    name: str


@dataclass(frozen=True)
class Send:
    """Somebody sends, member or not."""

    name: str
    mentioned: tuple[str, ...]
    everybody: bool
    token: str | None


Step = Join | Leave | list[Send]

names = st.sampled_from(NAMES)
sends = st.builds(
    Send,
    names,
    st.lists(names, max_size=3).map(tuple),
    st.booleans(),
    st.one_of(st.none(), st.sampled_from(["a", "b"])),
)
steps = st.one_of(st.builds(Join, names), st.builds(Leave, names), st.lists(sends, min_size=1, max_size=4))


@dataclass
class Truth:
    """What everybody saw, kept the plain way: every message, and who was there from when."""

    said: list[Send] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)
    tokens: set[tuple[str, str]] = field(default_factory=set)

    def send(self, one: Send) -> bool:
        """Note a message; return whether its sender may send."""
        if one.name not in self.since:
            return False
        if one.token is None or (one.name, one.token) not in self.tokens:
            self.said.append(one)
        if one.token is not None:
            self.tokens.add((one.name, one.token))
        return True

    def unread(self, name: str) -> int:
        """Count what others have said since somebody joined."""
        return sum(one.name != name for one in self.said[self.since[name] :])

    def mentioned(self, name: str) -> bool:
        """Say whether somebody else's message since then names somebody, or everybody."""
        others = (one for one in self.said[self.since[name] :] if one.name != name)
        return any(name in one.mentioned or one.everybody for one in others)


@given(history=st.lists(steps, max_size=12))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_unread_and_mentioned_are_what_counting_would_find(application: Application, history: list[Step]) -> None:
    """Checklist 57, 60: for every member, after every step; a server's memory of the members may be old."""
    room = first = new_conversation(application, "tom", "jerry")
    truth = Truth(since={"tom": 0, "jerry": 0})

    for step in history:
        if isinstance(step, Join):
            room = joined(room, step.name)
            truth.since.setdefault(step.name, len(truth.said))
        elif isinstance(step, Leave):
            room = left(room, step.name)
            truth.since.pop(step.name, None)
        else:
            # Every other message comes from a server that knows the members as they were in the beginning.
            drafts = [to_draft(room if number % 2 else first, one) for number, one in enumerate(step)]
            outcomes = messages.store(drafts, now_ms=T)
            for one, outcome in zip(step, outcomes, strict=True):
                is_repeat = (one.name, one.token) in truth.tokens
                is_accepted = truth.send(one)
                # Who sends an old message again after leaving may get either answer.
                assert isinstance(outcome, Stored) is is_accepted or is_repeat
        check(room, truth)


def to_draft(known: ConversationInfo, one: Send) -> Draft:
    """Make the draft of a send by a server that has checked the sender against the members it knows."""
    if one.name not in known.members:
        # It was checked against others, long ago.
        known = with_version(known, 0)
    return draft(known, one.name, mention_ids=one.mentioned, mention_all=one.everybody, deduplication_token=one.token)


def check(room: ConversationInfo, truth: Truth) -> None:
    """Compare the counters of every member with the truth."""
    conversation = row(room)
    assert conversation.last_seq == len(truth.said)
    assert conversation.mention_all_seq == max(
        (seq for seq, one in enumerate(truth.said, 1) if one.everybody), default=0
    )
    assert set(room.members) == set(truth.since)
    for name in room.members:
        marks = member(room, name)
        assert conversation.last_seq - marks.read_seq - marks.own_since_read == truth.unread(name)
        mentioned_seq = max(marks.mentioned_seq, conversation.mention_all_seq_for(name))
        assert (mentioned_seq > marks.read_seq) == truth.mentioned(name)
