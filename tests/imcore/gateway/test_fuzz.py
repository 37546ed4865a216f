"""Anything may come. Whatever it is, it is answered, ignored or the end of its own connection, and nothing breaks."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.models import Conversation
from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.errors import Unparseable
from imcore.gateway.dispatch import NEVER_ANSWERED
from imcore.models import Application
from imcore.protocol import codec
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    DirectCommand,
    GenericCommand,
    JsonObjectMessage,
    LogsCommand,
    OpType,
    SessionCommand,
)
from tests.conftest import SignIn
from tests.imclient import Closed, InProcess, sign_in
from tests.imcore.gateway.support import Connect
from tests.messaging.support import started

# Hypothesis takes the jitter that a database pool's own thread draws meanwhile for ours.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

CONVERSATION_ID = "feedfeedfeedfeedfeedfeed"
TEXT = (
    st.text(max_size=12)
    | st.sampled_from([CONVERSATION_ID, CONVERSATION_ID, "tom", "mary", "", "\0", "null", "汤", "a" * 70])
    | st.sampled_from(["{}", '{"objectId":"x"}', '{"name":"\\u0000"}', '{"m":["tom"]}', "[]", '{"_lctype":-1}'])
)
INT32 = st.integers(min_value=-(2**31), max_value=2**31 - 1) | st.integers(min_value=-1, max_value=3)
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1) | st.integers(min_value=-1, max_value=3)

SCALARS: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=12),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_INT64: INT64,
}

SERVED = [
    CommandType.session, CommandType.conv, CommandType.direct, CommandType.logs, CommandType.ack, CommandType.read,
    CommandType.login, CommandType.echo,
]  # fmt: skip


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Make values of a field, repeated or not."""
    message = field.message_type
    if message is not None:
        one: st.SearchStrategy[Any] = st.deferred(lambda: fields_of(message))
    elif field.enum_type is not None:
        one = st.sampled_from([value.number for value in field.enum_type.values])
    else:
        one = SCALARS[field.type]
    return st.lists(one, max_size=3) if field.is_repeated else one


def fields_of(message: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Make the fields of a message, any of them or none."""
    return st.fixed_dictionaries({}, optional={field.name: values(field) for field in message.fields})


BODIES = [field for field in GenericCommand.DESCRIPTOR.fields if field.message_type is not None]
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "peerId": st.sampled_from(["tom", "tom", "tom", "mary", "mary", "nobody", ""]),
        "i": INT32,
        "installationId": TEXT,
        "service": INT32,
        "serverTs": INT64,
        "notificationType": INT32,
    },
)


CONV, OPEN = CommandType.conv, OpType.open
PLAUSIBLE = [
    GenericCommand(cmd=CommandType.session, op=OPEN, sessionMessage=SessionCommand(configBitmap=187)),
    GenericCommand(cmd=CommandType.session, op=OpType.query, sessionMessage=SessionCommand(sessionPeerIds=["mary"])),
    GenericCommand(cmd=CONV, op=OpType.start, convMessage=ConvCommand(m=["mary"], unique=True)),
    GenericCommand(cmd=CONV, op=OpType.start, convMessage=ConvCommand(m=["mary"], tempConv=True, tempConvTTL=60)),
    GenericCommand(cmd=CONV, op=OpType.add, convMessage=ConvCommand(cid=CONVERSATION_ID, m=["a", "b"])),
    GenericCommand(cmd=CONV, op=OpType.remove, convMessage=ConvCommand(cid=CONVERSATION_ID, m=["a"])),
    GenericCommand(cmd=CONV, op=OpType.count, convMessage=ConvCommand(cid=CONVERSATION_ID)),
    GenericCommand(cmd=CONV, op=OpType.members, convMessage=ConvCommand(cid=CONVERSATION_ID)),
    GenericCommand(
        cmd=CONV, op=OpType.query, convMessage=ConvCommand(where=JsonObjectMessage(data='{"m":"tom"}'), limit=5, flag=2)
    ),
    GenericCommand(cmd=CommandType.direct, directMessage=DirectCommand(cid=CONVERSATION_ID, msg="hello")),
    GenericCommand(cmd=CommandType.logs, logsMessage=LogsCommand(cid=CONVERSATION_ID, l=5)),
]


@st.composite
def commands(draw: st.DrawFn) -> GenericCommand:
    """Make a command: one that makes sense with some fields made up, or one that is made up altogether."""
    fields: dict[str, Any] = draw(ENVELOPES)
    if draw(st.booleans()):
        command = GenericCommand()
        command.CopyFrom(draw(st.sampled_from(PLAUSIBLE)))
        own: Any = GenericCommand.DESCRIPTOR.fields_by_name[f"{CommandType.Name(command.cmd)}Message"]
        odd = draw(st.lists(st.sampled_from(list(own.message_type.fields)), max_size=2))
        fields[own.name] = {field.name: draw(values(field)) for field in odd}
        command.MergeFrom(GenericCommand(**fields))
        return command
    cmd = draw(st.sampled_from(SERVED) | st.sampled_from(CommandType.values()))
    op = draw(st.none() | st.sampled_from(OpType.values()))
    for body in draw(st.lists(st.sampled_from(BODIES), max_size=2)):
        fields[body.name] = draw(fields_of(body.message_type))
    if op is not None:
        fields["op"] = op
    fields["cmd"] = cmd
    return GenericCommand(**fields)


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


async def enter(wire: InProcess, app_id: str) -> None:
    """Sign tom and mary in, who may still be told what the example before this one caused."""
    for serial, client_id in enumerate(("tom", "mary"), 1):
        await wire.send(GenericCommand(cmd=CommandType.session, op=OPEN, i=serial, appId=app_id, peerId=client_id))
        while not (frame := await wire.receive()).HasField("i"):
            pass
        assert (frame.i, frame.op) == (serial, OpType.opened)


async def read_until_quiet(wire: InProcess, wanted: Counter[int]) -> tuple[Counter[int], bool]:
    """Count the answers until there are all and no more, or the server closes; say which of both."""
    got: Counter[int] = Counter()
    last = next(serial for serial in range(1000, 2000) if serial not in wanted)
    is_last_asked = False
    try:
        while not got[last]:
            if got.total() >= wanted.total() and not is_last_asked:
                # What is more than wanted is on its way before this one.
                await router.settle()
                await wire.send(GenericCommand(cmd=CommandType.echo, i=last))
                is_last_asked = True
            frame = await wire.receive()
            if frame.HasField("i"):
                got[frame.i] += 1
    except Closed:
        return got, True
    del got[last]
    return got, False


async def check(frames: list[bytes], wire: InProcess, app_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """Send frames and check what comes back, and that nothing unforeseen was logged."""
    wanted, closes = expected_answers(frames, app_id)

    for frame in frames:
        await wire.send_raw(frame)
    got, is_closed = await read_until_quiet(wire, wanted)
    await wire.close()

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    assert is_closed is closes
    if is_closed:
        assert not got - wanted, "answered twice, or what was not asked"
    else:
        assert got == wanted


async def assert_served(wire: InProcess) -> None:
    """Assert that another connection is served as if nothing had happened."""
    answer = await wire.request(CommandType.session, OpType.query, sessionMessage=SessionCommand(sessionPeerIds=["x"]))
    assert answer.op == OpType.query_result


@settings(ASYNC, max_examples=50)
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


@pytest.fixture
async def conversation(application: Application) -> None:
    """Make the conversation that frames know of."""
    object_id = await started(application, "tom", "mary")
    await in_database(lambda: Conversation.objects.filter(object_id=object_id).update(object_id=CONVERSATION_ID))


@settings(ASYNC, max_examples=60)
@given(frames=FRAMES)
async def test_random_frames_of_a_client_break_nothing(
    frames: list[bytes],
    application: Application,
    conversation: None,
    signed_in: SignIn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Issue: bad input. From behind a log-in, where handlers see it."""
    bystander = await signed_in("bystander")
    wire = await InProcess.connect()
    await enter(wire, application.app_id)

    await check(frames, wire, application.app_id, caplog)

    await assert_served(bystander.wire)  # type: ignore[arg-type]
    await bystander.wire.close()


@settings(ASYNC, max_examples=120)
@given(frames=COMMANDS)
async def test_every_request_of_random_commands_is_answered_once(
    frames: list[bytes], application: Application, conversation: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Checklist 7. Whatever the fields hold; commands without a serial get nothing but what they cause."""
    wire = await InProcess.connect()
    await enter(wire, application.app_id)

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
