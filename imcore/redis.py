"""The Redis client of this process, and every key name in one place.

    imcore:node:<node>                     lease of a node; expires LEASE_SECONDS after its last heartbeat
    imcore:nodes                           sorted set of the nodes, also the dead for a while, by their last heartbeats
    imcore:online:<application>:<client>   set of the nodes that hold a session of this client, or one in this room
    imcore:room:<application>:<room>       hash: node → how many clients it has in a chat room, or at all, and some
    imcore:rate:<application>:<window>     how many REST requests were counted in a minute or a day; expires with it

Everything here may be lost at any time: nodes write it again with their next heartbeat. The channel layer keeps its
own keys under `imcore…`/`specific.…` and Celery its queues.
"""

import asyncio
import logging
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import redis
from django.conf import settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

SOCKET_SECONDS = 2.0
CANCEL_SECONDS = 0.2

NODES = "imcore:nodes"

# Read once: this is asked for every delivery, and Django's settings are slow to ask.
_URL: str = settings.REDIS_URL

_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, Redis]" = WeakKeyDictionary()


def is_configured() -> bool:
    """Return whether there is a Redis; without one, this process is alone."""
    return bool(_URL)


def client() -> "Redis":
    """Return the client of the running loop. Its calls raise `redis.RedisError` within SOCKET_SECONDS."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = redis.asyncio.Redis.from_url(
            _URL,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            maint_notifications_config=settings.REDIS_MAINTENANCE,
        )
    return _clients[loop]


async def end(task: "asyncio.Task[None]") -> None:
    """Cancel a task that talks to Redis, and wait until it has ended.

    The client takes a cancellation while it connects for a connection that failed; so once may not be enough.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_SECONDS)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A task had failed before it was ended", exc_info=error)


async def close() -> None:
    """Close the client of the running loop."""
    found = _clients.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()


def check() -> str:
    """Return "ok", "not configured", or what is wrong, for /readyz."""
    url: str = settings.REDIS_URL
    if not url:
        return "not configured"
    probe = redis.Redis.from_url(url, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS)
    try:
        probe.ping()
    except redis.RedisError as error:
        return f"failed: {type(error).__name__}"
    finally:
        probe.close()
    return "ok"


def node_key(node: str) -> str:
    """Return the key of a node's lease."""
    return f"imcore:node:{node}"


def room_key(application: int, name: str) -> str:
    """Return the key of a chat room's occupancy."""
    return f"imcore:room:{application}:{name}"


def online_key(application: int, client_id: str) -> str:
    """Return the key of the set of nodes that hold a client."""
    return f"imcore:online:{application}:{client_id}"


def rate_key(application: int, window: str) -> str:
    """Return the key of the number of requests in a window of time."""
    return f"imcore:rate:{application}:{window}"
