"""A client that speaks the protocol frame by frame: what an SDK would send, and exactly what it would get.

    wire = await InProcess.connect()              a WebSocket straight into the ASGI application, no sockets
    wire = await OverSocket.connect(url)          the same over a real WebSocket, to a server process
    tom = await sign_in(wire, application, "tom")
    reply = await tom.request(CommandType.conv, OpType.start, convMessage=ConvCommand(m=["jerry"]))
    notice = await tom.notice(CommandType.conv, OpType.joined)
    await tom.nothing_more()

Notices and replies come in one stream, in the order of the wire; `request` leaves the notices that came before its
reply in place, so a test can assert the order (`tom.seen`).
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from typing import Any

import websockets
from asgiref.testing import ApplicationCommunicator
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from imcore.asgi import application as asgi_application
from imcore.delivery.router import router
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand
from tests.wire.oldest_schema import assert_understood

SECONDS = 5.0
CONFIG_BITMAP = 187  # JavaScript 5
new_communicator: Any = ApplicationCommunicator  # asgiref has no types for it


class Closed(Exception):
    """The server closed the WebSocket with this code."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Wire(ABC):
    """One WebSocket. `clients` are those that signed in on it; frames find theirs by `peerId`."""

    def __init__(self, *, is_text: bool) -> None:
        self.is_text = is_text
        self.last_serial = 0

    @abstractmethod
    async def send_raw(self, frame: bytes | str) -> None:
        """Send a frame as it is."""

    @abstractmethod
    async def receive_raw(self, seconds: float = SECONDS) -> bytes | str:
        """Return the next frame as it is; raise Closed or TimeoutError."""

    @abstractmethod
    async def close(self) -> None:
        """Close the WebSocket from the client's side."""

    async def send(self, command: GenericCommand) -> None:
        """Send a command in the wire's encoding."""
        raw = command.SerializeToString()
        await self.send_raw(b64encode(raw).decode() if self.is_text else raw)

    async def receive(self, seconds: float = SECONDS) -> GenericCommand:
        """Return the next command; raise Closed or TimeoutError. Every client must understand every frame."""
        frame = await self.receive_raw(seconds)
        assert isinstance(frame, str) is self.is_text, "frames are text on base64 subprotocols and binary on others"
        raw = b64decode(frame, validate=True) if isinstance(frame, str) else frame
        assert_understood(raw)
        return GenericCommand.FromString(raw)

    async def request(self, cmd: Any, op: Any = None, **fields: Any) -> GenericCommand:
        """Send a command with a fresh `i` and return the frame that comes next, whatever it is."""
        self.last_serial += 1
        command = GenericCommand(cmd=cmd, i=self.last_serial, **fields)
        if op is not None:
            command.op = op
        await self.send(command)
        return await self.receive()

    async def closed(self, seconds: float = SECONDS) -> int | None:
        """Wait for the server to close and return its code; frames that come before are dropped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self.receive_raw(seconds)
                    except Closed as closed:
                        return closed.code
        raise AssertionError("The server did not close the connection.")


class InProcess(Wire):
    """A WebSocket into the ASGI application of this process."""

    def __init__(self, communicator: Any, subprotocol: str | None, *, is_text: bool) -> None:
        super().__init__(is_text=is_text)
        self.subprotocol = subprotocol
        self._communicator = communicator

    @classmethod
    async def connect(
        cls,
        subprotocols: tuple[str, ...] = ("lc.protobuf2.3",),
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> "InProcess":
        """Open a WebSocket; raises Closed(403) if the server refuses the upgrade."""
        scope = {
            "type": "websocket",
            "path": "/",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "subprotocols": list(subprotocols),
        }
        communicator = new_communicator(asgi_application, scope)
        await communicator.send_input({"type": "websocket.connect"})
        answer = await communicator.receive_output(SECONDS)
        if answer["type"] == "websocket.close":
            await communicator.wait(SECONDS)
            raise Closed(403)
        named = subprotocols[0] if subprotocols else query
        return cls(communicator, answer.get("subprotocol"), is_text="base64" in named)

    async def send_raw(self, frame: bytes | str) -> None:
        """Send a frame as it is."""
        kind = "text" if isinstance(frame, str) else "bytes"
        await self._communicator.send_input({"type": "websocket.receive", kind: frame})

    async def receive_raw(self, seconds: float = SECONDS) -> bytes | str:
        """Return the next frame as it is."""
        # Not receive_output: it cancels the application when nothing comes in time.
        async with asyncio.timeout(seconds):
            event = await self._communicator.output_queue.get()
        if event["type"] == "websocket.close":
            raise Closed(event.get("code"))
        frame: bytes | str = event["bytes"] if event.get("bytes") is not None else event["text"]
        return frame

    async def close(self) -> None:
        """Close the WebSocket from the client's side."""
        await self._communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._communicator.wait(SECONDS)


class OverSocket(Wire):
    """A real WebSocket to a server process."""

    def __init__(self, socket: ClientConnection, *, is_text: bool) -> None:
        super().__init__(is_text=is_text)
        self.subprotocol = socket.subprotocol
        self.socket = socket

    @classmethod
    async def connect(
        cls, url: str, subprotocols: tuple[str, ...] = ("lc.protobuf2.3",), **options: Any
    ) -> "OverSocket":
        """Open a WebSocket; raises websockets.InvalidStatus if the server refuses the upgrade."""
        socket = await websockets.connect(
            url,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            compression=None,
            max_size=None,
            proxy=None,
            **options,
        )
        return cls(socket, is_text="base64" in (subprotocols[0] if subprotocols else url))

    async def send_raw(self, frame: bytes | str) -> None:
        """Send a frame as it is."""
        await self.socket.send(frame)

    async def receive_raw(self, seconds: float = SECONDS) -> bytes | str:
        """Return the next frame as it is."""
        try:
            async with asyncio.timeout(seconds):
                return await self.socket.recv()
        except websockets.ConnectionClosed as closed:
            raise Closed(closed.rcvd.code if closed.rcvd is not None else None) from closed

    async def close(self) -> None:
        """Close the WebSocket from the client's side."""
        await self.socket.close()


class ImClient:
    """One signed-in client, alone on its wire unless a test signs in several."""

    def __init__(self, wire: Wire, client_id: str, opened: GenericCommand) -> None:
        self.wire = wire
        self.client_id = client_id
        self.opened = opened
        self.token = opened.sessionMessage.st
        self.seen: list[GenericCommand] = []

    async def send(self, cmd: Any, op: Any = None, **fields: Any) -> None:
        """Send a command without `i`."""
        command = GenericCommand(cmd=cmd, peerId=self.client_id, **fields)
        if op is not None:
            command.op = op
        await self.wire.send(command)

    async def request(self, cmd: Any, op: Any = None, **fields: Any) -> GenericCommand:
        """Send a command and return the reply with its `i`; notices that come before it are put into `seen`."""
        self.wire.last_serial += 1
        serial = self.wire.last_serial
        command = GenericCommand(cmd=cmd, i=serial, peerId=self.client_id, **fields)
        if op is not None:
            command.op = op
        await self.wire.send(command)
        while True:
            frame = await self.wire.receive()
            if frame.HasField("i"):
                assert frame.i == serial, f"an answer to {frame.i}, not to {serial}: {frame}"
                assert_addressed(frame, self.client_id)
                return frame
            self.seen.append(frame)

    async def next_notice(self, seconds: float = SECONDS) -> GenericCommand:
        """Return the next notice, whatever it is; fail on a reply."""
        frame = self.seen.pop(0) if self.seen else await self.wire.receive(seconds)
        assert not frame.HasField("i"), f"a notice has no i: {frame}"
        assert_addressed(frame, self.client_id)
        assert frame.HasField("serverTs")
        return frame

    async def notice(self, cmd: Any, op: Any = None) -> GenericCommand:
        """Return the next notice, which must be this one."""
        frame = await self.next_notice()
        got = (CommandType.Name(frame.cmd), OpType.Name(frame.op) if frame.HasField("op") else None)
        assert got == (CommandType.Name(cmd), OpType.Name(op) if op is not None else None), f"got {frame}"
        return frame

    async def nothing_more(self) -> None:
        """Assert that no frame is under way: an echo sent now comes back first."""
        await router.settle()
        assert not self.seen, f"unexpected: {self.seen}"
        frame = await self.wire.request(CommandType.echo)
        assert frame.cmd == CommandType.echo, f"unexpected: {frame}"


def assert_addressed(frame: GenericCommand, client_id: str) -> None:
    """Assert what every IM frame must have: `peerId`, and `service` 2 (checklist item 9)."""
    assert frame.peerId == client_id, frame
    assert frame.service == 2, frame


async def open_session(
    wire: Wire, app_id: str, client_id: str | None, *, serial: int | None = None, **session: Any
) -> GenericCommand:
    """Send `session/open` as an SDK does and return the frame that comes next."""
    wire.last_serial += 1
    session.setdefault("configBitmap", CONFIG_BITMAP)
    body = SessionCommand(**{name: value for name, value in session.items() if value is not None})
    command = GenericCommand(
        cmd=CommandType.session, op=OpType.open, appId=app_id, i=serial or wire.last_serial, sessionMessage=body
    )
    if client_id is not None:
        command.peerId = client_id
    await wire.send(command)
    return await wire.receive()


async def sign_in(wire: Wire, app_id: str, client_id: str, **session: Any) -> ImClient:
    """Open a session and return the client."""
    opened = await open_session(wire, app_id, client_id, **session)
    assert (opened.cmd, opened.op) == (CommandType.session, OpType.opened), opened
    return ImClient(wire, opened.peerId, opened)
