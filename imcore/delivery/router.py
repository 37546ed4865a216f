"""From a fact to the sessions that must hear of it: recipients → nodes, one publish per node.

`publish` only queues. So whoever publishes and then returns its reply without another `await` has the reply on the
wire before any notice it caused, which is the order realtime-protocol 4 demands.

Both queues are bounded. What does not fit is dropped and counted (`delivery.dropped`): it is a hint, and the receivers
find the message itself in history.
"""

import asyncio
import logging
from collections import deque
from itertools import islice

from redis.exceptions import RedisError

from imcore import metrics, redis
from imcore.delivery.encoding import Delivery, encode
from imcore.delivery.node import Node, node

logger = logging.getLogger(__name__)

BACKLOG = 100_000
REMOTE_BATCH = 200
# Sessions handed a frame before other work of the process gets its turn.
TURN = 500


class Router:
    """The way of events out of this process."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._local: deque[tuple[int, object, object]] = deque()
        self._remote: deque[Delivery] = deque()
        self._local_worker: asyncio.Task[None] | None = None
        self._remote_worker: asyncio.Task[None] | None = None

    def publish(self, application: int, event: object, *, skip: object = None) -> None:
        """Queue an event for its recipients, all their sessions except the session `skip`. Never waits."""
        if len(self._local) >= BACKLOG:
            metrics.count("delivery.dropped")
            return
        self._local.append((application, event, skip))
        if self._local_worker is None:
            self._local_worker = asyncio.create_task(self._work_local(), name="router")

    async def settle(self) -> None:
        """Wait until everything published so far has been handed on."""
        while (worker := self._local_worker or self._remote_worker or self._node.spreader.worker) is not None:
            await asyncio.wait([worker])

    async def _work_local(self) -> None:
        since_turn = 0
        try:
            while self._local:
                application, event, skip = self._local.popleft()
                try:
                    delivery = encode(application, event)
                except Exception:
                    logger.exception("Could not encode %s", type(event).__name__)
                    continue
                before = self._node.handed_out
                self._node.deliver(delivery, skip)
                # A room is one name for many sessions; and names cost something, too, when nobody is here.
                names = sum(len(frame.to) for frame in delivery.frames)
                since_turn += max(names, self._node.handed_out - before)
                if redis.is_configured():
                    self._to_others(delivery)
                if since_turn >= TURN:
                    since_turn = 0
                    await asyncio.sleep(0)
        finally:
            self._local_worker = None

    def _to_others(self, delivery: Delivery) -> None:
        if len(self._remote) >= BACKLOG:
            metrics.count("delivery.dropped")
            return
        self._remote.append(delivery)
        if self._remote_worker is None:
            self._remote_worker = asyncio.create_task(self._work_remote(), name="remote router")

    async def _work_remote(self) -> None:
        try:
            while self._remote:
                batch = [self._remote.popleft() for _ in islice(range(REMOTE_BATCH), len(self._remote))]
                await self._send_batch(batch)
        finally:
            self._remote_worker = None

    async def _send_batch(self, batch: list[Delivery]) -> None:
        """Look up all recipients at once and send each node what is for it, in order, in one publish."""
        whereabouts: dict[int, dict[str, set[str]]] = {}
        for application in {delivery.application for delivery in batch}:
            clients = {
                client
                for delivery in batch
                if delivery.application == application
                for frame in delivery.frames
                for client in frame.to
            }
            nodes = await self._node.presence.nodes_of(application, clients)
            whereabouts[application] = {name: set(held) for name, held in nodes.items()}
        outgoing: dict[str, list[Delivery]] = {}
        for delivery in batch:
            for name, held in whereabouts[delivery.application].items():
                frames = [
                    frame._replace(to=to)
                    for frame in delivery.frames
                    if (to := [client for client in frame.to if client in held])
                ]
                if frames:
                    outgoing.setdefault(name, []).append(delivery._replace(frames=frames))
        for name, deliveries in outgoing.items():
            try:
                await self._node.send_to(name, deliveries)
            except (RedisError, OSError, TimeoutError) as error:
                metrics.count("delivery.dropped", len(deliveries))
                logger.warning("Could not publish to node %s: %s", name, error)


router = Router(node)
publish = router.publish
