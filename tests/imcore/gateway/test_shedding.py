"""What a connection loses that cannot keep up: what nobody misses, the least important first (4.13)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from imcore.delivery.encoding import Priority
from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, GenericCommand, OpType
from tests.imclient import ImClient, OverSocket, sign_in
from tests.imcore.gateway.slow_peer import Slow
from tests.processes import Server

pytestmark = pytest.mark.slow

FILLERS = 1200  # of 5000 bytes: more than any socket between us takes
FILLER = "x" * 5000
HIGH, NORMAL, LOW = Priority


@pytest.fixture
async def slow(bounded_server: Server) -> AsyncIterator[Slow]:
    """The client "slow", signed in."""
    client = await Slow.connect(bounded_server.port)
    await client.open(bounded_server.app_id, "slow")
    yield client
    await client.close()


@pytest.fixture
async def talker(bounded_server: Server) -> AsyncIterator[ImClient]:
    """A client that has much to say."""
    wire = await OverSocket.connect(bounded_server.ws_url)
    yield await sign_in(wire, bounded_server.app_id, "talker")
    await wire.close()


async def say(talker: ImClient, cid: str, text: str, priority: Priority | None, **fields: Any) -> None:
    """Send a message and be acknowledged: by then it has been handed on, or dropped."""
    options = {} if priority is None else {"priority": int(priority)}
    body = DirectCommand(cid=cid, msg=text, **fields)
    reply = await talker.request(CommandType.direct, directMessage=body, **options)
    assert not reply.ackMessage.HasField("code"), reply
    # Delivery comes right behind the acknowledgement; an echo behind both.
    assert (await talker.wire.request(CommandType.echo)).cmd == CommandType.echo


async def fill(talker: ImClient, cid: str, priority: Priority, count: int) -> None:
    """Send passing messages until no connection takes more of this priority."""
    body = DirectCommand(cid=cid, msg=FILLER, transient=True)
    for serial in range(count):
        await talker.wire.send(
            GenericCommand(cmd=CommandType.direct, i=serial + 1, priority=int(priority), directMessage=body)
        )
    while (await talker.wire.receive(30)).i != count:
        pass
    assert (await talker.wire.request(CommandType.echo)).cmd == CommandType.echo


async def hears(slow: Slow, last: str) -> list[str]:
    """Read until a message; return the texts of all but the fillers, which must have become fewer."""
    texts: list[str] = []
    fillers = 0
    while last not in texts:
        frame = await slow.receive()
        if frame.cmd == CommandType.direct:
            texts.append(frame.directMessage.msg)
            if texts[-1] == FILLER:
                fillers += 1
                texts.pop()
    assert fillers < FILLERS, "the connection was never congested"
    return texts


async def test_a_congested_connection_drops_low_then_normal_and_never_high(slow: Slow, talker: ImClient) -> None:
    """In a chat room, stored or not; history has what is stored."""
    started = await talker.request(CommandType.conv, OpType.start, convMessage=ConvCommand(transient=True))
    cid = started.convMessage.cid
    joined = await slow.ask(
        GenericCommand(cmd=CommandType.conv, op=OpType.add, i=2, convMessage=ConvCommand(cid=cid, m=["slow"]))
    )
    assert joined.op == OpType.added

    await fill(talker, cid, LOW, FILLERS)
    await say(talker, cid, "low", LOW)
    await say(talker, cid, "normal", NORMAL)
    await say(talker, cid, "no priority", None)
    await fill(talker, cid, NORMAL, 30)
    await say(talker, cid, "low again", LOW)
    await say(talker, cid, "normal again", NORMAL)
    await say(talker, cid, "no priority again", None)
    await say(talker, cid, "high", HIGH)
    await say(talker, cid, "high and passing", HIGH, transient=True)

    assert await hears(slow, "high and passing") == ["normal", "no priority", "high", "high and passing"]
    await say(talker, cid, "low, later", LOW)
    assert await hears(slow, "low, later") == ["low, later"]


async def test_in_a_conversation_only_passing_messages_are_dropped(slow: Slow, talker: ImClient) -> None:
    """What is stored is unread when it is missed, so it is not dropped whatever its priority."""
    started = await talker.request(CommandType.conv, OpType.start, convMessage=ConvCommand(m=["slow"], unique=False))
    cid = started.convMessage.cid

    await fill(talker, cid, LOW, FILLERS)
    await say(talker, cid, "passing low", LOW, transient=True)
    await say(talker, cid, "passing normal", NORMAL, transient=True)
    await say(talker, cid, "kept low", LOW)
    await fill(talker, cid, NORMAL, 30)
    await say(talker, cid, "passing normal again", NORMAL, transient=True)
    await say(talker, cid, "passing high", HIGH, transient=True)
    await say(talker, cid, "kept low again", LOW)
    await say(talker, cid, "kept", None)

    assert await hears(slow, "kept") == ["passing normal", "kept low", "passing high", "kept low again", "kept"]
