"""A node's lease in Redis: it tells the other nodes that this one lives, and this one which of them have died.

While a node has no Redis, or dies between storing something and publishing it, others are not told. They learn here
that it may have happened, and since when.
"""

import time
from typing import NamedTuple

from imcore import redis

HEARTBEAT_SECONDS = 3.0
LEASE_SECONDS = 10
# How long the dead are remembered, so that every node sees that they are.
MOURNING_SECONDS = 60

# KEYS: the lease, and all nodes by their last heartbeat. ARGV: the node, how long it lives, MOURNING_SECONDS. Answers
# whether the lease was there still, the time in seconds, and the nodes that have died with their last heartbeats.
_BEAT = """
local before = redis.call('SET', KEYS[1], '1', 'EX', ARGV[2], 'GET')
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[2]) - tonumber(ARGV[3]))
local dead = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - tonumber(ARGV[2])), 'WITHSCORES')
return {before and 1 or 0, now, dead}
"""


class Beat(NamedTuple):
    """What a heartbeat finds out.

    `is_new`: there was no lease any more, so what this node wrote beside it may be gone, too. `lost_seconds`: for so
    long things may have been published that did not come here; None if nothing says so.
    """

    is_new: bool
    lost_seconds: float | None


class Lease:
    """The lease of one node among those of a key, for so many seconds."""

    def __init__(self, node: str, *, among: str = redis.NODES, seconds: int = LEASE_SECONDS) -> None:
        self._node = node
        self._among = among
        self._seconds = seconds
        self._last_at: float | None = None
        self._mourned: frozenset[str] = frozenset()

    async def beat(self) -> Beat:
        """Renew the lease. Raises RedisError."""
        was_there, now, dead = await redis.client().eval(
            _BEAT, 2, redis.node_key(self._node), self._among, self._node, str(self._seconds), str(MOURNING_SECONDS)
        )
        died_at = {name.decode(): float(at) for name, at in zip(dead[::2], dead[1::2], strict=True)}
        last_at, self._last_at = self._last_at, time.monotonic()
        mourned, self._mourned = self._mourned, frozenset(died_at)
        if last_at is None:
            return Beat(True, None)  # nobody was here before
        silence = self._last_at - last_at
        losses = [now - at for name, at in died_at.items() if name not in mourned]
        if not was_there or silence > 2 * HEARTBEAT_SECONDS:
            losses.append(silence)
        return Beat(not was_there, max(losses, default=None))

    async def give_up(self) -> None:
        """Be gone for the others at once, and in order. Raises RedisError."""
        pipeline = redis.client().pipeline(transaction=False)
        pipeline.delete(redis.node_key(self._node))
        pipeline.zrem(self._among, self._node)
        await pipeline.execute()
