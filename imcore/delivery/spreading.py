"""To everybody who is on line, or to those of them whom an app names: a bounded step at a time.

    one publish per node ─ here: 500 clients ─ which of them? ─ their sessions ─ other work ─ the next 500 …

So it costs what those on line cost, however many an audience has, and the loop serves others meanwhile. Who comes while
it lasts has been told another way: what is spread was stored before, and is read behind the coming.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from imcore import metrics
from imcore.delivery.encoding import EVERYBODY, Delivery
from imcore.delivery.presence import Presence
from imcore.errors import ImError

logger = logging.getLogger(__name__)

BACKLOG = 1000
STEP = 500

# Of the clients of an application, those whom an audience, the number, has.
Narrow = Callable[[int, int, Sequence[str]], Awaitable[Collection[str]]]
NarrowT = TypeVar("NarrowT", bound=Narrow)

_audiences: dict[str, Narrow] = {}


def audience(kind: str) -> Callable[[NarrowT], NarrowT]:
    """Register who tells which clients a kind of audience has; a delivery is spread to one as `kind/number`."""

    def register(narrow: NarrowT) -> NarrowT:
        _audiences[kind] = narrow
        return narrow

    return register


class Spreader:
    """Deliveries to everybody here, one after the other."""

    def __init__(self, hand_out: Callable[[Delivery, object], None], presence: Presence) -> None:
        self._hand_out = hand_out
        self._presence = presence
        self._waiting: deque[tuple[Delivery, object]] = deque()
        self.worker: asyncio.Task[None] | None = None

    def submit(self, delivery: Delivery, skip: object) -> None:
        """Hand a delivery to those of its audience that are here. Never waits."""
        if len(self._waiting) >= BACKLOG:
            metrics.count("delivery.dropped")
            return
        self._waiting.append((delivery, skip))
        if self.worker is None:
            self.worker = asyncio.create_task(self._work(), name="spreader")

    async def _work(self) -> None:
        try:
            while self._waiting:
                delivery, skip = self._waiting.popleft()
                try:
                    await self._spread(delivery, skip)
                except ImError as error:
                    metrics.count("delivery.dropped")
                    logger.warning("Could not find out whom a delivery is for: %s", error)
                except Exception:
                    logger.exception("Could not deliver to %s", delivery.spread)
        finally:
            self.worker = None

    async def _spread(self, delivery: Delivery, skip: object) -> None:
        names = self._presence.local_sessions(delivery.application)
        # No client id has a NUL; rooms, devices and everybody have.
        everybody = [name for name in names if not name.startswith("\0")]
        for start in range(0, len(everybody), STEP):
            client_ids = await self._narrowed(delivery, everybody[start : start + STEP])
            frames = [frame._replace(to=client_ids) for frame in delivery.frames]
            self._hand_out(delivery._replace(frames=frames), skip)
            await asyncio.sleep(0)

    async def _narrowed(self, delivery: Delivery, client_ids: list[str]) -> list[str]:
        if delivery.spread == EVERYBODY:
            return client_ids
        kind, _, number = delivery.spread.partition("/")
        found = await _audiences[kind](delivery.application, int(number), client_ids)
        return [client_id for client_id in client_ids if client_id in found]
