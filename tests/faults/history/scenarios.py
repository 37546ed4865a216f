"""What is broken while clients talk, one scenario for each fault, and the run of one.

Moments and choices come from the seed; the same seed does the same things, as far as processes that run at the same
time can.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.history.checker import Record, Violation, check, summary
from tests.faults.history.clock import server_now
from tests.faults.history.cluster import Cluster
from tests.faults.history.crowd import Crowd
from tests.faults.history.facts import of_kind
from tests.processes import eventually

# In a long run something is broken once more for each so many messages.
MESSAGES_A_FAULT = 2000

Act = Callable[["Stage"], Awaitable[None]]


@dataclass(frozen=True)
class Stage:
    """What a scenario works on."""

    cluster: Cluster
    crowd: Crowd
    chance: Random

    async def moments(self, at_least: int) -> AsyncIterator[int]:
        """Come back so many times in the stream of messages, and more often in a long one, when chance chooses."""
        count = at_least + self.crowd.messages // MESSAGES_A_FAULT
        for number in range(count):
            share = (number + self.chance.uniform(0.3, 1.0)) / (count + 1)
            await self.crowd.acknowledged(int(self.crowd.messages * share))
            # Anywhere in a batch, not at its acknowledgement.
            await asyncio.sleep(self.chance.uniform(0, 0.02))
            yield number

    def some(self, share: float) -> int:
        """Return a number of messages: about this share of all, or of those of a short run if it is a long one."""
        return max(1, int(min(self.crowd.messages, 2 * MESSAGES_A_FAULT) * share * self.chance.uniform(0.5, 1.0)))


@dataclass(frozen=True)
class Scenario:
    """A fault."""

    name: str
    what: str
    act: Act
    has_clock: bool = False  # the first server goes by a clock of its own
    padding: int = 0  # characters that make messages longer


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    scenario: str
    seed: int
    seconds: float
    counts: Counter[str]
    violations: Sequence[Violation]
    notes: Sequence[str]

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        found = f"{len(self.violations)} VIOLATIONS\n{summary(self.violations)}" if self.violations else "no violation"
        return f"{self.scenario} (SEED={self.seed}, {self.seconds:.0f} s): {told}; {found}"


async def run(
    scenario: Scenario,
    cluster: Cluster,
    *,
    seed: int,
    messages: int,
    directory: Path,
    watch: Callable[[Crowd], Coroutine[None, None, None]] | None = None,
) -> Report:
    """Let a crowd talk, do what the scenario does, and check what everybody has seen. `watch` runs beside it."""
    chance = Random(f"{scenario.name} {seed}")
    began = time.monotonic()
    async with Crowd.gathered(
        cluster, chance=chance, messages=messages, padding=scenario.padding, directory=directory
    ) as crowd:
        watching = asyncio.create_task(watch(crowd)) if watch else None
        try:
            await scenario.act(Stage(cluster, crowd, chance))
            record = await crowd.end()
        finally:
            if watching:
                watching.cancel()
    found = await asyncio.to_thread(check, record)
    notes = Counter(fact.why for fact in of_kind(record.facts, "note", "failed"))
    return Report(
        scenario.name,
        seed,
        time.monotonic() - began,
        _counted(record),
        found,
        [f"{count} × {why}" for why, count in notes.most_common()],
    )


def _counted(record: Record) -> Counter[str]:
    facts = record.facts
    kinds = Counter(fact.kind for fact in facts)
    bodies = {fact.body for fact in of_kind(facts, "sent")}
    return Counter(
        {
            "sent": len(bodies),
            "acknowledged": len({fact.body for fact in of_kind(facts, "acked")}),
            "sent again": kinds["sent"] - len(bodies),
            "pushed": kinds["live"],
            "caught up": kinds["history"],
            "connections lost": kinds["down"],
            "stored": len(record.stored),
            "told as unread": sum(record.told.values()),
        }
    )


async def _kill(stage: Stage) -> None:
    server = stage.cluster.nodes[0]
    async for _ in stage.moments(3):
        server.kill()
        await asyncio.to_thread(server.start)


async def _kill_a_node(stage: Stage) -> None:
    async for _ in stage.moments(2):
        node = stage.chance.choice(stage.cluster.nodes)
        node.kill()
        await stage.crowd.progress(stage.some(0.1))
        await asyncio.to_thread(node.start)


async def _stop_redis(stage: Stage) -> None:
    assert stage.cluster.services is not None
    redis = stage.cluster.services.redis
    async for number in stage.moments(2):
        await asyncio.to_thread(redis.crash if number % 2 else redis.stop)
        await stage.crowd.progress(stage.some(0.1))
        await asyncio.to_thread(redis.start)


async def _restart_postgres(stage: Stage) -> None:
    assert stage.cluster.services is not None
    postgres = stage.cluster.services.postgres
    async for number in stage.moments(2):
        await asyncio.to_thread(postgres.crash if number % 2 else postgres.stop)
        await asyncio.to_thread(postgres.start)


async def _swallow(stage: Stage) -> None:
    async for number in stage.moments(4):
        # Each has its turn, in an order of its own.
        group = stage.crowd.groups[(number + stage.chance.randrange(2)) % len(stage.crowd.groups)]
        group.proxy.swallow()
        await stage.crowd.progress(stage.some(0.1), without=group.clients)
        group.change_network()


async def _freeze(stage: Stage) -> None:
    frozen = [group for group in stage.crowd.groups if group.pid is not None]
    async for number in stage.moments(2):
        group = frozen[number % len(frozen)]
        assert group.pid is not None
        os.kill(group.pid, signal.SIGSTOP)
        await stage.crowd.progress(stage.some(0.3), without=group.clients)
        os.kill(group.pid, signal.SIGCONT)


async def _turn_the_clock(stage: Stage) -> None:
    """Back by a little, by an hour or two, and forth again; each time everybody comes back with an earlier token."""
    assert stage.cluster.clock is not None
    server = stage.cluster.nodes[0]
    offsets = [-stage.chance.randint(5, 60), -stage.chance.randint(3600, 7200), 0]
    async for number in stage.moments(len(offsets)):
        offset = offsets[number % len(offsets)]
        stage.cluster.clock.set(offset)

        async def has_jumped(offset: int = offset) -> bool:
            return abs(await asyncio.to_thread(server_now, server) - (time.time() + offset)) < 3

        await eventually(has_jumped, "the server's clock has jumped")
        await stage.crowd.progress(stage.some(0.05))
        for group in stage.crowd.groups:
            group.change_network()


async def _drain(stage: Stage) -> None:
    async for number in stage.moments(2):
        node = stage.cluster.nodes[number % len(stage.cluster.nodes)]
        assert await asyncio.to_thread(node.stop) == 0
        await stage.crowd.progress(stage.some(0.05))
        await asyncio.to_thread(node.start)


EMBEDDED = (
    Scenario("kill", "kill -9 of the only server", _kill),
    Scenario("black hole", "connections cut without a word to either end", _swallow),
    Scenario("freeze", "an SDK process that stands still while much is said", _freeze, padding=2000),
    Scenario("clock", "the server's clock jumps back, and forth again", _turn_the_clock, has_clock=True),
)
PRODUCTION = (
    Scenario("kill a node", "kill -9 of one of two servers", _kill_a_node),
    Scenario("redis", "Redis stops, crashes and comes back empty", _stop_redis),
    Scenario("postgres", "PostgreSQL stops, crashes and comes back", _restart_postgres),
    Scenario("clocks", "the clock of one of two servers jumps", _turn_the_clock, has_clock=True),
    Scenario("drain", "SIGTERM to one of two servers, then to the other", _drain),
)
ALL = EMBEDDED + PRODUCTION
