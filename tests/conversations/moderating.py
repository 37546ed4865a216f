"""Roles, silences and block lists as short calls, and groups to use them in."""

from collections.abc import Iterable
from typing import Any

from conversations.models import Block, Conversation, MemberInfo, Silence
from conversations.policy import Roster
from conversations.storage import moderation as storage
from conversations.storage.changes import Verdict
from imcore.bridge import in_database
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import (
    BlacklistCommand,
    CommandType,
    ConvCommand,
    ConvMemberInfo,
    DirectCommand,
    ErrorCommand,
    GenericCommand,
    OpType,
)
from tests.conftest import SignIn
from tests.conversations.talking import answer, ask, heard, start
from tests.imclient import CONFIG_BITMAP, ImClient

WITHOUT_PARTIAL_FAILURE = CONFIG_BITMAP & ~32
SILENCING = [(OpType.add_shutup, OpType.shutup_added), (OpType.remove_shutup, OpType.shutup_removed)]
BLOCKING = [(OpType.block, OpType.blocked), (OpType.unblock, OpType.unblocked)]


async def group(signed_in: SignIn, *names: str, **fields: bool) -> tuple[str, list[ImClient]]:
    """Sign clients in, start a conversation of them by the first, and let them hear of it."""
    clients = [await signed_in(name) for name in names]
    cid = (await start(clients[0], *names, **fields)).cid
    await hush(*clients)
    return cid, clients


async def hush(*clients: ImClient) -> None:
    """Let clients hear what was said until now."""
    for client in clients:
        await heard(client)


async def ask_role(client: ImClient, cid: str, target: str, role: str) -> GenericCommand:
    """Ask for a role for a member and return the reply, whatever it is."""
    info = ConvMemberInfo(pid=target, role=role)
    return await ask(client, OpType.member_info_update, cid=cid, targetClientId=target, info=info)


async def change_role(client: ImClient, cid: str, target: str, role: str) -> ConvCommand:
    """Give a member a role and return the body of the reply."""
    reply = await ask_role(client, cid, target, role)
    assert (reply.cmd, reply.op) == (CommandType.conv, OpType.member_info_updated), reply
    return reply.convMessage


async def silence(client: ImClient, cid: str, *targets: str) -> ConvCommand:
    """Silence members and return the body of the reply."""
    return await answer(client, OpType.add_shutup, OpType.shutup_added, cid=cid, m=targets)


async def unsilence(client: ImClient, cid: str, *targets: str) -> ConvCommand:
    """Let members speak and return the body of the reply."""
    return await answer(client, OpType.remove_shutup, OpType.shutup_removed, cid=cid, m=targets)


async def ask_list(client: ImClient, op: OpType, **fields: Any) -> GenericCommand:
    """Send `blacklist/op` and return the reply, whatever it is."""
    return await client.request(CommandType.blacklist, op, blacklistMessage=BlacklistCommand(**fields))


async def answer_list(client: ImClient, op: OpType, expected: OpType, **fields: Any) -> BlacklistCommand:
    """Send `blacklist/op` and return the body of the reply, which must be `blacklist/expected`."""
    reply = await ask_list(client, op, **fields)
    assert (reply.cmd, reply.op) == (CommandType.blacklist, expected), reply
    return reply.blacklistMessage


async def block(client: ImClient, cid: str, *targets: str) -> BlacklistCommand:
    """Block clients and return the body of the reply."""
    return await answer_list(client, OpType.block, OpType.blocked, srcCid=cid, toPids=targets)


async def unblock(client: ImClient, cid: str, *targets: str) -> BlacklistCommand:
    """Unblock clients and return the body of the reply."""
    return await answer_list(client, OpType.unblock, OpType.unblocked, srcCid=cid, toPids=targets)


async def attempt(client: ImClient, cid: str, **fields: Any) -> tuple[int, str]:
    """Send a message; return the code and the reason of its acknowledgement, 0 and empty for a success."""
    reply = await client.request(CommandType.direct, directMessage=DirectCommand(cid=cid, msg="hello", **fields))
    assert reply.cmd == CommandType.ack, reply
    assert reply.ackMessage.uid, "a failed message has an id, too"
    assert reply.ackMessage.t
    return reply.ackMessage.code, reply.ackMessage.reason


def error_of(reply: GenericCommand) -> tuple[int, str]:
    """Return the code and the reason of a reply that must be an error."""
    assert reply.cmd == CommandType.error, reply
    return reply.errorMessage.code, reply.errorMessage.reason


def failures(failed: Iterable[ErrorCommand]) -> list[tuple[int, str, list[str]]]:
    """Return the failures of a reply: code, reason, and whom they concern."""
    return [(one.code, one.reason, list(one.pids)) for one in failed]


def notices(frames: Iterable[GenericCommand]) -> list[tuple[str, str, list[str]]]:
    """Return notices as (operation, by whom, which clients they name)."""
    return [
        (OpType.Name(frame.op), frame.convMessage.initBy, list(frame.convMessage.m)) for frame in frames
    ]  # fmt: skip


async def hears(client: ImClient) -> list[tuple[str, str, list[str]]]:
    """Return what a client was told since, in order."""
    frames = await heard(client)
    assert all(frame.cmd == CommandType.conv for frame in frames), frames
    return notices(frames)


async def stored_silences(cid: str) -> list[str]:
    """Return the silenced of a conversation as the database has them, in the order they were."""
    rows = Silence.objects.filter(conversation__object_id=cid).order_by("id")
    return await in_database(lambda: list(rows.values_list("client_id", flat=True)))


async def stored_blocks(cid: str, *, is_by_client: bool = False) -> list[str]:
    """Return the blocked of a conversation as the database has them, or those who refuse invitations into it."""
    rows = Block.objects.filter(conversation__object_id=cid, is_by_client=is_by_client).order_by("id")
    return await in_database(lambda: list(rows.values_list("client_id", flat=True)))


async def stored_roles(cid: str) -> list[tuple[str, str]]:
    """Return the records of roles in a conversation as the database has them."""
    rows = MemberInfo.objects.filter(conversation__object_id=cid).order_by("id")
    return await in_database(lambda: list(rows.values_list("client_id", "role")))


async def version(cid: str) -> int:
    """Return the version of who stands how."""
    return await in_database(lambda: Conversation.objects.get(object_id=cid).members_version)


async def silence_until(cid: str, client_id: str, until_ms: int) -> None:
    """Silence a member for a time, which the server's side may do."""

    def judge(roster: Roster) -> Verdict:
        return Verdict((client_id,))

    def write() -> None:
        pk = Conversation.objects.get(object_id=cid).pk
        storage.silence(conversation=pk, judge=judge, by="", until_ms=until_ms, now_ms=now_ms())

    await in_database(write)
