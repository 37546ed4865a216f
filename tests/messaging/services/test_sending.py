"""The pipeline: what a send costs, what a batch may not break, and what happens when the database is away."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from conversations.policy import Kind
from conversations.services import directory
from imcore import identifiers
from imcore.batching import Batcher
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType, GenericCommand
from messaging.services import sending
from messaging.storage import messages
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.gate import Gate, together
from tests.messaging.support import (
    attempt,
    away,
    command,
    frozen,
    heard,
    rows,
    say,
    started,
    stored_conversation,
    texts,
)


@pytest.mark.parametrize(("target", "name"), [(messages, "_write"), (BaseDatabaseWrapper, "_commit")])
async def test_while_the_database_is_away_a_send_times_out(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch, target: Any, name: str
) -> None:
    """Checklist 51: 4201, since whether it was stored is unknown; nobody gets it, and the connection is usable."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    with monkeypatch.context() as broken:
        broken.setattr(target, name, away)
        failed = await attempt(tom, room, "lost", dt="token")
    await jerry.nothing_more()

    ack = await say(tom, room, "lost", dt="token")

    assert (failed.code, failed.reason) == (4201, "SEND_MESSAGE_TIMEOUT")
    assert (await heard(jerry)).id == ack.uid
    assert [(row.seq, row.text) for row in await rows(room)] == [(1, "lost")]


async def test_what_was_stored_unnoticed_is_delivered_when_it_is_sent_again_and_once(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 54: the database went away between the commit and its answer, and the sender got 4201."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    commit: Any = vars(BaseDatabaseWrapper)["_commit"]

    def commit_and_go_away(wrapper: BaseDatabaseWrapper) -> None:
        commit(wrapper)
        away()

    with monkeypatch.context() as broken:
        broken.setattr(BaseDatabaseWrapper, "_commit", commit_and_go_away)
        failed = await attempt(tom, room, "stored", dt="token")
    await jerry.nothing_more()

    ack = await say(tom, room, "another", dt="token")

    assert failed.code == 4201
    message = await heard(jerry)
    assert (message.id, message.timestamp, message.msg) == (ack.uid, ack.t, "stored")
    assert await say(tom, room, "stored", dt="token") == ack
    await jerry.nothing_more()
    assert await texts(jerry, room) == ["stored"]


async def test_while_the_database_is_away_an_unknown_conversation_cannot_be_found(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 51: the ack says so, as a failure that may pass."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    directory.forget(application=application.pk, conversation_id=room)
    with monkeypatch.context() as broken:
        broken.setattr("conversations.storage.conversations.load", away)
        failed = await attempt(tom, room, "lost")

    assert (failed.code, failed.reason) == (4300, "CONVERSATION_INTERNAL_ERROR")
    await say(tom, room, "found")


async def test_a_whole_batch_times_out_while_the_database_is_away(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch, store_gate: Gate
) -> None:
    """Checklist 51: it is tried once, not once per message."""
    room = await started(application, "tom", "jerry", "mary")
    clients = [await signed_in(name) for name in ("tom", "jerry", "mary")]
    calls = 0

    def count(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        away()

    monkeypatch.setattr(messages, "_write", count)

    acks = await together(store_gate, *(attempt(client, room, "lost") for client in clients))

    assert [ack.code for ack in acks] == [4201] * 3
    assert (store_gate.batches, calls) == ([1, 2], 2)


async def test_a_message_that_cannot_be_stored_does_not_fail_its_neighbours(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch, store_gate: Gate
) -> None:
    """Checklist 51: of a batch, the bad one fails alone, leaves no gap, and the others keep their order."""
    room = await started(application, "tom", "jerry", "mary", "paul")
    tom, jerry, mary, paul = [await signed_in(name) for name in ("tom", "jerry", "mary", "paul")]
    taken = (await say(tom, room, "one")).uid
    new_id = identifiers.message_id

    async def with_a_taken_id() -> AckCommand:
        with monkeypatch.context() as patched:
            ids = iter([taken])
            patched.setattr(identifiers, "message_id", lambda at_ms: next(ids, None) or new_id(at_ms))
            return await attempt(mary, room, "bad")

    acks = await together(
        store_gate,
        attempt(tom, room, "two"),
        attempt(jerry, room, "three"),
        with_a_taken_id(),
        attempt(paul, room, "four"),
    )

    assert store_gate.batches == [1, 3, 1, 1, 1]
    assert [ack.code for ack in acks] == [0, 0, 4200, 0]
    assert [(row.seq, row.text) for row in await rows(room)] == [(1, "one"), (2, "two"), (3, "three"), (4, "four")]
    assert [(await heard(mary)).msg for _ in range(4)] == ["one", "two", "three", "four"]
    assert (await stored_conversation(room)).last_seq == 4


async def test_a_full_backlog_refuses_with_a_timeout(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 51: the bound of what may wait for the store."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    none: Batcher[Any, Any] = Batcher(sending._store_batch, size=1, backlog=0, name="full")
    monkeypatch.setattr(sending, "_batcher", none)

    ack = await attempt(tom, room, "one too many")

    assert (ack.code, ack.reason) == (4201, "SEND_MESSAGE_TIMEOUT")


async def test_a_send_that_takes_too_long_is_told_as_a_timeout(
    application: Application, signed_in: SignIn, store_gate: Gate, settings: Any
) -> None:
    """Checklist 51: the client is answered in time, though the message may be stored later."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    settings.COMMAND_SECONDS = 0
    store_gate.close()

    ack = await attempt(tom, room, "late", dt="token")
    store_gate.open()
    settings.COMMAND_SECONDS = 5
    again = await say(tom, room, "late", dt="token")

    assert (ack.code, ack.reason) == (4201, "SEND_MESSAGE_TIMEOUT")
    assert (await heard(jerry)).id == again.uid
    await jerry.nothing_more()
    assert await texts(tom, room) == ["late"]


async def test_a_send_is_carried_through_although_its_sender_hangs_up(
    application: Application, signed_in: SignIn, store_gate: Gate
) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    store_gate.close()

    await tom.send(CommandType.direct, directMessage=command(room, "bye"))
    await store_gate.holds(1)
    await tom.wire.close()
    store_gate.open()

    assert (await heard(jerry)).msg == "bye"


class Backwards:
    """A wall clock that loses time with every look at it."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def __call__(self) -> int:
        """Return a time before the one returned last."""
        self.at_ms -= 7
        return self.at_ms


async def talk(client: ImClient, rooms: list[str], messages_each: int) -> list[tuple[str, AckCommand]]:
    """Send to the rooms in turn; return the acks."""
    acks = []
    for number in range(messages_each):
        room = rooms[number % len(rooms)]
        acks.append((room, await say(client, room, f"{client.client_id} {number}")))
    return acks


@pytest.mark.parametrize("clock", ["running", "standing", "backwards"])
async def test_many_senders_get_dense_sequences_and_rising_timestamps_in_the_order_of_delivery(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    """Checklist 51: whatever the wall clock does, and every receiver sees the order that history has."""
    names = [f"sender {number}" for number in range(12)]
    rooms = [await started(application, *names, "listener") for _ in range(3)]
    clients = [await signed_in(name) for name in names]
    listener = await signed_in("listener")
    at_ms = identifiers.now_ms()
    clocks: dict[str, Callable[[], int]] = {"standing": lambda: at_ms, "backwards": Backwards(at_ms)}
    if clock in clocks:
        monkeypatch.setattr(identifiers, "now_ms", clocks[clock])

    acks = [ack for acks in await asyncio.gather(*(talk(client, rooms, 9) for client in clients)) for ack in acks]
    told = [await heard(listener) for _ in acks]

    await listener.nothing_more()
    for room in rooms:
        stored = await rows(room)
        assert [row.seq for row in stored] == list(range(1, 37))
        times = [row.timestamp_ms for row in stored]
        assert times == sorted(set(times))
        assert {(row.message_id, row.timestamp_ms) for row in stored} == {(a.uid, a.t) for to, a in acks if to == room}
        assert [message.id for message in told if message.cid == room] == [row.message_id for row in stored]
        # A sender hears everybody else, in the same order.
        for client in clients:
            client.seen += [await client.wire.receive() for _ in range(len(rooms) * 33 - len(client.seen))]
            assert [frame.directMessage.id for frame in client.seen if frame.directMessage.cid == room] == [
                row.message_id for row in stored if row.sender != client.client_id
            ]


async def test_a_message_is_never_older_than_the_one_before_it(application: Application, signed_in: SignIn) -> None:
    """Checklist 51: after the wall clock was set back, time goes on from the last message."""
    with frozen() as clock:
        room = await started(application, "tom", "jerry")
        tom = await signed_in("tom")

        first = await say(tom, room, "one")
        clock.at_ms -= 3_600_000
        second = await say(tom, room, "two")
        clock.at_ms += 7_200_000
        third = await say(tom, room, "three")

    assert first.t == clock.at_ms - 3_600_000
    assert second.t == first.t + 1
    assert third.t == clock.at_ms


async def test_transient_messages_have_rising_times_too(application: Application, signed_in: SignIn) -> None:
    """Checklist 55."""
    room = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom = await signed_in("tom")
    with frozen():
        acks = [await say(tom, room, "typing…", transient=True) for _ in range(5)]

    times = [ack.t for ack in acks]
    assert times == sorted(set(times))
    assert len({ack.uid for ack in acks}) == 5


async def test_a_failed_ack_goes_to_its_request_among_many(application: Application, signed_in: SignIn) -> None:
    """Checklist 53: sends in a row, good and bad, are answered in order, each by its own ack."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    sent = [command(room, "ok"), command("nowhere", "bad"), command(room, "ok"), command(room), command(room, "ok")]

    for serial, message in enumerate(sent, 101):
        await tom.wire.send(GenericCommand(cmd=CommandType.direct, i=serial, directMessage=message))
    answers = [await tom.wire.receive() for _ in sent]

    assert [(answer.i, answer.ackMessage.code) for answer in answers] == [
        (101, 0), (102, 4303), (103, 0), (104, 4301), (105, 0),
    ]  # fmt: skip
