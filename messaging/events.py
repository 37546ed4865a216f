"""Facts about messages, as services report them. `notices.py` says who hears of them, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from conversations.policy import Kind
from imcore.delivery.encoding import Priority


def stream(conversation: int) -> str:
    """Return the name of the stream that a conversation's messages are, by seq (imcore/delivery/ordering.py).

    A system conversation's are by time.
    """
    return f"messages/{conversation}"


def conversation_of(stream: str) -> int:
    """Return the conversation whose messages a stream is."""
    return int(stream.partition("/")[2])


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

    `to` are the members at that moment, the sender included: its other devices get the message too, but not without
    `syncs_sender`. To a chat room it is the room, and they do not (realtime-protocol 6). `is_transient` is what the
    receivers are told: a will is not stored either, and comes as a message like others. `previous_ms` is the timestamp
    of the message before; 0 if there is none, or it is not known.
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
    is_transient: bool
    previous_ms: int = 0
    syncs_sender: bool = True


@dataclass(frozen=True, slots=True)
class MessageKept:
    """A stored message for a client that was away (realtime-protocol 1.5, 4.9.2).

    `has_more`: older ones of the conversation are left out.
    """

    conversation_id: str
    kind: Kind
    message_id: str
    timestamp_ms: int
    sender: str
    body: Body
    mentions: Mentions
    patch_ms: int | None
    has_more: bool
    client_id: str


@dataclass(frozen=True, slots=True)
class ServiceSpoke:
    """A system conversation said something, stored or not (`is_transient`): to clients, or to an audience (`spread`).

    `to` are the clients, or EVERYBODY.
    """

    kind: ClassVar[Kind] = Kind.SYSTEM
    mentions: ClassVar[Mentions] = Mentions()

    conversation: int
    conversation_id: str
    message_id: str
    timestamp_ms: int
    sender: str
    body: Body
    priority: Priority
    to: tuple[str, ...]
    spread: str
    is_transient: bool


@dataclass(frozen=True, slots=True)
class ServiceMessagePatched:
    """What a system conversation said to clients, or to its subscribers, was edited or recalled at `patch_ms`.

    A recalled one has RECALLED_BODY.
    """

    kind: ClassVar[Kind] = Kind.SYSTEM
    mentions: ClassVar[Mentions] = Mentions()
    code: ClassVar[int | None] = None
    reason: ClassVar[str] = ""

    conversation_id: str
    message_id: str
    timestamp_ms: int
    sender: str
    body: Body
    is_recalled: bool
    patch_ms: int
    to: tuple[str, ...]
    spread: str


@dataclass(frozen=True, slots=True)
class MessagePatched:
    """A message was edited or recalled at `patch_ms`, by its author unless `code` and `reason` are given.

    `to` hears of it: the members, or the chat room, and not the acting session. A recalled one has RECALLED_BODY.
    """

    conversation: int
    conversation_id: str
    kind: Kind
    message_id: str
    seq: int
    timestamp_ms: int
    sender: str
    body: Body
    mentions: Mentions
    is_recalled: bool
    patch_ms: int
    to: tuple[str, ...]
    code: int | None = None
    reason: str = ""


class Receipt(NamedTuple):
    """One message that was delivered to, or read by, a client at `at_ms`, which is never before its timestamp."""

    message_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class MessagesReceived:
    """Messages of one sender, in the order of their seq, reached a client, or were read by it (`are_read`)."""

    conversation: int
    conversation_id: str
    kind: Kind
    sender: str
    receiver: str
    receipts: tuple[Receipt, ...]
    last_seq: int
    are_read: bool
    in_group: bool


class Newest(NamedTuple):
    """The newest message of a conversation, as it reads now."""

    message_id: str
    timestamp_ms: int
    sender: str
    body: Body
    patch_ms: int | None


class UnreadConversation(NamedTuple):
    """How many messages of a conversation a client has not read, up to `last_seq`; and the newest one, if there is."""

    conversation: int
    conversation_id: str
    kind: Kind
    unread: int
    is_mentioned: bool
    last_seq: int
    newest: Newest | None


@dataclass(frozen=True, slots=True)
class UnreadChanged:
    """What a client has not read, as of `at_ms`: of one conversation, or of several when it logs in."""

    client_id: str
    conversations: Sequence[UnreadConversation]
    at_ms: int


@dataclass(frozen=True, slots=True)
class SessionsEnded:
    """The server ended sessions: those of clients, or of devices (`presence.device`), named by `to`."""

    to: tuple[str, ...]
    code: int
    reason: str
    detail: str = ""
