"""A session's first moments: what its client missed, and what comes meanwhile.

    attached to presence ─ held back ─ `opened` goes out ─ what was missed ─ what was held back ─ live

A message that the client was told of as missed, by a count or as itself, does not come to it again, though it may be
delivered only now (docs/adr/0015).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from django.conf import settings

from imcore.capabilities import COUNTS_UNREAD
from imcore.delivery.encoding import Order
from imcore.delivery.node import tell_handed_out

if TYPE_CHECKING:
    from imcore.gateway.connection import Session

logger = logging.getLogger(__name__)

# How long after its opening a session may still be handed a message that it was told of then: what delivery may take.
SETTLE_SECONDS = 5.0
# How long a client that catches up may take for what its connection holds before it is given more.
STALL_SECONDS = 60.0
# Frames given in a row to a client that catches up, before other work of the process gets its turn.
TURN = 50

_NOTHING: Mapping[str, int] = MappingProxyType({})


class Opening:
    """Stands between delivery and a session that is not, or only just, caught up; then it is done with."""

    __slots__ = ("_held", "_session", "_task", "_told")

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._held: deque[tuple[bytes, Order | None]] | None = deque()
        # Streams whose messages up to a position the client was told of by another way.
        self._told = _NOTHING
        self._task: asyncio.Task[None] | None = None

    @property
    def is_caught_up(self) -> bool:
        """Whether nothing is held back any more."""
        return self._held is None

    def deliver(self, body: bytes, order: Order | None) -> None:
        """Hold a body back, or send it unless it is a message that the client was told of."""
        if self._held is None:
            self._send(body, order)
        elif len(self._held) < settings.OUTBOUND_MAX_FRAMES:
            self._held.append((body, order))
        else:
            # It would miss something without knowing.
            self._session.connection.cut_off()

    def catch_up(self, events: Sequence[object], told: Mapping[str, int]) -> None:
        """Tell what was missed, then what was held back: `opened` has just gone out. Never waits.

        `told`: stream → the last position that the events cover. They go out no faster than the client reads, since
        they may be more than may wait for a connection, and a client that was cut off for that would come back to the
        same again and again. One that does not read at all is cut off.
        """
        self._told = told
        if events and not self._session.is_over:
            self._task = asyncio.create_task(self._catch_up(events), name="catching up")
        else:
            self._let_through()

    def break_off(self) -> None:
        """Send what came last, if it was held back: it told the client that the session is over."""
        if self._task is not None and self._held:
            body, _ = self._held.pop()
            self._session.send(body)

    async def _catch_up(self, events: Sequence[object]) -> None:
        for number, event in enumerate(events, 1):
            if number % TURN == 0:
                await asyncio.sleep(0)
            if not await self._may_go_on():
                return
            try:
                self._session.tell(event)
            except Exception:
                logger.exception("Could not encode %s", type(event).__name__)
        while self._held:
            if not await self._may_go_on():
                return
            self._release(*self._held.popleft())
        self._let_through()

    async def _may_go_on(self) -> bool:
        """Wait until the client has read what its connection holds; return False if the session is over."""
        connection = self._session.connection
        if not await connection.outbound.drained(STALL_SECONDS):
            connection.cut_off()
        return not connection.is_closing and not self._session.is_over

    def _let_through(self) -> None:
        held, self._held = self._held or (), None
        for body, order in held:
            self._release(body, order)
        if self._told:
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._session.settle)
        else:
            self._session.settle()

    def _release(self, body: bytes, order: Order | None) -> None:
        self._send(body, order)
        if order is None or not order.is_sparse or self._session.config_bitmap & COUNTS_UNREAD:
            return
        application = self._session.connection.application
        if application is not None:
            tell_handed_out(application.pk, order, [self._session.client_id])

    def _send(self, body: bytes, order: Order | None) -> None:
        if order is None or order.follows or order.position > self._told.get(order.stream, 0):
            self._session.send(body)
