"""Clients that wait for no answer, and all at once: each command has its answer, and the counters stay the truth."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from conversations.models import Conversation, Member
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    DirectCommand,
    GenericCommand,
    OpType,
    PatchCommand,
    PatchItem,
    ReadCommand,
    ReadTuple,
    SessionCommand,
)
from messaging.models import Message
from messaging.services import receipts, wills
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.marking import done
from tests.messaging.patching import ask, edit_of, hears_count, hears_patch, recall_of, unread
from tests.messaging.returning import Connect
from tests.messaging.signing_in import SESSION, local_sessions
from tests.messaging.support import history, say, started

NAMES = ["tom", "jerry", "mary"]
ROUNDS = 60
SECONDS = 60.0  # for all that is in the pipe, on a busy machine

Said = tuple[str, AckCommand]  # the conversation, and the ack


async def counted(conversation_id: str) -> dict[str, tuple[int, bool]]:
    """Count, message by message, what is unread for each member, and whether that mentions it."""

    def load() -> dict[str, tuple[int, bool]]:
        conversation = Conversation.objects.get(object_id=conversation_id)
        messages = list(Message.objects.filter(conversation_id=conversation.pk, is_recalled=False))
        counts = {}
        for member in Member.objects.filter(conversation=conversation):
            name = member.client_id
            new = [one for one in messages if one.seq > member.read_seq and one.sender != name]
            counts[name] = (len(new), any(one.mention_all or name in (one.mention_ids or ()) for one in new))
        return counts

    return await in_database(load)


class Chaos:
    """A client's commands, drawn at random from what was said so far."""

    def __init__(self, client: ImClient, said: dict[str, list[Said]], cids: list[str], seed: int) -> None:
        self.client = client
        self.mine = said[client.client_id]
        self.all = [one for of_client in said.values() for one in of_client]
        self.cids = cids
        self.draw = random.Random(seed)

    def _item(self, one: Said) -> PatchItem:
        if self.draw.random() < 0.3:
            return recall_of(*one)
        names = self.draw.sample(NAMES, 2)
        return edit_of(*one, "edited", mentionPids=names, mentionAll=self.draw.random() < 0.3)

    def _command(self) -> dict[str, Any]:
        kind = self.draw.randrange(5)
        if kind == 0:
            items = [self._item(one) for one in self.draw.sample(self.mine, 7)]
            return {"cmd": CommandType.patch, "op": OpType.modify, "patchMessage": PatchCommand(patches=items)}
        if kind == 1:
            message = DirectCommand(
                cid=self.draw.choice(self.cids), msg="new", r=True, mentionPids=[self.draw.choice(NAMES)]
            )
            return {"cmd": CommandType.direct, "directMessage": message}
        if kind == 2:
            body = AckCommand(ids=[ack.uid for _, ack in self.draw.sample(self.all, 20)])
            return {"cmd": CommandType.ack, "ackMessage": body}
        if kind == 3:
            return {"cmd": CommandType.ack, "ackMessage": AckCommand(cid=self.cids[0], fromts=0, tots=2**62)}
        to = [ReadTuple(cid=cid, mid=ack.uid) for cid, ack in self.draw.sample(self.all, 4)]
        return {"cmd": CommandType.read, "readMessage": ReadCommand(convs=to)}

    async def reign(self) -> None:
        """Send everything, then read the answers: none may be that the server failed."""
        wire = self.client.wire
        for _ in range(ROUNDS):
            wire.last_serial += 1
            await wire.send(GenericCommand(i=wire.last_serial, peerId=self.client.client_id, **self._command()))
        wire.last_serial += 1
        last = GenericCommand(cmd=CommandType.conv, op=OpType.count, i=wire.last_serial, peerId=self.client.client_id)
        await wire.send(last)
        while True:
            frame = await wire.receive(SECONDS)
            # 4404: what was recalled meanwhile cannot be edited.
            assert frame.errorMessage.code in {0, 4404} or frame.i == last.i, frame
            assert not frame.ackMessage.code, frame
            if frame.i == last.i:
                return


async def test_counters_equal_a_recount_after_everybody_did_everything_at_once(
    application: Application, signed_in: SignIn, patches_enabled: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Checklist 59, 60, 66: sends, reads, acks, edits and recalls of the same messages, from two devices each."""
    caplog.set_level(logging.INFO)
    cids = [await started(application, *NAMES), await started(application, *reversed(NAMES))]
    said: dict[str, list[Said]] = {name: [] for name in NAMES}
    for name in NAMES:
        client = await signed_in(name)
        for number in range(20):
            cid = cids[number % 2]
            ack = await say(client, cid, "hi", r=True, mentionPids=NAMES[: number % 3], mentionAll=number % 4 == 0)
            said[name].append((cid, ack))
        await client.wire.close()

    devices = [await signed_in(name, deviceId=str(device)) for name in NAMES for device in range(2)]
    await asyncio.gather(*(Chaos(client, said, cids, seed).reign() for seed, client in enumerate(devices)))

    for cid in cids:
        assert await unread(cid) == await counted(cid)
    assert not [record for record in caplog.records if "deadlock" in record.getMessage()]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_thousand_reads_among_sends_leave_the_count_true(
    application: Application, signed_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Checklist 60."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    async def read() -> None:
        for _ in range(1000):
            await jerry.send(CommandType.read, readMessage=ReadCommand(cid=room))

    async def send() -> None:
        for _ in range(100):
            await say(tom, room, "hi", r=True)

    await asyncio.gather(read(), send())
    await done(jerry)

    assert await unread(room) == await counted(room)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_reads_of_many_conversations_do_not_crowd_out_those_of_others(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 60: one command takes a few places in the queue at a time, however many conversations it names."""
    room = await started(application, "tom", "jerry")
    jerry, many = await signed_in("jerry"), await signed_in("reader-0")
    readers = [many, *[await signed_in(f"reader-{number}", wire=many.wire) for number in range(1, 10)]]
    is_open = asyncio.Event()

    async def gated(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await is_open.wait()
        return await in_database(work, *args, **kwargs)

    monkeypatch.setattr(receipts, "in_database", gated)
    monkeypatch.setattr(receipts._reads, "_backlog", 200)
    for _ in range(2):  # a first batch is taken out of the queue
        for client in readers:
            cids = [f"none-{number}" for number in range(100)]
            await client.send(CommandType.read, readMessage=ReadCommand(cids=cids))
        await many.nothing_more()
    await jerry.send(CommandType.read, readMessage=ReadCommand(cid=room))
    await jerry.nothing_more()
    is_open.set()

    assert (await hears_count(jerry)).cid == room
    for client in readers:
        await done(client)


async def test_a_hundred_patches_of_one_message_in_one_command_come_one_after_the_other(
    application: Application, signed_in: SignIn, patches_enabled: None
) -> None:
    """Checklist 64, 65, 67: each with its own time, the last one's in the reply; the count changes once."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "hi", mentionPids=["jerry"])
    await jerry.next_notice()

    edits = [edit_of(room, ack, str(number), mentionPids=["jerry"] * (number % 2)) for number in range(99)]
    reply = await ask(tom, *edits, recall_of(room, ack))
    heard = [await hears_patch(jerry) for _ in range(100)]
    counted_then = await hears_count(jerry)
    await jerry.nothing_more()

    assert [one.recall for one in heard] == [False] * 99 + [True]
    times = [one.patchTimestamp for one in heard]
    assert times == sorted(set(times))
    assert times[-1] == reply.patchMessage.lastPatchTime
    assert (counted_then.unread, counted_then.mentioned) == (0, False)


async def test_what_cannot_be_edited_any_more_takes_back_the_whole_command(
    application: Application, signed_in: SignIn, patches_enabled: None
) -> None:
    """Checklist 64: an edit behind the recall of the same message."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    ack = await say(tom, room, "hi")
    await jerry.next_notice()

    reply = await ask(tom, edit_of(room, ack, "1"), recall_of(room, ack), edit_of(room, ack, "2"))

    assert reply.errorMessage.code == 4404
    assert [item.data for item in await history(jerry, room)] == ["hi"]
    await jerry.nothing_more()


@pytest.mark.parametrize("seed", range(12))
async def test_opens_closes_wills_and_marks_in_any_order_are_answered_each(
    application: Application, connect: Connect, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Checklist 5, 16, 68: with a session's answer, or that there is none; nobody is left on line."""
    room = await started(application, "tom", "jerry")
    draw = random.Random(seed)
    wire = await connect()
    answered = []
    for serial in range(1, 15):
        session = SessionCommand(deviceId=draw.choice("ab"), tag=draw.choice(["", "m"]), r=draw.random() < 0.3)
        kind = draw.randrange(5)
        command: dict[str, Any] = [
            {"cmd": SESSION, "op": OpType.open, "appId": application.app_id, "sessionMessage": session},
            {"cmd": SESSION, "op": OpType.close, "appId": application.app_id},
            {
                "cmd": CommandType.direct,
                "appId": application.app_id,
                "directMessage": DirectCommand(cid=room, msg="gone", will=True),
            },
            {"cmd": CommandType.read, "appId": application.app_id, "readMessage": ReadCommand(cid=room)},
            {"cmd": CommandType.ack, "appId": application.app_id, "ackMessage": AckCommand(cid=room, tots=2**63 - 1)},
        ][kind]
        await wire.send(GenericCommand(i=serial, peerId="tom", **command))
        if kind < 3:
            answered.append(serial)

    got: set[int] = set()
    while got != set(answered):
        frame = await wire.receive()
        if frame.HasField("i"):
            assert frame.i not in got, frame
            assert {frame.errorMessage.code, frame.ackMessage.code} <= {0, 4105, 4111}, frame
            got.add(frame.i)
    await wire.close()
    await wills.settle()

    assert local_sessions(application, "tom") == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
