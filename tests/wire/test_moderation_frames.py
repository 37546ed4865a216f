"""Golden frames of roles, silences and block lists: commands in, replies and notices out."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.models import ConversationSettings
from imcore.protocol.message_pb2 import (
    BlacklistCommand,
    CommandType,
    ConvCommand,
    ConvMemberInfo,
    GenericCommand,
    OpType,
)
from tests.conftest import SignIn
from tests.conversations.moderating import block, change_role, group, hush, silence
from tests.conversations.talking import heard, start
from tests.imclient import ImClient
from tests.wire.golden import assert_golden


@pytest.fixture(autouse=True)
async def roles_and_blocks(obey_settings: Callable[..., Awaitable[None]]) -> None:
    """Every test here is of an application with roles and block lists."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)


async def conv(client: ImClient, op: OpType, **fields: Any) -> list[GenericCommand]:
    """Send a `conv` command; return it, its reply, and the notices that came after."""
    return await _exchange(client, GenericCommand(cmd=CommandType.conv, op=op, convMessage=ConvCommand(**fields)))


async def blacklist(client: ImClient, op: OpType, **fields: Any) -> list[GenericCommand]:
    """Send a `blacklist` command; return it, its reply, and the notices that came after."""
    body = BlacklistCommand(**fields)
    return await _exchange(client, GenericCommand(cmd=CommandType.blacklist, op=op, blacklistMessage=body))


async def _exchange(client: ImClient, request: GenericCommand) -> list[GenericCommand]:
    fields = {field.name: value for field, value in request.ListFields() if field.name not in ("cmd", "op")}
    reply = await client.request(request.cmd, request.op, **fields)
    request.peerId, request.i = client.client_id, reply.i
    return [request, reply, *await heard(client)]


async def test_a_role(signed_in: SignIn) -> None:
    """The Owner makes B a Manager; then what B is told."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    frames = await conv(
        tom,
        OpType.member_info_update,
        cid=cid,
        targetClientId="jerry",
        info=ConvMemberInfo(pid="jerry", role="Manager"),
    )

    assert_golden("conv_member_info", *frames, *await heard(jerry))


async def test_a_silence(signed_in: SignIn) -> None:
    """A silences B and C, who is no member, and lets B speak; then what B is told."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    frames = [
        *await conv(tom, OpType.add_shutup, cid=cid, m=["jerry", "spike"]),
        *await conv(tom, OpType.remove_shutup, cid=cid, m=["jerry"]),
    ]

    assert_golden("conv_shutup", *frames, *await heard(jerry))


async def test_a_silence_in_a_chat_room(signed_in: SignIn) -> None:
    """Only the silenced is told."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, transient=True)).cid
    await conv(jerry, OpType.add, cid=cid, m=["jerry"])

    frames = await conv(tom, OpType.add_shutup, cid=cid, m=["jerry"])

    assert_golden("conv_shutup_chat_room", *frames, *await heard(jerry))


async def test_the_silenced(signed_in: SignIn) -> None:
    """The last page of the list, a check, and one that finds nobody."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")
    await silence(tom, cid, "jerry")
    await hush(tom)

    frames = [
        *await conv(tom, OpType.query_shutup, cid=cid, limit=50),
        *await conv(tom, OpType.check_shutup, cid=cid, m=["jerry", "tom"]),
        *await conv(tom, OpType.check_shutup, cid=cid, m=["tom"]),
    ]

    assert_golden("conv_shutup_lists", *frames)


async def test_a_block(signed_in: SignIn) -> None:
    """A blocks B, and itself, which fails; then it unblocks B; then what B is told."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    frames = [
        *await blacklist(tom, OpType.block, srcCid=cid, toPids=["jerry", "tom"]),
        *await conv(tom, OpType.add, cid=cid, m=["jerry"]),
        *await blacklist(tom, OpType.unblock, srcCid=cid, toPids=["jerry"]),
    ]

    assert_golden("blacklist_block", *frames, *await heard(jerry))


async def test_the_blocked(signed_in: SignIn) -> None:
    """A page of the list, a check, and what a client itself refuses."""
    cid, [tom] = await group(signed_in, "tom")
    await block(tom, cid, "jerry")
    await hush(tom)

    frames = [
        *await blacklist(tom, OpType.query, srcCid=cid, limit=50),
        *await blacklist(tom, OpType.check_block, srcCid=cid, toPids=["jerry", "tom"]),
        *await blacklist(tom, OpType.block, toCids=[cid, "nothing"]),
        *await blacklist(tom, OpType.query),
        *await blacklist(tom, OpType.unblock, toCids=[cid]),
    ]

    assert_golden("blacklist_lists", *frames)


async def test_refused(signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]) -> None:
    """Errors of whole requests: 4317, 4320, 4321, 4325, 4544; an owner who cannot leave, 4324."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    spike = await signed_in("spike")
    await change_role(tom, cid, "jerry", "Manager")
    await hush(tom, jerry)

    king = {"cid": cid, "targetClientId": "jerry", "info": ConvMemberInfo(pid="jerry", role="King")}
    frames = [
        *await conv(spike, OpType.add_shutup, cid=cid, m=["jerry"]),
        *await conv(jerry, OpType.remove_shutup, cid=cid, m=["jerry"]),
        *await conv(tom, OpType.member_info_update, **king),
        *await conv(tom, OpType.remove, cid=cid, m=["tom"]),
    ]
    await obey_settings(ConversationSettings, roles_enabled=False, block_lists_enabled=False)
    frames += await conv(tom, OpType.member_info_update, **king)
    frames += await blacklist(tom, OpType.query, srcCid=cid)

    assert_golden("conv_moderation_refused", *frames)
