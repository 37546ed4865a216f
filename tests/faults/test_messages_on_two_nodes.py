"""What a message carries, and a message sent twice, across two server processes (realtime-protocol 4.9)."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator

import pytest

from imcore.protocol.message_pb2 import CommandType, GenericCommand, LogsCommand
from tests.conversations.talking import remove
from tests.faults.conftest import TwoNodes
from tests.faults.talking import SECONDS, history, own, start
from tests.faults.test_two_nodes import Clients
from tests.imclient import ImClient
from tests.messaging.support import attempt, say

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Clients on either node."""
    made = Clients()
    yield made
    await made.close()


async def test_a_message_sent_again_through_the_other_node_is_the_first_one(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 51, 52, 54: whatever it says now; at every device once, with the id and the time of the ack."""
    me, friend = own("me"), own("friend")
    phone, laptop = await clients.on(two_nodes.first, me), await clients.on(two_nodes.second, me)
    receivers = [await clients.on(node, friend) for node in (two_nodes.first, two_nodes.second)]
    conversation = await start(phone, [friend])

    first = await say(phone, conversation, "one", dt="token")
    again = await say(laptop, conversation, "two", dt="token", mentionAll=True)
    last = await say(laptop, conversation, "last", dt="another")

    assert again == first
    for receiver in receivers:
        assert await _hears(receiver, 2) == [(first.uid, first.t, "one"), (last.uid, last.t, "last")]
    assert await _hears(laptop, 1) == [(first.uid, first.t, "one")]
    assert await _hears(phone, 1) == [(last.uid, last.t, "last")]
    assert [(item.data, item.mentionAll) for item in await history(laptop, conversation)] == [
        ("one", False),
        ("last", False),
    ]


async def test_messages_sent_through_both_nodes_at_once_with_one_token_are_one(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 54: whichever is stored, both are acknowledged as that."""
    me, friend = own("me"), own("friend")
    devices = [await clients.on(node, me) for node in (two_nodes.first, two_nodes.second) for _ in range(2)]
    receiver = await clients.on(two_nodes.second, friend)
    conversation = await start(devices[0], [friend])
    rounds = range(20)

    acks = []
    for number in rounds:
        texts = [f"{number} from {device}" for device in range(len(devices))]
        sends = (
            attempt(device, conversation, text, dt=f"token {number}")
            for device, text in zip(devices, texts, strict=True)
        )
        answers = await asyncio.gather(*sends)
        assert answers == [answers[0]] * len(devices)
        acks.append((answers[0].uid, answers[0].t))

    heard = await _hears(receiver, len(rounds))
    kept = [(item.msgId, item.timestamp, item.data) for item in await history(receiver, conversation)]
    assert heard == kept
    assert [(uid, t) for uid, t, _ in kept] == acks
    assert [text.partition(" ")[0] for _, _, text in kept] == [str(number) for number in rounds]


async def test_what_a_message_carries_reaches_the_other_node(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 55, 56, 57."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [jerry.client_id])
    body = bytes(range(256))

    await say(tom, conversation, "typing …", transient=True)
    await say(tom, conversation, binaryMsg=body)
    await say(tom, conversation, "@jerry", mentionPids=[jerry.client_id], mentionAll=True)

    transient, binary, mention = [(await _heard(jerry)).directMessage for _ in range(3)]
    assert (transient.msg, transient.transient) == ("typing …", True)
    assert (binary.binaryMsg, binary.HasField("msg"), binary.transient) == (body, False, False)
    assert (mention.msg, list(mention.mentionPids), mention.mentionAll) == ("@jerry", [jerry.client_id], True)
    kept_binary, kept_mention = await history(jerry, conversation)
    assert (b64decode(kept_binary.data), kept_binary.bin) == (body, True)
    assert (list(kept_mention.mentionPids), kept_mention.mentionAll) == ([jerry.client_id], True)


async def test_who_was_removed_through_one_node_reads_no_history_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 53, 63."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [jerry.client_id])
    await say(jerry, conversation, "hello")
    assert len(await history(jerry, conversation)) == 1

    await remove(tom, conversation, jerry.client_id)

    refused = await jerry.request(CommandType.logs, logsMessage=LogsCommand(cid=conversation))
    assert (refused.cmd, refused.errorMessage.code) == (CommandType.error, 4312)
    assert (await attempt(jerry, conversation, "still?")).code == 4401


async def _heard(client: ImClient) -> GenericCommand:
    """Return the next message; notices of the start may come before it."""
    while (frame := await client.next_notice(seconds=SECONDS)).cmd != CommandType.direct:
        pass
    return frame


async def _hears(client: ImClient, count: int) -> list[tuple[str, int, str]]:
    """Return the id, time and text of the next messages."""
    messages = [(await _heard(client)).directMessage for _ in range(count)]
    return [(message.id, message.timestamp, message.msg) for message in messages]
