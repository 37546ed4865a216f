"""`messages.store`: a batch in one transaction, with repeats, refusals and strangers among it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.models import Conversation
from conversations.policy import Kind, Roster
from conversations.storage.conversations import ConversationInfo
from imcore.bridge import in_database
from imcore.errors import ConversationNotFound, InvalidMessagingTarget
from imcore.models import Application
from messaging.models import Message
from messaging.storage import messages
from messaging.storage.messages import Draft, Refused, Stored
from tests.messaging.storage.drafts import T, draft, joined, left, member, new_conversation, row, stored, with_version

SLOW_DATABASE = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def as_stored(outcome: Stored | Refused) -> Stored:
    """Return an outcome that must be a success."""
    assert isinstance(outcome, Stored), outcome
    return outcome


def test_a_batch_is_answered_in_its_order_with_rising_seqs_and_times(application: Application) -> None:
    """Checklist 51."""
    one, two = new_conversation(application, "tom", "jerry"), new_conversation(application, "tom")
    drafts = [draft(one, "tom", "a"), draft(two, "tom", "b"), draft(one, "jerry", "c"), draft(one, "tom", "d")]

    outcomes = messages.store(drafts, now_ms=T)

    assert [(as_stored(outcome).seq, as_stored(outcome).timestamp_ms) for outcome in outcomes] == [
        (1, T), (1, T), (2, T + 1), (3, T + 2),
    ]  # fmt: skip
    assert [as_stored(outcome).message_id for outcome in outcomes] == [one_draft.message_id for one_draft in drafts]
    assert not any(as_stored(outcome).is_repeat for outcome in outcomes)
    assert [(message.text, message.seq, message.timestamp_ms) for message in stored(one)] == [
        ("a", 1, T), ("c", 2, T + 1), ("d", 3, T + 2),
    ]  # fmt: skip
    assert (row(one).last_seq, row(one).last_message_ms) == (3, T + 2)
    assert (member(one, "tom").own_since_read, member(one, "jerry").own_since_read) == (2, 1)


def test_an_empty_batch_is_answered_empty(application: Application) -> None:
    """Checklist 51."""
    assert messages.store([], now_ms=T) == []


def test_a_message_is_kept_with_all_it_has(application: Application) -> None:
    """Checklist 51, 56, 57."""
    room = new_conversation(application, "tom", "jerry")
    text = draft(
        room, "tom", "hi", message_type=-1, mention_ids=("jerry", "中"), mention_all=True, wants_receipt=True,
        deduplication_token="token",
    )  # fmt: skip
    binary = draft(room, "jerry", text=None, data=bytes(range(256)), is_binary=True)
    empty = draft(room, "tom", text=None, data=b"", is_binary=True)

    messages.store([text, binary, empty], now_ms=T)

    first, second, third = stored(room)
    assert (first.message_id, first.application_id, first.sender, first.text) == (
        text.message_id, application.pk, "tom", "hi",
    )  # fmt: skip
    assert (first.data, first.is_binary, first.message_type, first.mention_ids) == (None, False, -1, ["jerry", "中"])
    assert (first.mention_all, first.wants_receipt, first.deduplication_token) == (True, True, "token")
    assert (second.text, bytes(second.data or b""), second.is_binary) == (None, bytes(range(256)), True)
    assert (second.message_type, second.mention_ids, second.deduplication_token) == (None, None, None)
    assert third.data is not None
    assert (bytes(third.data), third.is_binary) == (b"", True)


def test_a_batch_may_mix_new_ones_repeats_refusals_and_unknown_conversations(application: Application) -> None:
    """Checklist 53, 54: each gets its own answer, and the new ones have no gap between them."""
    room = new_conversation(application, "tom", "jerry", "mary")
    gone = new_conversation(application, "tom")
    (first,) = messages.store([draft(room, "tom", "one", deduplication_token="1")], now_ms=T)
    left(room, "mary")
    Conversation.objects.filter(pk=gone.pk).delete()

    outcomes = messages.store(
        [
            draft(room, "tom", "one again", deduplication_token="1"),
            draft(room, "tom", "two", deduplication_token="2"),
            draft(room, "mary", "refused"),
            draft(gone, "tom", "nowhere", deduplication_token="2"),
            draft(room, "tom", "two again", deduplication_token="2"),
            draft(room, "jerry", "three", deduplication_token="2"),
            draft(gone, "tom", "nowhere"),
        ],
        now_ms=T + 100,
    )

    now = Roster("tom", ("tom", "jerry"), room.members_version + 1)
    again, two, mary, nowhere, two_again, three, nowhere_again = outcomes
    assert as_stored(again) == replace(as_stored(first), is_repeat=True, roster=now)
    assert (as_stored(two).seq, as_stored(two).timestamp_ms, as_stored(two).is_repeat) == (2, T + 100, False)
    assert as_stored(two_again) == replace(as_stored(two), is_repeat=True)
    assert (as_stored(three).seq, as_stored(three).timestamp_ms) == (3, T + 101)
    assert mary == Refused(InvalidMessagingTarget)
    assert nowhere == nowhere_again == Refused(ConversationNotFound)
    assert [message.text for message in stored(room)] == ["one", "two", "three"]
    assert not Message.objects.filter(conversation_id=gone.pk).exists()


def test_the_members_are_told_to_those_who_knew_others(application: Application) -> None:
    """Checklist 51: so that the message goes to the members of this moment."""
    room = new_conversation(application, "tom")
    other = new_conversation(application, "tom")
    now = joined(room, "jerry")

    outcomes = messages.store([draft(room, "tom"), draft(now, "jerry"), draft(other, "tom")], now_ms=T)

    roster = Roster("tom", ("tom", "jerry"), now.members_version)
    assert [as_stored(outcome).roster for outcome in outcomes] == [roster, roster, None]


@pytest.mark.parametrize("version", [-1, 1])
def test_any_other_version_than_the_stored_one_asks_for_the_members(application: Application, version: int) -> None:
    """Checklist 53: memory is never authority, whether it is behind or, after a restored backup, ahead."""
    room = new_conversation(application, "tom", "jerry")
    remembered = with_version(room, room.members_version + version)

    outcomes = messages.store([draft(remembered, "tom"), draft(remembered, "mary")], now_ms=T)

    assert as_stored(outcomes[0]).roster == Roster("tom", ("tom", "jerry"), room.members_version)
    assert outcomes[1] == Refused(InvalidMessagingTarget)


def test_a_sender_is_checked_by_the_kind_of_conversation(application: Application) -> None:
    """Checklist 53: where anybody may send, changed members refuse nobody."""
    room = new_conversation(application, "tom")
    now = joined(room, "jerry")
    as_room = replace(room, kind=Kind.CHAT_ROOM)

    (outcome,) = messages.store([draft(as_room, "a stranger")], now_ms=T)

    assert as_stored(outcome).roster == Roster("tom", ("tom", "jerry"), now.members_version)


def test_a_refused_batch_changes_nothing(application: Application) -> None:
    """Checklist 53."""
    room = new_conversation(application, "tom", "jerry")
    left(room, "tom")

    outcomes = messages.store([draft(room, "tom", mention_all=True, mention_ids=("jerry",))] * 1, now_ms=T)

    assert isinstance(outcomes[0], Refused)
    assert (row(room).last_seq, row(room).last_message_ms, row(room).mention_all_seq) == (0, None, 0)
    assert member(room, "jerry").mentioned_seq == 0


def test_what_fails_in_the_middle_changes_nothing(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checklist 51: one transaction."""
    room = new_conversation(application, "tom", "jerry")

    def away(*args: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(messages, "_note_mentions", away)
    with pytest.raises(OperationalError):
        messages.store([draft(room, "tom")], now_ms=T)

    assert (row(room).last_seq, row(room).last_message_ms, stored(room)) == (0, None, [])
    assert member(room, "tom").own_since_read == 0


def test_a_repeat_that_another_server_stores_at_the_same_moment_is_found(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 54: the constraint decides; the loser answers with the winner's ack."""
    room = new_conversation(application, "tom", "jerry")
    (first,) = messages.store([draft(room, "tom", "hello", deduplication_token="token")], now_ms=T)
    look, looks = messages._known, 0

    def looked_too_early(drafts: list[Draft]) -> Any:
        nonlocal looks
        looks += 1
        return look(drafts) if looks > 1 else {}

    monkeypatch.setattr(messages, "_known", looked_too_early)

    outcomes = messages.store(
        [draft(room, "tom", "hello", deduplication_token="token"), draft(room, "jerry", "hi")], now_ms=T
    )

    assert as_stored(outcomes[0]) == replace(as_stored(first), is_repeat=True)
    assert (as_stored(outcomes[1]).seq, as_stored(outcomes[1]).is_repeat) == (2, False)


def test_a_message_that_can_never_be_stored_fails_its_batch(application: Application) -> None:
    """Checklist 51: the batcher then tries item by item; nothing of the batch stays."""
    room = new_conversation(application, "tom", "jerry")
    (first,) = messages.store([draft(room, "tom", "one")], now_ms=T)
    bad = draft(room, "tom", "bad", message_id=as_stored(first).message_id)

    with pytest.raises(RuntimeError):
        messages.store([draft(room, "jerry", "two"), bad], now_ms=T)

    assert [message.text for message in stored(room)] == ["one"]
    assert row(room).last_seq == 1


@st.composite
def schedules(make: st.DrawFn) -> list[list[tuple[int, int, int]]]:
    """Batches that run at once, of (conversation, sender, token or 0); they and their items in any order."""
    item = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3))
    return make(st.lists(st.lists(item, min_size=1, max_size=6), min_size=1, max_size=6))


@given(schedule=schedules(), clock=st.lists(st.integers(T - 5, T + 5), min_size=6, max_size=6))
@SLOW_DATABASE
async def test_batches_that_run_at_once_make_dense_sequences_and_rising_times(
    application: Application, schedule: list[list[tuple[int, int, int]]], clock: list[int]
) -> None:
    """Checklist 51, 54: whatever meets, each token is one message and each conversation counts 1, 2, 3 …"""
    names = ("tom", "jerry", "mary")
    rooms = [await in_database(new_conversation, application, *names) for _ in range(3)]
    batches = [
        [
            draft(rooms[room], names[sender], deduplication_token=str(token) if token else None)
            for room, sender, token in batch
        ]
        for batch in schedule
    ]

    answers = await asyncio.gather(
        *(in_database(messages.store, batch, now_ms=at) for batch, at in zip(batches, clock, strict=False))
    )

    outcomes = [
        (one, as_stored(answer))
        for batch, given in zip(batches, answers, strict=True)
        for one, answer in zip(batch, given, strict=True)
    ]
    for room in rooms:
        await in_database(check_room, room, [(one, answer) for one, answer in outcomes if one.conversation == room.pk])


def check_room(room: ConversationInfo, outcomes: list[tuple[Draft, Stored]]) -> None:
    """Check a conversation's rows against the answers its senders got."""
    kept = stored(room)
    assert [message.seq for message in kept] == list(range(1, len(kept) + 1))
    times = [message.timestamp_ms for message in kept]
    assert times == sorted(set(times))
    assert (row(room).last_seq, row(room).last_message_ms) == (len(kept), times[-1] if times else None)
    tokens = [one.token for one, _ in outcomes if one.token is not None]
    assert len(kept) == len(set(tokens)) + sum(one.token is None for one, _ in outcomes)
    by_token: dict[Any, Stored] = {}
    for one, answer in outcomes:
        first = by_token.setdefault(one.token or one.message_id, answer)
        assert (answer.message_id, answer.timestamp_ms, answer.seq) == (
            first.message_id, first.timestamp_ms, first.seq,
        )  # fmt: skip
    news = [answer for _, answer in outcomes if not answer.is_repeat]
    assert sorted(answer.seq for answer in news) == [message.seq for message in kept]
    assert {(answer.message_id, answer.timestamp_ms, answer.seq) for _, answer in outcomes} == {
        (message.message_id, message.timestamp_ms, message.seq) for message in kept
    }
    for client_id in room.members:
        assert member(room, client_id).own_since_read == sum(message.sender == client_id for message in kept)
