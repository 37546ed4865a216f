"""Chat rooms across two server processes: who is there, who comes back, what is heard (realtime-protocol 4.13)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from imcore.delivery.lease import HEARTBEAT_SECONDS, LEASE_SECONDS
from imcore.protocol.message_pb2 import CommandType, OpType
from tests.conversations.rooming import block, listed_in, people_in, room_of, sending_code
from tests.conversations.talking import add, answer, remove
from tests.faults.conftest import TwoNodes
from tests.faults.talking import own, send
from tests.imclient import ImClient, OverSocket, sign_in
from tests.processes import Server, eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]

HEALED_SECONDS = LEASE_SECONDS + HEARTBEAT_SECONDS + 15


class Clients:
    """Signs clients in, and drops their connections after the test."""

    def __init__(self) -> None:
        self._wires: list[OverSocket] = []

    async def on(self, server: Server, client_id: str, **session: Any) -> ImClient:
        """Sign a client in on one of the nodes."""
        wire = await OverSocket.connect(server.ws_url, max_queue=None)
        self._wires.append(wire)
        return await sign_in(wire, server.app_id, client_id, **session)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(wire.close() for wire in self._wires), return_exceptions=True)


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Clients on either node."""
    made = Clients()
    yield made
    await made.close()


@pytest.fixture(scope="module", autouse=True)
def _moderated(nodes: TwoNodes) -> None:
    nodes.first.wait_until_ready()
    nodes.first.manage("application_settings", nodes.first.app_id, "block_lists_enabled=true", "roles_enabled=true")


async def test_both_nodes_count_a_room_and_hear_what_is_said(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 49, across nodes; the sender's device on the other node hears nothing."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    toms_web = await clients.on(two_nodes.second, tom.client_id)
    cid = await room_of(tom)
    await add(jerry, cid, jerry.client_id)
    await add(toms_web, cid, tom.client_id)
    everybody = sorted([tom.client_id, jerry.client_id])

    assert await people_in(tom, cid) == await people_in(jerry, cid) == everybody
    await send(tom, cid, "from the first")
    await send(jerry, cid, "from the second")

    assert await _hears(jerry) == "from the first"
    assert await _hears(tom) == "from the second"
    assert await _hears(toms_web) == "from the second"
    await remove(jerry, cid, jerry.client_id)
    assert await people_in(tom, cid) == [tom.client_id]


async def test_who_is_blocked_through_one_node_is_out_on_the_other(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 47, in a chat room; it is told, and cannot send or come back there."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    cid = await room_of(tom)
    await add(jerry, cid, jerry.client_id)
    assert await sending_code(jerry, cid, "remembered by its node") == 0
    assert await _hears(tom) == "remembered by its node"

    assert await block(tom, cid, jerry.client_id) == [jerry.client_id]
    notice = await jerry.next_notice(seconds=30)
    await send(tom, cid, "not for jerry")

    assert notice.op == OpType.blocked
    assert await people_in(tom, cid) == await people_in(jerry, cid) == [tom.client_id]
    assert await sending_code(jerry, cid) == 4548
    assert [failed.code for failed in (await add(jerry, cid, jerry.client_id)).failedPids] == [4548]
    await jerry.nothing_more()


async def test_who_is_silenced_through_one_node_cannot_send_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 46, in a chat room."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    cid = await room_of(tom)
    await add(jerry, cid, jerry.client_id)
    await sending_code(jerry, cid, "remembered by its node")

    await answer(tom, OpType.add_shutup, OpType.shutup_added, cid=cid, m=[jerry.client_id])

    assert (await jerry.next_notice(seconds=30)).op == OpType.shutuped
    assert await sending_code(jerry, cid) == 4563
    assert await people_in(jerry, cid) == sorted([tom.client_id, jerry.client_id])


async def test_a_lost_client_comes_back_into_its_room_through_the_other_node(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 49: the re-join, wherever it re-connects; the dead connection is found after it."""
    tom = await clients.on(two_nodes.first, own("tom"))
    cid = await room_of(tom)
    jerry = await clients.on(two_nodes.first, own("jerry"))
    await add(jerry, cid, jerry.client_id)
    everybody = sorted([tom.client_id, jerry.client_id])

    back = await clients.on(two_nodes.second, jerry.client_id, st=jerry.token, r=True)
    twice = await people_in(tom, cid)
    await jerry.wire.close()
    await send(tom, cid, "still here?")

    assert twice == everybody
    assert await _hears(back) == "still here?"
    assert await people_in(tom, cid) == everybody
    await remove(back, cid, jerry.client_id)
    await back.wire.close()
    again = await clients.on(two_nodes.first, jerry.client_id, st=back.token, r=True)
    assert await people_in(again, cid) == [tom.client_id]


async def test_a_killed_node_is_soon_not_counted_and_its_clients_come_back_elsewhere(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """It could not say that anybody left; the lease ends, and the seats are there."""
    tom = await clients.on(two_nodes.first, own("tom"))
    cid = await room_of(tom)
    jerry, spike = await clients.on(two_nodes.second, own("jerry")), await clients.on(two_nodes.second, own("spike"))
    for client in (jerry, spike):
        await add(client, cid, client.client_id)
    everybody = sorted([tom.client_id, jerry.client_id, spike.client_id])
    assert await people_in(tom, cid) == everybody

    two_nodes.second.kill()
    back = await clients.on(two_nodes.first, jerry.client_id, st=jerry.token, r=True)

    async def is_forgotten() -> bool:
        return await listed_in(tom, cid) == sorted([tom.client_id, jerry.client_id])

    await eventually(is_forgotten, "the dead node's clients are not counted", seconds=HEALED_SECONDS)
    await send(tom, cid, "who is left?")
    assert await _hears(back) == "who is left?"
    await asyncio.to_thread(two_nodes.second.start)
    late = await clients.on(two_nodes.second, spike.client_id, st=spike.token, r=True)
    assert await people_in(late, cid) == everybody


async def test_a_room_moves_with_its_clients_when_a_node_drains(two_nodes: TwoNodes, clients: Clients) -> None:
    """`goaway`: they re-connect elsewhere while the old connection may still be open."""
    tom = await clients.on(two_nodes.first, own("tom"))
    cid = await room_of(tom)
    jerry = await clients.on(two_nodes.second, own("jerry"))
    await add(jerry, cid, jerry.client_id)

    stopping = asyncio.create_task(asyncio.to_thread(two_nodes.second.stop))
    asked = await jerry.wire.receive(30)
    moved = await clients.on(two_nodes.first, jerry.client_id, st=jerry.token, r=True)
    await jerry.wire.close()
    assert await stopping == 0

    assert asked.cmd == CommandType.goaway
    assert await people_in(tom, cid) == sorted([tom.client_id, jerry.client_id])
    await send(tom, cid, "welcome")
    assert await _hears(moved) == "welcome"
    await moved.wire.close()
    await asyncio.to_thread(two_nodes.second.start)
    back = await clients.on(two_nodes.second, jerry.client_id, st=moved.token, r=True)
    assert await people_in(back, cid) == sorted([tom.client_id, jerry.client_id])


async def test_while_redis_is_away_each_node_keeps_its_own_part_of_a_room(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Joining goes on; the parts find each other again."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.first, own("jerry"))
    spike = await clients.on(two_nodes.second, own("spike"))
    cid = await room_of(tom)
    await add(spike, cid, spike.client_id)

    two_nodes.services.redis.stop()
    await add(jerry, cid, jerry.client_id)
    parts = await people_in(tom, cid), await people_in(spike, cid)
    await send(tom, cid, "neighbour")
    heard = await _hears(jerry)
    await asyncio.to_thread(two_nodes.services.redis.start)

    async def is_whole() -> bool:
        return await listed_in(spike, cid) == sorted([tom.client_id, jerry.client_id, spike.client_id])

    assert parts == (sorted([tom.client_id, jerry.client_id]), [spike.client_id])
    assert heard == "neighbour"
    await eventually(is_whole, "the room is whole again", seconds=HEALED_SECONDS)


async def _hears(client: ImClient) -> str:
    """Return the next message a client hears."""
    while True:
        frame = await client.next_notice(seconds=60)
        if frame.cmd == CommandType.direct:
            return frame.directMessage.msg
