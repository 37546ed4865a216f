"""Unread counts are the truth, on every device, after any sequence of what changes them.

A device shows what SDKs do: the number it was told, and one more for each message of somebody else that comes after
it. The truth is a list of messages, and how far everybody has read it.
"""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType, GenericCommand, OpType, PatchCommand, PatchItem
from messaging.models import MessagingSettings
from tests.conversations.talking import add, heard, remove
from tests.imclient import ImClient, InProcess, sign_in
from tests.messaging.api.saying import acknowledgement, ask, delete
from tests.messaging.marking import ack, done, read
from tests.messaging.support import say, started

# `IMCORE_UNREAD_EXAMPLES=1000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_UNREAD_EXAMPLES", "12"))
NAMES = ["tom", "jerry", "mary"]
PAIR, GROUP, TEMPORARY = range(3)
numbers = st.integers(0, 99)
conversations = st.sampled_from([PAIR, GROUP, TEMPORARY])
mentions = st.lists(st.sampled_from(NAMES), max_size=2)


@pytest.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of the run. It stands still during a synchronous test, which may then run it."""
    return asyncio.get_running_loop()


@dataclass
class Said:
    """A message that was stored."""

    sender: str
    message_id: str
    timestamp_ms: int
    mentioned: frozenset[str]
    is_recalled: bool = False
    is_deleted: bool = False


@dataclass
class Talk:
    """A conversation: what was said, and how much of it each member has read."""

    cid: str
    said: list[Said] = field(default_factory=list)
    has_read: dict[str, int] = field(default_factory=dict)

    def unread(self, name: str) -> tuple[int, bool]:
        """Return how many messages somebody has not read, and whether one of them mentions him."""
        others = [one for one in self.said[self.has_read[name] :] if one.sender != name and not one.is_recalled]
        return len(others), any(name in one.mentioned for one in others)


class Device:
    """A client's device: what it shows of each conversation, and when it was last told.

    Nobody on line is told of what is deleted: where something was that it counts, it is `stale` until its next count.
    """

    def __init__(self, client: ImClient, shown: dict[str, tuple[int, bool]], told_ms: int | None) -> None:
        self.client = client
        self.shown = shown
        self.told_ms = told_ms
        self.stale: set[str] = set()

    def show(self, frame: GenericCommand) -> None:
        """Do what SDKs do with a frame. (Of the transient ones, JavaScript counts what it should not.)"""
        name = self.client.client_id
        if frame.cmd == CommandType.unread:
            self.told_ms = frame.unreadMessage.notifTime
            for one in frame.unreadMessage.convs:
                self.shown[one.cid] = (one.unread, one.mentioned)
                self.stale.discard(one.cid)
        elif frame.cmd == CommandType.direct:
            message = frame.directMessage
            if message.fromPeerId != name and not message.transient:
                count, is_mentioned = self.shown.get(message.cid, (0, False))
                names_it = message.mentionAll or name in message.mentionPids
                self.shown[message.cid] = (count + 1, is_mentioned or names_it)
        elif frame.cmd == CommandType.conv and frame.op in (OpType.left, OpType.joined):
            self.shown.pop(frame.convMessage.cid, None)
            self.stale.discard(frame.convMessage.cid)


class Readings(RuleBasedStateMachine):
    """Clients speak, read, edit, recall, leave, come back, and change devices; the application speaks and deletes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.application: Application = self.run(in_database(self.new_application))
        self.talks = [
            self.run(self.new_talk("tom", "jerry")),
            self.run(self.new_talk("tom", "jerry", "mary")),
            self.run(self.new_talk("tom", "jerry", kind=Kind.TEMPORARY)),
        ]
        self.devices: list[Device] = [self.run(self.come(name, {}, None)) for name in NAMES]
        self.away: list[Device] = []

    def new_application(self) -> Application:
        """Make an application that lets authors edit and recall."""
        application = Application.objects.create(name="model")
        MessagingSettings.objects.create(application=application, edit_enabled=True, recall_enabled=True)
        return application

    async def new_talk(self, *members: str, kind: Kind = Kind.NORMAL) -> Talk:
        """Start a conversation."""
        cid = await started(self.application, *members, kind=kind, ttl_seconds=3600 if kind is Kind.TEMPORARY else None)
        return Talk(cid, has_read=dict.fromkeys(members, 0))

    async def come(self, name: str, shown: dict[str, tuple[int, bool]], told_ms: int | None, **session: Any) -> Device:
        """Sign a client in; without a memory it begins with nothing."""
        client = await sign_in(
            await InProcess.connect(), self.application.app_id, name, lastUnreadNotifTime=told_ms, **session
        )
        return Device(client, shown, told_ms)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop of the run."""
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        """Disconnect everybody."""
        for device in self.devices:
            self.run(device.client.wire.close())

    def device(self, number: int) -> Device:
        """Return one of those that are connected."""
        return self.devices[number % len(self.devices)]

    @rule(number=numbers, conversation=conversations, named=mentions, everybody=st.booleans(), binary=st.booleans())
    def say(self, number: int, conversation: int, named: list[str], everybody: bool, binary: bool) -> None:
        """A member speaks."""
        client, talk = self.device(number).client, self.talks[conversation]
        if client.client_id not in talk.has_read:
            return
        body: dict[str, Any] = {"binaryMsg": b"\x00"} if binary else {"msg": "hello"}
        sent = self.run(say(client, talk.cid, mentionPids=named, mentionAll=everybody, **body))
        talk.said.append(Said(client.client_id, sent.uid, sent.t, frozenset(NAMES if everybody else named)))

    @rule(
        name=st.sampled_from([*NAMES, "ghost"]),
        conversation=conversations,
        named=mentions,
        everybody=st.booleans(),
        more=st.sampled_from([{}, {"no_sync": True}]),
    )
    def speak_for(self, name: str, conversation: int, named: list[str], everybody: bool, more: dict[str, Any]) -> None:
        """The application speaks in the name of somebody, a member or not."""
        talk = self.talks[conversation]
        body = {"from_peer": name, "conv_id": talk.cid, "message": "hello", "transient": False, **more}
        body |= {"mention_client_ids": named, "mention_all": everybody}
        sent = acknowledgement(self.run(ask(self.application, "POST", "/1.1/rtm/messages", body)))
        talk.said.append(Said(name, sent.uid, sent.t, frozenset(NAMES if everybody else named)))

    @rule(conversation=conversations, at=numbers)
    def delete(self, conversation: int, at: int) -> None:
        """The application deletes a message, which it could not name by the paths of temporary conversations."""
        talk = self.talks[conversation]
        candidates = [one for one in talk.said if not one.is_deleted]
        if not candidates or conversation == TEMPORARY:
            return
        one = candidates[at % len(candidates)]
        before = {name: talk.unread(name) for name in talk.has_read}

        answer = self.run(
            delete(
                self.application, talk.cid, AckCommand(uid=one.message_id, t=one.timestamp_ms), from_client=one.sender
            )
        )

        assert answer.status_code == 200, answer.content
        one.is_deleted = one.is_recalled = True
        one.mentioned = frozenset()
        for device in self.devices:
            name = device.client.client_id
            if name in before and talk.unread(name) != before[name]:
                device.stale.add(talk.cid)

    @rule(number=numbers, conversation=conversations)
    def murmur(self, number: int, conversation: int) -> None:
        """A member says something fleeting, which counts nowhere."""
        client, talk = self.device(number).client, self.talks[conversation]
        if client.client_id in talk.has_read:
            self.run(say(client, talk.cid, "typing", transient=True))

    @rule(number=numbers, conversation=conversations, how=st.sampled_from(["all", "id", "time", "future"]), at=numbers)
    def read(self, number: int, conversation: int, how: str, at: int) -> None:
        """Somebody reads, up to the end or to some message, perhaps one that it has read long ago."""
        client, talk = self.device(number).client, self.talks[conversation]
        reached = len(talk.said)
        position: dict[str, Any] = {}
        if talk.said and how in ("id", "time"):
            reached = 1 + at % len(talk.said)
            last = talk.said[reached - 1]
            position = {"timestamp": last.timestamp_ms} | ({"mid": last.message_id} if how == "id" else {})
        elif how == "future":
            position = {"timestamp": 2**62}

        async def read_it() -> None:
            await read(client, talk.cid, **position)
            await done(client)

        self.run(read_it())
        if client.client_id in talk.has_read:
            talk.has_read[client.client_id] = max(reached, talk.has_read[client.client_id])

    @rule(number=numbers, conversation=conversations)
    def acknowledge(self, number: int, conversation: int) -> None:
        """Somebody has received everything; that is not reading it."""
        client, talk = self.device(number).client, self.talks[conversation]

        async def acknowledge_it() -> None:
            await ack(client, cid=talk.cid, tots=2**62)
            await done(client)

        self.run(acknowledge_it())

    @rule(conversation=conversations, at=numbers, named=mentions, is_recall=st.booleans())
    def patch(self, conversation: int, at: int, named: list[str], is_recall: bool) -> None:
        """An author who is connected edits or recalls a message, and with it whom it mentions."""
        talk = self.talks[conversation]
        mine = {device.client.client_id: device.client for device in self.devices}
        candidates = [
            one for one in talk.said if not one.is_recalled and one.sender in mine and one.sender in talk.has_read
        ]
        if not candidates:
            return
        one = candidates[at % len(candidates)]
        item = PatchItem(cid=talk.cid, mid=one.message_id, timestamp=one.timestamp_ms, recall=is_recall)
        if not is_recall:
            item.data = b"edited"
            item.mentionPids.extend(named)
        reply = self.run(
            mine[one.sender].request(CommandType.patch, OpType.modify, patchMessage=PatchCommand(patches=[item]))
        )
        assert reply.op == OpType.modified, reply
        one.is_recalled, one.mentioned = is_recall, frozenset() if is_recall else frozenset(named)

    @rule(number=numbers)
    def leave_or_join(self, number: int) -> None:
        """Somebody leaves the group, or joins it: what was said before is history to him, not unread."""
        client, talk = self.device(number).client, self.talks[GROUP]
        name = client.client_id
        if name not in talk.has_read:
            self.run(add(client, talk.cid, name))
            talk.has_read[name] = len(talk.said)
        elif len(talk.has_read) > 1:
            self.run(remove(client, talk.cid, name))
            del talk.has_read[name]

    @precondition(lambda self: len(self.devices) < 6)
    @rule(name=st.sampled_from(NAMES))
    def new_device(self, name: str) -> None:
        """A client signs in on one more device, or anew."""
        self.devices.append(self.run(self.come(name, {}, None)))

    @precondition(lambda self: len(self.devices) > 1)
    @rule(number=numbers)
    def lose(self, number: int) -> None:
        """A device loses its connection; it keeps what it shows."""
        device = self.devices.pop(number % len(self.devices))
        self.run(device.client.wire.close())
        # One that was never told a count has no position, and would begin with nothing.
        if device.told_ms is not None:
            self.away.append(device)

    @precondition(lambda self: self.away and len(self.devices) < 6)
    @rule(number=numbers)
    def come_back(self, number: int) -> None:
        """A device comes back, and is told what has changed since."""
        device = self.away.pop(number % len(self.away))
        client = device.client
        returned = self.run(self.come(client.client_id, device.shown, device.told_ms, st=client.token, r=True))
        returned.stale = device.stale
        self.devices.append(returned)

    @invariant()
    def every_device_shows_the_truth(self) -> None:
        """And what a fresh one is told is the truth, too: see `new_device`."""
        for device in self.devices:
            for frame in self.run(heard(device.client)):
                device.show(frame)
            name = device.client.client_id
            for talk in self.talks:
                if name in talk.has_read and talk.cid not in device.stale:
                    assert device.shown.get(talk.cid, (0, False)) == talk.unread(name), (name, self.talks.index(talk))


@pytest.mark.slow
def test_every_device_shows_what_is_unread(loop: asyncio.AbstractEventLoop) -> None:
    """Checklist 57, 59, 60, 64, 65: counts and mentions, whoever reads, edits, recalls or comes back where."""
    run_state_machine_as_test(
        lambda: Readings(loop),  # type: ignore[arg-type]  # hypothesis takes any factory
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
