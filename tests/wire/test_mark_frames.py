"""Golden frames of receipts and read marks: `ack`, `read`, what is heard of them, and `conv/max_read`."""

from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    ConvCommand,
    GenericCommand,
    OpType,
    ReadCommand,
    ReadTuple,
)
from tests.conftest import SignIn
from tests.messaging.support import heard, say, started
from tests.wire.golden import assert_golden

CONV = CommandType.conv


async def test_ack(application: Application, signed_in: SignIn) -> None:
    """JavaScript acknowledges a time; the receipt has no `read`."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    message = await say(tom, room, "hello", r=True)
    await heard(jerry)
    body = AckCommand(cid=room, fromts=message.t, tots=message.t)

    await jerry.send(CommandType.ack, ackMessage=body)

    request = GenericCommand(cmd=CommandType.ack, peerId="jerry", ackMessage=body)
    assert_golden("ack_rcp", request, await tom.next_notice())


async def test_read(application: Application, signed_in: SignIn) -> None:
    """The count for the reader; the delivery, since none was told, and then the read for the sender."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    message = await say(tom, room, '{"_lctype":-1,"_lctext":"hello"}', r=True)
    await heard(jerry)
    body = ReadCommand(convs=[ReadTuple(cid=room, mid=message.uid, timestamp=message.t)])

    await jerry.send(CommandType.read, readMessage=body)

    request = GenericCommand(cmd=CommandType.read, peerId="jerry", readMessage=body)
    frames = [await jerry.next_notice(), await tom.next_notice(), await tom.next_notice()]
    assert_golden("read_unread_rcp", request, *frames)


async def test_max_read(application: Application, signed_in: SignIn) -> None:
    """Before anybody has read, after it, and of all members."""
    room = await started(application, "tom", "jerry", "mary")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    message = await say(tom, room, "hello")
    asked, asked_all = ConvCommand(cid=room), ConvCommand(cid=room, queryAllMembers=True)

    before = await tom.request(CONV, OpType.max_read, convMessage=asked)
    await jerry.send(CommandType.read, readMessage=ReadCommand(convs=[ReadTuple(cid=room, mid=message.uid)]))
    await heard(jerry)
    await jerry.notice(CommandType.unread)
    after = await tom.request(CONV, OpType.max_read, convMessage=asked)
    all_members = await tom.request(CONV, OpType.max_read, convMessage=asked_all)

    request = GenericCommand(cmd=CONV, op=OpType.max_read, peerId="tom", i=before.i, convMessage=asked)
    assert_golden("conv_max_read", request, before, after, all_members)
