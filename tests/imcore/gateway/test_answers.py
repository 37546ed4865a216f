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
