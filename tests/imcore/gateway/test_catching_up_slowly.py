"""Much that was missed, to a client that reads slowly (realtime-protocol 1.5: offline messages)."""

import asyncio

import pytest

from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, GenericCommand, OpType, SessionCommand
from tests.imclient import ImClient, OverSocket, sign_in
from tests.imcore.gateway.slow_peer import Slow
from tests.processes import Server

pytestmark = pytest.mark.slow

CONVERSATIONS, MESSAGES = 50, 20
PADDING = "x" * 4000


async def say_all(talker: ImClient, bodies: list[DirectCommand]) -> None:
    """Send messages and be acknowledged; notices of what came before may still be on their way."""
    for serial, body in enumerate(bodies, 1):
        await talker.wire.send(
            GenericCommand(cmd=CommandType.direct, i=serial, peerId=talker.client_id, directMessage=body)
        )
    acknowledged = 0
    while acknowledged < len(bodies):
        frame = await talker.wire.receive(30)
        if frame.cmd == CommandType.ack:
            assert not frame.ackMessage.HasField("code")
            acknowledged += 1


async def test_a_thousand_missed_messages_reach_a_slow_reader_whole_and_in_order(bounded_server: Server) -> None:
    """Checklist 60: sixty times what its connection may have waiting; then what came meanwhile, and nothing twice.

    Its commands are served while it reads.
    """
    wire = await OverSocket.connect(bounded_server.ws_url)
    talker = await sign_in(wire, bounded_server.app_id, "talker")
    cids = []
    for _ in range(CONVERSATIONS):
        conv = ConvCommand(m=["absentee"], unique=False)
        started = await talker.request(CommandType.conv, OpType.start, convMessage=conv)
        cids.append(started.convMessage.cid)
    talker.seen.clear()
    texts = [f"{number} {PADDING}" for number in range(CONVERSATIONS * MESSAGES)]
    await say_all(
        talker, [DirectCommand(cid=cids[number % CONVERSATIONS], msg=text) for number, text in enumerate(texts)]
    )

    slow = await Slow.connect(bounded_server.port, subprotocol="lc.protobuf2.1")
    await slow.open(bounded_server.app_id, "absentee", configBitmap=187)
    await say_all(talker, [DirectCommand(cid=cids[0], msg=f"live {number} {PADDING}") for number in range(30)])
    ask = SessionCommand(sessionPeerIds=["talker"])
    query = GenericCommand(cmd=CommandType.session, op=OpType.query, i=2, peerId="absentee", sessionMessage=ask)
    await slow.peer.send(query.SerializeToString())
    received: list[DirectCommand] = []
    answered_after = None
    while len(received) < len(texts) + 30:
        frame = await slow.receive()
        if frame.i == 2:
            answered_after = len(received)
        else:
            received.append(frame.directMessage)
            await asyncio.sleep(0)
    await slow.peer.send(query.SerializeToString())
    last = await slow.receive()
    await slow.close()
    await wire.close()

    missed = received[: len(texts)]
    for number, cid in enumerate(cids):
        assert [one.msg for one in missed if one.cid == cid] == texts[number::CONVERSATIONS]
    assert [one.timestamp for one in missed] == sorted(one.timestamp for one in missed)
    assert [one.msg for one in received[len(texts) :]] == [f"live {number} {PADDING}" for number in range(30)]
    assert [one.offline for one in received] == [True] * len(texts) + [False] * 30
    assert answered_after is not None
    assert answered_after < len(texts)
    assert last.op == OpType.query_result
