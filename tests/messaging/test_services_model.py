"""Each client gets what system conversations say exactly once, after any sequence of what may happen.

Who is on line gets it at once, on every device. Who was away is told when the first of its devices comes: old clients
the message, new ones how many they have not read. The truth is a list of what was said, and what each may hear of it.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from conversations.services import directory, subscriptions
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand
from messaging.models import Audience, ServiceMessage
from messaging.services.sending import Acknowledgement
from tests.conversations.talking import heard
from tests.imclient import ImClient, InProcess, sign_in
from tests.messaging.marking import done, read
from tests.messaging.returning import OFFLINE_PUSH
from tests.messaging.speaking import Service, new_service

# `IMCORE_SERVICES_EXAMPLES=1000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_SERVICES_EXAMPLES", "12"))
COUNTING, OLD = ["tom", "jerry", "anna"], ["mary", "spike"]
NAMES = COUNTING + OLD
HANDED_OVER = 20  # of a conversation, at most
numbers = st.integers(0, 99)
places = st.integers(0, 1)
names = st.sampled_from(NAMES)


@pytest.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of the run. It stands still during a synchronous test, which may then run it."""
    return asyncio.get_running_loop()


@dataclass
class Said:
    """What was said, to whom; for whom it is gone, and whether it is over."""

    number: int
    place: int
    audience: Audience
    to: frozenset[str]
    spoken: Acknowledgement
    is_recalled: bool = False
    is_over: bool = False
    gone: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Device:
    """One device: what it is to get next, what it has got, and what a counting one shows."""

    client: ImClient
    shown: Counter[int] = field(default_factory=Counter)
    told_ms: int | None = None
    due: list[str] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    # Of these it cannot know: it is told nothing when its client unsubscribes elsewhere.
    unknown: set[int] = field(default_factory=set)


@dataclass
class Client:
    """What a client may hear: since when it follows, which messages to everybody are for it, how far it has come."""

    name: str
    devices: list[Device] = field(default_factory=list)
    away: list[Device] = field(default_factory=list)
    is_known: bool = False
    follows_behind: dict[int, int] = field(default_factory=dict)
    broadcasts: set[int] = field(default_factory=set)
    reached: Counter[int] = field(default_factory=Counter)

    def waits(self, one: Said) -> bool:
        """Return whether a message is for it, and still to be read or handed over."""
        if one.is_recalled or one.is_over or self.name in one.gone or one.number <= self.reached[one.place]:
            return False
        if one.audience is Audience.CLIENT:
            return self.name in one.to
        if one.audience is Audience.SUBSCRIBERS:
            return one.number > self.follows_behind.get(one.place, 2**62)
        return one.number in self.broadcasts


class Hearings(RuleBasedStateMachine):
    """Services speak, take back and delete; clients come, go, follow and read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.application = self.run(in_database(lambda: Application.objects.create(name="model")))
        self.services: list[Service] = [self.run(new_service(self.application)) for _ in range(2)]
        self.said: list[Said] = []
        self.clients = {name: Client(name) for name in NAMES}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop of the run."""
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        """Disconnect everybody."""
        for client in self.clients.values():
            for device in client.devices:
                self.run(device.client.wire.close())

    def note(self, place: int, audience: Audience, to: list[str], spoken: Acknowledgement) -> None:
        """Remember what was said, and what follows for everybody."""
        one = Said(len(self.said) + 1, place, audience, frozenset(to), spoken)
        self.said.append(one)
        for client in self.clients.values():
            if audience is Audience.EVERYBODY and client.is_known:
                client.broadcasts.add(one.number)
            # A client that was never here gets the newest one when it comes.
            if not client.waits(one) and not (audience is Audience.EVERYBODY and client.devices):
                continue
            for device in client.devices:
                device.due.append(spoken.message_id)
                device.shown[place] += 1
            if client.devices and client.name in OLD:
                client.reached[place] = one.number

    @rule(
        place=places,
        audience=st.sampled_from([*Audience, Audience.EVERYBODY]),
        to=st.lists(names, min_size=1, max_size=3, unique=True),
    )
    def speak(self, place: int, audience: Audience, to: list[str]) -> None:
        """A service says something."""
        service = self.services[place]
        if audience is Audience.CLIENT:
            self.note(place, audience, to, self.run(service.tell(*to)))
        elif audience is Audience.SUBSCRIBERS:
            self.note(place, audience, [], self.run(service.announce()))
        else:
            self.note(place, audience, [], self.run(service.broadcast()))

    def some(self, number: int, *audiences: Audience) -> Said | None:
        """Return something that was said to one of the audiences, and can still be found."""
        found = [
            one for one in self.said if one.audience in audiences and not (one.gone or one.is_recalled or one.is_over)
        ]
        return found[number % len(found)] if found else None

    @rule(number=numbers, name=names, how=st.sampled_from(["expire", "expire", "delete", "recall"]))
    def take_back(self, number: int, name: str, how: str) -> None:
        """The time of something is over, or it is deleted, to all or to one, or recalled."""
        one = self.some(number, *((Audience.EVERYBODY,) if how == "expire" else Audience))
        if one is None:
            return
        service = self.services[one.place]
        if how == "expire":
            one.is_over = True
            rows = ServiceMessage.objects.filter(message_id=one.spoken.message_id)
            self.run(in_database(lambda: rows.update(valid_till_ms=identifiers.now_ms())))
        elif how == "recall":
            one.is_recalled = True
            self.run(service.patch(one.spoken, None, client_ids=sorted(one.to)))
        elif one.audience is Audience.EVERYBODY:
            one.gone.update(NAMES)
            self.run(service.delete_broadcast(one.spoken))
        elif one.audience is Audience.SUBSCRIBERS or name in one.to:
            one.gone.add(name)
            self.run(service.delete_for(name, one.spoken))

    @rule(name=names, place=places)
    def subscribe_or_unsubscribe(self, name: str, place: int) -> None:
        """A client follows a service, or no longer, at the application's will: its devices hear nothing of it."""
        client, service = self.clients[name], self.services[place]
        conversation = self.run(
            directory.find(application=service.application, conversation_id=service.cid, now_ms=identifiers.now_ms())
        )
        if place in client.follows_behind:
            self.run(subscriptions.unsubscribe(conversation=conversation, client_id=name))
            del client.follows_behind[place]
            for device in client.devices + client.away:
                device.unknown.add(place)
        else:
            self.run(subscriptions.subscribe(conversation=conversation, client_id=name, now_ms=identifiers.now_ms()))
            client.follows_behind[place] = len(self.said)

    @rule(name=st.sampled_from(COUNTING), place=places)
    def read(self, name: str, place: int) -> None:
        """Somebody reads all of a service's messages; all devices are told."""
        client = self.clients[name]
        if not client.devices or not any(one.place == place for one in self.said):
            return

        async def read_it() -> None:
            await read(client.devices[0].client, self.services[place].cid)
            await done(client.devices[0].client)

        self.run(read_it())
        client.reached[place] = len(self.said)

    @precondition(lambda self: sum(len(client.devices) for client in self.clients.values()) < 7)
    @rule(name=names, is_return=st.booleans())
    def come(self, name: str, is_return: bool) -> None:
        """A client comes, with a new device or one that was here."""
        client = self.clients[name]
        before = client.away.pop(0) if is_return and client.away else None
        if not client.is_known:
            client.is_known = True
            valid = [
                one.number
                for one in self.said
                if one.audience is Audience.EVERYBODY and not (one.is_over or one.gone or one.is_recalled)
            ]
            client.broadcasts.update(valid[-1:])
        device = self.run(self.signed_in(name, before))
        client.devices.append(device)
        if name in OLD:
            for place in range(2):
                waiting = [one for one in self.said if one.place == place and client.waits(one)]
                device.due += [one.spoken.message_id for one in waiting[-HANDED_OVER:]]
                if waiting:
                    client.reached[place] = len(self.said)
        else:
            device.unknown.clear()
            self.take_in(device)
            for place in range(2):
                count = sum(client.waits(one) for one in self.said if one.place == place)
                if before is None or place not in before.unknown:
                    assert device.shown[place] == min(count, 100), (name, place, device.shown[place], count)
                device.shown[place] = count

    async def signed_in(self, name: str, before: Device | None) -> Device:
        """Sign a client in; a device that was here brings its token, and what it knows."""
        wire = await InProcess.connect(OFFLINE_PUSH if name in OLD else ("lc.protobuf2.3",))
        session: dict[str, Any] = {} if before is None else {"st": before.client.token, "r": True}
        if before is not None and before.told_ms is not None:
            session["lastUnreadNotifTime"] = before.told_ms
        client = await sign_in(wire, self.application.app_id, name, **session)
        if before is None or before.told_ms is None:
            return Device(client)
        return Device(client, before.shown, before.told_ms)

    @rule(name=names, number=numbers)
    def go(self, name: str, number: int) -> None:
        """A device loses its connection."""
        client = self.clients[name]
        if client.devices:
            device = client.devices.pop(number % len(client.devices))
            self.run(device.client.wire.close())
            client.away.append(device)

    def take_in(self, device: Device) -> None:
        """Take what has come to a device."""
        cids = {service.cid: place for place, service in enumerate(self.services)}
        for frame in self.run(heard(device.client)):
            self.show(device, frame, cids)

    def show(self, device: Device, frame: GenericCommand, cids: dict[str, int]) -> None:
        """Do what SDKs do with a frame."""
        if frame.cmd == CommandType.direct:
            device.got.append(frame.directMessage.id)
        elif frame.cmd == CommandType.unread:
            device.told_ms = frame.unreadMessage.notifTime
            for one in frame.unreadMessage.convs:
                device.shown[cids[one.cid]] = one.unread
                device.unknown.discard(cids[one.cid])

    @invariant()
    def every_device_has_got_what_it_is_to_get_once(self) -> None:
        """Neither less nor more, nor twice."""
        for client in self.clients.values():
            for device in client.devices:
                self.take_in(device)
                assert sorted(device.got) == sorted(device.due), client.name
                assert len(set(device.got)) == len(device.got), client.name


@pytest.mark.slow
def test_every_client_gets_everything_once(loop: asyncio.AbstractEventLoop) -> None:
    """Checklist 31, 33, 60; hooks-and-push 47 to 49."""
    run_state_machine_as_test(
        lambda: Hearings(loop),  # type: ignore[arg-type]  # hypothesis takes any factory
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
