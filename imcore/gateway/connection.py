"""Who is here, in what state: connections, the lanes of their clients, and their sessions.

Connection ─┬─ Lane "tom"   ── Session     commands of one client: one at a time, in the order they came
            └─ Lane "mary"  ── Session     lanes do not wait for each other
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from imcore import identifiers, metrics
from imcore.appsettings import ApplicationSnapshot, applications
from imcore.capabilities import COUNTS_UNREAD, DECLARED
from imcore.delivery.encoding import IM_SERVICE, Order, encode
from imcore.delivery.node import node
from imcore.delivery.outbound import Event, Outbound
from imcore.delivery.presence import device as device_name
from imcore.errors import ImError, InvalidLogin
from imcore.gateway import registry
from imcore.gateway.opening import Opening
from imcore.protocol import codec
from imcore.protocol.codec import Subprotocol
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType

logger = logging.getLogger(__name__)

CLIENTS_PER_CONNECTION = 100
CLOSE_SECONDS = 5.0  # for a peer to take its last frames before it is cut off
CLOSE_CODE_GOING_AWAY = 1001  # SDKs reconnect after it (realtime-protocol 1.7)
_SIGN_OUT = (CommandType.session, OpType.close)
RETURN_SECONDS = 30.0  # for a client that was sent away to have gone: then it is lost as others are


class Session:
    """One signed-in client on one connection.

    `config_bitmap` is what the client declares, and what its subprotocol does (capabilities.py). `key` tells this
    session from its device's others, before and after; `has_will` that something is to be said if it is lost.
    """

    __slots__ = (
        "_event", "_header", "_offer", "_opening", "attached_ms", "client_id", "config_bitmap", "connection",
        "deliver", "device", "has_will", "key", "room", "seated_ms", "sheds", "tag", "token_generation",
    )  # fmt: skip

    def __init__(
        self,
        connection: "Connection",
        *,
        client_id: str,
        device: int,
        token_generation: int,
        tag: str,
        config_bitmap: int,
        key: str = "",
    ) -> None:
        self.connection = connection
        self.client_id = client_id
        self.device = device
        self.token_generation = token_generation
        self.tag = tag
        self.config_bitmap = config_bitmap & DECLARED
        if not connection.subprotocol.pushes_offline_messages:
            self.config_bitmap |= COUNTS_UNREAD
        self.key = key
        self.has_will = False
        self.room: str | None = None
        self.seated_ms: int | None = None
        self.attached_ms = identifiers.now_ms()
        self._header = codec.header(client_id=client_id)
        self._event = connection.event
        self._offer = connection.outbound.offer
        self.sheds = connection.outbound.sheds
        self._opening: Opening | None = Opening(self)
        # How delivery hands it a serialized body, whose place is the order: behind its header, when it is caught up.
        self.deliver: Callable[[bytes, Order | None], None] = self._opening.deliver

    @property
    def names(self) -> Sequence[str]:
        """What it is found by: its client's id; and its device, where only one with its tag may be signed in."""
        return (self.client_id, device_name(self.device)) if self.tag else (self.client_id,)

    @property
    def is_caught_up(self) -> bool:
        """Whether its client has been told of all that came before, and gets what comes at once."""
        return self._opening is None or self._opening.is_caught_up

    @property
    def is_over(self) -> bool:
        """Whether another session of its client has taken its place on the connection, or none."""
        lane = self.connection.lanes.get(self.client_id)
        return lane is None or lane.session is not self

    @property
    def is_lost(self) -> bool:
        """Whether it is over, and not because the server wants its client to go elsewhere."""
        return self.is_over and not self.connection.is_expected_back

    def send(self, body: bytes) -> None:
        """Send a serialized body behind this session's header at once."""
        self._offer(self._event(self._header + body))

    def tell(self, event: object) -> None:
        """Send this session alone the frames of an event, before anything that waits for it to be caught up."""
        application = self.connection.application
        if application is None:  # it was switched off meanwhile
            return
        for frame in encode(application.pk, event).frames:
            if self.config_bitmap & frame.needs == frame.needs:
                at_ms = node.clock.next_ms() if frame.is_dated else node.clock.last_ms()
                self.send(codec.server_time(at_ms) + frame.body)

    def catch_up(self, events: Sequence[object], told: Mapping[str, int]) -> None:
        """Let notices through, once these events are told: `opened`, which precedes all, has gone out (4)."""
        assert self._opening is not None
        self._opening.catch_up(events, told)

    def settle(self) -> None:
        """Be handed everything: nothing can come any more that the client was told of when it opened."""
        self._opening = None
        self.deliver = _live(self._header, self.connection)

    def end(self) -> None:
        """Be over, on the server's own account: its client has just been told why. The connection goes on."""
        if self._opening is not None:
            self._opening.break_off()
        if not self.is_over:
            self.connection.close_session(self.connection.lanes[self.client_id])


def _live(header: bytes, connection: "Connection") -> Callable[[bytes, Order | None], None]:
    """Return what sends a body behind a header at once. It is called for each receiver of each message."""
    offer, event = connection.outbound.offer, connection.event
    if connection.subprotocol.is_text:
        return lambda body, order: offer(event(header + body))
    return lambda body, order: offer({"type": "websocket.send", "bytes": header + body})


class Lane:
    """The commands of one client id on one connection. Exists from its `open` to its end."""

    __slots__ = ("backlog", "client_id", "is_overdue", "session", "worker")

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.session: Session | None = None
        self.backlog: deque[GenericCommand] = deque()
        self.worker: asyncio.Task[None] | None = None
        self.is_overdue = False

    def goodbye(self) -> GenericCommand | None:
        """Return the command by which the client signs out, if it waits here."""
        return next((one for one in self.backlog if (one.cmd, one.op) == _SIGN_OUT), None)


@dataclass(slots=True)
class Context:
    """What a handler is given beside its command."""

    connection: "Connection"
    lane: Lane
    application: ApplicationSnapshot
    after_reply: list[Callable[[], None]] = field(default_factory=list)

    @property
    def session(self) -> Session:
        """The client's session. Only for handlers registered with `needs_session`."""
        assert self.lane.session is not None
        return self.lane.session

    @property
    def client_id(self) -> str:
        """The client that sent the command."""
        return self.lane.client_id


class Connection:
    """One accepted WebSocket."""

    def __init__(
        self,
        *,
        subprotocol: Subprotocol,
        send: Callable[[Event], Awaitable[None]],
        abort: Callable[[], None],
        write: Callable[[Event], bool] | None = None,
        origin: str,
        address: str | None = None,
    ) -> None:
        self.subprotocol = subprotocol
        self.origin = origin
        self.address = address
        self.lanes: dict[str, Lane] = {}
        self.is_closing = False
        self.has_ended = False
        self._application: ApplicationSnapshot | None = None
        self._abort = abort
        self._backlog = 0
        self._backlog_max = settings.COMMAND_BACKLOG
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._timer: asyncio.TimerHandle | None = None
        self._sent_away_at: float | None = None
        self.outbound = Outbound(
            send,
            write=write,
            overflow=self.cut_off,
            max_frames=settings.OUTBOUND_MAX_FRAMES,
            max_bytes=settings.OUTBOUND_MAX_BYTES,
        )
        connections.add(self)

    @property
    def application(self) -> ApplicationSnapshot | None:
        """The application this connection belongs to, with its settings as they are now."""
        if self._application is None:
            return None
        return applications.current(self._application)

    def bind(self, application: ApplicationSnapshot) -> None:
        """Make the connection belong to an application, for good."""
        self._application = application

    @property
    def is_bound(self) -> bool:
        """Whether a command has named the application yet."""
        return self._application is not None

    def expect_login(self, otherwise: ImError) -> None:
        """Close with an error unless `logged_in` is called within LOGIN_SECONDS."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(settings.LOGIN_SECONDS, self.close, otherwise.code, otherwise.reason)

    def logged_in(self) -> None:
        """Stop waiting for a login."""
        if self._timer is not None and not self.is_closing:
            self._timer.cancel()
            self._timer = None

    def lane_for_open(self, client_id: str) -> Lane:
        """Return the lane of a client that asks to open a session, making it if it is new here."""
        lane = self.lanes.get(client_id)
        if lane is None:
            if len(self.lanes) >= CLIENTS_PER_CONNECTION:
                raise InvalidLogin("Too many clients on one connection.")
            lane = self.lanes[client_id] = Lane(client_id)
        return lane

    def lane_of(self, command: GenericCommand) -> Lane | None:
        """Return the lane a command belongs to: its client's, else the first opened (realtime-protocol 3.3)."""
        if command.HasField("peerId"):
            return self.lanes.get(command.peerId)
        return next(iter(self.lanes.values()), None)

    def enqueue(self, lane: Lane, command: GenericCommand) -> None:
        """Add a command to its lane's backlog, and to the connection's count of what waits."""
        lane.backlog.append(command)
        self._backlog += 1
        if self._backlog >= self._backlog_max:
            self._has_room.clear()

    def dequeue(self, lane: Lane) -> GenericCommand:
        """Take the next command of a lane."""
        self._backlog -= 1
        self._has_room.set()
        return lane.backlog.popleft()

    async def room(self) -> None:
        """Wait until fewer than COMMAND_BACKLOG commands wait here; the socket is not read meanwhile."""
        if not self._has_room.is_set():
            await self._has_room.wait()

    async def open_session(self, lane: Lane, session: Session) -> None:
        """Put a session into its lane, in place of one that is already there, and on the presence table.

        The same device's session goes on in the new one; another device's has ended.
        """
        assert self._application is not None
        before, lane.session = lane.session, session
        if before is not None:
            if before.device != session.device:
                self._tell_of_end(before)
            node.presence.detach(self._application.pk, before)
        await node.presence.attach(self._application.pk, session)
        session.attached_ms = identifiers.now_ms()
        if self.is_closing:
            # The socket went while Redis was being told; `end` has seen a lane without this session.
            node.presence.detach(self._application.pk, session)

    def close_session(self, lane: Lane) -> None:
        """End a lane's session, and the lane with its last command; the connection and its other clients go on."""
        session, lane.session = lane.session, None
        if session is not None and self._application is not None:
            self._tell_of_end(session)
            node.presence.detach(self._application.pk, session)
        # While a command runs, which may be an open, the lane stays: its worker takes it away if nothing comes of that.
        if not lane.backlog and lane.worker is None and self.lanes.get(lane.client_id) is lane:
            del self.lanes[lane.client_id]

    def _tell_of_end(self, session: Session) -> None:
        assert self._application is not None
        for callback in registry.session_ended_callbacks():
            callback(self.application or self._application, session)

    def event(self, raw: bytes) -> Event:
        """Wrap a serialized command for this connection's subprotocol."""
        return codec.frame_event(raw, is_text=self.subprotocol.is_text)

    def send(self, command: GenericCommand) -> None:
        """Send one command to this connection alone."""
        self.outbound.offer(self.event(command.SerializeToString()))

    @property
    def is_expected_back(self) -> bool:
        """Whether this ends because the server wants its clients to go elsewhere."""
        sent_away_at = self._sent_away_at
        return sent_away_at is not None and asyncio.get_running_loop().time() - sent_away_at < RETURN_SECONDS

    def ask_to_leave(self) -> None:
        """Send `goaway`, once per session with its client id, as each SDK needs it (realtime-protocol 1.7)."""
        self._sent_away_at = asyncio.get_running_loop().time()
        clients = [lane.client_id for lane in self.lanes.values() if lane.session is not None]
        for client_id in clients:
            self.send(GenericCommand(cmd=CommandType.goaway, peerId=client_id, service=IM_SERVICE))
        if not clients:
            self.send(GenericCommand(cmd=CommandType.goaway, service=IM_SERVICE))

    def close(self, code: int, reason: str = "") -> None:
        """Close the WebSocket behind what is on its way; cut it off if that takes over CLOSE_SECONDS."""
        if self.is_closing:
            return
        self.logged_in()
        self.is_closing = True
        self.outbound.offer({"type": "websocket.close", "code": code, "reason": reason})
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    def close_for_now(self) -> None:
        """Close the WebSocket because the server stops: clients come back by themselves."""
        self._sent_away_at = asyncio.get_running_loop().time()
        self.close(CLOSE_CODE_GOING_AWAY)

    def cut_off(self) -> None:
        """End the connection at once: its client does not keep up, and finds out by coming back what it missed."""
        logger.info("A client did not read its %d waiting frames and was cut off", settings.OUTBOUND_MAX_FRAMES)
        self.is_closing = True
        self._abort()

    def end(self) -> None:
        """Forget everything: the WebSocket is gone."""
        self.is_closing = self.has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        self.outbound.stop()
        for lane in list(self.lanes.values()):
            # Commands that were received are carried through (a send is stored although its sender has left), but
            # what waits behind them is not begun. Only who has said goodbye has not been lost.
            goodbye = lane.goodbye()
            lane.backlog.clear()
            if goodbye is None:
                self.close_session(lane)
                self.lanes.pop(lane.client_id, None)
            else:
                lane.backlog.append(goodbye)
                if lane.session is not None and self._application is not None:
                    node.presence.detach(self._application.pk, lane.session)
        self._has_room.set()
        connections.forget(self)
        metrics.count("connections.ended")


class Connections(set[Connection]):
    """The connections of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._emptied: asyncio.Future[None] | None = None

    def forget(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self.discard(connection)
        if not self and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def emptied(self) -> None:
        """Wait until there is none left."""
        while self:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied


connections = Connections()
