"""Which device is on line, whatever comes: the table of realtime-protocol 4.1.2 as a model of a few lines.

Devices of one client come with and without tags, by a log-in or a return (`r`), by a token, old or new, or by their
identity; on new connections and on those they have; they sign out, are lost, and are kicked. After each step, the code
of each answer, who was told what, and who is on line must be the model's.
"""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType
from messaging.models import Device
from messaging.services import sessions
from tests.imclient import InProcess, open_session
from tests.messaging.signing_in import local_sessions

# `IMCORE_DEVICES_EXAMPLES=1000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_DEVICES_EXAMPLES", "25"))
WIRES_MAX = 5
# "": a client that does not say which device it is, and so is a new one each time.
identities = st.sampled_from(["A", "B", "C", ""])
tags = st.sampled_from(["mobile", "mobile", "web", "", "default"])
numbers = st.integers(0, 99)
returns = st.sampled_from([True, False, None])

SIGNED_IN, CLOSED, KICKED, SIGNED_OUT = "signed in", "closed", "kicked", "signed out"
CODES = {KICKED: 4111, SIGNED_OUT: 4112}


@pytest.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of the run. It stands still during a synchronous test, which may then run it."""
    return asyncio.get_running_loop()


@dataclass
class Known:
    """A device in the model. `voided`: how often its tokens were."""

    tag: str
    state: str = SIGNED_IN
    voided: int = 0


class Wire:
    """A connection, and which device of the client has its session there."""

    def __init__(self, socket: InProcess) -> None:
        self.socket = socket
        self.device: str | None = None
        self.expected: list[int] = []  # codes that its client must be told

    async def told(self) -> list[int]:
        """Return the codes of the notices that are under way."""
        codes = []
        await self.socket.send(GenericCommand(cmd=CommandType.echo))
        while (frame := await self.socket.receive()).cmd != CommandType.echo:
            assert (frame.cmd, frame.op) == (CommandType.session, OpType.closed), frame
            assert not frame.HasField("i")
            codes.append(frame.sessionMessage.code)
        return codes


class Devices(RuleBasedStateMachine):
    """One client's devices."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.application: Application = self.run(in_database(lambda: Application.objects.create(name="devices")))
        self.wires: list[Wire] = []
        self.known: dict[str, Known] = {}
        self.tokens: list[tuple[str, str, int]] = []  # text, device, how often those of the device had been voided
        self.strangers = (f"stranger {number}" for number in itertools.count(1))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop of the run."""
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        """Drop every connection."""
        while self.wires:
            self.lose(0)

    def wire(self, number: int) -> Wire:
        """Return a connection: a new one, or one that is there."""
        if len(self.wires) < WIRES_MAX and number % 2:
            self.wires.append(Wire(self.run(InProcess.connect())))
            return self.wires[-1]
        if not self.wires:
            return self.wire(1)
        return self.wires[number % len(self.wires)]

    def is_on_line(self, device: str) -> bool:
        """Say whether a device has a session."""
        return any(wire.device == device for wire in self.wires)

    def open(self, wire: Wire, **session: Any) -> GenericCommand:
        """Send an open."""
        frame: GenericCommand = self.run(open_session(wire.socket, self.application.app_id, "tom", **session))
        self.run(router.settle())
        return frame

    def others(self, device: str) -> list[str]:
        """Return the other devices that are signed in with a device's tag."""
        tag = self.known[device].tag
        return [
            name
            for name, known in self.known.items()
            if name != device and tag and (known.tag, known.state) == (tag, SIGNED_IN)
        ]

    def admit(self, wire: Wire, device: str, *, is_return: bool, by_token: bool) -> int:
        """Decide about a device that is welcome as such: return the code it is refused with, or 0."""
        # Whoever had a session on this connection has it no longer.
        wire.device = None
        known = self.known[device]
        if is_return and any(self.is_on_line(other) for other in self.others(device)):
            known.state = known.state if by_token else CLOSED
            return 4111
        if not is_return:
            for other in self.others(device):
                self.known[other].state = KICKED
                self.known[other].voided += 1
                self.end(other, 4111)
        wire.device = device
        return 0

    def end(self, device: str, code: int) -> None:
        """End the sessions of a device, and expect them to be told."""
        for wire in self.wires:
            if wire.device == device:
                wire.device = None
                wire.expected.append(code)

    def assert_answer(self, frame: GenericCommand, device: str, code: int) -> None:
        """Assert that an open was refused with a code, or else opened; keep the token."""
        if code:
            assert (frame.cmd, frame.errorMessage.code) == (CommandType.error, code), frame
        else:
            assert (frame.cmd, frame.op) == (CommandType.session, OpType.opened), frame
            self.tokens.append((frame.sessionMessage.st, device, self.known[device].voided))

    @rule(identity=identities, tag=tags, is_return=returns, where=numbers)
    def come(self, identity: str, tag: str, is_return: bool | None, where: int) -> None:
        """A device comes without a token. It does not change its tag while it has a session."""
        wire = self.wire(where)
        device = identity or next(self.strangers)
        if self.is_on_line(device):
            tag = self.known[device].tag

        frame = self.open(wire, deviceId=identity or None, tag=tag or None, r=is_return)

        known = self.known.get(device)
        if is_return and known is not None and known.state == KICKED:
            self.assert_answer(frame, device, 4111)
            return
        tag = "" if tag == "default" else tag
        self.known[device] = Known(tag, SIGNED_IN, known.voided if known else 0)
        code = self.admit(wire, device, is_return=bool(is_return), by_token=False)
        self.assert_answer(frame, device, code)

    @precondition(lambda self: self.tokens)
    @rule(token=numbers, is_return=st.sampled_from([True, True, False]), where=numbers)
    def come_with_token(self, token: int, is_return: bool, where: int) -> None:
        """A device comes with a token and nothing else, most likely one of the newest."""
        text, device, voided = self.tokens[-1 - token % len(self.tokens) // 3]
        wire = self.wire(where)

        frame = self.open(wire, st=text, r=is_return)

        known = self.known[device]
        if known.state in CODES:
            code = CODES[known.state]
        elif known.state == CLOSED or known.voided != voided:
            code = 4105
        else:
            code = self.admit(wire, device, is_return=is_return, by_token=True)
        self.assert_answer(frame, device, code)

    @precondition(lambda self: any(wire.device for wire in self.wires))
    @rule(number=numbers)
    def close(self, number: int) -> None:
        """A device signs out."""
        signed_in = [wire for wire in self.wires if wire.device]
        wire = signed_in[number % len(signed_in)]

        frame = self.run(wire.socket.request(CommandType.session, OpType.close, peerId="tom"))

        assert (frame.op, frame.sessionMessage.HasField("code")) == (OpType.closed, False)
        assert wire.device is not None
        known = self.known[wire.device]
        known.state, known.voided = CLOSED, known.voided + 1
        wire.device = None

    @precondition(lambda self: self.wires)
    @rule(number=numbers)
    def lose(self, number: int) -> None:
        """A connection is lost."""
        wire = self.wires.pop(number % len(self.wires))
        self.run(wire.socket.close())

    @precondition(lambda self: self.known)
    @rule()
    def kick(self) -> None:
        """The application signs the client out."""
        self.run(sessions.kick(application=self.application.pk, client_id="tom", reason=""))
        self.run(router.settle())

        for device, known in self.known.items():
            self.end(device, 4115)
            if known.state == SIGNED_IN:
                known.state, known.voided = SIGNED_OUT, known.voided + 1

    @invariant()
    def everybody_was_told_and_nobody_else(self) -> None:
        """Clients hear of the end of their sessions, once, and of nothing else."""
        for wire in self.wires:
            assert self.run(wire.told()) == wire.expected
            wire.expected.clear()

    @invariant()
    def those_are_on_line_who_should_be(self) -> None:
        """The presence table is the model's, and of a tag there is one device that is signed in and on line."""
        devices = Device.objects.filter(application=self.application)
        rows = self.run(in_database(lambda: {row.pk: row for row in devices}))
        names = {pk: row.identity if row.identity in ("A", "B", "C") else "stranger" for pk, row in rows.items()}
        here = Counter(names[session.device] for session in local_sessions(self.application, "tom"))
        there = Counter(
            wire.device if wire.device in ("A", "B", "C") else "stranger" for wire in self.wires if wire.device
        )
        assert here == there
        for name, known in self.known.items():
            if known.tag and known.state == SIGNED_IN and self.is_on_line(name):
                assert not any(self.is_on_line(other) for other in self.others(name))


def test_whatever_comes_the_right_device_is_on_line(loop: asyncio.AbstractEventLoop) -> None:
    """Checklist 12, 16 to 19, 21; what-users-ask 4: no loops of kicks, and no device conflicts with itself."""
    run_state_machine_as_test(
        lambda: Devices(loop),  # type: ignore[arg-type]  # hypothesis takes any factory
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
