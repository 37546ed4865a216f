"""Wire out: messages on their way to their receivers (realtime-protocol 4.9.2)."""

from collections.abc import Iterator

from conversations.policy import Kind
from imcore.capabilities import TEMPORARY_CONVERSATIONS
from imcore.delivery.encoding import Notice, Order, encoder
from imcore.protocol.message_pb2 import CommandType, DirectCommand, GenericCommand
from messaging.events import MessageSent

# Looking an enum's value up by name is slow.
_DIRECT, _CHAT_ROOM, _TEMPORARY = CommandType.direct, Kind.CHAT_ROOM, Kind.TEMPORARY


def _place(event: MessageSent) -> Order | None:
    return None if event.seq is None else (f"messages/{event.conversation}", event.seq)


@encoder(MessageSent, order=_place)
def direct(event: MessageSent) -> Iterator[Notice]:
    """Deliver a message to every member. `convType` is always there: Java and Swift build the class from it (P38)."""
    body = DirectCommand(
        cid=event.conversation_id,
        id=event.message_id,
        fromPeerId=event.sender,
        timestamp=event.timestamp_ms,
        convType=event.kind,
        mentionPids=event.mentions.client_ids,
    )
    if event.body.binary is not None:
        body.binaryMsg = event.body.binary
    else:
        body.msg = event.body.text or ""
    if event.mentions.everybody:
        body.mentionAll = True
    if event.wants_receipt:
        body.r = True
    if event.seq is None:
        body.transient = True
    yield Notice(
        to=event.to,
        command=GenericCommand(cmd=_DIRECT, directMessage=body),
        needs=TEMPORARY_CONVERSATIONS if event.kind is _TEMPORARY else 0,
        priority=event.priority,
        but=event.sender if event.kind is _CHAT_ROOM else "",
    )
