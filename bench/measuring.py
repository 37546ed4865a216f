"""Rounds: every contestant in each, in turn; medians over the rounds."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.contestants import Contestant, Running, started
from bench.generator import Load, LoadFailed
from bench.processes import cpu_seconds, wait_until_idle
from tests.services import Postgres


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    warm_up_seconds: float
    seconds: float


FULL = Effort(rounds=3, warm_up_seconds=1.0, seconds=4.0)
QUICK = Effort(rounds=1, warm_up_seconds=0.2, seconds=0.5)


@dataclass(frozen=True)
class Case:
    """A row of a table."""

    name: str
    database: str
    size: int  # members of the room, or messages in flight


@dataclass(frozen=True)
class Sample:
    """One measurement; the unit is a delivery or a message."""

    server_us: float
    database_us: float
    generator_share: float
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
    for number in range(effort.rounds):
        # Every other round backwards, so that whatever drifts on the machine favours nobody.
        for contestant in contestants[:: -1 if number % 2 else 1]:
            if not contestant.needs():
                _tell(f"{', '.join(contestant.loads)}: not installed, left out")
                continue
            with started(contestant, postgres=postgres) as server:
                for case, sample in _samples(contestant, server, sizes, effort):
                    results.setdefault(case, []).append(sample)
                    where = f" on {case.database}" if case.database else ""
                    _tell(f"round {number + 1}: {case.name}{where}, {case.size}: {sample.cpu_us:.1f} us")
    return results


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each of the values."""
    return Sample(
        **{
            name: statistics.median(getattr(sample, name) for sample in samples)
            for name in ("server_us", "database_us", "generator_share", "p50_ms", "p99_ms")
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


def measure(load: Load, server: Running, effort: Effort) -> Sample:
    """Warm a connected load up, measure it, and see that what was to be stored was."""
    wait_until_idle(server.roots)
    load.run(effort.warm_up_seconds)
    stored_before = server.stored() if load.is_stored else 0
    server_before, database_before = _seconds(server)
    run = load.run(effort.seconds)
    server_after, database_after = _seconds(server)
    if load.is_stored and server.stored() - stored_before != run.messages:
        raise LoadFailed(f"Of {run.messages} messages {server.stored() - stored_before} are stored.")
    units = run.messages * load.deliveries
    return Sample(
        server_us=(server_after - server_before) / units * 1e6,
        database_us=(database_after - database_before) / units * 1e6,
        generator_share=run.generator_seconds / run.seconds,
        p50_ms=run.p50_ms,
        p99_ms=run.p99_ms,
    )


def _seconds(server: Running) -> tuple[float, float]:
    return cpu_seconds([server.server]), cpu_seconds([server.database]) if server.database else 0.0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
