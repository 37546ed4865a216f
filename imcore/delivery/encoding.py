"""Event → frames, once, by the encoder its app registered.

An app's `notices.py` registers one encoder per event class. An encoder yields a `Notice` for each different frame the
event causes, in the order a client that gets several of them must see. Each is serialized here once, however many
sessions get it.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

from imcore.protocol.message_pb2 import GenericCommand

# realtime-protocol 3.2: Swift and Objective-C drop every notice without it.
IM_SERVICE = 2


class Order(NamedTuple):
    """A stream, and a position in it. Positions are dense, so that a hole is known to be one (ordering.py).

    What `follows` has no position of its own: it belongs behind the one at `position`, and before the next.
    `at_ms` is when the position was taken, which is later for every position, and `before_ms` when the one before it
    was; 0 where that is not known. Where positions only rise (`is_sparse`), since not everybody gets everything,
    nothing is put in order; a session that opens still knows by them what it was told.
    """

    stream: str
    position: int
    follows: bool = False
    at_ms: int = 0
    before_ms: int = 0
    is_sparse: bool = False


class Priority(IntEnum):
    """What may be dropped when a connection is congested; the numbers are the wire's (realtime-protocol 4.13).

    HIGH never is. NORMAL and LOW are for messages that nobody misses: those to chat rooms, and transient ones.
    """

    HIGH = 1
    NORMAL = 2
    LOW = 3


class Notice(NamedTuple):
    """One frame for some clients: all sessions of `to` whose capabilities include `needs` (bits of configBitmap).

    `to` names clients, a room (`presence.room`) or devices (`presence.device`); `but` is a client of it that is left
    out. Sessions that get the frame leave the room `leaving`; if it `ends` them, they are over when it is sent.
    """

    to: Iterable[str]
    command: GenericCommand
    needs: int = 0
    priority: Priority = Priority.HIGH
    but: str = ""
    leaving: str = ""
    ends: bool = False


class Frame(NamedTuple):
    """A notice ready to go: its body is serialized and lacks only address and server time.

    `is_dated`: clients keep its server time as their position, so no two may have the same (realtime-protocol 10.3).
    """

    to: list[str]
    body: bytes
    needs: int = 0
    priority: int = Priority.HIGH
    but: str = ""
    leaving: str = ""
    is_dated: bool = False
    ends: bool = False


class Delivery(NamedTuple):
    """All frames of one event, which go out together, and its place in the order of its stream, if it has one.

    `spread`: it goes to everybody who is on line (EVERYBODY), or to a part of them (delivery/spreading.py).
    """

    application: int
    frames: list[Frame]
    order: Order | None = None
    spread: str = ""


# The name under which nodes find those that have any session of an application. No client id has a NUL.
EVERYBODY = "\0everybody"

Encoder = Callable[[Any], Iterable[Notice]]
EncoderT = TypeVar("EncoderT", bound=Encoder)
OrderOf = Callable[[Any], Order | None]
SpreadOf = Callable[[Any], str]


def _unordered(event: object) -> None:
    return None


_encoders: dict[type, tuple[Encoder, OrderOf, SpreadOf | None]] = {}


def encoder(
    event_type: type, *, order: OrderOf = _unordered, spread: SpreadOf | None = None
) -> Callable[[EncoderT], EncoderT]:
    """Register a function as the encoder of one event class.

    `order` tells where in which stream an event is, `spread` whether it goes to all who are on line, or a part of them.
    """

    def register(function: EncoderT) -> EncoderT:
        if event_type in _encoders:
            raise ValueError(f"{event_type.__name__} has an encoder already.")
        _encoders[event_type] = (function, order, spread)
        return function

    return register


def encoded_events() -> set[type]:
    """Return the event classes that have an encoder."""
    return set(_encoders)


def encode(application: int, event: object) -> Delivery:
    """Serialize the notices of one event. Raises KeyError for an event without an encoder."""
    notices, order, spread = _encoders[type(event)]
    frames = []
    for notice in notices(event):
        command = notice.command
        command.service = IM_SERVICE
        frames.append(
            Frame(
                list(notice.to),
                command.SerializeToString(),
                notice.needs,
                notice.priority,
                notice.but,
                notice.leaving,
                command.HasField("notificationType"),
                notice.ends,
            )
        )
    if spread is None:
        return Delivery(application, frames, order(event))
    return Delivery(application, frames, order(event), spread(event))
