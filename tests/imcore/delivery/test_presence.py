"""Who is here, and who gets what."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from imcore import redis
from imcore.capabilities import PATCHES, TEMPORARY_CONVERSATIONS
from imcore.delivery.encoding import EVERYBODY, Delivery, Frame, Order
from imcore.delivery.node import Node
from imcore.delivery.presence import Presence
from imcore.protocol.message_pb2 import GenericCommand

APPLICATION = -1  # no application has it


class Session:
    """A session that keeps what it gets."""

    def __init__(self, client_id: str, config_bitmap: int = 187) -> None:
        self.client_id = client_id
        self.config_bitmap = config_bitmap
        self.room: str | None = None
        self.attached_ms = 0
        self.seated_ms: int | None = None
        self.is_caught_up = True
        self.got: list[bytes] = []

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
        """Never be congested."""
        return False


def delivery(to: list[str], *, needs: int = 0, is_dated: bool = False) -> Delivery:
    """Make a delivery without an order."""
    return Delivery(
        APPLICATION, [Frame(to, GenericCommand(peerId="body").SerializeToString(), needs, is_dated=is_dated)]
    )


async def test_a_session_is_there_from_attach_to_detach() -> None:
    """The table of this process is exact."""
    presence = Presence()
    phone, web = Session("tom"), Session("tom")

    await presence.attach(APPLICATION, phone)
    await presence.attach(APPLICATION, web)
    both = list(presence.local(APPLICATION, "tom"))
    presence.detach(APPLICATION, phone)
    one = list(presence.local(APPLICATION, "tom"))
    presence.detach(APPLICATION, web)

    assert (both, one) == ([phone, web], [web])
    assert list(presence.local(APPLICATION, "tom")) == []
    assert presence.local_sessions(APPLICATION) == {}
    await presence.stop()


async def test_detaching_twice_or_what_was_never_there_does_nothing() -> None:
    """A connection's end need not know how far its opens came."""
    presence = Presence()
    tom = Session("tom")
    await presence.attach(APPLICATION, tom)

    presence.detach(APPLICATION, Session("tom"))
    presence.detach(APPLICATION, Session("nobody"))
    presence.detach(APPLICATION - 1, tom)
    still = list(presence.local(APPLICATION, "tom"))
    presence.detach(APPLICATION, tom)
    presence.detach(APPLICATION, tom)

    assert still == [tom]


async def test_on_line_are_those_with_a_session_in_the_order_asked() -> None:
    """In this application only."""
    presence = Presence()
    for client_id in ("a", "b", "c"):
        await presence.attach(APPLICATION, Session(client_id))
    await presence.attach(APPLICATION - 1, Session("elsewhere"))

    assert await presence.online(APPLICATION, ["c", "nobody", "elsewhere", "a"]) == ["c", "a"]
    assert await presence.online(APPLICATION, []) == []

    for session in list(presence.local(APPLICATION, EVERYBODY)):
        presence.detach(APPLICATION, session)


async def test_a_client_without_a_name_for_redis_is_found_too() -> None:
    """Ids are any text."""
    presence = Presence()
    odd = ["a:b", "a b", "汤姆", "\r\n", "*", "🙂" * 64]
    for client_id in odd:
        await presence.attach(APPLICATION, Session(client_id))

    assert await presence.online(APPLICATION, odd) == odd

    for client_id in odd:
        presence.detach(APPLICATION, next(iter(presence.local(APPLICATION, client_id))))


async def test_a_node_hands_a_delivery_to_every_session_of_its_recipients() -> None:
    """Each frame has a time; what clients keep the time of, one later than all before."""
    node = Node()
    phone, web, mary = Session("tom"), Session("tom"), Session("mary")
    for session in (phone, web, mary):
        await node.presence.attach(APPLICATION, session)

    node.deliver(delivery(["tom", "nobody"]))
    node.deliver(delivery(["mary", "tom"], is_dated=True), skip=web)
    node.deliver(delivery(["tom"], is_dated=True), skip=web)

    assert [len(session.got) for session in (phone, web, mary)] == [3, 1, 1]
    first, second, third = (GenericCommand.FromString(body).serverTs for body in phone.got)
    assert first < second < third
    assert GenericCommand.FromString(phone.got[0]).peerId == "body"
    for session in (phone, web, mary):
        node.presence.detach(APPLICATION, session)


@pytest.mark.parametrize(
    ("declared", "needs", "gets"),
    [
        (187, 0, True),
        (0, 0, True),
        (187, TEMPORARY_CONVERSATIONS, True),
        (PATCHES, TEMPORARY_CONVERSATIONS, False),
        (PATCHES | TEMPORARY_CONVERSATIONS, PATCHES | TEMPORARY_CONVERSATIONS, True),
        (TEMPORARY_CONVERSATIONS, PATCHES | TEMPORARY_CONVERSATIONS, False),
    ],
)
async def test_a_session_gets_only_what_it_declared_to_understand(declared: int, needs: int, gets: bool) -> None:
    """Realtime-protocol 4.1.1: JavaScript 3.5.7 knows no temporary conversations."""
    node = Node()
    tom = Session("tom", declared)
    await node.presence.attach(APPLICATION, tom)

    node.deliver(delivery(["tom"], needs=needs))

    assert bool(tom.got) is gets
    node.presence.detach(APPLICATION, tom)


async def test_alone_there_are_no_other_nodes() -> None:
    """Without Redis, nobody is looked for elsewhere."""
    if redis.is_configured():
        pytest.skip("with Redis there may be")

    assert await Presence().nodes_of(APPLICATION, ["tom"]) == {}


async def test_nodes_find_each_others_clients_and_forget_a_dead_node() -> None:
    """A client's set counts only nodes whose lease is alive."""
    if not redis.is_configured():
        pytest.skip("nodes meet in Redis")
    here, there, dead = Presence(), Presence(), Presence()
    here.start()
    there.start()
    tom = Session("tom")
    await there.attach(APPLICATION, tom)
    await dead.attach(APPLICATION, Session("tom"))
    async with asyncio.timeout(5):
        while not await redis.client().exists(redis.node_key(there.node)):
            pass

    found = await here.nodes_of(APPLICATION, ["tom", "nobody"])
    left = await redis.client().smembers(redis.online_key(APPLICATION, "tom"))
    there.detach(APPLICATION, tom)
    await there.stop()
    gone = await here.nodes_of(APPLICATION, ["tom"])
    await here.stop()

    assert found == {there.node: ["tom"]}
    assert left == {there.node.encode()}
    assert gone == {}
    assert await redis.client().smembers(redis.online_key(APPLICATION, "tom")) == set()


async def test_a_node_stops_although_its_heart_takes_a_cancellation_for_a_failure() -> None:
    """As Redis' client does while it connects."""
    begun = asyncio.Event()

    async def stubborn() -> None:
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                begun.set()
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    heart = asyncio.create_task(stubborn())
    await begun.wait()

    async with asyncio.timeout(5):
        await redis.end(heart)

    assert heart.cancelled()
