"""Answers that nobody reads."""

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn
from pytest_django.fixtures import Settings as DjangoSettings
from uvicorn.server import ServerState

from imcore.gateway.http import HttpProtocol

BLOCK = b"x" * 2**16
# More than any system keeps for a socket that is not read.
BLOCKS = 512


class Answering:
    """A server whose one answer is long; `is_over` when there is nobody left to send it to, or it is sent."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self._config = uvicorn.Config(self._answer, interface="asgi3", lifespan="off", log_config=None)
        self._config.load()

    def protocol(self) -> HttpProtocol:
        """Return what serves a connection."""
        return HttpProtocol(self._config, ServerState(), {})

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        length = str(len(BLOCK) * BLOCKS).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for number in range(BLOCKS):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": number + 1 < BLOCKS})
        self.is_over.set()


async def asked(answering: Answering) -> tuple[asyncio.Server, socket.socket]:
    """Start the server and ask it; nothing is read yet."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(answering.protocol, "127.0.0.1", 0)
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.setblocking(False)
    await loop.sock_connect(peer, server.sockets[0].getsockname())
    await loop.sock_sendall(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return server, peer


async def received(peer: socket.socket) -> int:
    """Read to the end and return how much there was."""
    number = 0
    with contextlib.suppress(ConnectionError):
        while piece := await asyncio.get_running_loop().sock_recv(peer, 2**16):
            number += len(piece)
    return number


async def test_a_peer_that_does_not_read_its_answer_is_cut_off(settings: DjangoSettings) -> None:
    """It would keep the answer, the open file it comes from, and the connection."""
    settings.ANSWER_IDLE_SECONDS = 0.05
    answering = Answering()
    server, peer = await asked(answering)

    async with server:
        with peer:
            async with asyncio.timeout(10):
                await answering.is_over.wait()
            assert await received(peer) < len(BLOCK) * BLOCKS


class Wire(asyncio.Transport):
    """What a peer has not read yet, at each look at it."""

    def __init__(self, *left: int) -> None:
        super().__init__()
        self.left = list(left)
        self.is_cut = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        """Return how much is left."""
        return self.left.pop(0)

    def abort(self) -> None:
        """Be cut."""
        self.is_cut.set()

    def close(self) -> None:
        """Be done with."""


async def test_a_peer_that_reads_slowly_is_not_cut_off_while_it_reads(settings: DjangoSettings) -> None:
    """A phone on a bad line takes less than all in a minute."""
    settings.ANSWER_IDLE_SECONDS = 0
    wire = Wire(9, 8, 8, 7, 7, 7)
    protocol = Answering().protocol()
    protocol.connection_made(wire)

    protocol.pause_writing()
    async with asyncio.timeout(10):
        await wire.is_cut.wait()
    protocol.connection_lost(None)

    assert wire.left == []
