"""Django over ASGI: a request has one thread, from the outermost middleware to the view and back.

    loop ─→ lane ─→ thread: middleware → view → middleware ─→ loop
                             └ services: on the loop (bridge.in_async)

Middleware of Django's that knows both worlds changes threads twice for each request in Django's own handler, which
costs more than all that such a request does here.

A request's body is here before it asks for a thread. A thread waits for services, which run on the loop and wait for no
thread of a lane: however full the lanes are, what has a thread comes to its end.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponseBase

from imcore.bridge import in_thread
from imcore.rest.exceptions import ServerBusy, error_response
from imcore.rest.middleware import finished

P = ParamSpec("P")
T = TypeVar("T")

# What must answer while everything else waits: whoever watches this process would end it, and SDKs cannot come back
# without the routers. Each has threads of its own.
HEALTH: Final = re.compile(r"/(?:healthz|readyz)")
ROUTERS: Final = re.compile(r"/+(?:v1|2)/+route/*")
# What waits for the store of files: a bucket that does not answer would take the threads of everything else.
FILES: Final = re.compile(r"/+(?:files/.+|1\.[12]/+file(?:Tokens|Callback)/*)")
FEW_THREADS = 16


class Lane:
    """Threads for one kind of requests. Who finds none free waits for one, if not too many do, and not for long."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._free = asyncio.Semaphore(threads)
        self._waiting = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run synchronous code on a thread and return what it returns. Raises ServerBusy if there is none in time."""
        await self._take()
        try:
            return await in_thread(self._threads, work, *args, **kwargs)
        finally:
            self._free.release()

    async def _take(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= settings.REQUEST_BACKLOG:
            raise ServerBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(settings.REQUEST_WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            raise ServerBusy from error
        finally:
            self._waiting -= 1


class OneThread(BaseHandler):
    """A handler with middleware and views in their synchronous form."""

    def __init__(self) -> None:
        self._lanes = (
            (HEALTH, Lane("health", FEW_THREADS)),
            (ROUTERS, Lane("router", FEW_THREADS)),
            (FILES, Lane("file", FEW_THREADS + settings.FILES_THREADS)),
        )
        self._others = Lane("request", settings.REQUEST_THREADS)
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Chain the middleware. What is asynchronous in it, as one view is, goes back to the loop."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, whatever fails: 503 if there is no thread for it (docs/settings.md)."""
        try:
            return await self._lane(request.path_info).run(self.get_response, request)
        except ServerBusy as busy:
            return finished(request, error_response(busy))

    def _lane(self, path: str) -> Lane:
        return next((lane for pattern, lane in self._lanes if pattern.fullmatch(path)), self._others)


class Handler(OneThread, ASGIHandler):
    """The server's. What was asked is done, whether or not the caller waits; only what is streamed to him ends."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        caller = _Caller(receive, send)
        await super().handle(scope, caller.receive, caller.send)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request, without the thread that Django would start for each: what it does there takes no time."""
        await self.handle(scope, receive, send)

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
