"""Anything may come. Whatever it is, it is answered, ignored or the end of its own connection, and nothing breaks."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcore.delivery.router import router
from imcore.errors import Unparseable
from imcore.gateway.dispatch import NEVER_ANSWERED
from imcore.models import Application
from imcore.protocol import codec
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand
from tests.conftest import SignIn
from tests.imclient import Closed, InProcess, sign_in
from tests.imcore.gateway.support import Connect

TEXT = st.text(max_size=12) | st.sampled_from(["tom", "mary", "", "\0", "{}", '{"objectId":"x"}', "null", "汤", "a" * 70])
INT32 = st.integers(min_value=-(2**31), max_value=2**31 - 1) | st.integers(min_value=-1, max_value=3)
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1) | st.integers(min_value=-1, max_value=3)

SCALARS: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=12),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_INT64: INT64,
}

WELL_KNOWN = [
    (CommandType.session, OpType.open), (CommandType.session, OpType.close), (CommandType.session, OpType.query),
    (CommandType.session, OpType.refresh), (CommandType.conv, OpType.start), (CommandType.conv, OpType.add),
    (CommandType.conv, OpType.remove), (CommandType.conv, OpType.query), (CommandType.conv, OpType.count),
    (CommandType.conv, OpType.members), (CommandType.conv, OpType.update), (CommandType.direct, None),
    (CommandType.logs, None), (CommandType.ack, None), (CommandType.read, None), (CommandType.rcp, None),
    (CommandType.login, None), (CommandType.logout, None), (CommandType.echo, None), (CommandType.patch, OpType.modify),
]  # fmt: skip


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Make values of a field, repeated or not."""
    if field.message_type is not None:
        one: st.SearchStrategy[Any] = st.deferred(lambda: fields_of(field.message_type))
    elif field.enum_type is not None:
        one = st.sampled_from([value.number for value in field.enum_type.values])
    else:
        one = SCALARS[field.type]
    return st.lists(one, max_size=3) if field.is_repeated else one


def fields_of(message: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    """Make the fields of a message, any of them or none."""
    return st.fixed_dictionaries({}, optional={field.name: values(field) for field in message.fields})


BODIES = [field for field in GenericCommand.DESCRIPTOR.fields if field.message_type is not None]
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "peerId": st.sampled_from(["tom", "tom", "mary", "nobody", ""]),
        "i": INT32,
        "installationId": TEXT,
        "service": INT32,
        "serverTs": INT64,
        "notificationType": INT32,
    },
)


@st.composite
def commands(draw: st.DrawFn) -> GenericCommand:
    """Make a command: one that is served more often than not, with a body that is its own more often than not."""
    fields = draw(ENVELOPES)
    if draw(st.integers(0, 9)):
        cmd, op = draw(st.sampled_from(WELL_KNOWN))
    else:
        cmd = draw(st.sampled_from(CommandType.values()))
        op = draw(st.none() | st.sampled_from(OpType.values()))
    own = [field for field in BODIES if field.name == f"{CommandType.Name(cmd)}Message"]
    for body in own if own and draw(st.integers(0, 4)) else draw(st.lists(st.sampled_from(BODIES), max_size=2)):
        fields[body.name] = draw(fields_of(body.message_type))
    if op is not None:
        fields["op"] = op
    return GenericCommand(cmd=cmd, **fields)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Make the bytes of a command with some of them changed, lost, doubled or added."""
    raw = bytearray(draw(commands()).SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        how = draw(st.sampled_from(["change", "lose", "add", "cut"]))
        if how == "change" and at < len(raw):
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "lose":
            del raw[at : at + draw(st.integers(1, 5))]
        elif how == "add":
            raw[at:at] = draw(st.binary(max_size=5))
        elif how == "cut":
            del raw[at:]
    return bytes(raw)


FRAMES = st.lists(
    st.binary(max_size=30) | mutations() | commands().map(lambda command: command.SerializeToString()),
    min_size=1,
    max_size=12,
)
COMMANDS = st.lists(commands().map(lambda command: command.SerializeToString()), min_size=1, max_size=12)

# The fixtures are of the whole test: examples share an application, as attackers would share a server.
ASYNC = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def expected_answers(frames: list[bytes], app_id: str) -> tuple[Counter[int], bool]:
    """Return which serials must be answered how often, and whether the server closes the connection."""
    answers: Counter[int] = Counter()
    for frame in frames:
        try:
            command = codec.decode(frame)
        except Unparseable:
            return answers, True
        is_echo = command.HasField("cmd") and command.cmd == CommandType.echo
        if command.HasField("i") and command.cmd not in NEVER_ANSWERED:
            answers[command.i] += 1
        if command.HasField("appId") and command.appId != app_id and not is_echo:
            return answers, True
    return answers, False


async def read_until_quiet(wire: InProcess, wanted: Counter[int], got: Counter[int]) -> bool:
    """Count answers until there are as many as wanted; say whether the server closed the connection instead."""
    try:
        while got.total() < wanted.total():
            frame = await wire.receive()
            if frame.HasField("i"):
                got[frame.i] += 1
        # What comes behind this echo would be an answer too many.
        await router.settle()
        await wire.send(GenericCommand(cmd=CommandType.echo, installationId="last"))
        while True:
            frame = await wire.receive()
            if frame.HasField("i"):
                got[frame.i] += 1
            elif frame.cmd == CommandType.echo and not frame.HasField("peerId"):
                return False
    except Closed:
        return True


async def check(frames: list[bytes], wire: InProcess, app_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """Send frames and check what comes back, and that nothing unforeseen was logged."""
    wanted, closes = expected_answers(frames, app_id)
    got: Counter[int] = Counter()
    echoes = sum(1 for frame in frames if is_bare_echo(frame))

    for frame in frames:
        await wire.send_raw(frame)
    # The echoes without serial or client among the frames look like the last one; take them first.
    is_closed = await read_until_quiet(wire, wanted, got)
    for _ in range(0 if is_closed else echoes):
        is_closed = await read_until_quiet(wire, wanted, got)
    await wire.close()

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    assert is_closed is closes
    if is_closed:
        assert not got - wanted, "answered twice, or what was not asked"
    else:
        assert got == wanted


def is_bare_echo(frame: bytes) -> bool:
    """Say whether a frame is an echo that comes back without serial and client."""
    try:
        command = codec.decode(frame)
    except Unparseable:
        return False
    return (
        command.HasField("cmd")
        and command.cmd == CommandType.echo
        and not command.HasField("i")
        and not command.HasField("peerId")
    )


async def assert_served(wire: InProcess) -> None:
    """Assert that another connection is served as if nothing had happened."""
    answer = await wire.request(CommandType.session, OpType.query, sessionMessage=SessionCommand(sessionPeerIds=["x"]))
    assert answer.op == OpType.query_result


@settings(ASYNC, max_examples=80)
@given(frames=FRAMES)
async def test_random_frames_of_a_stranger_break_nothing(
    frames: list[bytes],
    application: Application,
    connect: Connect,
    signed_in: SignIn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Issue: bad input. Before any log-in."""
    bystander = await signed_in("bystander")
    wire = await InProcess.connect()

    await check(frames, wire, application.app_id, caplog)

    await assert_served(bystander.wire)  # type: ignore[arg-type]
    await bystander.wire.close()


@settings(ASYNC, max_examples=80)
@given(frames=FRAMES)
async def test_random_frames_of_a_client_break_nothing(
    frames: list[bytes], application: Application, signed_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue: bad input. From behind a log-in, where handlers see it."""
    bystander = await signed_in("bystander")
    wire = await InProcess.connect()
    await sign_in(wire, application.app_id, "tom")
    await sign_in(wire, application.app_id, "mary")

    await check(frames, wire, application.app_id, caplog)

    await assert_served(bystander.wire)  # type: ignore[arg-type]
    await bystander.wire.close()


@settings(ASYNC, max_examples=120)
@given(frames=COMMANDS)
async def test_every_request_of_random_commands_is_answered_once(
    frames: list[bytes], application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    """Checklist 7. Whatever the fields hold; commands without a serial get nothing but what they cause."""
    wire = await InProcess.connect()
    await sign_in(wire, application.app_id, "tom")
    await sign_in(wire, application.app_id, "mary")

    await check(frames, wire, application.app_id, caplog)


async def test_many_connections_of_noise_disturb_nobody(
    application: Application, signed_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue: bad input. All at once, and each ends alone."""
    bystander = await signed_in("bystander")

    async def noise(number: int) -> int | None:
        wire = await InProcess.connect()
        await sign_in(wire, application.app_id, f"noise {number}")
        await wire.send_raw(b"\xff" * (number + 1))
        code = await wire.closed()
        await wire.close()
        return code

    codes = await asyncio.gather(*(noise(number) for number in range(30)))

    assert codes == [4114] * 30
    await assert_served(bystander.wire)  # type: ignore[arg-type]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
