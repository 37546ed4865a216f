"""Chat rooms in tests: starting one, who is there, and block lists."""

from typing import Any

from imcore.delivery.node import node
from imcore.models import Application
from imcore.protocol.message_pb2 import BlacklistCommand, CommandType, DirectCommand, OpType
from tests.conversations.talking import answer, count, start
from tests.imclient import ImClient


async def room_of(client: ImClient, **attributes: Any) -> str:
    """Start a chat room and return its id; the client is in it."""
    return (await start(client, transient=True, attributes=attributes or None)).cid


async def listed_in(client: ImClient, cid: str, limit: int = 50) -> list[str]:
    """Return whom `members` lists for a room, in order of names."""
    return sorted((await answer(client, OpType.members, OpType.result, cid=cid, limit=limit)).m)


async def people_in(client: ImClient, cid: str, limit: int = 50) -> list[str]:
    """Return who is in a room, in order of names; their number must be what `count` says if they are not more.

    That takes two requests: where the room may change between them, as when a lease ends, ask `listed_in`.
    """
    listed = await listed_in(client, cid, limit)
    if len(listed) < limit:
        assert await count(client, cid) == len(listed)
    return listed


async def block(client: ImClient, cid: str, *client_ids: str, undo: bool = False) -> list[str]:
    """Block clients, or take them off the list; return those for whom it was allowed."""
    reply = await client.request(
        CommandType.blacklist,
        OpType.unblock if undo else OpType.block,
        blacklistMessage=BlacklistCommand(srcCid=cid, toPids=client_ids),
    )
    assert reply.op == (OpType.unblocked if undo else OpType.blocked), reply
    return list(reply.blacklistMessage.allowedPids)


async def sending_code(client: ImClient, cid: str, text: str = "hello", **fields: Any) -> int:
    """Send a message and return the code of its acknowledgement, 0 for success."""
    reply = await client.request(CommandType.direct, directMessage=DirectCommand(cid=cid, msg=text, **fields))
    assert reply.cmd == CommandType.ack
    return reply.ackMessage.code


def names_here(application: Application) -> set[str]:
    """Return the names, of clients and of rooms, that this process keeps sessions under."""
    return set(node.presence.local_sessions(application.pk))
