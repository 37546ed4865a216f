"""Facts about messages, as services report them. `notices.py` says who hears of them, and how."""

from dataclasses import dataclass
from typing import NamedTuple

from conversations.policy import Kind
from imcore.delivery.encoding import Priority


class Body(NamedTuple):
    """What a message says: a text or bytes, exactly one of them."""

    text: str | None
    binary: bytes | None


class Mentions(NamedTuple):
    """Whom a message addresses with an @."""

    client_ids: tuple[str, ...] = ()
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message was accepted: stored, or passed on only (`seq` is None).

    `to` are the members at that moment, the sender included: its other devices get the message too. To a chat room it
    is the room, and the sender's other devices do not (realtime-protocol 6).
    """

    conversation: int
    conversation_id: str
    kind: Kind
    message_id: str
    seq: int | None
    timestamp_ms: int
    sender: str
    body: Body
    mentions: Mentions
    wants_receipt: bool
    priority: Priority
    to: tuple[str, ...]
