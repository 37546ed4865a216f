"""Who is in which room: the table of this process, and what nodes tell each other of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from imcore import identifiers, metrics, redis
from imcore.delivery.encoding import EVERYBODY, Delivery, Frame, Order, Priority
from imcore.delivery.node import Node
from imcore.delivery.presence import OCCUPANTS_LISTED, Occupancy, Presence, room
from imcore.errors import SendTimeout
from imcore.identifiers import RisingClock
from imcore.protocol.message_pb2 import GenericCommand
from tests.processes import eventually

APPLICATION = -2  # no application has it
LOBBY, ATTIC = room(1), room(2)
BODY = GenericCommand(peerId="body").SerializeToString()


class Session:
    """A session that keeps what it gets."""

    def __init__(self, client_id: str, sheds_above: int = 9) -> None:
        self.client_id = client_id
        self.config_bitmap = 187
        self.room: str | None = None
        self.attached_ms = 0
        self.seated_ms: int | None = None
        self.is_caught_up = True
        self.got: list[bytes] = []
        self._sheds_above = sheds_above

    @property
    def names(self) -> Sequence[str]:
        """Be found by the client's id."""
        return (self.client_id,)

    def end(self) -> None:
        """Be over."""

    def deliver(self, body: bytes, order: Order | None, /) -> None:
        """Take a frame."""
        self.got.append(body)

    def sheds(self, priority: int) -> bool:
        """Be as congested as the test says."""
        return priority > self._sheds_above


NewPresence = Callable[[], Presence]


@pytest.fixture
async def new_presence() -> AsyncIterator[NewPresence]:
    """Make presences whose nodes are alive for the length of the test."""
    made: list[Presence] = []

    def make() -> Presence:
        presence = Presence()
        presence.start()
        made.append(presence)
        return presence

    yield make
    for presence in made:
        for sessions in list(presence.local_sessions(APPLICATION).values()):
            for session in list(sessions):
                presence.detach(APPLICATION, session)
        await presence.stop()


def assert_empty(presence: Presence) -> None:
    """Assert that nothing of any session or room is left."""
    assert presence.local_sessions(APPLICATION) == {}
    assert presence._occupants == {}


async def test_a_room_has_a_name_no_client_can_have() -> None:
    """Not even two rooms have the same."""
    assert "\0" in room(42)
    assert room(42) != room(43)


async def test_a_client_with_two_sessions_in_a_room_is_one_occupant(new_presence: NewPresence) -> None:
    """Until the last of them leaves."""
    presence = new_presence()
    phone, web, mary = Session("tom"), Session("tom"), Session("mary")
    for session in (phone, web, mary):
        await presence.attach(APPLICATION, session)
        await presence.enter(APPLICATION, LOBBY, session)
    await presence.enter(APPLICATION, LOBBY, phone)

    both = await presence.occupancy(APPLICATION, LOBBY)
    presence.leave(APPLICATION, LOBBY, phone)
    presence.leave(APPLICATION, LOBBY, phone)
    one = await presence.occupancy(APPLICATION, LOBBY)
    presence.detach(APPLICATION, web)
    none = await presence.occupancy(APPLICATION, LOBBY)

    assert both == one == Occupancy(2, ("tom", "mary"))
    assert none == Occupancy(1, ("mary",))


async def test_moving_and_ending_leave_nothing_behind(new_presence: NewPresence) -> None:
    """In whichever order a session's end and its ways cross."""
    presence = new_presence()
    tom, mary = Session("tom"), Session("mary")
    for session in (tom, mary):
        await presence.attach(APPLICATION, session)

    await presence.enter(APPLICATION, LOBBY, tom)
    await presence.enter(APPLICATION, ATTIC, tom)
    presence.leave(APPLICATION, LOBBY, tom)
    moved = tom.room, (await presence.occupancy(APPLICATION, LOBBY)).clients
    entering = asyncio.ensure_future(presence.enter(APPLICATION, LOBBY, mary))
    await asyncio.sleep(0)
    presence.detach(APPLICATION, mary)
    await entering
    presence.detach(APPLICATION, tom)
    presence.detach(APPLICATION, tom)
    await presence.enter(APPLICATION, LOBBY, tom)

    assert moved == (ATTIC, 0)
    assert (tom.room, mary.room) == (None, None)
    assert_empty(presence)


async def test_what_the_queue_has_no_place_for_is_told_with_the_next_heartbeat(
    new_presence: NewPresence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a login nor a join fails for it."""
    presence = new_presence()
    tom = Session("tom")

    async def refuse(key: Any) -> None:
        raise SendTimeout

    monkeypatch.setattr(redis, "is_configured", lambda: True)
    monkeypatch.setattr(presence._announcements, "submit", refuse)
    await presence.attach(APPLICATION, tom)
    await presence.enter(APPLICATION, LOBBY, tom)
    monkeypatch.undo()

    assert tom.room == LOBBY
    assert presence._unwritten >= {(APPLICATION, "tom"), (APPLICATION, LOBBY)}


async def test_nodes_add_up_a_room_and_forget_a_dead_one(new_presence: NewPresence) -> None:
    """A client on two nodes counts once, as long as all can be listed."""
    if not redis.is_configured():
        pytest.skip("nodes meet in Redis")
    here, there, dead = new_presence(), new_presence(), Presence()
    await _alive(here, there)
    for presence, client_ids in ((here, ["a", "b"]), (there, ["b", "c"]), (dead, ["d"])):
        for client_id in client_ids:
            session = Session(client_id)
            await presence.attach(APPLICATION, session)
            await presence.enter(APPLICATION, LOBBY, session)

    together = [await presence.occupancy(APPLICATION, LOBBY) for presence in (here, there)]
    left = set(await redis.client().hkeys(redis.room_key(APPLICATION, LOBBY)))
    for name in ("b", "c"):
        [found] = there.local(APPLICATION, name)
        there.detach(APPLICATION, found)
    await there.stop()
    alone = await here.occupancy(APPLICATION, LOBBY)

    assert [(one.clients, set(one.client_ids)) for one in together] == [(3, {"a", "b", "c"})] * 2
    assert left == {here.node.encode(), there.node.encode()}
    assert alone == Occupancy(2, ("a", "b"))


async def test_a_large_room_is_counted_whole_and_listed_in_part(new_presence: NewPresence) -> None:
    """On one node, and on two."""
    here, there = new_presence(), new_presence()
    await _alive(here, there)
    for presence, number in [(here, i) for i in range(60)] + [(there, i) for i in range(100, 130)]:
        session = Session(f"client {number}")
        await presence.attach(APPLICATION, session)
        await presence.enter(APPLICATION, ATTIC, session)

    clients, listed = await here.occupancy(APPLICATION, ATTIC)

    assert clients == (90 if redis.is_configured() else 60)
    assert len(set(listed)) == OCCUPANTS_LISTED


async def test_clients_on_line_are_counted_whatever_rooms_and_devices_they_have(new_presence: NewPresence) -> None:
    """Each once."""
    presence = new_presence()
    phone, web, mary = Session("tom"), Session("tom"), Session("mary")
    for session in (phone, web, mary):
        await presence.attach(APPLICATION, session)
    await presence.enter(APPLICATION, LOBBY, phone)

    both = await presence.occupancy(APPLICATION, EVERYBODY)
    presence.detach(APPLICATION, phone)
    still = await presence.occupancy(APPLICATION, EVERYBODY)
    for session in (phone, web):
        presence.detach(APPLICATION, session)
    one = await presence.occupancy(APPLICATION, EVERYBODY)
    presence.detach(APPLICATION, mary)
    nobody = await presence.occupancy(APPLICATION, EVERYBODY)

    assert both == still == Occupancy(2, ("tom", "mary"))
    assert one == Occupancy(1, ("mary",))
    assert nobody == Occupancy(0, ())
    assert not presence._clients


async def test_nodes_add_up_who_is_on_line_with_their_heartbeats(new_presence: NewPresence) -> None:
    """A client on two nodes counts once, as long as all can be listed; those of a dead node do not count."""
    if not redis.is_configured():
        pytest.skip("nodes meet in Redis")
    here, there, dead = new_presence(), new_presence(), Presence()
    await _alive(here, there)
    for presence, client_ids in ((here, ["a", "b"]), (there, ["b", "c", "d"]), (dead, ["e"])):
        for client_id in client_ids:
            await presence.attach(APPLICATION, Session(client_id))

    await _counted(here, 4)
    [gone] = there.local(APPLICATION, "d")
    there.detach(APPLICATION, gone)
    await _counted(here, 3)
    for number in range(60):
        await there.attach(APPLICATION, Session(f"client {number}"))
    await _counted(here, 64)
    await there.stop()
    await _counted(here, 2)


async def _counted(presence: Presence, clients: int) -> None:
    """Wait until a node counts so many clients."""

    async def is_so() -> bool:
        return (await presence.occupancy(APPLICATION, EVERYBODY)).clients == clients

    await eventually(is_so, f"{clients} clients")


@pytest.mark.parametrize(("sheds_above", "gets"), [(9, 4), (2, 3), (1, 2), (0, 2)])
async def test_a_congested_session_gets_what_must_not_be_dropped(
    new_presence: NewPresence, sheds_above: int, gets: int
) -> None:
    """4.13: low goes first, then normal, never high; what has no priority is high."""
    node = Node()
    tom = Session("tom", sheds_above)
    await node.presence.attach(APPLICATION, tom)
    before = metrics.counters["delivery.shed"]

    frames = [Frame(["tom"], BODY, priority=priority) for priority in Priority] + [Frame(["tom"], BODY)]
    node.deliver(Delivery(APPLICATION, frames))

    assert len(tom.got) == gets
    assert metrics.counters["delivery.shed"] - before == 4 - gets
    node.presence.detach(APPLICATION, tom)


async def test_a_frame_to_a_room_goes_to_all_in_it_but_one_client() -> None:
    """All its sessions are left out, and those elsewhere hear nothing."""
    node = Node()
    sessions = [Session("tom"), Session("tom"), Session("mary"), Session("outside")]
    for session in sessions:
        await node.presence.attach(APPLICATION, session)
    for session in sessions[:3]:
        await node.presence.enter(APPLICATION, LOBBY, session)

    node.deliver(Delivery(APPLICATION, [Frame([LOBBY], BODY, but="tom")]))

    assert [len(session.got) for session in sessions] == [0, 0, 1, 0]
    for session in sessions:
        node.presence.detach(APPLICATION, session)


async def test_a_frame_can_put_its_receivers_out_of_a_room() -> None:
    """All their sessions, of that room only; they are told first."""
    node = Node()
    phone, web, mary = Session("tom"), Session("tom"), Session("mary")
    for session, name in ((phone, LOBBY), (web, ATTIC), (mary, LOBBY)):
        await node.presence.attach(APPLICATION, session)
        await node.presence.enter(APPLICATION, name, session)

    node.deliver(Delivery(APPLICATION, [Frame(["tom", "nobody"], BODY, leaving=LOBBY)]))

    assert [session.room for session in (phone, web, mary)] == [None, ATTIC, LOBBY]
    assert [len(session.got) for session in (phone, web, mary)] == [1, 1, 0]
    for session in (phone, web, mary):
        node.presence.detach(APPLICATION, session)
    assert_empty(node.presence)


async def test_only_what_clients_keep_the_time_of_moves_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.2 and 10.3: a stream of messages in one millisecond has its time; each dated notice has one of its own."""
    monkeypatch.setattr(identifiers, "now_ms", lambda: 1_700_000_000_000)
    node = Node()
    node.clock = RisingClock()
    tom = Session("tom")
    await node.presence.attach(APPLICATION, tom)

    for is_dated in (False, False, True, False, False, True, True, False):
        node.deliver(Delivery(APPLICATION, [Frame(["tom"], BODY, is_dated=is_dated)]))

    times = [GenericCommand.FromString(body).serverTs - 1_700_000_000_000 for body in tom.got]
    assert times == [0, 0, 1, 1, 1, 2, 3, 3]
    node.presence.detach(APPLICATION, tom)


async def _alive(*presences: Presence) -> None:
    """Wait until the leases of nodes are written."""
    if redis.is_configured():
        async with asyncio.timeout(5):
            for presence in presences:
                while not await redis.client().exists(redis.node_key(presence.node)):
                    pass
