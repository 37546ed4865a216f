"""The short way of a frame through our WebSocket protocol, in both directions, against the general way."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcore.gateway.websocket import WebSocketProtocol
from tests.services import free_port

FRAME_MAX = 100_000


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back what comes, in kind."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        kind = "bytes" if event.get("bytes") is not None else "text"
        await send({"type": "websocket.send", kind: event[kind]})


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    """The port of a bare echo server on our protocol class."""
    number = free_port()
    config = uvicorn.Config(
        echo,
        port=number,
        ws=WebSocketProtocol,
        ws_max_size=FRAME_MAX,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    with server.capture_signals():
        serving = asyncio.create_task(server._serve())
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.01)
        yield number
        server.should_exit = True
        await serving


@pytest.mark.parametrize("size", [0, 1, 119, 120, 125, 126, 127, 200, 65_535, 65_536, 70_000])
async def test_a_frame_of_any_size_arrives_as_it_is(port: int, size: int) -> None:
    """Sizes at and around those where the head of a frame changes."""
    payload = os.urandom(size)
    async with websockets.connect(f"ws://127.0.0.1:{port}/", compression=None, proxy=None) as socket:
        await socket.send(payload)
        assert await socket.recv() == payload
        await socket.send([b"fragments ", payload, b" of one message"])
        assert await socket.recv() == b"fragments " + payload + b" of one message"
        await socket.send("text")
        assert await socket.recv() == "text"


def frame(payload: bytes) -> bytes:
    """A client's binary frame with a mask of zeros, so that a payload can look like one."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return b"\x82" + length + bytes(4) + payload


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(st.one_of(st.binary(max_size=300), st.binary(max_size=150).map(frame)), min_size=1, max_size=4),
    cuts=st.lists(st.integers(min_value=0, max_value=600), max_size=4),
)
async def test_frames_arrive_whole_however_the_network_cuts_them(
    port: int, payloads: list[bytes], cuts: list[int]
) -> None:
    """Also where a piece of one frame looks like a whole frame of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    stream = b"".join(frame(payload) for payload in payloads)
    start = 0
    for cut in [*sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]:
        writer.write(stream[start:cut])
        await writer.drain()
        # Time for the server to take this piece as one.
        await asyncio.sleep(0.002)
        start = cut

    async with asyncio.timeout(5):
        for payload in payloads:
            assert await unframed(reader) == payload
    writer.close()
    await writer.wait_closed()


async def unframed(reader: asyncio.StreamReader) -> bytes:
    """Read one frame of the server and return its payload."""
    first, size = await reader.readexactly(2)
    assert first == 0x82
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(size)
