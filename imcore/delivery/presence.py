"""Who is here: the sessions of this process, and which other nodes hold which clients.

Sessions are found by their client, and by the chat room they are in, if any: a room is a name like a client's, which
no client can have (`room`), and so is a device (`device`). So whoever delivers need not know which of them it is. All
sessions of an application are under EVERYBODY; how many clients these are is told to other nodes as it is of a room,
but with the next heartbeat, since it changes all the time.

The table of this process is exact. What nodes know of each other is in Redis as sets with a life time, so that a node
that dies is forgotten by itself: a client's set counts only nodes whose lease is alive. A node writes its lease anew
every HEARTBEAT_SECONDS and its clients in turns; when it finds its lease gone (Redis was emptied or restarted) it
writes all of them at once. While Redis is away, each node serves its own clients and nobody else's.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson
from redis.exceptions import RedisError

from imcore import redis
from imcore.batching import Batcher
from imcore.delivery.encoding import EVERYBODY, Order
from imcore.delivery.lease import HEARTBEAT_SECONDS, LEASE_SECONDS, Lease
from imcore.errors import ImError

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

logger = logging.getLogger(__name__)

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

# KEYS: the occupancy of a room, or of EVERYBODY, by node. Answers what the living nodes wrote, and forgets dead ones.
_OCCUPANCY = """
local answer = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if redis.call('EXISTS', ARGV[1] .. all[i]) == 1 then
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = all[i + 1]
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return answer
"""

_ROOM = "\0room/"  # no client id has a NUL
_DEVICE = "\0device/"
OCCUPANTS_LISTED = 50  # realtime-protocol 4.5: conv/members

Key = tuple[int, str]  # application number, client id or room


def room(conversation: int) -> str:
    """Return the name under which the sessions in a chat room are found."""
    return f"{_ROOM}{conversation}"


def conversation_of(name: str) -> int | None:
    """Return the conversation whose room a name is, or None if it is none."""
    return int(name.removeprefix(_ROOM)) if name.startswith(_ROOM) else None


def device(number: int) -> str:
    """Return the name under which the sessions of a device are found, where it has one of its own (`names`)."""
    return f"{_DEVICE}{number}"


class Occupancy(NamedTuple):
    """How many clients are in a room, and who some of them are: all, if they are OCCUPANTS_LISTED or fewer.

    A client that is there through two nodes counts twice in a room of more.
    """

    clients: int
    client_ids: tuple[str, ...]


class LocalSession(Protocol):
    """What delivery needs to know of a session: whose it is, what it understands, and how to hand it a frame."""

    client_id: str
    config_bitmap: int
    room: str | None  # the chat room it is in; written here only
    attached_ms: int  # since when it is reachable; what was stored before is in what it is told when it opens
    seated_ms: int | None  # when it entered the room

    @property
    def is_caught_up(self) -> bool:
        """Whether it is handed things at once."""

    @property
    def names(self) -> Sequence[str]:
        """What it is found by from its beginning to its end: its client's id and, maybe, its device."""

    def deliver(self, body: bytes, order: Order | None, /) -> None:
        """Send a serialized body, whose place is `order`, behind the session's own header."""

    def end(self) -> None:
        """Be over: the client has just been told why."""

    def sheds(self, priority: int) -> bool:
        """Return whether the connection is too congested for a frame of this priority."""


class Presence:
    """The sessions of this process and, with Redis, the whereabouts of everybody else's."""

    def __init__(self, on_loss: Callable[[float], None] = lambda seconds: None) -> None:
        """`on_loss` is called when others may have published for some seconds what did not come here."""
        self.node = uuid.uuid4().hex
        self._lease = Lease(self.node)
        self._on_loss = on_loss
        # By application, then by client id or room; the sessions are the keys of the innermost, in order of arrival.
        self._sessions: dict[int, dict[str, dict[LocalSession, None]]] = {}
        # How many sessions each client has in a room here.
        self._occupants: dict[Key, Counter[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heart: asyncio.Task[None] | None = None
        self._turn: Iterator[Key] = iter(())
        self._announcements: Batcher[Key, None] = Batcher(self._announce, size=500, backlog=200_000, name="presence")
        # How many clients of each application are here, and of which Redis does not know the number yet.
        self._clients: Counter[int] = Counter()
        self._recounted: set[int] = set()
        # Applications of which Redis knows that they have sessions here.
        self._written_everybody: set[int] = set()
        # Written to Redis again with the next heartbeat, because the last attempt failed.
        self._unwritten: set[Key] = set()

    def local(self, application: int, name: str) -> Collection[LocalSession]:
        """Return the sessions of a client, or in a room, on this process."""
        return self._sessions.get(application, {}).get(name, ())

    def local_names(self) -> Iterator[tuple[int, list[str]]]:
        """Yield applications with the clients and rooms that have sessions on this process, so many at a time."""
        for application, names in list(self._sessions.items()):
            wanted = [name for name in names if name != EVERYBODY and not name.startswith(_DEVICE)]
            for chunk in _chunks(wanted, LOOKUP):
                yield application, chunk

    def local_sessions(self, application: int) -> dict[str, dict[LocalSession, None]]:
        """Return this process's sessions of an application, by client id and by room. Do not change it."""
        return self._sessions.get(application, {})

    async def attach(self, application: int, session: LocalSession) -> None:
        """Add a session. When this returns, other nodes that look for its names find this one (if Redis works)."""
        for name in (*session.names, EVERYBODY):
            self._add(application, name, session)
        if redis.is_configured():
            for name in session.names:
                await self._tell((application, name))
            if application not in self._written_everybody:
                await self._tell((application, EVERYBODY))

    def detach(self, application: int, session: LocalSession) -> None:
        """Remove a session, from its room too; nothing happens if it is not there."""
        if session.room is not None:
            self.leave(application, session.room, session)
        for name in session.names:
            if self._remove(application, name, session) and redis.is_configured():
                self._own(self._tell((application, name)))
        if self._remove(application, EVERYBODY, session) and redis.is_configured():
            self._written_everybody.discard(application)
            self._own(self._tell((application, EVERYBODY)))

    async def enter(self, application: int, name: str, session: LocalSession) -> None:
        """Put a session into a room, out of the one it was in. When this returns, other nodes count it.

        A session that has ended meanwhile is not put anywhere.
        """
        if session.room == name or session not in self.local(application, session.client_id):
            return
        if session.room is not None:
            self.leave(application, session.room, session)
        session.room = name
        self._add(application, name, session)
        self._occupants.setdefault((application, name), Counter())[session.client_id] += 1
        if redis.is_configured():
            await self._tell((application, name))

    def leave(self, application: int, name: str, session: LocalSession) -> None:
        """Take a session out of a room; nothing happens if it is not there."""
        if session.room != name:
            return
        session.room = None
        self._remove(application, name, session)
        occupants = self._occupants[application, name]
        occupants[session.client_id] -= 1
        if not occupants[session.client_id]:
            del occupants[session.client_id]
        if not occupants:
            del self._occupants[application, name]
        if redis.is_configured():
            self._own(self._tell((application, name)))

    async def occupancy(self, application: int, name: str) -> Occupancy:
        """Return who is in a room on all nodes, or with EVERYBODY who is on line; those here only, when Redis is away.

        Who is on line elsewhere is as of the last heartbeat there.
        """
        here = self._occupancy_here((application, name))
        if not redis.is_configured():
            return here
        try:
            answer = await redis.client().eval(_OCCUPANCY, 1, redis.room_key(application, name), redis.node_key(""))
        except RedisError as error:
            logger.warning("The occupancy of a room could not be read: %s", error)
            return here
        written = dict(zip(answer[::2], answer[1::2], strict=True))
        written.pop(self.node.encode(), None)
        others = [Occupancy(count, tuple(ids)) for count, ids in map(orjson.loads, written.values())]
        listed = tuple(dict.fromkeys(client_id for part in (here, *others) for client_id in part.client_ids))
        are_all_listed = all(part.clients <= OCCUPANTS_LISTED for part in (here, *others))
        count = len(listed) if are_all_listed else sum(part.clients for part in (here, *others))
        return Occupancy(count, listed[:OCCUPANTS_LISTED])

    async def online(self, application: int, client_ids: Sequence[str]) -> list[str]:
        """Return those of the names, clients' or devices', that have an open session on any node, in their order."""
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
        await redis.end(self._heart)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._heart = None
        try:
            await self._lease.give_up()
        except RedisError:
            logger.info("Could not give up the presence lease; it expires in %d s", LEASE_SECONDS)

    def _add(self, application: int, name: str, session: LocalSession) -> None:
        sessions = self._sessions.setdefault(application, {}).setdefault(name, {})
        if not sessions and name == session.client_id:
            self._recount(application, 1)
        sessions[session] = None

    def _remove(self, application: int, name: str, session: LocalSession) -> bool:
        """Remove a session from under a name; return whether it was the last one there."""
        names = self._sessions.get(application, {})
        sessions = names.get(name, {})
        if session not in sessions:
            return False
        del sessions[session]
        if not sessions:
            del names[name]
            if name == session.client_id:
                self._recount(application, -1)
        return not sessions

    def _recount(self, application: int, difference: int) -> None:
        self._clients[application] += difference
        if not self._clients[application]:
            del self._clients[application]
        self._recounted.add(application)

    def _occupancy_here(self, key: Key) -> Occupancy:
        application, name = key
        if name == EVERYBODY:
            count = self._clients[application]
            names = self._sessions.get(application, {}) if count <= OCCUPANTS_LISTED else ()
            return Occupancy(count, tuple(name for name in names if not name.startswith("\0")))
        occupants = self._occupants.get(key) or Counter[str]()
        return Occupancy(len(occupants), tuple(islice(occupants, OCCUPANTS_LISTED)))

    async def _tell(self, key: Key) -> None:
        """Announce what is true of a name, or see to it that the next heartbeat does."""
        try:
            await self._announcements.submit(key)
        except ImError:
            self._unwritten.add(key)

    def _own(self, work: "asyncio.Future[None] | object") -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keys(self) -> list[Key]:
        return [(application, name) for application, names in self._sessions.items() for name in names]

    async def _announce(self, keys: Sequence[Key]) -> list[None]:
        pipeline = redis.client().pipeline(transaction=False)
        with_sessions = set()
        for application, name in dict.fromkeys(keys):
            key = redis.online_key(application, name)
            # What is true now, not when it was asked: so the last word in Redis is always the table's.
            if self.local(application, name):
                pipeline.sadd(key, self.node)
                pipeline.expire(key, CLIENT_SECONDS)
            else:
                pipeline.srem(key, self.node)
            if name.startswith(_ROOM):
                self._announce_occupancy(pipeline, application, name)
            elif name == EVERYBODY:
                self._announce_occupancy(pipeline, application, name)
                self._written_everybody.discard(application)
                if self.local(application, name):
                    with_sessions.add(application)
        try:
            await pipeline.execute()
        except RedisError as error:
            logger.warning("Presence could not be written: %s", error)
            self._unwritten.update(keys)
        else:
            self._written_everybody |= with_sessions
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
        while True:
            try:
                is_new, lost_seconds = await self._lease.beat()
                if is_new and lost_seconds is not None:
                    logger.warning("Redis has lost this node's presence; writing it again")
                recounted = [(application, EVERYBODY) for application in self._recounted]
                due = [*self._unwritten, *recounted, *(self._keys() if is_new else self._next_turn())]
                self._unwritten.clear()
                self._recounted.clear()
                await asyncio.gather(*(self._tell(key) for key in due))
                if lost_seconds is not None:
                    self._on_loss(lost_seconds)
            except RedisError as error:
                logger.warning("Presence lease could not be renewed: %s", error)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _announce_occupancy(self, pipeline: "Pipeline", application: int, name: str) -> None:
        key = redis.room_key(application, name)
        here = self._occupancy_here((application, name))
        if here.clients:
            pipeline.hset(key, self.node, orjson.dumps([here.clients, here.client_ids]).decode())
            pipeline.expire(key, CLIENT_SECONDS)
        else:
            pipeline.hdel(key, self.node)

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
