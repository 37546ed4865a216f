"""Roles, silences and blocks through one of two server processes, on PostgreSQL and Redis, obeyed by the other."""

from collections.abc import AsyncIterator, Iterator

import pytest

from imcore.protocol.message_pb2 import CommandType, ConvCommand, OpType
from tests.conversations.moderating import (
    ask_role,
    attempt,
    block,
    change_role,
    error_of,
    failures,
    silence,
    unblock,
    unsilence,
)
from tests.conversations.talking import add, answer, refusal
from tests.faults.conftest import TwoNodes
from tests.faults.talking import history, own, send, start
from tests.faults.test_two_nodes import Clients
from tests.imclient import ImClient
from tests.processes import eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def roles_and_blocks(nodes: TwoNodes) -> Iterator[None]:
    """Roles and block lists are on while these tests run."""
    settings = ("roles_enabled", "block_lists_enabled")
    nodes.first.manage("application_settings", nodes.first.app_id, *(f"{name}=on" for name in settings))
    yield
    nodes.first.manage("application_settings", nodes.first.app_id, *(f"{name}=off" for name in settings))


@pytest.fixture
async def clients(two_nodes: TwoNodes, roles_and_blocks: None) -> AsyncIterator[Clients]:
    """Clients on either node, both of which know that there are roles."""
    made = Clients()
    for node in (two_nodes.first, two_nodes.second):
        await _obeys(await made.on(node, own("asker")))
    yield made
    await made.close()


async def test_a_role_given_through_one_node_is_obeyed_and_heard_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 44."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    spike = await clients.on(two_nodes.second, own("spike"))
    cid = await _talking(tom, jerry, spike)
    refused = await refusal(jerry, OpType.add_shutup, cid=cid, m=[spike.client_id])

    await change_role(tom, cid, jerry.client_id, "Manager")
    changed = await _next(jerry, OpType.member_info_changed)
    await silence(jerry, cid, spike.client_id)
    silenced = await _next(tom, OpType.member_info_changed, OpType.members_shutuped)

    assert refused.code == 4320
    assert (changed.initBy, changed.info.pid, changed.info.role) == (tom.client_id, jerry.client_id, "Manager")
    assert (silenced.initBy, list(silenced.m)) == (jerry.client_id, [spike.client_id])


async def test_a_silence_through_one_node_is_obeyed_and_heard_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 46."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    cid = await _talking(tom, jerry)
    await send(jerry, cid, "before")

    await silence(tom, cid, jerry.client_id)
    refused = await attempt(jerry, cid)
    told = await _next(jerry, OpType.shutuped)
    await _next(jerry, OpType.members_shutuped)
    checked = await answer(jerry, OpType.check_shutup, OpType.check_result, cid=cid, m=[jerry.client_id])
    await unsilence(tom, cid, jerry.client_id)
    await send(jerry, cid, "after")

    assert refused == (4563, "SILIENCED")
    assert (told.cid, told.initBy) == (cid, tom.client_id)
    assert list(checked.m) == [jerry.client_id]
    assert [item.data for item in await history(jerry, cid)] == ["before", "after"]


async def test_a_block_through_one_node_is_obeyed_and_heard_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 47."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    spike = await clients.on(two_nodes.second, own("spike"))
    cid = await _talking(tom, jerry, spike)
    await send(jerry, cid, "before")
    await spike.notice(CommandType.direct)

    await block(tom, cid, jerry.client_id)
    refused = await attempt(jerry, cid)
    back = await add(jerry, cid, jerry.client_id)
    told = [await _next(jerry, op) for op in (OpType.blocked, OpType.left)]
    others = [await _next(spike, op) for op in (OpType.members_blocked, OpType.members_left)]
    await unblock(tom, cid, jerry.client_id)
    lifted = await _next(jerry, OpType.unblocked)
    joined = await add(jerry, cid, jerry.client_id)

    assert refused == (4401, "INVALID_MESSAGING_TARGET")
    assert [code for code, _, _ in failures(back.failedPids)] == [4548]
    assert [one.initBy for one in [*told, *others, lifted]] == [tom.client_id] * 5
    assert [list(one.m) for one in others] == [[jerry.client_id]] * 2
    assert list(joined.allowedPids) == [jerry.client_id]


async def _obeys(client: ImClient) -> None:
    """Wait until the client's node knows that there are roles now."""
    cid = await start(client, [])

    async def has_roles() -> bool:
        return error_of(await ask_role(client, cid, client.client_id, "Manager"))[0] != 4325

    await eventually(has_roles, "a node that obeys the new settings", seconds=10)


async def _talking(*clients: ImClient) -> str:
    cid = await start(clients[0], [client.client_id for client in clients[1:]])
    for client in clients:
        await _next(client, OpType.joined)
        await _next(client, OpType.members_joined)
    return cid


async def _next(client: ImClient, *ops: OpType) -> ConvCommand:
    """Return the body of the last of the next notices, which must be these."""
    frames = [await client.notice(CommandType.conv, op) for op in ops]
    return frames[-1].convMessage
