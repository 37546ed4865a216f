"""What runs beside the connections of a process: started before the first, stopped after the last."""

import asyncio
import contextlib
import logging
from types import SimpleNamespace

from django.conf import settings

from imcore import redis
from imcore.appsettings import applications
from imcore.delivery.node import node
from imcore.gateway import overdue, registry
from imcore.gateway.connection import connections

logger = logging.getLogger(__name__)

LAST_WORDS_SECONDS = 5.0  # for what ended sessions leave to be written

_background = SimpleNamespace(is_running=False, is_draining=False, watch=None)


async def ensure_started() -> None:
    """Start the background work of this process unless it runs. daphne knows no lifespan, so connections ask too."""
    if _background.is_running:
        return
    _background.is_running = True
    applications.start()
    node.start()
    _background.watch = asyncio.create_task(overdue.watch(), name="overdue commands")


async def stop() -> None:
    """Stop the background work."""
    if not _background.is_running:
        return
    _background.is_running = False
    _background.watch.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            for settle in registry.before_stop_callbacks():
                await settle()
    await node.stop()
    await applications.stop()
    await redis.close()


def ask_everyone_to_leave() -> None:
    """Send `goaway` to every connection: clients ask the router again and reconnect, here or elsewhere."""
    for connection in list(connections):
        connection.ask_to_leave()


async def drain(seconds: float | None = None) -> None:
    """Empty this process: `goaway` to all, time to leave, then 1001 for who is left. Nothing acknowledged is lost.

    Meanwhile no WebSocket is accepted, but HTTP must go on: JavaScript 5 asks the router before it leaves, and one
    that does not answer ends a Node.js app (the SDK does not handle that rejection).
    """
    if not connections:
        return
    limit = settings.DRAIN_SECONDS if seconds is None else seconds
    logger.info("Asking %d connections to leave", len(connections))
    _background.is_draining = True
    try:
        ask_everyone_to_leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await connections.emptied()
        close_everyone()
    finally:
        _background.is_draining = False


def is_draining() -> bool:
    """Say whether clients are being asked to leave, so that none may come."""
    return bool(_background.is_draining)


def close_everyone() -> None:
    """Close every connection with 1001: clients come back by themselves, a second later and then ever less often."""
    for connection in list(connections):
        connection.close_for_now()
