"""Event → frames, once, by the encoder its app registered.

An app's `notices.py` registers one encoder per event class. An encoder yields a `Notice` for each different frame the
event causes, in the order a client that gets several of them must see. Each is serialized here once, however many
sessions get it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from imcore.protocol.message_pb2 import GenericCommand

# realtime-protocol 3.2: Swift and Objective-C drop every notice without it.
IM_SERVICE = 2


@dataclass(frozen=True, slots=True)
class Notice:
    """One frame for some clients: all sessions of `to` whose capabilities include `needs` (bits of configBitmap).

    `order`: (conversation number, seq) of a stored message; nodes deliver those of a conversation in seq order.
    """

    to: Iterable[str]
    command: GenericCommand
    needs: int = 0
    order: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice ready to go: its body is serialized and lacks only address and server time."""

    application: int
    to: list[str]
    body: bytes
    needs: int
    order: tuple[int, int] | None


Encoder = Callable[[Any], Iterable[Notice]]
EncoderT = TypeVar("EncoderT", bound=Encoder)

_encoders: dict[type, Encoder] = {}


def encoder(event_type: type) -> Callable[[EncoderT], EncoderT]:
    """Register a function as the encoder of one event class."""

    def register(function: EncoderT) -> EncoderT:
        if event_type in _encoders:
            raise ValueError(f"{event_type.__name__} has an encoder already.")
        _encoders[event_type] = function
        return function

    return register


def encoded_events() -> set[type]:
    """Return the event classes that have an encoder."""
    return set(_encoders)


def encode(application: int, event: object) -> list[Delivery]:
    """Serialize the notices of one event. Raises KeyError for an event without an encoder."""
    deliveries = []
    for notice in _encoders[type(event)](event):
        notice.command.service = IM_SERVICE
        deliveries.append(
            Delivery(
                application=application,
                to=list(notice.to),
                body=notice.command.SerializeToString(),
                needs=notice.needs,
                order=notice.order,
            )
        )
    return deliveries
