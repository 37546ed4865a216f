"""Who of the nodes is alive, as they tell each other through Redis."""

import time
from collections.abc import AsyncIterator

import pytest

from imcore import redis
from imcore.delivery import lease
from imcore.delivery.lease import Beat, Lease
from tests.processes import eventually

NODES = "imcore:nodes:test"  # not the one of the server that other tests have left running


@pytest.fixture
async def leases(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Lease, Lease]]:
    """Two nodes whose leases are short and their heartbeats far apart, so that tests say when they beat."""
    if not redis.is_configured():
        pytest.skip("nodes meet in Redis")
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 60.0)
    here, there = [Lease(name, among=NODES, seconds=1) for name in ("here", "there")]
    yield here, there
    await here.give_up()
    await there.give_up()


async def test_a_node_that_dies_is_noticed_once_by_each(leases: tuple[Lease, Lease]) -> None:
    """Since its last heartbeat it may have stored what it did not publish."""
    here, there = leases
    first = [await here.beat(), await there.beat()]

    async def is_noticed() -> bool:
        return (await here.beat()).lost_seconds is not None

    await eventually(is_noticed, "the other is dead")

    assert first == [Beat(True, None), Beat(True, None)]
    assert (await here.beat()) == Beat(False, None)


async def test_a_node_that_stops_in_order_is_not_missed(leases: tuple[Lease, Lease]) -> None:
    """It has published everything."""
    here, there = leases
    await here.beat()
    await there.beat()

    await there.give_up()

    assert not await redis.client().exists(redis.node_key("there"))
    assert await redis.client().zrange(NODES, 0, -1) == [b"here"]


async def test_who_was_dead_before_a_node_began_is_not_its_concern(leases: tuple[Lease, Lease]) -> None:
    """Nobody was here then."""
    here, _ = leases
    await redis.client().zadd(NODES, {"long ago": int(time.time()) - 5})

    beats = [await here.beat(), await here.beat()]

    assert beats == [Beat(True, None), Beat(False, None)]


async def test_a_node_that_redis_has_forgotten_may_have_missed_something(leases: tuple[Lease, Lease]) -> None:
    """Nobody could publish to it since."""
    here, _ = leases
    await here.beat()
    await redis.client().delete(redis.node_key("here"))

    beat = await here.beat()

    assert beat.is_new
    assert beat.lost_seconds is not None


async def test_a_node_that_could_not_beat_may_have_missed_something(
    leases: tuple[Lease, Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was away, or the node stood still, though its lease is alive."""
    here, _ = leases
    await here.beat()
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.0)

    beat = await here.beat()

    assert not beat.is_new
    assert beat.lost_seconds is not None
