"""One WebSocket: accept, receive, close.

A Channels consumer by its place in the routing, but with a loop of its own. Channels' `dispatch` closes old database
connections through a thread hop for every frame, and its `__call__` makes two tasks per frame; here a frame is decoded
and handed to its lane in the task that read it. The consumer opens no channel: nodes, not connections, have inboxes.
"""

import asyncio
import logging
from typing import Any

from channels.consumer import AsyncConsumer
from django.conf import settings

from imcore import metrics
from imcore.errors import FrameTooLong, ImError, LoginTimeout, Unparseable
from imcore.gateway import dispatch, lifecycle
from imcore.gateway.connection import Connection
from imcore.gateway.websocket import EXTENSION
from imcore.protocol import codec

logger = logging.getLogger(__name__)


class GatewayConsumer(AsyncConsumer):
    """Serves one client connection in any of the four subprotocols, on any path."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the connection from the handshake to its end."""
        await lifecycle.ensure_started()
        await receive()  # websocket.connect
        subprotocol, echoed = codec.choose_subprotocol(list(scope["subprotocols"]), scope["query_string"])
        if subprotocol is None or lifecycle.is_draining():
            await send({"type": "websocket.close", "code": 1002, "reason": ""})  # before accept: HTTP 403
            return
        await send({"type": "websocket.accept", "subprotocol": echoed, "headers": []})
        connection = Connection(
            subprotocol=subprotocol,
            send=send,
            **_transport_of(scope),
            origin=_origin(scope),
            address=(scope.get("client") or (None,))[0],
        )
        connection.expect_login(LoginTimeout())
        try:
            await self._receive_until_closed(connection, receive)
        except asyncio.CancelledError:
            # Our own `abort` on a server without the extension; a shutting-down server cancels too, and is done.
            logger.debug("A connection was cancelled")
        finally:
            connection.end()

    async def _receive_until_closed(self, connection: Connection, receive: Any) -> None:
        frame_max = settings.FRAME_MAX_BYTES
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if connection.is_closing:
                continue
            frame = event.get("bytes")
            if frame is None:
                frame = event.get("text") or ""
            try:
                if len(frame) > frame_max:
                    raise FrameTooLong
                if isinstance(frame, str) is not connection.subprotocol.is_text:
                    raise Unparseable
                command = codec.decode(frame)
            except ImError as error:
                metrics.count(f"error.{error.code}")
                connection.close(error.code, error.reason)
                continue
            await dispatch.receive(connection, command)
            await connection.room()


def _transport_of(scope: Any) -> dict[str, Any]:
    """Return the ways to cut the connection off and, if our own server offers one, to write without waiting."""
    extension: dict[str, Any] | None = (scope.get("extensions") or {}).get(EXTENSION)
    if extension is not None:
        return extension
    task = asyncio.current_task()
    assert task is not None
    return {"abort": task.cancel}


def _origin(scope: Any) -> str:
    for name, value in scope["headers"]:
        if name == b"origin":
            return str(value, "latin-1")
    return ""
