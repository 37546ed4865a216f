"""Receipts and read marks of people and devices on different server processes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from imcore.protocol.message_pb2 import AckCommand, CommandType, DirectCommand, OpType, ReadCommand, ReadTuple
from tests.faults.conftest import TwoNodes
from tests.faults.talking import client_on, own, start
from tests.imclient import ImClient

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MESSAGES = 30


@pytest.fixture
async def people(two_nodes: TwoNodes) -> AsyncIterator[tuple[ImClient, ImClient, ImClient]]:
    """One on the first node, and another with a device on either."""
    writer, reader = own("writer"), own("reader")
    clients = (
        await client_on(two_nodes.first, writer),
        await client_on(two_nodes.first, reader),
        await client_on(two_nodes.second, reader),
    )
    yield clients
    await asyncio.gather(*(client.wire.close() for client in clients), return_exceptions=True)


async def say(client: ImClient, conversation: str, text: str) -> AckCommand:
    """Send a message that wants a receipt and return its ack."""
    message = DirectCommand(cid=conversation, msg=text, r=True)
    return (await client.request(CommandType.direct, directMessage=message)).ackMessage


async def test_receipts_and_counts_cross_the_nodes(
    two_nodes: TwoNodes, people: tuple[ImClient, ImClient, ImClient]
) -> None:
    """Checklist 58, 59: an ack on one node is a receipt on the other; a read there syncs the device here."""
    writer, phone, laptop = people
    conversation = await start(writer, [phone.client_id])
    for client in people:
        await client.notice(CommandType.conv, OpType.joined)
        await client.notice(CommandType.conv, OpType.members_joined)
    message = await say(writer, conversation, "hello")
    for device in (phone, laptop):
        assert (await device.notice(CommandType.direct)).directMessage.id == message.uid

    await laptop.send(CommandType.ack, ackMessage=AckCommand(cid=conversation, mid=message.uid))

    delivered = (await writer.notice(CommandType.rcp)).rcpMessage
    assert (delivered.id, delivered.HasField("read")) == (message.uid, False)

    await laptop.send(CommandType.read, readMessage=ReadCommand(convs=[ReadTuple(cid=conversation, mid=message.uid)]))

    for device in (phone, laptop):
        [told] = (await device.notice(CommandType.unread)).unreadMessage.convs
        assert (told.cid, told.unread, told.mid) == (conversation, 0, message.uid)
    read = (await writer.notice(CommandType.rcp)).rcpMessage
    assert (read.id, read.read) == (message.uid, True)
    for client in people:
        await client.nothing_more()


async def test_no_receipt_overtakes_an_ack_and_no_count_a_message(
    two_nodes: TwoNodes, people: tuple[ImClient, ImClient, ImClient]
) -> None:
    """Checklist 58: whatever node knows first. The device on the writer's own node reads each as it comes."""
    writer, phone, laptop = people
    conversation = await start(writer, [phone.client_id])

    async def read_all(device: ImClient) -> list[tuple[str, int]]:
        """Read every message; return what was heard: messages, and counts with the newest message they count."""
        heard: list[tuple[str, int]] = []
        while [kind for kind, _ in heard].count("message") < MESSAGES:
            frame = await device.next_notice(60)
            if frame.cmd == CommandType.direct:
                heard.append(("message", frame.directMessage.timestamp))
                at = ReadTuple(cid=conversation, timestamp=frame.directMessage.timestamp)
                await device.send(CommandType.read, readMessage=ReadCommand(convs=[at]))
            elif frame.cmd == CommandType.unread:
                heard.append(("count", frame.unreadMessage.convs[0].timestamp))
        return heard

    reading = [asyncio.create_task(read_all(device)) for device in (phone, laptop)]
    acked: set[str] = set()
    for number in range(MESSAGES):
        acked.add((await say(writer, conversation, f"{number}")).uid)
        for frame in writer.seen:
            assert frame.cmd != CommandType.rcp or frame.rcpMessage.id in acked

    for heard in await asyncio.gather(*reading):
        times = [at_ms for kind, at_ms in heard if kind == "message"]
        assert times == sorted(set(times))
        newest = 0
        for kind, at_ms in heard:
            newest = max(newest, at_ms) if kind == "message" else newest
            assert at_ms <= newest, "a count came before the message it counts"
