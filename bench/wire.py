"""Client connections of the two transports, blocking and plain: they set a load up, drive.c then takes over."""

import os
import select
import socket
import struct
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

ANSWER_SECONDS = 20.0
QUIET_SECONDS = 0.3
MAX_UNWANTED = 100

Item = TypeVar("Item")


class WireError(Exception):
    """A server answered something unexpected, or nothing."""


class _Socket:
    """A TCP connection that is read by exact lengths."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = bytearray()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def write(self, raw: bytes) -> None:
        """Send bytes that are framed already."""
        self._socket.sendall(raw)

    def discard(self) -> None:
        """Throw away what was read ahead and what has arrived."""
        self._held.clear()
        if not self._socket.recv(65536):
            raise WireError("The server closed a connection.")

    def _exactly(self, length: int) -> bytes:
        while len(self._held) < length:
            self._fill()
        taken = bytes(self._held[:length])
        del self._held[:length]
        return taken

    def _through(self, end: bytes) -> bytes:
        while end not in self._held:
            self._fill()
        return self._exactly(self._held.index(end) + len(end))

    def _fill(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise WireError("The server closed a connection.")
        self._held += received


class WebSocket(_Socket):
    """A WebSocket client connection. Its frames are masked with zeros: legal, and free."""

    def __init__(self, port: int, path: str = "/", *, subprotocol: str = "") -> None:
        super().__init__(port)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}",
            *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
        ]
        self.write("\r\n".join([*lines, "", ""]).encode())
        answer = self._through(b"\r\n\r\n").decode("latin-1")
        if " 101 " not in answer.splitlines()[0]:
            raise WireError(f"The WebSocket handshake was refused: {answer}")

    @staticmethod
    def frame(payload: bytes, *, is_text: bool = False) -> bytes:
        """Return a payload as one frame from a client."""
        kind, length = 0x81 if is_text else 0x82, len(payload)
        if length < 126:
            header = struct.pack("!BB", kind, 0x80 | length)
        elif length < 1 << 16:
            header = struct.pack("!BBH", kind, 0x80 | 126, length)
        else:
            header = struct.pack("!BBQ", kind, 0x80 | 127, length)
        return header + bytes(4) + payload

    def send(self, payload: bytes, *, is_text: bool = False) -> None:
        """Send one frame."""
        self.write(self.frame(payload, is_text=is_text))

    def receive(self) -> bytes:
        """Return the payload of the next data frame; answer no pings, a set-up is too short for them."""
        while True:
            kind, length = self._exactly(2)
            if length >= 126:
                length = int.from_bytes(self._exactly(2 if length == 126 else 8))
            payload = self._exactly(length)
            if kind & 0x0F == 8:
                raise WireError(f"The server closed a WebSocket: {payload!r}")
            if kind & 0x0F in (1, 2):
                return payload


class Mqtt(_Socket):
    """An MQTT 3.1.1 client connection without keep-alive, at QoS 0."""

    def __init__(self, port: int, client_id: str) -> None:
        super().__init__(port)
        clean_session = 2
        variable = self._string("MQTT") + struct.pack("!BBH", 4, clean_session, 0)
        self.write(self._packet(0x10, variable + self._string(client_id)))
        if self.receive() != (0x20, bytes(2)):
            raise WireError("The MQTT broker refused a connection.")

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic and wait for the confirmation."""
        self.write(self._packet(0x82, struct.pack("!H", 1) + self._string(topic) + bytes(1)))
        if self.receive() != (0x90, b"\x00\x01\x00"):
            raise WireError("The MQTT broker refused a subscription.")

    @classmethod
    def publish(cls, topic: str, payload: bytes) -> bytes:
        """Return a PUBLISH packet."""
        return cls._packet(0x30, cls._string(topic) + payload)

    def receive(self) -> tuple[int, bytes]:
        """Return the first byte and the body of the next packet."""
        kind = self._exactly(1)[0]
        length, shift = 0, 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return kind, self._exactly(length)

    @staticmethod
    def _string(text: str) -> bytes:
        return struct.pack("!H", len(text)) + text.encode()

    @staticmethod
    def _packet(kind: int, body: bytes) -> bytes:
        length, encoded = len(body), bytearray()
        while True:
            length, low = divmod(length, 128)
            encoded.append(low | (0x80 if length else 0))
            if not length:
                return bytes([kind, *encoded]) + body


def receive_until(receive: Callable[[], Item], is_wanted: Callable[[Item], bool]) -> Item:
    """Return the first wanted item among the next few; raise WireError if it is not among them."""
    for _ in range(MAX_UNWANTED):
        if is_wanted(item := receive()):
            return item
    raise WireError("What was to come did not come.")


class Quietable(Protocol):
    """A connection that can be emptied."""

    def fileno(self) -> int:
        """Return the socket's descriptor."""

    def discard(self) -> None:
        """Throw away what has arrived."""


def wait_until_quiet(connections: Sequence[Quietable]) -> None:
    """Throw away what arrives on these connections until nothing has for a moment."""
    poll = select.poll()
    by_descriptor = {connection.fileno(): connection for connection in connections}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + ANSWER_SECONDS
    while ready := poll.poll(QUIET_SECONDS * 1000):
        for descriptor, _ in ready:
            by_descriptor[descriptor].discard()
        if time.monotonic() > deadline:
            raise WireError("The server does not fall silent.")
