"""The least an ASGI server can do for a room: every frame goes to every connection, one `await send()` each."""

import sys
from typing import Any

import django

from bench.servers.on_uvicorn import serve

room: set[Any] = set()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve one WebSocket."""
    await receive()
    await send({"type": "websocket.accept"})
    room.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            frame = {"type": "websocket.send", "bytes": event["bytes"]}
            for send_to_member in list(room):
                await send_to_member(frame)
    finally:
        room.discard(send)


if __name__ == "__main__":
    django.setup()
    serve(application, int(sys.argv[1]))
