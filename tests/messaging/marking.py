"""What tests of receipts and read marks share: acknowledging, reading, and what is heard of it."""

from typing import Any

from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    ConvCommand,
    OpType,
    RcpCommand,
    ReadCommand,
    ReadTuple,
    UnreadCommand,
    UnreadTuple,
)
from tests.imclient import ImClient
from tests.messaging.support import member, stored_conversation

RCP, UNREAD = CommandType.rcp, CommandType.unread

Receipt = tuple[str, str, bool]  # message id, from whom, whether it was read


async def ack(client: ImClient, **fields: Any) -> None:
    """Acknowledge messages, as SDKs do: without an `i`."""
    await client.send(CommandType.ack, ackMessage=AckCommand(**fields))


async def read(client: ImClient, conversation_id: str, **position: Any) -> None:
    """Say that a conversation is read, up to a position or all of it."""
    await send_read(client, convs=[ReadTuple(cid=conversation_id, **position)])


async def send_read(client: ImClient, **fields: Any) -> None:
    """Send `read` in any form."""
    await client.send(CommandType.read, readMessage=ReadCommand(**fields))


async def receipt(client: ImClient) -> RcpCommand:
    """Return the receipt of the next notice, which must be one."""
    return (await client.notice(RCP)).rcpMessage


async def receipts(client: ImClient, count: int) -> list[Receipt]:
    """Return the receipts of the next notices."""
    return [shown(await receipt(client)) for _ in range(count)]


def shown(body: RcpCommand) -> Receipt:
    """Return what a receipt says; of one that was delivered, `read` is absent, not false (P45)."""
    assert not body.HasField("read") or body.read
    return body.id, getattr(body, "from"), body.HasField("read")


async def unread(client: ImClient) -> UnreadTuple:
    """Return the only conversation of the next notice, which must be of unread messages."""
    [one] = (await unread_command(client)).convs
    return one


async def unread_command(client: ImClient) -> UnreadCommand:
    """Return the body of the next notice, which must be of unread messages."""
    return (await client.notice(UNREAD)).unreadMessage


async def done(client: ImClient) -> None:
    """Wait until what a client sent is done: its commands are served one after the other."""
    await client.request(CommandType.conv, OpType.count, convMessage=ConvCommand(cid=""))


async def count(conversation_id: str, client_id: str) -> int:
    """Return what is unread for a member by the counters (architecture 3.12)."""
    row, conversation = await member(conversation_id, client_id), await stored_conversation(conversation_id)
    return conversation.last_seq - row.read_seq - row.own_since_read


async def max_read(client: ImClient, conversation_id: str, **fields: Any) -> ConvCommand:
    """Ask up to when the others have received and read."""
    reply = await client.request(
        CommandType.conv, OpType.max_read, convMessage=ConvCommand(cid=conversation_id, **fields)
    )
    assert (reply.cmd, reply.op) == (CommandType.conv, OpType.max_read), reply
    assert reply.convMessage.cid == conversation_id
    return reply.convMessage
