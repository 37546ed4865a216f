"""A WebSocket peer that does only what a test tells it to: it answers no ping, and reads only when asked."""

import asyncio
import contextlib
import os
import socket
import struct
from base64 import b64encode
from enum import IntEnum

from tests.imclient import Closed


class Opcode(IntEnum):
    """Kinds of WebSocket frames (RFC 6455, 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class RawPeer:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.headers: dict[str, str] = {}

    @classmethod
    async def connect(
        cls, port: int, *, subprotocol: str = "lc.protobuf2.3", receive_buffer: int | None = None, headers: str = ""
    ) -> "RawPeer":
        """Shake hands with a server on this machine."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        # A small limit: what is not asked for shall wait in the socket, not in our memory.
        peer = cls(*await asyncio.open_connection(sock=connection, limit=receive_buffer or 2**16))
        peer._writer.write(
            (
                "GET / HTTP/1.1\r\n"
                f"Host: 127.0.0.1:{port}\r\n"
                "Upgrade: websocket\r\n"
                "Connection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n"
                f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
                f"{headers}\r\n"
            ).encode()
        )
        async with asyncio.timeout(10):
            status, *lines = (await peer._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        assert " 101 " in status, status
        peer.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        return peer

    async def send(self, payload: bytes, opcode: Opcode = Opcode.BINARY, *, is_final: bool = True) -> None:
        """Send one frame, masked with zeros, which leaves the payload as it is."""
        length = len(payload)
        head = bytes([is_final << 7 | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 2**16:
            head += bytes([0x80 | 126]) + struct.pack("!H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", length)
        self._writer.write(head + bytes(4) + payload)
        await self._writer.drain()

    async def receive(self, seconds: float = 10.0) -> tuple[Opcode, bytes]:
        """Return the next frame of any kind; raise Closed once the TCP connection is gone."""
        async with asyncio.timeout(seconds):
            try:
                first, second = await self._reader.readexactly(2)
                length = second & 0x7F
                if length == 126:
                    (length,) = struct.unpack("!H", await self._reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
                return Opcode(first & 0x0F), await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Closed(None) from error

    async def close_code(self) -> int:
        """Read until the server's close frame and return its code."""
        while True:
            opcode, payload = await self.receive()
            if opcode == Opcode.CLOSE:
                (code,) = struct.unpack("!H", payload[:2])
                assert isinstance(code, int)
                return code

    async def close(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
