"""This process: its one inbox, and the last step from a delivery to the sessions that are here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from imcore import identifiers, metrics, redis
from imcore.capabilities import COUNTS_UNREAD
from imcore.delivery.encoding import Delivery, Frame, Order, Priority
from imcore.delivery.ordering import LOOK_UP_SECONDS, Found, Late, Missing, Sequencer, Ways
from imcore.delivery.presence import LocalSession, Presence
from imcore.delivery.spreading import Spreader
from imcore.errors import ImError
from imcore.identifiers import RisingClock
from imcore.protocol import codec

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 2.0

# How much two nodes' clocks may differ. A time further ahead says nothing about who was here then.
CLOCKS_APART_MS = 1000

# What was stored so long before a fault may have been on its way then.
DOUBT_SECONDS = 10.0


class Reached(NamedTuple):
    """How far a stream is, since when, and for whom of those here."""

    stream: str
    position: int
    at_ms: int
    names: Sequence[str]


Finder = Callable[[Missing], Awaitable[Found]]
Reporter = Callable[[int, Sequence[str], int], Awaitable[Sequence[Reached]]]

# An application, a place in a sparse stream, and the clients that were handed what is there.
HandedOut = Callable[[int, Order, Sequence[str]], None]
HandedOutT = TypeVar("HandedOutT", bound=HandedOut)

_handed_out: list[HandedOut] = []


def handed_out(callback: HandedOutT) -> HandedOutT:
    """Register who is told which clients that do not count unread were handed what has a place in a sparse stream.

    Nobody else says so: it must neither wait nor raise.
    """
    _handed_out.append(callback)
    return callback


def tell_handed_out(application: int, order: Order, client_ids: Sequence[str]) -> None:
    """Tell whoever has asked that clients were handed what is at a place."""
    for callback in _handed_out:
        callback(application, order, client_ids)


def inbox_of(node: str) -> str:
    """Return the channel name of a node's inbox."""
    return f"imcore.node.{node}"


class Node:
    """The sessions of this process as the target of deliveries, from here or from another node's inbox message."""

    def __init__(self) -> None:
        self.presence = Presence(self.doubt)
        # One clock for all notices of this process makes `serverTs` rise for every client, as realtime-protocol 3.2
        # asks. It moves on with what clients keep as their position; messages only read it, or a thousand in a
        # second would drive it ahead of the time.
        self.clock = RisingClock()
        # How often a session here has been handed a frame so far: what delivering costs.
        self.handed_out = 0
        self._sequencer = Sequencer(
            Ways(self._hand_out, self._hand_out_late, self._missed_since, self._completes, self._look_up)
        )
        self._finders: dict[str, Finder] = {}
        self._reporters: list[Reporter] = []
        self._searches: set[asyncio.Task[None]] = set()
        self._doubtful_since_ms: int | None = None
        self._is_rechecking = False
        self.spreader = Spreader(self._hand_out, self.presence)
        self._reader: asyncio.Task[None] | None = None

    def deliver(self, delivery: Delivery, skip: object = None) -> None:
        """Hand a delivery to the sessions here, all but `skip`, in the order of its stream. Never waits."""
        if delivery.spread:
            self.spreader.submit(delivery, skip)
        else:
            self._sequencer.submit(delivery, skip)

    def look_up_with(self, kind: str, finder: Finder, reporter: Reporter) -> None:
        """Complete the streams of a kind, those named `kind/…`, with what `finder` finds of what did not come.

        `reporter` tells, of an application, for whom the streams have got how far since a time in milliseconds.
        """
        self._finders[kind] = finder
        self._reporters.append(reporter)

    def doubt(self, seconds: float) -> None:
        """Ask whether something was stored that did not come here for so long: then it will not come by itself.

        Else it would be missed when the next thing comes, which may be tomorrow.
        """
        since_ms = identifiers.now_ms() - int((seconds + DOUBT_SECONDS) * 1000)
        self._doubtful_since_ms = min(since_ms, self._doubtful_since_ms or since_ms)
        if not self._is_rechecking:
            self._is_rechecking = True
            self._own(self._recheck(), "rechecking")

    async def _recheck(self) -> None:
        """Ask, and ask again if there is doubt again meanwhile."""
        while (since_ms := self._doubtful_since_ms) is not None:
            self._doubtful_since_ms = None
            count = 0
            for application, names in self.presence.local_names():
                for reporter in self._reporters:
                    try:
                        reached = await reporter(application, names, since_ms)
                    except ImError as error:
                        logger.warning("It could not be found out what did not come here: %s", error)
                        continue
                    except Exception:
                        logger.exception("It could not be found out what did not come here")
                        continue
                    count += len(reached)
                    for one in reached:
                        order = Order(one.stream, one.position, follows=True, at_ms=one.at_ms)
                        self.deliver(Delivery(application, [Frame(list(one.names), b"")], order))
            logger.info("Others may not have reached this node; compared %d streams with what is stored", count)
        self._is_rechecking = False

    def _completes(self, stream: str) -> bool:
        return _kind(stream) in self._finders

    def _look_up(self, missing: Missing, take: Callable[[Found | None], None]) -> None:
        self._own(self._search(missing, take), "looking up")

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._searches.add(task)
        task.add_done_callback(self._searches.discard)

    async def _search(self, missing: Missing, take: Callable[[Found | None], None]) -> None:
        found = None
        try:
            # Its result is not waited for longer, so it may not wait for its turn longer either.
            async with asyncio.timeout(LOOK_UP_SECONDS):
                found = await self._finders[_kind(missing.stream)](missing)
        except (ImError, TimeoutError) as error:
            logger.warning("What is missing of %s could not be looked up: %r", missing.stream, error)
        except Exception:
            logger.exception("What is missing of %s could not be looked up", missing.stream)
        take(found)

    def _missed_since(self, delivery: Delivery, at_ms: int) -> int | None:
        if at_ms > identifiers.now_ms() + CLOCKS_APART_MS:
            return None
        names = {name for frame in delivery.frames for name in frame.to}
        here = (
            _here_since_ms(session, name)
            for name in names
            for session in self.presence.local(delivery.application, name)
        )
        return min((since_ms for since_ms in here if since_ms <= at_ms), default=None)

    def _hand_out_late(self, late: Late) -> None:
        delivery = late.delivery
        metrics.count("delivery.late")
        for frame in delivery.frames:
            body = codec.server_time(self.clock.last_ms()) + frame.body
            for name in frame.to:
                for session in self.presence.local(delivery.application, name):
                    if (
                        session.config_bitmap & frame.needs == frame.needs
                        and session.client_id != frame.but
                        and _here_since_ms(session, name) <= late.at_ms
                    ):
                        session.deliver(body, delivery.order)

    def _hand_out(self, delivery: Delivery, skip: object) -> None:
        clients = self.presence.local_sessions(delivery.application)
        if not clients:
            return
        order = delivery.order
        for frame in delivery.frames:
            if not frame.body:  # it only asks whether something before it is missing
                continue
            at_ms = self.clock.next_ms() if frame.is_dated else self.clock.last_ms()
            body = codec.server_time(at_ms) + frame.body
            needs, priority, but = frame.needs, frame.priority, frame.but
            may_be_shed = priority != Priority.HIGH
            for name in frame.to:
                sessions = clients.get(name, ())
                self.handed_out += len(sessions)
                for session in sessions:
                    if session is skip or session.config_bitmap & needs != needs or session.client_id == but:
                        continue
                    if may_be_shed and session.sheds(priority):
                        metrics.count("delivery.shed")
                        continue
                    session.deliver(body, order)
            if frame.leaving or frame.ends:
                self._take_out(delivery.application, frame, skip)
        if order is not None and order.is_sparse:
            self._tell_handed_out(delivery, order)

    def _tell_handed_out(self, delivery: Delivery, order: Order) -> None:
        """Tell who has it now; a session that is not caught up has it when it is (gateway/opening.py)."""
        clients = self.presence.local_sessions(delivery.application)
        told = {
            session.client_id: None
            for frame in delivery.frames
            for name in frame.to
            for session in clients.get(name, ())
            if not session.config_bitmap & COUNTS_UNREAD and session.is_caught_up
        }
        if told:
            tell_handed_out(delivery.application, order, list(told))

    def _take_out(self, application: int, frame: Frame, skip: object) -> None:
        for name in frame.to:
            for session in list(self.presence.local(application, name)):
                if session is skip:
                    continue
                if frame.leaving:
                    self.presence.leave(application, frame.leaving, session)
                if frame.ends:
                    session.end()

    async def send_to(self, node: str, deliveries: list[Delivery]) -> None:
        """Put deliveries into another node's inbox. Raises RedisError or TimeoutError."""
        message = {
            "type": "deliver",
            "deliveries": [
                [
                    delivery.application,
                    [list(frame) for frame in delivery.frames],
                    delivery.order,
                    delivery.spread,
                ]
                for delivery in deliveries
            ],
        }
        layer = get_channel_layer()
        assert layer is not None
        async with asyncio.timeout(PUBLISH_SECONDS):
            await layer.send(inbox_of(node), message)

    def start(self) -> None:
        """Begin to be reachable for other nodes."""
        self.presence.start()
        if redis.is_configured():
            self._reader = asyncio.create_task(self._read_inbox(), name="inbox")

    async def stop(self) -> None:
        """Stop being reachable."""
        await self.presence.stop()
        if self._reader is not None:
            await redis.end(self._reader)
            self._reader = None

    async def _read_inbox(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        inbox = inbox_of(self.presence.node)
        while True:
            try:
                message = await layer.receive(inbox)
            except (RedisError, OSError) as error:
                logger.warning("The inbox could not be opened: %s", error)
                await asyncio.sleep(1)
                continue
            for fields in message["deliveries"]:
                self.deliver(_delivery(*fields))


def _delivery(application: int, frames: list[Any], order: Any, spread: str) -> Delivery:
    place = None if order is None else Order(*order)
    return Delivery(application, [Frame(*fields) for fields in frames], place, spread)


def _kind(stream: str) -> str:
    return stream.partition("/")[0]


def _here_since_ms(session: LocalSession, name: str) -> int:
    """Return from when on a session should have had everything: what is older it was told otherwise, or is not its own.

    Not from when it was told (gateway/opening.py): what is stored in between comes as itself. A seat is timed before it
    is taken, and what was said in the millisecond of either was said before.
    """
    return 1 + ((session.seated_ms or 0) if name == session.room else session.attached_ms)


node = Node()
