"""Rounds: every contestant in each, in turn; medians over the rounds."""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

from bench.contestants import Contestant, Running, started
from bench.generator import Drivable, LoadFailed
from bench.processes import cpu_seconds, machine_seconds, wait_until_idle, yardstick_ms
from tests.services import Postgres


@dataclass(frozen=True)
class Effort:
    """How long to measure: at least so many rounds, more of them while they fit into the budget."""

    least_rounds: int
    most_rounds: int
    budget_seconds: float
    warm_up_seconds: float
    seconds: float


# Many short rounds rather than few long ones: what else the machine does comes and goes within seconds.
FULL = Effort(least_rounds=3, most_rounds=5, budget_seconds=320.0, warm_up_seconds=0.5, seconds=2.5)
# Queries have many cases.
MANY_CASES = Effort(least_rounds=2, most_rounds=5, budget_seconds=320.0, warm_up_seconds=0.2, seconds=0.8)
# It takes half a minute to fill the database.
LONG_FILLING = Effort(least_rounds=2, most_rounds=3, budget_seconds=150.0, warm_up_seconds=0.5, seconds=5.0)
# Thousands of clients have to sign in for each case.
MANY_ONLINE = Effort(least_rounds=2, most_rounds=3, budget_seconds=110.0, warm_up_seconds=0.5, seconds=4.0)
QUICK = Effort(least_rounds=1, most_rounds=1, budget_seconds=0.0, warm_up_seconds=0.1, seconds=0.3)


@dataclass(frozen=True)
class Case:
    """A row of a table."""

    name: str
    database: str
    size: int  # members of the room, messages in flight, conversations, clients


@dataclass(frozen=True)
class Sample:
    """One measurement; the unit is a delivery, a message, a query, or whatever else a client does."""

    server_us: float
    database_us: float
    generator_share: float
    others_share: float  # of one core, used by processes that have no part in this
    yardstick_ms: float  # CPU time of a fixed piece of work, which tells how fast the machine was just then
    p50_ms: float
    p99_ms: float

    @property
    def cpu_us(self) -> float:
        """Return the CPU time per unit, of the server and its database."""
        return self.server_us + self.database_us


Results = dict[Case, list[Sample]]


def run(
    contestants: Sequence[Contestant], *, sizes: Sequence[int], effort: Effort, postgres: Postgres | None = None
) -> Results:
    """Measure every contestant under each of its loads in every size, round by round; tell progress on stderr.

    A contestant whose program is not installed is left out. Raise LoadFailed if a server fails under load.
    """
    results: Results = {}
    began_at = time.monotonic()
    for number in range(effort.most_rounds):
        spent = time.monotonic() - began_at
        if number >= effort.least_rounds and spent + spent / number > effort.budget_seconds:
            break
        # Every other round backwards, so that whatever drifts on the machine favours nobody.
        for contestant in contestants[:: -1 if number % 2 else 1]:
            if not contestant.needs():
                _tell(f"{', '.join(contestant.loads)}: not installed, left out")
                continue
            with started(contestant, postgres=postgres, size=sizes[0]) as server:
                for case, sample in _samples(contestant, server, sizes, effort):
                    results.setdefault(case, []).append(sample)
                    where = f", {case.database}" if case.database else ""
                    _tell(f"round {number + 1}: {case.name}{where}, {case.size}: {sample.cpu_us:.1f} us CPU")
    return results


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each of the values."""
    return Sample(
        **{
            name: statistics.median(getattr(sample, name) for sample in samples)
            for name in (field.name for field in fields(Sample))
        }
    )


def _samples(
    contestant: Contestant, server: Running, sizes: Sequence[int], effort: Effort
) -> list[tuple[Case, Sample]]:
    samples = []
    for size in sizes:
        for name, connect in contestant.loads.items():
            with connect(server.port, size) as load:
                case = Case(name, contestant.database, size)
                samples.append((case, measure(load, server, effort)))
    return samples


def measure(load: Drivable, server: Running, effort: Effort) -> Sample:
    """Warm a connected load up, measure it, and see that what was to be stored was."""
    load.prepare()
    wait_until_idle(server.roots)
    load.run(effort.warm_up_seconds)
    load.prepare()
    stored_before = server.stored() if load.is_stored else 0
    yardstick = yardstick_ms()
    before = _Seconds.now(server)
    run = load.run(effort.seconds)
    after = _Seconds.now(server)
    if load.is_stored and server.stored() - stored_before != run.messages:
        raise LoadFailed(f"Of {run.messages} messages {server.stored() - stored_before} are stored.")
    units = run.messages * load.deliveries
    server_seconds, database_seconds = after.server - before.server, after.database - before.database
    others_seconds = after.machine - before.machine - server_seconds - database_seconds - run.generator_seconds
    return Sample(
        server_us=server_seconds / units * 1e6,
        database_us=database_seconds / units * 1e6,
        generator_share=run.generator_seconds / run.seconds,
        yardstick_ms=yardstick,
        others_share=max(others_seconds, 0.0) / run.seconds,
        p50_ms=run.p50_ms,
        p99_ms=run.p99_ms,
    )


@dataclass(frozen=True)
class _Seconds:
    """CPU time used so far."""

    server: float
    database: float
    machine: float

    @classmethod
    def now(cls, server: Running) -> Self:
        """Read the clocks."""
        return cls(
            server=cpu_seconds([server.server]),
            database=cpu_seconds([server.database]) if server.database else 0.0,
            machine=machine_seconds(),
        )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
