"""A node that asks what did not come to it, and looks it up."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from imcore.delivery import node as node_module
from imcore.delivery import ordering
from imcore.delivery.encoding import Delivery, Frame, Order
from imcore.delivery.node import Node, Reached
from imcore.delivery.ordering import Found, Missing
from tests.imcore.delivery.test_presence import APPLICATION, Session
from tests.waiting import until


@pytest.fixture
async def here() -> AsyncIterator[tuple[Node, Session]]:
    """A node with a client."""
    node, tom = Node(), Session("tom")
    await node.presence.attach(APPLICATION, tom)
    yield node, tom
    node.presence.detach(APPLICATION, tom)
    await node.presence.stop()


async def nothing(missing: Missing) -> Found:
    """Find nothing."""
    return Found([], missing.last)


async def test_doubt_while_a_node_asks_makes_it_ask_again(here: tuple[Node, Session]) -> None:
    """What was lost behind the first question would be missed."""
    node, _ = here
    may_go_on, asked = asyncio.Event(), list[int]()

    async def reached(application: int, names: Sequence[str], since_ms: int) -> list[Reached]:
        asked.append(since_ms)
        await may_go_on.wait()
        return []

    node.look_up_with("messages", nothing, reached)
    node.doubt(60)
    await until(lambda: len(asked) == 1)

    node.doubt(0)
    node.doubt(5)
    may_go_on.set()
    await until(lambda: not node._searches)

    assert len(asked) == 2
    node.doubt(0)
    await until(lambda: not node._searches)
    assert len(asked) == 3


async def test_a_look_up_ends_when_nobody_waits_for_it_any_more(
    here: tuple[Node, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many may wait for their turn at a database that does not answer."""
    monkeypatch.setattr(node_module, "LOOK_UP_SECONDS", 0.05)
    monkeypatch.setattr(ordering, "LOOK_UP_SECONDS", 60.0)
    node, tom = here
    has_ended = asyncio.Event()

    async def never(missing: Missing) -> Found:
        try:
            await asyncio.Event().wait()
        finally:
            has_ended.set()
        raise AssertionError

    async def none(application: int, names: Sequence[str], since_ms: int) -> list[Reached]:
        return []

    node.look_up_with("messages", never, none)
    for seq in (1, 3):
        node.deliver(Delivery(APPLICATION, [Frame(["tom"], b"%d" % seq)], Order("messages/1", seq)))
    await until(lambda: len(tom.got) == 2)

    assert has_ended.is_set()
    await until(lambda: not node._searches)
