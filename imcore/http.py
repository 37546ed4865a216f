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
    """The server's. What was asked is done, whether or not the caller waits for the answer."""

    async def listen_for_disconnect(self, receive: Any) -> NoReturn:
        """Never hear that the caller has left.

        Django would cancel what is under way: a message would be stored, and no member be told of it.
        """
        await asyncio.get_running_loop().create_future()
        raise AssertionError
