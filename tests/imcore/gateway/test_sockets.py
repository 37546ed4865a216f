"""What only a real server on real sockets shows: pings, bounds of the transport, peers that do not read."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, GenericCommand, OpType, SessionCommand
from tests.imclient import Closed, ImClient, OverSocket, sign_in
from tests.imcore.gateway.raw_peer import Opcode, RawPeer
from tests.processes import Server, get
from tests.waiting import until

pytestmark = pytest.mark.slow

SECONDS = 30.0

Enter = Callable[..., Awaitable[ImClient]]


@pytest.fixture
async def wires() -> AsyncIterator[list[OverSocket]]:
    """Collect connections that are closed after the test."""
    opened: list[OverSocket] = []
    yield opened
    await asyncio.gather(*(wire.close() for wire in opened))


@pytest.fixture
async def peers(bounded_server: Server) -> AsyncIterator[Callable[..., Awaitable[RawPeer]]]:
    """Connect raw peers to the server; they are dropped after the test."""
    opened: list[RawPeer] = []

    async def connect(**options: object) -> RawPeer:
        peer = await RawPeer.connect(bounded_server.port, **options)  # type: ignore[arg-type]
        opened.append(peer)
        return peer

    yield connect
    for peer in opened:
        await peer.close()


@pytest.fixture
def enter(bounded_server: Server, wires: list[OverSocket]) -> Enter:
    """Sign clients in on the server, each on a connection of its own."""

    async def sign(client_id: str, **session: object) -> ImClient:
        wire = await OverSocket.connect(bounded_server.ws_url)
        wires.append(wire)
        return await sign_in(wire, bounded_server.app_id, client_id, **session)

    return sign


Peers = Callable[..., Awaitable[RawPeer]]


def resident_bytes(server: Server) -> int:
    """Return how much memory a server's process holds."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_a_quiet_client_stays_while_frozen_ones_are_closed_with_4107(peers: Peers, enter: Enter) -> None:
    """Checklist 4 and 5. The quiet one sends nothing but pongs, for twice the idle limit."""
    quiet = await enter("quiet")

    for _ in range(2):
        frozen = await peers()
        opcode, _ = await frozen.receive()
        assert opcode == Opcode.PING
        assert await frozen.close_code() == 4107
        with pytest.raises(Closed):
            await frozen.receive()

    assert (await quiet.request(CommandType.session, OpType.refresh)).op == OpType.refreshed


async def test_the_will_of_a_frozen_client_is_heard_when_it_is_closed(peers: Peers, enter: Enter) -> None:
    """Checklist 5: nothing comes from it for longer than the idle limit."""
    jerry = await enter("jerry")
    start = ConvCommand(m=["frozen"], unique=False)
    cid = (await jerry.request(CommandType.conv, OpType.start, convMessage=start)).convMessage.cid
    frozen = await peers()
    will = DirectCommand(cid=cid, msg="frozen is gone", will=True)
    for command in (
        GenericCommand(cmd=CommandType.session, op=OpType.open, appId="a-journeys-app", i=1, peerId="frozen"),
        GenericCommand(cmd=CommandType.direct, i=2, peerId="frozen", directMessage=will),
    ):
        await frozen.send(command.SerializeToString())

    assert await frozen.close_code() == 4107

    while (frame := await jerry.next_notice(SECONDS)).cmd != CommandType.direct:
        assert frame.cmd == CommandType.conv
    assert frame.directMessage.msg == "frozen is gone"


async def test_a_peer_that_answers_no_ping_but_speaks_is_alive(peers: Peers) -> None:
    """Checklist 4. Whatever it sends proves that it lives."""
    peer = await peers()
    pings = 0

    while pings < 5:
        opcode, _ = await peer.receive()
        assert opcode in (Opcode.PING, Opcode.BINARY)
        if opcode == Opcode.PING:
            pings += 1
            # Log in first, else the time for that ends.
            await peer.send(GenericCommand(cmd=CommandType.echo, i=pings).SerializeToString())
            await peer.send(GenericCommand(cmd=CommandType.login, appId="a-journeys-app").SerializeToString())


async def test_the_servers_pong_carries_what_the_ping_did(peers: Peers) -> None:
    """Checklist 4. Java, Swift and Objective-C keep themselves alive by WebSocket pings."""
    peer = await peers()

    await peer.send(b"are you there", Opcode.PING)
    while (frame := await peer.receive())[0] != Opcode.PONG:
        assert frame[0] == Opcode.PING

    assert frame[1] == b"are you there"


async def test_the_handshake_says_no_more_than_objective_c_can_read(peers: Peers) -> None:
    """Checklist 2. It compares the whole `Connection` value, and understands no compressed frame (1.5)."""
    peer = await peers(headers="Sec-WebSocket-Extensions: permessage-deflate\r\n")

    assert peer.headers["upgrade"].lower() == "websocket"
    assert peer.headers["connection"].lower() == "upgrade"
    assert peer.headers["sec-websocket-protocol"] == "lc.protobuf2.3"
    assert "sec-websocket-extensions" not in peer.headers


@pytest.mark.parametrize("size", [16_385, 20_000, 40_000, 300_000])
@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", "lc.proto2base64.3"])
async def test_a_frame_over_the_bound_closes_with_4109_whoever_notices(
    size: int, subprotocol: str, peers: Peers
) -> None:
    """Realtime-protocol 4.16. Over the transport's own bound, which is twice as high, as over ours."""
    peer = await peers(subprotocol=subprotocol)

    await peer.send(b"A" * size, Opcode.TEXT if "base64" in subprotocol else Opcode.BINARY)

    assert await peer.close_code() == 4109


async def test_a_frame_in_many_parts_is_bounded_as_a_whole(peers: Peers) -> None:
    """Realtime-protocol 4.16. Parts that fit do not help a whole that does not."""
    peer = await peers()

    await peer.send(b"A" * 10_000, Opcode.BINARY, is_final=False)
    for _ in range(5):
        await peer.send(b"A" * 10_000, Opcode.CONTINUATION, is_final=False)

    assert await peer.close_code() == 4109


async def test_a_frame_in_parts_is_one_frame(peers: Peers) -> None:
    """Checklist 3."""
    peer = await peers()
    raw = GenericCommand(cmd=CommandType.echo, i=77).SerializeToString()

    await peer.send(raw[:1], Opcode.BINARY, is_final=False)
    await peer.send(raw[1:], Opcode.CONTINUATION)
    while (frame := await peer.receive())[0] != Opcode.BINARY:
        assert frame[0] == Opcode.PING

    assert GenericCommand.FromString(frame[1]).i == 77


@pytest.mark.parametrize(
    ("subprotocol", "opcode", "payload"),
    [
        ("lc.protobuf2.3", Opcode.BINARY, b"\xff"),
        ("lc.protobuf2.3", Opcode.TEXT, b"CAA="),
        ("lc.protobuf2.3", Opcode.TEXT, b"\xff\xfe"),
        ("lc.proto2base64.3", Opcode.TEXT, b"\xff\xfe"),
        ("lc.proto2base64.3", Opcode.TEXT, b"@@@@"),
        ("lc.proto2base64.3", Opcode.BINARY, GenericCommand(cmd=CommandType.echo).SerializeToString()),
    ],
)
async def test_a_frame_that_is_no_command_closes_with_4114(
    subprotocol: str, opcode: Opcode, payload: bytes, peers: Peers
) -> None:
    """Realtime-protocol 4.16. Text that is not UTF-8 too."""
    peer = await peers(subprotocol=subprotocol)

    await peer.send(payload, opcode)

    assert await peer.close_code() == 4114


async def test_a_silent_connection_is_closed_with_4108(wires: list[OverSocket], bounded_server: Server) -> None:
    """Realtime-protocol 1.6. It lives, and that is all it does."""
    wire = await OverSocket.connect(bounded_server.ws_url)
    wires.append(wire)

    assert await wire.closed(SECONDS) == 4108


async def test_an_unknown_application_is_closed_with_4100(wires: list[OverSocket], bounded_server: Server) -> None:
    """Realtime-protocol 1.7: the code reaches the client behind the `error`."""
    wire = await OverSocket.connect(bounded_server.ws_url)
    wires.append(wire)

    refused = await wire.request(CommandType.session, OpType.open, appId="no application", peerId="tom")

    assert refused.errorMessage.code == 4100
    assert await wire.closed() == 4100


async def test_a_client_that_does_not_read_is_cut_off_and_nobody_else_notices(
    peers: Peers, enter: Enter, bounded_server: Server
) -> None:
    """Architecture 3: a bounded queue per connection. It lives, so no idle limit ends it; what it missed is history."""
    talker, reader = await enter("talker"), await enter("reader")
    deaf = await peers(receive_buffer=4096)
    await deaf.send(
        GenericCommand(
            cmd=CommandType.session, op=OpType.open, i=1, appId="a-journeys-app", peerId="deaf"
        ).SerializeToString()
    )
    started = await talker.request(CommandType.conv, OpType.start, convMessage=ConvCommand(m=["reader", "deaf"]))
    cid = started.convMessage.cid
    sent: list[str] = []
    read: list[str] = []

    async def live() -> None:
        while True:
            await deaf.send(b"", Opcode.PONG)
            await asyncio.sleep(0.05)

    async def listen() -> None:
        while True:
            frame = await reader.wire.receive(SECONDS)
            if frame.cmd == CommandType.direct:
                read.append(frame.directMessage.id)

    tasks = [asyncio.create_task(live()), asyncio.create_task(listen())]
    deadline = monotonic() + SECONDS
    slowest = 0.0
    query = SessionCommand(sessionPeerIds=["deaf"])
    while True:
        assert monotonic() < deadline, f"{len(sent)} messages did not fill the queue"
        began = monotonic()
        for serial in range(1000, 1050):
            message = DirectCommand(cid=cid, msg="x" * 5000)
            await talker.wire.send(GenericCommand(cmd=CommandType.direct, i=serial, directMessage=message))
        while (ack := await talker.wire.receive(SECONDS)).i != 1049:
            sent += [ack.ackMessage.uid] if ack.HasField("i") else []
        sent.append(ack.ackMessage.uid)
        slowest = max(slowest, monotonic() - began)
        online = await talker.request(CommandType.session, OpType.query, sessionMessage=query)
        if not online.sessionMessage.onlineSessionPeerIds:
            break
    await until(lambda: len(read) == len(sent), SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert read == sent
    assert "did not read" in bounded_server.output()
    assert slowest < 5
    with pytest.raises(Closed):
        await deaf.close_code()


async def test_a_client_that_floods_with_pings_and_reads_nothing_is_not_answered_without_end(
    peers: Peers, enter: Enter, bounded_server: Server
) -> None:
    """Its pongs would fill our memory; the server lives, and its other clients are served."""
    tom = await enter("tom")
    before = resident_bytes(bounded_server)
    deaf = await peers(receive_buffer=4096)
    echo = GenericCommand(cmd=CommandType.echo, peerId="x" * 10_000).SerializeToString()

    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(3):
            for _ in range(10_000):
                await deaf.send(echo)
                await deaf.send(b"x" * 125, Opcode.PING)

    assert resident_bytes(bounded_server) - before < 32 * 2**20
    assert (await tom.request(CommandType.session, OpType.refresh)).op == OpType.refreshed


async def test_the_router_names_this_server(bounded_server: Server) -> None:
    """Checklist 1. Behind a proxy that says the client came by TLS it is `wss`."""
    url = f"{bounded_server.url}/v1/route?appId={bounded_server.app_id}&secure=1"
    by_tls: Any = {"X-Forwarded-Proto": "https"}

    plain = await asyncio.to_thread(get, url)
    secure = await asyncio.to_thread(lambda: get(url, **by_tls))

    assert plain.json()["server"] == plain.json()["secondary"] == bounded_server.ws_url
    assert secure.json()["server"] == bounded_server.ws_url.replace("ws://", "wss://")


async def test_a_running_server_obeys_changed_settings(bounded_server: Server, enter: Enter) -> None:
    """Architecture 3.8: it need not be restarted. Set by `manage.py application_settings`, in another process."""
    tom = await enter("tom")
    before = await tom.request(CommandType.session, OpType.refresh)

    await asyncio.to_thread(
        bounded_server.manage, "application_settings", bounded_server.app_id, "session_token_seconds=4321"
    )
    changed_at = monotonic()
    while (await tom.request(CommandType.session, OpType.refresh)).sessionMessage.stTtl != 4321:
        assert monotonic() - changed_at < SECONDS
        await asyncio.sleep(0.02)

    assert before.sessionMessage.stTtl == 7 * 86_400


async def test_a_running_server_serves_a_new_application_at_once(
    bounded_server: Server, wires: list[OverSocket]
) -> None:
    """Architecture 3.8. Nothing is restarted for a new tenant."""
    printed = await asyncio.to_thread(bounded_server.manage, "create_application", "Another one")
    found = re.search(r"App ID +(\S+)", printed)
    assert found is not None
    wire = await OverSocket.connect(bounded_server.ws_url)
    wires.append(wire)

    assert (await sign_in(wire, found[1], "tom")).token
