"""uvicorn's sans-IO WebSocket protocol, with the protocol's close codes and no weak spot against a silent peer.

The gateway works without it (on daphne, for instance); then oversized frames close with 1009, keep-alive time-outs
with 1011, and a client that does not read is only let go when its TCP connection ends.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, apply_mask  # type: ignore[attr-defined]
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from imcore.errors import FrameTooLong, ReadTimeout

# The key in the ASGI scope's extensions under which the consumer finds `abort`.
EXTENSION = "imcore.transport"
LINGER_SECONDS = 1.0

# RFC 6455, 5.2: the first byte of an unfragmented binary frame, the bit that says a payload is masked, and the sizes
# of a client's frame head with a length of one byte and of two.
_FINAL_BINARY = 0x82
_MASKED = 0x80
_TWO_BYTE_LENGTH = 126
_SHORT_HEAD, _LONG_HEAD = 6, 8
_BEFORE_A_FRAME = StreamReader.at_eof.__code__


class _Protocol(ServerProtocol):
    """Fails with the protocol's own code for a message over `max_size` (realtime-protocol 4.16)."""

    def fail(self, code: int, reason: str = "") -> None:
        if code == CloseCode.MESSAGE_TOO_BIG:
            code, reason = FrameTooLong.code, FrameTooLong.reason
        super().fail(code, reason)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket on uvicorn, named in `imcore/server.py`. Relies on uvicorn's internals, hence the exact pin."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Protocol(max_size=self.config.ws_max_size, logger=self.conn.logger)
        self.heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer. Whatever they are, they prove that it lives."""
        self.heard_at = self.loop.time()
        if self.close_sent and self.conn.parser_exc is not None:
            return
        payload = self._lone_frame(data)
        if payload is None:
            super().data_received(data)
        else:
            self.curr_msg_data_type = "bytes"
            self.frames = [payload]
            super().send_receive_event_to_app()

    def _lone_frame(self, data: bytes) -> bytes | None:
        """Return the payload if the data are exactly one whole, small binary message; None for the general way.

        That is how clients send nearly everything. The parser must stand before a frame (waiting in `at_eof`), or the
        data are the rest of something that began earlier.
        """
        size = len(data)
        if size < _SHORT_HEAD or data[0] != _FINAL_BINARY or not self.handshake_complete or self.close_sent:
            return None
        length = data[1] ^ _MASKED
        if length == size - _SHORT_HEAD and length < _TWO_BYTE_LENGTH:
            head = _SHORT_HEAD
        elif length == _TWO_BYTE_LENGTH and size - _LONG_HEAD == (data[2] << 8 | data[3]) <= self.config.ws_max_size:
            head = _LONG_HEAD
        else:
            return None
        if self.conn.state is not State.OPEN or self.conn.current_size is not None or not self._is_before_a_frame():
            return None
        return apply_mask(data[head:], data[head - 4 : head])

    def handle_connect(self, event: Any) -> None:
        """Start the application with ways to cut this connection and to write without waiting in its scope."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][EXTENSION] = {"abort": self.abort, "write": self.write}

    def abort(self) -> None:
        """Drop the connection without waiting for the peer to read what is on its way."""
        if self.transport is not None:
            self.transport.abort()

    def _is_before_a_frame(self) -> bool:
        parser: Any = self.conn.parser  # the server's, which waits in the protocol's, which waits in the reader
        waits_in = parser.gi_yieldfrom and parser.gi_yieldfrom.gi_yieldfrom
        return waits_in is not None and waits_in.gi_code is _BEFORE_A_FRAME

    async def send(self, message: Any) -> None:
        """Write an event, and wait while the peer does not read."""
        if not self.write(message):
            await super().send(message)

    def write(self, message: Any) -> bool:
        """Write an event at once; return False, and write nothing, if it must go the general way (`send`).

        A binary frame on an open connection, nearly all there is, need not: an unfragmented, uncompressed frame of a
        server is two to ten bytes of header (RFC 6455, 5.2) and the payload. That spares a coroutine and websockets'
        state machine for every receiver of a message.
        """
        payload = message.get("bytes")
        if (
            payload is None
            or self.close_sent
            or self.disconnected
            or not self.handshake_complete
            or not self.writable.is_set()
            or self.conn.state is not State.OPEN
        ):
            return False
        size = len(payload)
        if size < 126:
            frame_header = bytes((_FINAL_BINARY, size))
        elif size < 65536:
            frame_header = bytes((_FINAL_BINARY, 126, size >> 8, size & 255))
        else:
            frame_header = bytes((_FINAL_BINARY, 127)) + size.to_bytes(8, "big")
        self.transport.write(frame_header + payload)
        return True

    def handle_parser_exception(self) -> None:
        """Close a peer that sent what cannot be parsed, but go on reading for a moment.

        Closing with its data unread would reset the connection, and the peer might never see the code.
        """
        assert self.conn.close_sent is not None
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self._leave)

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer does not read: else its pings would fill our memory with pongs."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def keepalive_timeout(self) -> None:
        """Close with 4107 a peer that sent nothing, not even a pong, since the ping."""
        self.pong_timer = None
        self.pending_ping_payload = None
        if self.close_sent or self.transport.is_closing():
            return
        # Reading pauses while the application is busy with a frame, so a pong may be late without fault.
        if self.heard_at >= self.ping_sent_at or self.read_paused:
            self.schedule_ping()
            return
        self.conn.fail(ReadTimeout.code, ReadTimeout.reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._leave()

    def _leave(self) -> None:
        """End the connection; `close` would wait for ever for a peer that does not read."""
        if self.writable.is_set():
            self.transport.close()
        else:
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """Pass a message on. Text that is not UTF-8 cannot be base64 either: the codec shall refuse it (4114)."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = [b"\x00"]
        super().send_receive_event_to_app()
