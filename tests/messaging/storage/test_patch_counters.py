"""After any sends, reads, edits, recalls and deletions, unread and mentioned are what counting would find."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conversations.models import Member
from conversations.policy import Roster
from conversations.storage.conversations import ConversationInfo
from imcore.errors import MessageNotFound, MessageOwnershipRequired
from imcore.models import Application
from messaging.events import Body, Mentions
from messaging.message_types import RECALLED, RECALLED_BODY
from messaging.models import Message
from messaging.storage import deletions, messages, patches
from messaging.storage.messages import Stored
from messaging.storage.patches import Change, Changed, Subject
from tests.messaging.storage.drafts import T, draft, joined, left, member, new_conversation, row
from tests.together import at_once

# `IMCORE_COUNTER_EXAMPLES=2000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_COUNTER_EXAMPLES", "40"))

NAMES = ("tom", "jerry", "mary")


@dataclass(frozen=True)
class Said:
    """A message of the model. What is deleted counts as what is recalled does, and is not there."""

    name: str
    mentioned: tuple[str, ...]
    everybody: bool
    is_recalled: bool = False
    is_deleted: bool = False


@dataclass(frozen=True)
class Read:
    """Somebody has read so many of the messages there are."""

    name: str
    share: int


@dataclass(frozen=True)
class Patch:
    """A message is edited, so that it mentions others, or recalled."""

    number: int
    mentioned: tuple[str, ...]
    everybody: bool
    is_recall: bool


@dataclass(frozen=True)
class Deletion:
    """A message is deleted."""

    number: int


@dataclass(frozen=True)
class Turn:
    """Somebody joins who is no member, or leaves who is."""

    name: str


Step = Said | Read | list[Patch] | Deletion | Turn

names = st.sampled_from(NAMES)
mentioned = st.lists(st.sampled_from([*NAMES, "nobody"]), max_size=3).map(tuple)
numbers = st.integers(0, 7)
patch_lists = st.lists(st.builds(Patch, numbers, mentioned, st.booleans(), st.booleans()), min_size=1, max_size=3)
said = st.builds(Said, names, mentioned, st.booleans())
steps = st.one_of(
    said,
    said,
    st.builds(Read, names, numbers),
    patch_lists,
    patch_lists,
    st.builds(Deletion, numbers),
    st.builds(Turn, names),
)


@dataclass
class Talk:
    """A conversation, and the truth about it kept the plain way."""

    room: ConversationInfo
    ids: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    now_ms: int = T

    def unread(self, name: str) -> tuple[int, bool]:
        """Count what others have said since somebody has read, and say whether some of it mentions him."""
        others = [one for one in self.said[self.read[name] :] if one.name != name and not one.is_recalled]
        return len(others), any(name in one.mentioned or one.everybody for one in others)

    def take(self, step: Step) -> None:
        """Do a step, in the database and in the truth."""
        self.now_ms += 10
        if isinstance(step, Said):
            self.send(step)
        elif isinstance(step, Read):
            self.move_read_mark(step.name, step.share)
        elif isinstance(step, Turn):
            self.turn(step.name)
        elif isinstance(step, Deletion):
            self.delete(step.number)
        elif self.said:
            self.patch(step)

    def send(self, one: Said) -> None:
        """Store a message; the application says it if its sender is no member."""
        draft_of_it = draft(
            self.room,
            one.name,
            mention_ids=one.mentioned,
            mention_all=one.everybody,
            as_application=one.name not in self.read,
        )
        [stored] = messages.store([draft_of_it], now_ms=self.now_ms)
        assert isinstance(stored, Stored)
        self.ids.append(stored.message_id)
        self.said.append(one)

    def move_read_mark(self, name: str, share: int) -> None:
        """Put a read mark forward, as a `read` does."""
        seq = len(self.said) * share // 7
        if name not in self.read or seq <= self.read[name]:
            return
        self.read[name] = seq
        not_unread = sum(one.name == name or one.is_recalled for one in self.said[seq:])
        Member.objects.filter(conversation=self.room.pk, client_id=name).update(read_seq=seq, own_since_read=not_unread)

    def turn(self, name: str) -> None:
        """Let somebody join, or leave."""
        if name in self.read:
            self.room = left(self.room, name)
            del self.read[name]
        else:
            self.room = joined(self.room, name)
            self.read[name] = len(self.said)

    def patch(self, wanted: Sequence[Patch]) -> None:
        """Edit and recall messages, which is refused as a whole if one of them was recalled before."""
        numbered = [replace(one, number=one.number % len(self.said)) for one in wanted]
        after = list(self.said)
        is_refused = False
        for one in numbered:
            message = after[one.number]
            is_refused = is_refused or message.is_deleted or (message.is_recalled and not one.is_recall)
            mentions = ((), False) if one.is_recall else (one.mentioned, one.everybody)
            after[one.number] = Said(message.name, *mentions, is_recalled=one.is_recall)
        before = {name: self.unread(name) for name in self.read}
        changes = [change(self.room, self.ids[one.number], one) for one in numbered]
        if is_refused:
            with pytest.raises(MessageNotFound):
                patches.apply(changes, judge=judge, clock=lambda: self.now_ms)
            return
        changed = patches.apply(changes, judge=judge, clock=lambda: self.now_ms)
        self.said = after
        self.check_told(changed, before)

    def delete(self, number: int) -> None:
        """Delete a message, unless it was; whoever has another count is told when he comes back."""
        if not self.said:
            return
        number %= len(self.said)
        before = {name: self.unread(name) for name in self.read}
        message_id = self.ids[number]
        if self.said[number].is_deleted:
            assert not patches.load([message_id])
            return
        deletions.delete(conversation=self.room.pk, message_id=message_id, judge=it_is_there, clock=lambda: self.now_ms)
        self.said[number] = Said(self.said[number].name, (), False, is_recalled=True, is_deleted=True)
        for name in self.read:
            if self.unread(name) != before[name]:
                assert member(self.room, name).unread_changed_ms == self.now_ms

    def check_told(self, changed: Changed, before: dict[str, tuple[int, bool]]) -> None:
        """Whoever has another count than before is told, with this one; and its row says when that was."""
        told = {client_id: (counted.unread, counted.is_mentioned) for client_id, counted in changed.unread}
        assert len(told) == len(changed.unread)
        assert told == {name: self.unread(name) for name in told}
        assert {name for name in self.read if self.unread(name) != before[name]} <= told.keys()
        for name in self.read:
            assert (member(self.room, name).unread_changed_ms == self.now_ms) is (name in told)

    def check(self) -> None:
        """Compare every counter with the truth."""
        conversation = row(self.room)
        to_all = [(seq, one.name) for seq, one in enumerate(self.said, 1) if one.everybody]
        seq, sender = to_all[-1] if to_all else (0, "")
        before = max((seq for seq, name in to_all if name != sender), default=0)
        assert conversation.last_seq == len(self.said)
        assert (conversation.mention_all_seq, conversation.mention_all_sender) == (seq, sender)
        assert conversation.mention_all_seq_before == before
        for name in self.read:
            marks = member(self.room, name)
            mentioned_seq = max(marks.mentioned_seq, conversation.mention_all_seq_for(name))
            assert (
                conversation.last_seq - marks.read_seq - marks.own_since_read,
                mentioned_seq > marks.read_seq,
            ) == self.unread(name)


def change(room: ConversationInfo, message_id: str, wanted: Patch) -> Change:
    """Make what the service hands to storage."""
    text = RECALLED_BODY if wanted.is_recall else "edited"
    return Change(
        conversation=room.pk,
        message_id=message_id,
        is_recall=wanted.is_recall,
        body=Body(text, None),
        text=text,
        data=None,
        message_type=RECALLED if wanted.is_recall else None,
        mentions=Mentions() if wanted.is_recall else Mentions(wanted.mentioned, wanted.everybody),
    )


def judge(change: Change, message: Subject | None, roster: Roster) -> None:
    """Refuse what no rule can allow."""
    if message is None or (message.is_recalled and not change.is_recall):
        raise MessageNotFound


def it_is_there(message: Subject | None) -> Subject:
    """Refuse nothing."""
    assert message is not None
    return message


@given(history=st.lists(steps, min_size=4, max_size=16))
@example(history=[Said("tom", ("jerry",), True), Deletion(0), [Patch(0, (), False, True)], Deletion(0)])
@example(history=[Said("tom", (), False), Read("jerry", 7), [Patch(0, (), False, True)]])
@example(
    history=[
        Said("tom", ("jerry",), False),
        Said("jerry", ("jerry",), True),
        [Patch(0, (), False, True)],
    ]
)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_unread_and_mentioned_are_what_counting_would_find(application: Application, history: list[Step]) -> None:
    """Checklist 57, 60, 65: for every member, after every step; and whoever must be told is told just that."""
    talk = Talk(new_conversation(application, "tom", "jerry"), read={"tom": 0, "jerry": 0})

    for step in history:
        talk.take(step)
        talk.check()


ROUNDS = 30


def test_of_an_edit_and_a_recall_at_once_either_comes_first_and_the_recall_stands(application: Application) -> None:
    """Checklist 65, 66: and the counts agree with the messages; patch times differ."""
    talk = Talk(new_conversation(application, "tom", "jerry"), read={"tom": 0, "jerry": 0})
    for _ in range(ROUNDS):
        talk.send(Said("tom", ("jerry",), False))
    edited: list[int] = []

    def edit(number: int) -> None:
        wanted = Patch(number, ("jerry",), everybody=True, is_recall=False)
        try:
            [done] = patches.apply([change(talk.room, talk.ids[number], wanted)], judge=judge, clock=lambda: T).patched
            edited.append(done.patch_ms)
        except MessageNotFound:
            pass

    def recall(number: int) -> None:
        patches.apply(
            [change(talk.room, talk.ids[number], Patch(number, (), False, True))], judge=judge, clock=lambda: T
        )

    at_once(edit, recall, rounds=ROUNDS)

    stored = Message.objects.filter(conversation_id=talk.room.pk).order_by("seq")
    assert {(one.text, one.message_type, one.is_recalled, one.mention_ids, one.mention_all) for one in stored} == {
        (RECALLED_BODY, RECALLED, True, None, False)
    }
    times = [*edited, *(one.patch_ms for one in stored)]
    assert len(times) == len(set(times))
    talk.said = [Said("tom", (), False, is_recalled=True)] * ROUNDS
    talk.check()


def test_patches_and_sends_in_several_conversations_do_not_wait_for_each_other(application: Application) -> None:
    """Checklist 65: whatever the order a client names its messages in."""
    talks = [Talk(new_conversation(application, "tom", "jerry"), read={"tom": 0, "jerry": 0}) for _ in range(3)]
    for talk in talks:
        for _ in range(2 * ROUNDS):
            talk.send(Said("tom", ("jerry",), True))

    def recall_all(order: Sequence[Talk], offset: int, number: int) -> None:
        wanted = Patch(2 * number + offset, (), False, True)
        patches.apply(
            [change(talk.room, talk.ids[wanted.number], wanted) for talk in order], judge=judge, clock=lambda: T
        )

    def send(number: int) -> None:
        messages.store([draft(talk.room, "jerry") for talk in reversed(talks)], now_ms=T)

    at_once(
        lambda number: recall_all(talks, 0, number),
        lambda number: recall_all(talks[::-1], 1, number),
        send,
        rounds=ROUNDS,
    )

    for talk in talks:
        talk.said = [Said("tom", (), False, is_recalled=True)] * (2 * ROUNDS) + [Said("jerry", (), False)] * ROUNDS
        talk.check()


def test_a_refused_change_takes_all_the_others_back(application: Application) -> None:
    """Checklist 66: whatever was changed before it in the same transaction."""
    talk = Talk(new_conversation(application, "tom", "jerry"), read={"tom": 0, "jerry": 0})
    talk.send(Said("tom", ("jerry",), True))
    talk.send(Said("jerry", (), False))

    def only_toms(change: Change, message: Subject | None, roster: Roster) -> None:
        if message is None or message.sender != "tom":
            raise MessageOwnershipRequired

    with pytest.raises(MessageOwnershipRequired):
        patches.apply(
            [change(talk.room, message_id, Patch(0, (), False, True)) for message_id in talk.ids],
            judge=only_toms,
            clock=lambda: T,
        )

    talk.check()
    assert not Message.objects.filter(conversation_id=talk.room.pk, patch_ms__isnull=False).exists()
