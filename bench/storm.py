"""The reconnect storm: everybody comes back within seconds, and stays.

In each round, clients sign in on a server that has just started, and what a connection holds in memory is read when all
are idle. Then they come back with their tokens, and what that costs is measured.
"""

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg

from bench import contestants as names
from bench.clients.returning import Client, Crowd
from bench.contestants import Running, started
from bench.generator import LoadFailed, Run, own_seconds
from bench.measuring import Case, Effort, Results, measure
from bench.processes import memory_kib, on_core, wait_until_idle
from tests.services import Postgres

WARM_UP_CLIENTS = 50
UNREAD_CONVERSATIONS = 3  # of each client's ten (crowding.py)
# For what a server remembers of an opening for a few seconds to be gone (imcore/gateway/opening.py).
SETTLE_SECONDS = 6.0


@dataclass(frozen=True)
class Storm:
    """How many clients come back, over how many seconds, and how often that is measured."""

    clients: int
    seconds: float
    rounds: int


FULL = Storm(clients=5000, seconds=10.0, rounds=3)
QUICK = Storm(clients=200, seconds=0.5, rounds=1)


@dataclass(frozen=True)
class Footprint:
    """What there is to say beside CPU time: statements of one opening, as the database counts them, and memory of one
    idle connection, in KiB."""

    statements: float
    connection_kib: float


Footprints = dict[Case, list[Footprint]]


class Waves:
    """Clients that come again and again, all of them in each run, and go when the next run is prepared."""

    deliveries = 1
    is_stored = False

    def __init__(self, port: int, clients: list[Client]) -> None:
        self._port = port
        self._clients = clients
        self._crowd: Crowd | None = None
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.prepare()
        self._runner.close()

    def prepare(self) -> None:
        """Let all go."""
        if self._crowd is not None:
            self._runner.run(self._crowd.go())
            self._crowd = None

    def run(self, seconds: float) -> Run:
        """Let all come, evenly over some seconds, and see that they were told of what is unread."""
        self._crowd = Crowd()
        began_at, before = time.monotonic(), own_seconds()
        with on_core(1):
            self._runner.run(self._come(self._crowd, seconds))
        self.check()
        percentiles = statistics.quantiles(self._crowd.waits_ms, n=100)
        return Run(
            messages=len(self._crowd.waits_ms),
            seconds=time.monotonic() - began_at,
            generator_seconds=own_seconds() - before,
            p50_ms=percentiles[49],
            p99_ms=percentiles[98],
        )

    async def _come(self, crowd: Crowd, seconds: float) -> None:
        await crowd.come(self._port, self._clients, seconds=seconds)

    def check(self) -> None:
        """Raise LoadFailed unless everybody was told what it should be."""
        wrong = [client for client in self._clients if client.unread != UNREAD_CONVERSATIONS]
        if wrong:
            raise LoadFailed(f"{len(wrong)} clients were told something else than is unread, e.g. {wrong[0]}.")


def returning(port: int, count: int) -> Waves:
    """Let the clients come whose conversations are in the server's database."""
    return Waves(port, [Client(f"client-{number}") for number in range(count)])


class Connections(Waves):
    """The same many connections, to a server that says nothing."""

    async def _come(self, crowd: Crowd, seconds: float) -> None:
        await crowd.connect(self._port, len(self._clients), seconds=seconds)

    def check(self) -> None:
        """Nobody is told anything."""


def run(storm: Storm, *, postgres: Postgres) -> tuple[Results, Footprints]:
    """Measure imcore and the bare ASGI app, round by round; tell progress on stderr."""
    _count_statements(postgres)
    results: Results = {}
    footprints: Footprints = {}
    effort = Effort(1, 1, 0.0, warm_up_seconds=storm.seconds, seconds=storm.seconds)
    for number in range(storm.rounds):
        for contestant, name, kind in (
            (names.RETURNING, names.IMCORE, Waves),
            (names.CONNECTIONS, names.BARE_CONNECTIONS, Connections),
        ):
            case = Case(name, contestant.database, storm.clients)
            with started(contestant, postgres=postgres, size=storm.clients) as server:
                clients = [Client(f"client-{number}") for number in range(storm.clients)]
                with kind(server.port, clients[:WARM_UP_CLIENTS]) as few:
                    few.run(1.0)
                wait_until_idle(server.roots)
                base_kib = memory_kib(server.server)
                with kind(server.port, clients) as waves:
                    waves.run(storm.seconds)
                    time.sleep(SETTLE_SECONDS)
                    connection_kib = (memory_kib(server.server) - base_kib) / storm.clients
                    before = _statements(server)
                    sample = measure(waves, server, effort)
                    statements = (_statements(server) - before) / (2 * storm.clients)  # warmed up, and measured
            results.setdefault(case, []).append(sample)
            footprints.setdefault(case, []).append(Footprint(statements, connection_kib))
            print(
                f"round {number + 1}: {name}: {sample.cpu_us:.0f} us CPU, {connection_kib:.1f} KiB, "
                f"{statements:.1f} statements",
                file=sys.stderr,
                flush=True,
            )
    return results, footprints


def _count_statements(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    with on_core(0):
        postgres.restart()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        # BEGIN and COMMIT are no questions.
        connection.execute("ALTER SYSTEM SET pg_stat_statements.track_utility = off")
        connection.execute("SELECT pg_reload_conf()")


def _statements(server: Running) -> int:
    """Return how many statements the server's database has run so far."""
    if server.database is None:
        return 0
    with psycopg.connect(server.environment["DATABASE_URL"].rpartition("/")[0] + "/imcore") as connection:
        row = connection.execute(
            "SELECT COALESCE(SUM(calls), 0) FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid "
            "WHERE d.datname = 'bench'"
        ).fetchone()
        return int(row[0]) if row else 0
