"""What every test relies on when it receives a frame: that the oldest client could have read it."""

import pytest

from imcore.models import Application
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    DirectCommand,
    ErrorCommand,
    GenericCommand,
    JsonObjectMessage,
    LogItem,
    LogsCommand,
    OpType,
    UnreadCommand,
    UnreadTuple,
)
from tests.conftest import SignIn
from tests.wire.oldest_schema import OldestCommand, assert_understood


async def test_the_frames_of_a_whole_day_are_understood_by_the_oldest_client(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 8. `Wire.receive` checks every frame of every test; these are one of each kind."""
    tom = await signed_in("tom", configBitmap=1)
    jerry = await signed_in("jerry", configBitmap=1)

    started = await tom.request(CommandType.conv, OpType.start, convMessage=ConvCommand(m=["jerry"]))
    cid = started.convMessage.cid
    await tom.request(CommandType.direct, directMessage=DirectCommand(cid=cid, binaryMsg=b"\xff", mentionAll=True))
    kinds = [await jerry.next_notice() for _ in range(3)]
    logs = await jerry.request(CommandType.logs, logsMessage=LogsCommand(cid=cid))
    where = JsonObjectMessage(data="{}")
    results = await jerry.request(CommandType.conv, OpType.query, convMessage=ConvCommand(where=where))
    refused = await jerry.request(CommandType.room, OpType.join)

    assert [frame.cmd for frame in kinds] == [CommandType.conv, CommandType.conv, CommandType.direct]
    assert len(logs.logsMessage.logs) == 1
    assert cid in results.convMessage.results.data
    assert refused.errorMessage.code == 4200


@pytest.mark.parametrize(
    "frame",
    [
        GenericCommand(cmd=CommandType.error, errorMessage=ErrorCommand(code=4200)),
        GenericCommand(cmd=CommandType.error, errorMessage=ErrorCommand(reason="INTERNAL_ERROR")),
        GenericCommand(cmd=CommandType.conv, convMessage=ConvCommand(results=JsonObjectMessage())),
        GenericCommand(cmd=CommandType.unread, unreadMessage=UnreadCommand(convs=[UnreadTuple(cid="c")])),
    ],
)
def test_a_frame_without_what_proto2_requires_is_not_understood(frame: GenericCommand) -> None:
    """Checklist 8. Java, C#, Swift and Objective-C lose such a frame as a whole (P5)."""
    with pytest.raises(AssertionError, match="required"):
        assert_understood(frame.SerializeToString())


def test_the_oldest_client_skips_what_it_does_not_know() -> None:
    """Checklist 8. The schema really is the old one."""
    item = LogItem(msgId="m", data="text", bin=True, convType=1)
    frame = GenericCommand(cmd=CommandType.logs, i=1, serverTs=5, logsMessage=LogsCommand(cid="c", logs=[item]))

    assert_understood(frame.SerializeToString())

    read = OldestCommand.FromString(frame.SerializeToString())
    assert {field.name for field, _ in read.ListFields()} == {"cmd", "i", "logsMessage"}
    old_item = read.logsMessage.logs[0]  # type: ignore[attr-defined]
    assert {field.name for field, _ in old_item.ListFields()} == {"msgId", "data"}
