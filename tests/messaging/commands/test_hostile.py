"""Commands with values that no SDK sends: each is answered or passed over, and none is a fault of the server."""

import itertools
import logging
from typing import Any

import pytest

from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    ConvCommand,
    DirectCommand,
    GenericCommand,
    OpType,
    PatchCommand,
    PatchItem,
    ReadCommand,
    ReadTuple,
)
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.conversations.rooming import room_of
from tests.imclient import ImClient, open_session
from tests.messaging.returning import Connect
from tests.messaging.signing_in import assert_opened
from tests.messaging.support import say, started

TIMES = [0, -1, 1, 2**63 - 1, -(2**63), 10**18]
FAULTS = {4200, 4300}


async def test_no_value_of_any_field_makes_the_server_fail(
    application: Application, signed_in: SignIn, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Checklist 58, 59, 60, 66, 68, 70: from a member, from the author, and from somebody who is neither."""
    await in_database(
        lambda: MessagingSettings.objects.create(application=application, edit_enabled=True, recall_enabled=True)
    )
    tom = await signed_in("tom")
    places = [
        await started(application, "tom", "jerry"),
        await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=100),
    ]
    message_ids = ["", "unknown", "a\0b", "x" * 5000, *[(await say(tom, one, "hi", r=True)).uid for one in places]]
    conversation_ids = ["", "\0", "x" * 5000, await room_of(tom), *places]

    for client in (await signed_in("jerry"), await signed_in("mary"), tom):
        for cid, mid, at_ms, until_ms in itertools.product(conversation_ids, message_ids, TIMES, TIMES[::3]):
            await client.send(
                CommandType.ack, ackMessage=AckCommand(cid=cid, mid=mid, fromts=at_ms, tots=until_ms, ids=message_ids)
            )
            await client.send(
                CommandType.read, readMessage=ReadCommand(convs=[ReadTuple(cid=cid, mid=mid, timestamp=at_ms)] * 3)
            )
        await client.send(CommandType.ack)
        await client.send(CommandType.read)
        await client.send(CommandType.ack, ackMessage=AckCommand(ids=[f"unknown-{number}" for number in range(9000)]))
        await client.send(CommandType.read, readMessage=ReadCommand(cids=[f"none-{number}" for number in range(9000)]))
        for cid, mid, is_recall, data in itertools.product(
            conversation_ids, message_ids, (False, True), (b"", b"\xff\xfe", b"ok\0")
        ):
            item = PatchItem(cid=cid, mid=mid, timestamp=-1, recall=is_recall, data=data, mentionPids=["\0", "q" * 900])
            await _patch(client, item)
        await _patch(client)
        await _patch(client, *[PatchItem(cid=places[0], mid=message_ids[-2], recall=True)] * 50)
        for cid in conversation_ids:
            will = DirectCommand(cid=cid, will=True, msg="\0", mentionPids=["\0"])
            _assert_no_fault(await client.request(CommandType.direct, directMessage=will))
            asked = ConvCommand(cid=cid, queryAllMembers=True)
            _assert_no_fault(await client.request(CommandType.conv, OpType.max_read, convMessage=asked))

    for (since_ms, patched_ms), subprotocol in itertools.product(
        itertools.product(TIMES, TIMES), ("lc.protobuf2.3", "lc.protobuf2.1")
    ):
        position: dict[str, Any] = {"lastUnreadNotifTime": since_ms, "lastPatchTime": patched_ms}
        wire = await connect((subprotocol,))
        assert_opened(
            await open_session(wire, application.app_id, "jerry", tag="\0", deviceId="\0", configBitmap=-1, **position)
        )
        await wire.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def _patch(client: ImClient, *items: PatchItem) -> None:
    body = PatchCommand(patches=items)
    _assert_no_fault(await client.request(CommandType.patch, OpType.modify, patchMessage=body))


def _assert_no_fault(reply: GenericCommand) -> None:
    assert reply.errorMessage.code not in FAULTS, reply
    assert reply.ackMessage.code not in FAULTS, reply
