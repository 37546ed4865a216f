"""`conv/…` commands as short calls, and what a client hears afterwards."""

import json
from typing import Any

from conversations.models import Conversation, Member
from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    ConvCommand,
    DirectCommand,
    ErrorCommand,
    GenericCommand,
    JsonObjectMessage,
    OpType,
)
from tests.imclient import ImClient, assert_addressed

Json = dict[str, Any]


async def ask(client: ImClient, op: OpType, **fields: Any) -> GenericCommand:
    """Send `conv/op` and return the reply, whatever it is."""
    return await client.request(CommandType.conv, op, convMessage=ConvCommand(**fields))


async def answer(client: ImClient, op: OpType, expected: OpType, **fields: Any) -> ConvCommand:
    """Send `conv/op` and return the body of the reply, which must be `conv/expected`."""
    reply = await ask(client, op, **fields)
    assert (reply.cmd, reply.op) == (CommandType.conv, expected), f"got {reply}"
    return reply.convMessage


async def refusal(client: ImClient, op: OpType, **fields: Any) -> ErrorCommand:
    """Send `conv/op` and return the error it is answered with."""
    reply = await ask(client, op, **fields)
    assert reply.cmd == CommandType.error, f"got {reply}"
    return reply.errorMessage


async def start(client: ImClient, *members: str, attributes: Any = None, **fields: Any) -> ConvCommand:
    """Start a conversation and return the body of `started`. Members are as the client sends them."""
    if attributes is not None:
        fields["attr"] = attr(attributes)
    return await answer(client, OpType.start, OpType.started, m=members, **fields)


async def add(client: ImClient, cid: str, *members: str) -> ConvCommand:
    """Add clients and return the body of `added`."""
    return await answer(client, OpType.add, OpType.added, cid=cid, m=members)


async def remove(client: ImClient, cid: str, *members: str) -> ConvCommand:
    """Remove clients and return the body of `removed`."""
    return await answer(client, OpType.remove, OpType.removed, cid=cid, m=members)


async def count(client: ImClient, cid: str) -> int:
    """Return the number of members that the server tells."""
    body = await answer(client, OpType.count, OpType.result, cid=cid)
    assert body.HasField("count")
    return body.count


async def query(client: ImClient, where: Any = None, **fields: Any) -> list[Json]:
    """Query conversations and return them as JSON objects."""
    if where is not None:
        fields["where"] = attr(where)
    body = await answer(client, OpType.query, OpType.results, **fields)
    found: list[Json] = json.loads(body.results.data)
    return found


async def look_up(client: ImClient, cid: str) -> Json:
    """Fetch one conversation by its id, as SDKs do for one they do not know."""
    [found] = (
        await query(client, tempConvIds=[cid]) if cid.startswith("_tmp:") else await query(client, {"objectId": cid})
    )
    return found


async def heard(client: ImClient) -> list[GenericCommand]:
    """Return every notice that has been sent to a client: those that come before the answer to an echo."""
    await router.settle()
    frames, client.seen = client.seen, []
    await client.wire.send(GenericCommand(cmd=CommandType.echo))
    while (frame := await client.wire.receive()).cmd != CommandType.echo:
        frames.append(frame)
    for frame in frames:
        assert not frame.HasField("i"), f"a notice has no i: {frame}"
        assert frame.HasField("serverTs")
        assert_addressed(frame, client.client_id)
    return frames


async def told(client: ImClient) -> list[tuple[str, str, list[str]]]:
    """Return what a client was told of memberships since: (operation, by whom, which members)."""
    return [
        (OpType.Name(frame.op), frame.convMessage.initBy, sorted(frame.convMessage.m)) for frame in await heard(client)
    ]


def attr(value: Any) -> JsonObjectMessage:
    """Write JSON, or text as it is, as the protocol's field for it."""
    return JsonObjectMessage(data=value if isinstance(value, str) else json.dumps(value))


async def stored(application: Application) -> list[Conversation]:
    """Return the application's conversations as the database has them, oldest first."""
    return await in_database(lambda: list(Conversation.objects.filter(application=application).order_by("id")))


async def stored_members(cid: str) -> list[str]:
    """Return the members of a conversation as the database has them, in the order they joined."""
    return await in_database(
        lambda: list(
            Member.objects.filter(conversation__object_id=cid).order_by("id").values_list("client_id", flat=True)
        )
    )


async def say(client: ImClient, cid: str, text: str, **fields: Any) -> AckCommand:
    """Send a message and return the body of its acknowledgement."""
    reply = await client.request(CommandType.direct, directMessage=DirectCommand(cid=cid, msg=text, **fields))
    assert reply.cmd == CommandType.ack
    assert not reply.ackMessage.HasField("code"), f"got {reply}"
    return reply.ackMessage
