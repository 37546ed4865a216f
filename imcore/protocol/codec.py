"""Frames and commands: the subprotocols, decoding, and the joining of a header with a shared body.

Protobuf messages concatenate: the bytes of two messages, one after the other, parse as the two merged. So a notice is
encoded once, without an address, and each session only puts its own few bytes of header in front of it.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from google.protobuf.message import DecodeError

from imcore.errors import Unparseable
from imcore.protocol.message_pb2 import GenericCommand


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """What one `Sec-WebSocket-Protocol` value means (realtime-protocol 1.5).

    `is_text`: frames are text, standard base64 of a command. `pushes_offline_messages`: the suffix `.1`, where the
    server sends missed messages after login instead of unread counts.
    """

    name: str
    is_text: bool
    pushes_offline_messages: bool


SUBPROTOCOLS = {
    subprotocol.name: subprotocol
    for subprotocol in (
        Subprotocol("lc.protobuf2.3", is_text=False, pushes_offline_messages=False),
        Subprotocol("lc.protobuf2.1", is_text=False, pushes_offline_messages=True),
        Subprotocol("lc.proto2base64.3", is_text=True, pushes_offline_messages=False),
        Subprotocol("lc.proto2base64.1", is_text=True, pushes_offline_messages=True),
    )
}


def choose_subprotocol(offered: Sequence[str], query_string: bytes) -> tuple[Subprotocol | None, str | None]:
    """Pick the first known of the offered subprotocols; return it with the value to echo.

    Mini programs cannot set the header and put the value into the URL as `subprotocol`; it is then not echoed.
    """
    if offered:
        for name in offered:
            if name in SUBPROTOCOLS:
                return SUBPROTOCOLS[name], name
        return None, None
    in_url = parse_qs(query_string.decode("latin-1")).get("subprotocol", [""])
    return SUBPROTOCOLS.get(in_url[0]), None


def decode(frame: bytes | str) -> GenericCommand:
    """Parse one frame: bytes as they are, text as base64. Raises Unparseable for anything else than a command."""
    try:
        raw = b64decode(frame, validate=True) if isinstance(frame, str) else frame
        return GenericCommand.FromString(raw)
    except (DecodeError, binascii.Error, ValueError) as error:
        raise Unparseable from error


def header(*, client_id: str) -> bytes:
    """Encode the address that goes in front of a shared body."""
    return GenericCommand(peerId=client_id).SerializeToString()


def server_time(at_ms: int) -> bytes:
    """Encode `serverTs`, to be joined with a header and a body."""
    return GenericCommand(serverTs=at_ms).SerializeToString()


def frame_event(raw: bytes, *, is_text: bool) -> dict[str, Any]:
    """Wrap a serialized command in the ASGI event that sends it."""
    if is_text:
        return {"type": "websocket.send", "text": b64encode(raw).decode("ascii")}
    return {"type": "websocket.send", "bytes": raw}
