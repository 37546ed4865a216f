"""Django over ASGI: a request has one thread, from the outermost middleware to the view and back.

    loop ─→ thread: middleware → view → middleware ─→ loop
                                  └ services: on the loop (bridge.in_async)

Middleware of Django's that knows both worlds changes threads twice for each request in Django's own handler, which
costs more than all that such a request does here.
"""

import asyncio
from typing import Any, NoReturn

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponseBase

from imcore.bridge import in_thread


class OneThread(BaseHandler):
    """A handler with middleware and views in their synchronous form."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Chain the middleware. What is asynchronous in it, as one view is, goes back to the loop."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, whatever fails."""
        return await in_thread(self.get_response, request)


class Handler(OneThread, ASGIHandler):
    """The server's. What was asked is done, whether or not the caller waits; only what is streamed to him ends."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        caller = _Caller(receive, send)
        await super().handle(scope, caller.receive, caller.send)

    async def listen_for_disconnect(self, receive: Any) -> NoReturn:
        """Hear that the caller has left, and tell Django nothing of it.

        Django would cancel what is under way: a message would be stored, and no member be told of it.
        """
        await receive()
        await asyncio.get_running_loop().create_future()
        raise AssertionError


class _Caller:
    """Who waits for an answer, or does not any more."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._has_left = False

    async def receive(self) -> Any:
        """Wait for the next part of the request, or for the caller to leave."""
        message = await self._receive()
        self._has_left = message["type"] == "http.disconnect"
        return message

    async def send(self, message: Any) -> None:
        """Send the next part of the answer. Raises CancelledError, by which Django ends a stream, if nobody reads it.

        uvicorn takes what is sent to nobody, at once: all of a film would be read for a player that has skipped it.
        """
        if self._has_left and message.get("more_body"):
            raise asyncio.CancelledError
        await self._send(message)
