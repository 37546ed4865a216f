"""Wire out: what clients are told about conversations, and which clients (realtime-protocol 4.3.2)."""

from collections.abc import Iterator

from conversations import events
from conversations.policy import Kind
from imcore.capabilities import TEMPORARY_CONVERSATIONS
from imcore.delivery.encoding import Notice, Order, encoder
from imcore.identifiers import iso_date
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, OpType

# Only JavaScript 5 reads `notificationType`: 1 marks what concerns the client itself (realtime-protocol 3.2, 10.3).
PERMANENT = 1
DROPPABLE = 2


def _place(event: events.MembersAdded | events.MembersRemoved) -> Order:
    return (f"members/{event.conversation}", event.members_version)


@encoder(events.MembersAdded, order=_place)
def members_added(event: events.MembersAdded) -> Iterator[Notice]:
    """Newcomers get `joined`; then all members, newcomers and the actor included, get `members_joined`."""
    yield _notice(event, event.added, OpType.joined, PERMANENT, ())
    yield _notice(event, event.members, OpType.members_joined, DROPPABLE, event.added)


@encoder(events.MembersRemoved, order=_place)
def members_removed(event: events.MembersRemoved) -> Iterator[Notice]:
    """Those who left get `left` and nothing else; those who remain get `members_left`."""
    yield _notice(event, event.removed, OpType.left, PERMANENT, ())
    yield _notice(event, event.members, OpType.members_left, DROPPABLE, event.removed)


def _notice(
    event: events.MembersAdded | events.MembersRemoved,
    to: tuple[str, ...],
    op: OpType,
    notification_type: int,
    named: tuple[str, ...],
) -> Notice:
    body = ConvCommand(cid=event.conversation_id, initBy=event.by, udate=iso_date(event.at_ms), m=named)
    is_temporary = event.kind == Kind.TEMPORARY
    if is_temporary:
        body.tempConv = True
        if isinstance(event, events.MembersAdded) and event.ttl_seconds is not None:
            body.tempConvTTL = event.ttl_seconds
    command = GenericCommand(cmd=CommandType.conv, op=op, notificationType=notification_type, convMessage=body)
    return Notice(
        to=to,
        command=command,
        needs=TEMPORARY_CONVERSATIONS if is_temporary else 0,
    )
