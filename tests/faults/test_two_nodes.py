"""Two server processes on PostgreSQL and Redis, behind nothing but two ports."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import websockets
from redis import Redis

from imcore.delivery.lease import HEARTBEAT_SECONDS, LEASE_SECONDS
from imcore.protocol.message_pb2 import CommandType, ConvCommand, DirectCommand, OpType
from tests.faults.conftest import TwoNodes
from tests.faults.talking import (
    Enough,
    Received,
    Sender,
    client_on,
    history,
    online,
    own,
    receive,
    send,
    start,
)
from tests.imclient import ImClient
from tests.processes import Server, eventually, get

pytestmark = [pytest.mark.faults, pytest.mark.slow]

# Presence heals with the next heartbeat, and nobody believes in a dead node longer than its lease. The rest is for
# machines with too few cores.
HEALED_SECONDS = LEASE_SECONDS + HEARTBEAT_SECONDS + 15


class Clients:
    """Signs clients in and signs them all out after the test."""

    def __init__(self) -> None:
        self._clients: list[ImClient] = []

    async def on(self, server: Server, client_id: str) -> ImClient:
        """Sign a client in on one of the nodes."""
        client = await client_on(server, client_id)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(client.wire.close() for client in self._clients), return_exceptions=True)


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Clients on either node."""
    made = Clients()
    yield made
    await made.close()


async def test_many_senders_on_both_nodes_are_heard_in_one_order_and_once(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 51."""
    nodes = (two_nodes.first, two_nodes.second)
    sender_ids = [own("sender") for _ in range(4)]
    receiver_ids = [own("receiver") for _ in range(4)]
    senders = [await clients.on(nodes[i % 2], client_id) for i, client_id in enumerate(sender_ids)]
    receivers = [await clients.on(nodes[i % 2], client_id) for i, client_id in enumerate(receiver_ids)]
    conversation = await start(senders[0], [*sender_ids, *receiver_ids])
    count_each = 75
    streams = [Sender(client_id, conversation, in_flight=6, count=count_each) for client_id in sender_ids]

    enough = Enough()

    reading = [
        asyncio.create_task(receive(receiver, conversation, count_each * len(senders))) for receiver in receivers
    ]
    await asyncio.gather(*(stream.send_until(client, enough) for stream, client in zip(streams, senders, strict=True)))
    heard: list[Received] = await asyncio.gather(*reading)

    kept = await history(senders[0], conversation)
    sent = sorted(text for stream in streams for text, _, _ in stream.acknowledged)
    assert sorted(item.data for item in kept) == sent
    for received in heard:
        assert received.timestamps == sorted(set(received.timestamps)), "strictly increasing"
        assert received.texts == [item.data for item in kept], "everything, once, in the order of history"


async def test_notices_reach_members_on_the_other_node(two_nodes: TwoNodes, clients: Clients) -> None:
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    spike = await clients.on(two_nodes.second, own("spike"))

    conversation = await start(tom, [jerry.client_id])

    assert (await jerry.notice(CommandType.conv, OpType.joined)).convMessage.initBy == tom.client_id
    members = (await jerry.notice(CommandType.conv, OpType.members_joined)).convMessage.m
    assert sorted(members) == sorted([tom.client_id, jerry.client_id])

    await tom.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=conversation, m=[spike.client_id]))

    assert (await spike.notice(CommandType.conv, OpType.joined)).convMessage.initBy == tom.client_id
    assert (await spike.notice(CommandType.conv, OpType.members_joined)).convMessage.m == [spike.client_id]
    assert (await jerry.notice(CommandType.conv, OpType.members_joined)).convMessage.m == [spike.client_id]

    await jerry.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=conversation, m=[jerry.client_id]))

    assert (await jerry.notice(CommandType.conv, OpType.left)).convMessage.initBy == jerry.client_id
    assert (await spike.notice(CommandType.conv, OpType.members_left)).convMessage.m == [jerry.client_id]


async def test_a_member_who_joined_through_one_node_can_send_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [])
    refused = await jerry.request(CommandType.direct, directMessage=DirectCommand(cid=conversation, msg="not yet"))
    assert refused.ackMessage.code == 4401

    await tom.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=conversation, m=[jerry.client_id]))
    await send(jerry, conversation, "hello")

    await _hears(tom, "hello")


async def test_a_member_who_was_removed_through_one_node_cannot_send_through_the_other(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 53."""
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [jerry.client_id])
    await send(jerry, conversation, "hello")

    await tom.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=conversation, m=[jerry.client_id]))
    refused = await jerry.request(CommandType.direct, directMessage=DirectCommand(cid=conversation, msg="still?"))

    assert refused.ackMessage.code == 4401
    assert [item.data for item in await history(tom, conversation)] == ["hello"]


async def test_online_is_known_across_nodes(two_nodes: TwoNodes, clients: Clients) -> None:
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    nobody = own("nobody")

    assert await online(tom, jerry.client_id, nobody, tom.client_id) == [jerry.client_id, tom.client_id]

    await jerry.request(CommandType.session, OpType.close)
    await _becomes(tom, jerry.client_id, is_online=False)


async def test_one_person_on_both_nodes_sees_what_he_sends(two_nodes: TwoNodes, clients: Clients) -> None:
    """Checklist 52."""
    me, friend = own("me"), own("friend")
    phone, laptop = await clients.on(two_nodes.first, me), await clients.on(two_nodes.second, me)
    away = await clients.on(two_nodes.second, friend)
    conversation = await start(phone, [friend])

    await send(phone, conversation, "from my phone")
    await _hears(laptop, "from my phone")
    await _hears(away, "from my phone")
    await send(laptop, conversation, "from my laptop")
    await _hears(phone, "from my laptop")
    await _hears(away, "from my laptop")

    await phone.nothing_more()
    await laptop.nothing_more()
    await away.nothing_more()


async def test_a_node_that_stops_sends_its_clients_elsewhere_and_answers_the_router_meanwhile(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    """Checklist 6. JavaScript 5 asks the router before it leaves, and dies of one that does not answer."""
    stays, leaves = await clients.on(two_nodes.second, own("stays")), await clients.on(two_nodes.second, own("leaves"))
    friend = await clients.on(two_nodes.first, own("friend"))
    conversation = await start(friend, [leaves.client_id])

    stopping = asyncio.create_task(asyncio.to_thread(two_nodes.second.stop))
    while (frame := await leaves.wire.receive(60)).cmd != CommandType.goaway:
        assert frame.cmd == CommandType.conv
    route = await asyncio.to_thread(get, f"{two_nodes.second.url}/v1/route?appId={two_nodes.second.app_id}")
    with pytest.raises(websockets.InvalidStatus):
        await clients.on(two_nodes.second, own("newcomer"))
    await leaves.wire.close()
    moved = await clients.on(two_nodes.first, leaves.client_id)
    await send(friend, conversation, "welcome")

    assert route.status == 200
    await _hears(moved, "welcome")
    assert await stays.wire.closed(60) == 1001
    assert await stopping == 0


async def test_the_clients_of_a_killed_node_are_soon_offline(two_nodes: TwoNodes, clients: Clients) -> None:
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [jerry.client_id])
    assert await online(tom, jerry.client_id) == [jerry.client_id]

    two_nodes.second.kill()
    await send(tom, conversation, "are you there?")

    await _becomes(tom, jerry.client_id, is_online=False)
    two_nodes.second.start()
    back = await clients.on(two_nodes.second, jerry.client_id)
    assert await online(tom, jerry.client_id) == [jerry.client_id]
    assert [item.data for item in await history(back, conversation)] == ["are you there?"]
    await send(tom, conversation, "there you are")
    await _hears(back, "there you are")


@pytest.mark.parametrize("fault", ["restarted", "crashed", "emptied"])
async def test_presence_and_delivery_heal_after_redis_has_forgotten_everything(
    two_nodes: TwoNodes, clients: Clients, fault: str
) -> None:
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.second, own("jerry"))
    conversation = await start(tom, [jerry.client_id])
    await send(tom, conversation, "before")
    await _hears(jerry, "before")
    redis = two_nodes.services.redis

    began = time.monotonic()
    if fault == "restarted":
        await asyncio.to_thread(redis.restart)
    elif fault == "crashed":
        redis.crash()
        await asyncio.to_thread(redis.start)
    else:
        _flush(two_nodes)

    for sender, receiver in ((tom, jerry), (jerry, tom)):
        await send(sender, conversation, f"from {sender.client_id}")
        # Nobody knows where its receiver is; it comes all the same, and nothing more has to be said for that.
        await _hears(receiver, f"from {sender.client_id}")
    await _becomes(tom, jerry.client_id, is_online=True)
    await _becomes(jerry, tom.client_id, is_online=True)
    presence = time.monotonic() - began
    await send(tom, conversation, "after")
    await _hears(jerry, "after")
    await jerry.nothing_more()
    print(f"Redis {fault}: presence after {presence:.1f} s, delivery after {time.monotonic() - began:.1f} s")


async def test_while_redis_is_away_sends_are_acknowledged_and_neighbours_hear_them(
    two_nodes: TwoNodes, clients: Clients
) -> None:
    tom, jerry = await clients.on(two_nodes.first, own("tom")), await clients.on(two_nodes.first, own("jerry"))
    spike = await clients.on(two_nodes.second, own("spike"))
    conversation = await start(tom, [jerry.client_id, spike.client_id])
    await send(tom, conversation, "with Redis")
    await _hears(spike, "with Redis")
    await _hears(jerry, "with Redis")

    two_nodes.services.redis.stop()
    texts = [f"without Redis {number}" for number in range(5)]
    for text in texts:
        await send(tom, conversation, text)
        await _hears(jerry, text)
    late = await clients.on(two_nodes.first, own("late"))
    assert await online(late, jerry.client_id) == [jerry.client_id]
    not_ready = get(f"{two_nodes.first.url}/readyz")
    assert not_ready.status == 503, not_ready.body
    assert not_ready.json()["database"] == "ok"
    assert get(f"{two_nodes.first.url}/healthz").status == 200
    await asyncio.to_thread(two_nodes.services.redis.start)

    for text in texts:
        await _hears(spike, text)
    await _becomes(tom, spike.client_id, is_online=True)
    await _becomes(spike, late.client_id, is_online=True)
    await spike.nothing_more()
    assert [item.data for item in await history(spike, conversation)] == ["with Redis", *texts]
    assert get(f"{two_nodes.first.url}/readyz").status == 200


async def _hears(client: ImClient, text: str) -> None:
    """Wait for a message with this text; notices may come before it, messages may not."""
    while True:
        frame = await client.next_notice(seconds=60)
        if frame.cmd == CommandType.direct:
            assert frame.directMessage.msg == text
            return


async def _becomes(client: ImClient, other: str, *, is_online: bool) -> None:
    async def holds() -> bool:
        return (await online(client, other) == [other]) is is_online

    what = "online" if is_online else "offline"
    await eventually(holds, f"{other} is {what} for {client.client_id}", seconds=HEALED_SECONDS)


def _flush(two_nodes: TwoNodes) -> None:
    with Redis.from_url(two_nodes.services.redis.url) as connection:
        connection.flushall()
