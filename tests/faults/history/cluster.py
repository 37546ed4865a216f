"""The servers of a run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.history.clock import Clock
from tests.processes import CREDENTIALS, Server
from tests.services import Services


@dataclass(frozen=True)
class Cluster:
    """One server or two, what two of them share, and the clock of the first if it has one of its own."""

    nodes: Sequence[Server]
    services: Services | None = None
    clock: Clock | None = None


@contextmanager
def running_cluster(directory: Path, services: Services | None, *, has_clock: bool) -> Iterator[Cluster]:
    """Start one server on SQLite, or two on these services; the first goes by a clock of its own if it is to."""
    directory.mkdir(parents=True, exist_ok=True)
    clock = Clock(directory) if has_clock else None
    shared = {**CREDENTIALS, "IMCORE_DRAIN_SECONDS": "2", **(services.environment if services else {})}
    nodes = [
        Server(
            directory / f"node-{number}",
            environment={**shared, **(clock.environment if clock is not None and number == 0 else {})},
        )
        for number in range(2 if services else 1)
    ]
    with ExitStack() as running:
        for node in nodes:
            running.callback(node.kill)
            node.launch()
        for node in nodes:
            node.wait_until_ready()
        yield Cluster(nodes, services, clock)
