"""uvicorn as imcore runs it: our WebSocket protocol, and a goodbye to clients before the sockets close."""

import asyncio
import gc
import resource
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

from imcore import redis
from imcore.gateway import lifecycle
from imcore.gateway.http import HttpProtocol
from imcore.gateway.websocket import WebSocketProtocol

# Ctrl-C is somebody waiting at a terminal; SIGTERM is a deployment with time for DRAIN_SECONDS.
INTERRUPTED_DRAIN_SECONDS = 0.5


def make_config(host: str, port: int) -> uvicorn.Config:
    """Return uvicorn's configuration, as measured in docs/benchmarks.md."""
    return uvicorn.Config(
        "imcore.asgi:application",
        host=host,
        port=port,
        loop="uvloop",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        # Text frames are base64, a third longer than what they hold; the consumer has the exact bound.
        ws_max_size=settings.FRAME_MAX_BYTES * 2,
        # Compression would quadruple the memory of a connection and forbid sharing encoded frames.
        ws_per_message_deflate=False,
        ws_ping_interval=settings.PING_SECONDS,
        ws_ping_timeout=settings.PONG_SECONDS,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )


class Server(uvicorn.Server):
    """uvicorn's server; if there may be other nodes, it asks its clients to go there before it stops.

    SIGUSR1 asks clients to go elsewhere without stopping. `announce` is called once the server listens.
    """

    announce: Callable[[], None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        """Start as uvicorn does."""
        raise_file_limit()
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lifecycle.ask_everyone_to_leave)
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        # What a command leaves behind is freed by counting references; looking for cycles less often is cheaper.
        gc.set_threshold(10_000, 10, 10)
        if self.announce is not None:
            self.announce()

    async def shutdown(self, sockets: Any = None) -> None:
        """Drain, then stop as uvicorn does."""
        if redis.is_configured():
            is_interrupted = signal.SIGINT in self._captured_signals
            await lifecycle.drain(INTERRUPTED_DRAIN_SECONDS if is_interrupted else None)
        for server in self.servers:
            server.close()
        # Alone, there is nobody else to go to: clients come back by themselves.
        lifecycle.close_everyone()
        await super().shutdown(sockets)
        # uvicorn would raise the signal again and end the process by it; a clean stop is a success.
        self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop; a second one stops at once."""
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)


def raise_file_limit() -> None:
    """Allow as many sockets as the system allows this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
