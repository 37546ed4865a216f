"""Clients that all come back within some seconds: connect, sign in with a token, and hear what they missed."""

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.clients.ours import APP_ID, CONFIG_BITMAP, SERIAL, SUBPROTOCOL
from bench.generator import LoadFailed
from bench.wire import WebSocket, WireError
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand

ANSWER_SECONDS = 60.0


@dataclass
class Client:
    """A client between its visits: `st` is the token of its last one, `unread` how many conversations it is told of."""

    client_id: str
    token: str = ""
    unread: int = 0

    def opening(self) -> bytes:
        """Return its `session/open` as JavaScript 5 sends it: at first with a device, then with the token alone."""
        session = SessionCommand(ua="js/5.0.0", configBitmap=CONFIG_BITMAP, lastPatchTime=time.time_ns() // 1_000_000)
        if self.token:
            session.st = self.token
            session.r = True
        else:
            session.deviceId = self.client_id
        command = GenericCommand(
            cmd=CommandType.session,
            op=OpType.open,
            i=SERIAL,
            appId=APP_ID,
            peerId=self.client_id,
            sessionMessage=session,
        )
        return WebSocket.frame(command.SerializeToString())

    def hear(self, payload: bytes) -> bool:
        """Take a frame; return whether it is the last of an opening."""
        frame = GenericCommand.FromString(payload)
        if frame.op == OpType.opened:
            self.token = frame.sessionMessage.st
            self.unread = 0
            return False
        if frame.cmd != CommandType.unread:
            raise WireError(f"Not what a client that comes back is told: {frame}")
        self.unread = len(frame.unreadMessage.convs)
        return True


class _Peer(asyncio.Protocol):
    """A WebSocket that shakes hands, sends one frame, if it has one, and reads until it has heard enough."""

    def __init__(self, *, subprotocol: str, frame: bytes, hear: Callable[[bytes], bool] | None) -> None:
        self.arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._subprotocol = subprotocol
        self._frame = frame
        self._hear = hear
        self._held = bytearray()
        self._has_shaken_hands = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        offer = f"Sec-WebSocket-Protocol: {self._subprotocol}\r\n" if self._subprotocol else ""
        transport.write(
            (
                "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n{offer}\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        """Find frames; pings of an idle connection are not answered, it is closed before that matters."""
        self._held += data
        try:
            if not self._has_shaken_hands:
                self._shake_hands()
            while self._has_shaken_hands and (payload := self._next_payload()) is not None:
                if self._hear is not None and self._hear(payload):
                    self._arrive()
        except WireError as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail if that was too early."""
        self._fail(WireError("The server closed a connection."))

    def _shake_hands(self) -> None:
        head, end, rest = self._held.partition(b"\r\n\r\n")
        if not end:
            return
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise WireError(f"The WebSocket handshake was refused: {head!r}")
        self._held = rest
        self._has_shaken_hands = True
        self.transport.write(self._frame)
        if self._hear is None:
            self._arrive()

    def _next_payload(self) -> bytes | None:
        """Return the payload of the next data frame that is all there."""
        while (have := len(self._held)) >= 2:
            length, header = self._held[1] & 0x7F, 2
            if length >= 126:
                header = 4 if length == 126 else 10
                length = int.from_bytes(self._held[2:header])
            if have < header + length:
                return None
            opcode, payload = self._held[0] & 0x0F, bytes(self._held[header : header + length])
            del self._held[: header + length]
            if opcode in (1, 2):
                return payload
        return None

    def _arrive(self) -> None:
        if not self.arrived.done():
            self.arrived.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.arrived.done():
            self.arrived.set_exception(error)


class Crowd:
    """Connections that are open. `waits_ms`: how long each took, from when it was due until it was told all."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []
        self._peers: list[_Peer] = []

    async def go(self) -> None:
        """Close all connections."""
        for peer in self._peers:
            peer.transport.abort()
        await asyncio.sleep(0.1)

    async def come(self, port: int, clients: Sequence[Client], *, seconds: float) -> None:
        """Let clients of imcore come evenly over some seconds; return when each was told what it had missed."""
        await self._come(port, [(SUBPROTOCOL, client.opening, client.hear) for client in clients], seconds)

    async def connect(self, port: int, count: int, *, seconds: float) -> None:
        """Open so many connections to a server that says nothing."""
        await self._come(port, [("", bytes, None)] * count, seconds)

    async def _come(
        self,
        port: int,
        visits: Sequence[tuple[str, Callable[[], bytes], Callable[[bytes], bool] | None]],
        seconds: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        began_at = loop.time()

        async def visit(number: int) -> None:
            due_at = began_at + seconds * number / len(visits)
            await asyncio.sleep(due_at - loop.time())
            subprotocol, frame, hear = visits[number]
            _, peer = await loop.create_connection(
                lambda: _Peer(subprotocol=subprotocol, frame=frame(), hear=hear), "127.0.0.1", port
            )
            self._peers.append(peer)
            await peer.arrived
            self.waits_ms.append((loop.time() - due_at) * 1000)

        try:
            async with asyncio.timeout(seconds + ANSWER_SECONDS), asyncio.TaskGroup() as group:
                for number in range(len(visits)):
                    group.create_task(visit(number))
        except* (WireError, OSError, TimeoutError) as errors:
            raise LoadFailed(f"Clients could not come back: {errors.exceptions[0]}") from errors
