"""Who is here: the sessions of this process, and which other nodes hold which clients.

The table of this process is exact. What nodes know of each other is in Redis as sets with a life time, so that a node
that dies is forgotten by itself: a client's set counts only nodes whose lease is alive. A node writes its lease anew
every HEARTBEAT_SECONDS and its clients in turns; when it finds its lease gone (Redis was emptied or restarted) it
writes all of them at once. While Redis is away, each node serves its own clients and nobody else's.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from redis.exceptions import RedisError

from imcore import redis
from imcore.batching import Batcher

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 3.0
LEASE_SECONDS = 10
CLIENT_SECONDS = 7200
LOOKUP = 1000  # clients looked up in one call
TURNS = 1200  # heartbeats in which every client is written once: 1200 * 3 s is half of CLIENT_SECONDS

# KEYS: the clients' sets. Answers for each the nodes that are alive, and forgets the dead ones on the way.
_LIVE_NODES = """
local alive = {}
local answer = {}
for i, key in ipairs(KEYS) do
  local nodes = {}
  for _, node in ipairs(redis.call('SMEMBERS', key)) do
    if alive[node] == nil then alive[node] = redis.call('EXISTS', ARGV[1] .. node) end
    if alive[node] == 1 then nodes[#nodes + 1] = node else redis.call('SREM', key, node) end
  end
  answer[i] = nodes
end
return answer
"""

Key = tuple[int, str]  # application number, client id


class LocalSession(Protocol):
    """What delivery needs to know of a session: whose it is, what it understands, and how to hand it a frame."""

    client_id: str
    config_bitmap: int

    def deliver(self, body: bytes) -> None:
        """Send a serialized body behind the session's own header."""


class Presence:
    """The sessions of this process and, with Redis, the whereabouts of everybody else's."""

    def __init__(self) -> None:
        self.node = uuid.uuid4().hex
        self._sessions: dict[int, dict[str, list[LocalSession]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heart: asyncio.Task[None] | None = None
        self._turn: Iterator[Key] = iter(())
        self._announcements: Batcher[Key, None] = Batcher(self._announce, size=500, backlog=200_000, name="presence")
        # Written to Redis again with the next heartbeat, because the last attempt failed.
        self._unwritten: set[Key] = set()

    def local(self, application: int, client_id: str) -> Sequence[LocalSession]:
        """Return the sessions of a client on this process."""
        return self._sessions.get(application, {}).get(client_id, ())

    def local_clients(self, application: int) -> dict[str, list[LocalSession]]:
        """Return this process's sessions of an application, by client id. Do not change it."""
        return self._sessions.get(application, {})

    def all_local(self) -> list[LocalSession]:
        """Return every session of this process."""
        return [session for clients in self._sessions.values() for sessions in clients.values() for session in sessions]

    async def attach(self, application: int, session: LocalSession) -> None:
        """Add a session. When this returns, other nodes that look for its client find this one (if Redis works)."""
        self._sessions.setdefault(application, {}).setdefault(session.client_id, []).append(session)
        if redis.is_configured():
            await self._announcements.submit((application, session.client_id))

    def detach(self, application: int, session: LocalSession) -> None:
        """Remove a session; nothing happens if it is not there."""
        clients = self._sessions.get(application, {})
        sessions = clients.get(session.client_id, [])
        if session not in sessions:
            return
        sessions.remove(session)
        if sessions:
            return
        del clients[session.client_id]
        if redis.is_configured():
            self._own(self._announcements.submit((application, session.client_id)))

    async def online(self, application: int, client_ids: Sequence[str]) -> list[str]:
        """Return those of the clients that have an open session on any node, in the order given."""
        away = [client_id for client_id in client_ids if not self.local(application, client_id)]
        elsewhere = await self.nodes_of(application, away)
        found = {client_id for clients in elsewhere.values() for client_id in clients}
        return [client_id for client_id in client_ids if client_id in found or self.local(application, client_id)]

    async def nodes_of(self, application: int, client_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return the other nodes that hold some of the clients, and which. Empty when Redis is away."""
        nodes: dict[str, list[str]] = {}
        if not redis.is_configured():
            return nodes
        for wanted in _chunks(client_ids, LOOKUP):
            for client_id, found in zip(wanted, await self._look_up(application, wanted), strict=True):
                for node in found:
                    if node != self.node:
                        nodes.setdefault(node, []).append(client_id)
        return nodes

    def start(self) -> None:
        """Begin to hold this node's lease."""
        if redis.is_configured():
            self._heart = asyncio.create_task(self._beat(), name="presence heartbeat")

    async def stop(self) -> None:
        """Give up the lease, so that other nodes stop publishing here."""
        if self._heart is None:
            return
        self._heart.cancel()
        await asyncio.gather(self._heart, *self._tasks, return_exceptions=True)
        self._heart = None
        try:
            await redis.client().delete(redis.node_key(self.node))
        except RedisError:
            logger.info("Could not give up the presence lease; it expires in %d s", LEASE_SECONDS)

    def _own(self, work: "asyncio.Future[None] | object") -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keys(self) -> list[Key]:
        return [(application, client_id) for application, clients in self._sessions.items() for client_id in clients]

    async def _announce(self, keys: Sequence[Key]) -> list[None]:
        pipeline = redis.client().pipeline(transaction=False)
        for application, client_id in keys:
            key = redis.online_key(application, client_id)
            # What is true now, not when it was asked: so the last word in Redis is always the table's.
            if self.local(application, client_id):
                pipeline.sadd(key, self.node)
                pipeline.expire(key, CLIENT_SECONDS)
            else:
                pipeline.srem(key, self.node)
        try:
            await pipeline.execute()
        except RedisError as error:
            logger.warning("Presence could not be written: %s", error)
            self._unwritten.update(keys)
        return [None] * len(keys)

    async def _look_up(self, application: int, client_ids: Sequence[str]) -> list[list[str]]:
        names = [redis.online_key(application, client_id) for client_id in client_ids]
        try:
            answer = await redis.client().eval(_LIVE_NODES, len(names), *names, redis.node_key(""))
        except RedisError as error:
            logger.warning("Presence could not be read: %s", error)
            return [[] for _ in client_ids]
        return [[node.decode() for node in nodes] for nodes in answer]

    async def _beat(self) -> None:
        has_lease = False
        while True:
            try:
                before = await redis.client().set(redis.node_key(self.node), "1", ex=LEASE_SECONDS, get=True)
                if before is None and has_lease:
                    logger.warning("Redis has lost this node's presence; writing it again")
                due = [*self._unwritten, *(self._next_turn() if before else self._keys())]
                self._unwritten.clear()
                has_lease = True
                await asyncio.gather(*(self._announcements.submit(key) for key in due))
            except RedisError as error:
                logger.warning("Presence lease could not be renewed: %s", error)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _next_turn(self) -> list[Key]:
        size = 1 + sum(map(len, self._sessions.values())) // TURNS
        due = list(islice(self._turn, size))
        if len(due) < size:
            self._turn = iter(self._keys())
        return due


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
