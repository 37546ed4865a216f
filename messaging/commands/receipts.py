"""`ack`, `read`, `conv/max_read`: what was received, and what was read."""

from collections.abc import Iterator

from imcore import identifiers
from imcore.gateway.connection import Context
from imcore.gateway.registry import before_stop, command
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, MaxReadTuple, OpType, ReadCommand
from messaging.models import MessagingSettings
from messaging.services import handing, receipts
from messaging.services.receipts import MemberTimes, Position


@command(CommandType.ack, throttle=None)
async def acknowledge(context: Context, request: GenericCommand) -> None:
    """Note what the client has received (realtime-protocol 4.9.3): a message, or a time of a conversation.

    On subprotocols that push messages instead of counts, that is all a client ever says, so it is read as well.
    """
    asked = request.ackMessage
    await receipts.acknowledge(
        application=context.application.pk,
        settings=context.application.of(MessagingSettings),
        client_id=context.client_id,
        conversation_id=asked.cid,
        message_ids=[asked.mid] if asked.mid else asked.ids,
        from_ms=asked.fromts if asked.HasField("fromts") else None,
        to_ms=asked.tots,
        means_read=context.connection.subprotocol.pushes_offline_messages,
    )


@command(CommandType.read, throttle=None)
async def read(context: Context, request: GenericCommand) -> None:
    """Move the client's read marks (realtime-protocol 4.9.5). Java's has an `i`, and must not be answered (P3)."""
    await receipts.read(
        application=context.application.pk,
        settings=context.application.of(MessagingSettings),
        client_id=context.client_id,
        positions=list(_positions(request.readMessage)),
    )


@command(CommandType.conv, OpType.max_read)
async def max_read(context: Context, request: GenericCommand) -> GenericCommand:
    """Tell up to when others have received and read (realtime-protocol 4.5). C# needs the `cid` (P36)."""
    asked = request.convMessage
    found = await receipts.max_read(
        application=context.application.pk,
        conversation_id=asked.cid,
        client_id=context.client_id,
        now_ms=identifiers.now_ms(),
    )
    body = ConvCommand(cid=asked.cid)
    # Absent, not 0, where there is none: JavaScript takes 0 for a date in 1970.
    if found.ack_ms is not None:
        body.maxAckTimestamp = found.ack_ms
    if found.read_ms is not None:
        body.maxReadTimestamp = found.read_ms
    if asked.queryAllMembers:
        body.maxReadTuples.extend(_tuple(member) for member in found.members)
    return GenericCommand(cmd=CommandType.conv, op=OpType.max_read, convMessage=body)


@before_stop
async def settle() -> None:
    """Let a process that ends note whom it has handed what."""
    await handing.settled()


def _positions(asked: ReadCommand) -> Iterator[Position]:
    """Yield the positions of any form; old clients name conversations only."""
    for one in asked.convs:
        yield Position(one.cid, one.mid, one.timestamp if one.timestamp > 0 else None)
    for conversation_id in (asked.cid, *asked.cids):
        yield Position(conversation_id, "", None)


def _tuple(member: MemberTimes) -> MaxReadTuple:
    body = MaxReadTuple(pid=member.client_id)
    if member.ack_ms is not None:
        body.maxAckTimestamp = member.ack_ms
    if member.read_ms is not None:
        body.maxReadTimestamp = member.read_ms
    return body
