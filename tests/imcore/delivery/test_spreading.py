"""To everybody who is on line, or a part of them: on this node a step at a time, to each other node one publish."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from imcore import metrics, redis
from imcore.capabilities import COUNTS_UNREAD
from imcore.delivery import node as nodes
from imcore.delivery import spreading
from imcore.delivery.encoding import EVERYBODY, Delivery, Frame, Order
from imcore.delivery.node import Node, handed_out
from imcore.delivery.presence import room
from imcore.delivery.router import Router
from imcore.delivery.spreading import BACKLOG, STEP, audience
from imcore.errors import StorageUnavailable
from imcore.protocol.message_pb2 import GenericCommand
from tests.processes import eventually

APPLICATION = -3  # no application has it
BODY = GenericCommand(peerId="body").SerializeToString()
EVEN = 2


class Session:
    """A session that counts what it gets."""

    def __init__(self, client_id: str, config_bitmap: int = COUNTS_UNREAD) -> None:
        self.client_id = client_id
        self.config_bitmap = config_bitmap
        self.room: str | None = None
        self.attached_ms = 0
        self.seated_ms: int | None = None
        self.is_caught_up = True
        self.got = 0

    @property
    def names(self) -> Sequence[str]:
        """Be found by the client's id."""
        return (self.client_id,)

    def end(self) -> None:
        """Be over."""

    def deliver(self, body: bytes, order: Order | None = None) -> None:
        """Take a frame."""
        self.got += 1

    def sheds(self, priority: int) -> bool:
        """Never be congested."""
        return False


def delivery(spread: str = EVERYBODY, order: Order | None = None) -> Delivery:
    """Make what goes to everybody, or a part."""
    return Delivery(APPLICATION, [Frame([EVERYBODY], BODY)], order, spread)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node that is alive for the length of the test."""
    made = Node()
    made.start()
    yield made
    for session in list(made.presence.local(APPLICATION, EVERYBODY)):
        made.presence.detach(APPLICATION, session)
    await made.stop()


async def filled(node: Node, count: int) -> list[Session]:
    """Sign clients in on a node."""
    sessions = [Session(f"client {number}") for number in range(count)]
    for session in sessions:
        await node.presence.attach(APPLICATION, session)
    return sessions


async def spread(node: Node) -> None:
    """Wait until a node has delivered everything."""
    while (worker := node.spreader.worker) is not None:
        await asyncio.wait([worker])


async def test_everybody_gets_it_once_and_others_have_their_turn_meanwhile(node: Node) -> None:
    """Two thousand clients, some with two devices, one in a room."""
    sessions = await filled(node, 2000)
    web = Session("client 7")
    await node.presence.attach(APPLICATION, web)
    await node.presence.enter(APPLICATION, room(1), web)
    turns = []

    node.deliver(delivery())
    while node.spreader.worker is not None:
        turns.append(node.handed_out)
        await asyncio.sleep(0)

    assert {session.got for session in (*sessions, web)} == {1}
    steps = [after - before for before, after in zip(turns, [*turns[1:], node.handed_out], strict=True)]
    assert max(steps) <= STEP + 1
    assert sum(step > 0 for step in steps) == 2000 / STEP


async def test_a_part_is_asked_for_step_by_step(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who are not here are not asked about."""
    monkeypatch.setattr(spreading, "_audiences", {})
    sessions = await filled(node, STEP + 10)
    asked: list[int] = []

    @audience("divisible")
    async def divisible(application: int, by: int, client_ids: Sequence[str]) -> set[str]:
        asked.append(len(client_ids))
        return {one for one in client_ids if int(one.removeprefix("client ")) % by == 0} | {"somebody else"}

    node.deliver(delivery(f"divisible/{EVEN}"))
    await spread(node)

    assert [session.got for session in sessions] == [1 - number % EVEN for number in range(len(sessions))]
    assert asked == [STEP, 10]


async def test_what_cannot_be_narrowed_is_dropped_and_the_next_goes_on(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away, or there is no such audience."""
    monkeypatch.setattr(spreading, "_audiences", {})
    [session] = await filled(node, 1)
    before = metrics.counters["delivery.dropped"]

    @audience("lost")
    async def lost(application: int, number: int, client_ids: Sequence[str]) -> set[str]:
        raise StorageUnavailable

    for spread_to in ("lost/1", "unknown/1", EVERYBODY):
        node.deliver(delivery(spread_to))
    await spread(node)

    assert session.got == 1
    assert metrics.counters["delivery.dropped"] - before == 1


async def test_no_more_wait_than_there_is_room_for(node: Node) -> None:
    """What does not fit is dropped and counted."""
    [session] = await filled(node, 1)
    before = metrics.counters["delivery.dropped"]

    for _ in range(BACKLOG + 5):
        node.deliver(delivery())
    await spread(node)

    assert session.got == BACKLOG
    assert metrics.counters["delivery.dropped"] - before == 5


async def test_who_comes_and_goes_meanwhile_does_not_matter(node: Node) -> None:
    """Nobody is here, and then somebody who has left."""
    node.deliver(delivery())
    await spread(node)
    sessions = await filled(node, STEP + 1)
    node.deliver(delivery())
    await asyncio.sleep(0)
    node.presence.detach(APPLICATION, sessions[-1])
    await spread(node)

    assert [session.got for session in sessions] == [1] * STEP + [0]


async def test_it_is_told_which_clients_that_do_not_count_were_handed_something(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what has a place in a sparse stream, spread or not; each client once."""
    monkeypatch.setattr(nodes, "_handed_out", [])
    told: list[tuple[int, Order, list[str]]] = []

    @handed_out
    def note(application: int, order: Order, client_ids: Sequence[str]) -> None:
        told.append((application, order, list(client_ids)))

    for session in (Session("counts"), Session("old", 0), Session("old", 0), Session("other", 0)):
        await node.presence.attach(APPLICATION, session)
    sparse = Order("messages/7", 1000, is_sparse=True)

    node.deliver(delivery(order=sparse))
    await spread(node)
    node.deliver(Delivery(APPLICATION, [Frame(["counts", "other"], BODY)], sparse))
    node.deliver(Delivery(APPLICATION, [Frame(["counts"], BODY)], sparse))
    for order in (None, Order("messages/8", 1), Order("messages/8", 1, follows=True)):
        node.deliver(Delivery(APPLICATION, [Frame(["other"], BODY)], order))

    assert told == [(APPLICATION, sparse, ["old", "other"]), (APPLICATION, sparse, ["other"])]


async def test_other_nodes_get_one_publish_each_if_anybody_is_there(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many; and none any more when the last has left."""
    if not redis.is_configured():
        pytest.skip("nodes meet in Redis")
    other, empty, sender = Node(), Node(), Node()
    for one in (other, empty, sender):
        one.start()
    sent: list[tuple[str, int]] = []
    send_to = sender.send_to

    async def recorded(name: str, deliveries: list[Any]) -> None:
        sent.append((name, len(deliveries)))
        await send_to(name, deliveries)

    monkeypatch.setattr(sender, "send_to", recorded)
    router = Router(sender)
    sessions = await filled(node, 30) + await filled(other, 30)
    both = {node.presence.node, other.presence.node}

    async def with_somebody() -> set[str]:
        return set(await sender.presence.nodes_of(APPLICATION, [EVERYBODY]))

    async def are_found(expected: set[str]) -> bool:
        return await with_somebody() == expected

    async def have_got_it() -> bool:
        return all(session.got for session in sessions)

    await eventually(lambda: are_found(both), "both nodes are found")

    router._to_others(delivery())
    await router.settle()
    await eventually(have_got_it, "everybody has got it")

    assert sorted(sent) == sorted((name, 1) for name in both)
    assert {session.got for session in sessions} == {1}
    for session in list(other.presence.local(APPLICATION, EVERYBODY)):
        other.presence.detach(APPLICATION, session)
    await eventually(lambda: are_found({node.presence.node}), "the other node has nobody any more")
    # And is found again when somebody comes back.
    await filled(other, 1)
    assert await with_somebody() == both
    for session in list(other.presence.local(APPLICATION, EVERYBODY)):
        other.presence.detach(APPLICATION, session)
    for one in (other, empty, sender):
        await one.stop()
