"""Who takes part: how each server is started, and which loads it is put under."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psycopg

from bench.clients import broadcasting, calling, orm, ours, rooms
from bench.generator import Drivable
from bench.processes import free_port, on_core, running
from tests.conversations.storage.crowd import CALLER, FORMS
from tests.services import Postgres, running_services

ROOT = Path(__file__).resolve().parent.parent
NODE_MODULES = ROOT / "bench" / "node_modules"
MOSQUITTO_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
"""
# What a developer's shell may hold and no server here shall inherit.
FOREIGN = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "SECRET_KEY", "DEBUG", "HOST", "PORT", "LOG_LEVEL")

Connect = Callable[[int, int], AbstractContextManager[Drivable]]


@dataclass(frozen=True)
class Contestant:
    """One server and the loads it is put under, by the names of the table's rows."""

    command: Callable[[int, Path], Sequence[str]]
    loads: Mapping[str, Connect]
    needs: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    message_table: str = ""
    # What is in its database at the beginning, of the size of the load: a command of crowding.py.
    crowd: str = ""


@dataclass(frozen=True)
class Running:
    """A server that runs, and the roots of the process trees that work for it."""

    port: int
    server: int
    database: int | None
    stored: Callable[[], int]
    environment: Mapping[str, str]

    @property
    def roots(self) -> list[int]:
        """Return the roots of all its processes."""
        return [self.server] if self.database is None else [self.server, self.database]


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL of our own, on the servers' core, for the length of the block."""
    with ExitStack() as running:
        with on_core(0):
            services = running.enter_context(running_services())
        yield services.postgres


@contextmanager
def started(
    contestant: Contestant, *, postgres: Postgres | None, size: int = 0, profile_into: Path | None = None
) -> Iterator[Running]:
    """Run a contestant's server for the length of the block, under cProfile if asked to.

    Its database is empty, or of the given size if it wants a crowd.
    """
    with tempfile.TemporaryDirectory(prefix="imcore-bench-") as name, _database(contestant, Path(name), postgres) as it:
        url, stored = it
        port = free_port()
        environment = {
            **{name: text for name, text in os.environ.items() if name not in FOREIGN and "IMCORE" not in name},
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "imcore.settings",
            "IMCORE_DATA_DIR": name,
            **({"DATABASE_URL": url} if url else {}),
            **contestant.environment,
        }
        command = list(contestant.command(port, Path(name)))
        if profile_into is not None:
            command[1:1] = ["-m", "cProfile", "-o", str(profile_into.resolve())]
        with running(command, directory=Path(name), port=port, environment=environment) as pid:
            needs_postgres = contestant.database == "PostgreSQL"
            if contestant.crowd:
                crowding(environment, contestant.crowd, str(size))
            yield Running(
                port=port,
                server=pid,
                database=_postmaster(postgres) if needs_postgres and postgres else None,
                stored=stored,
                environment=environment,
            )


def crowding(environment: Mapping[str, str], *arguments: str) -> str:
    """Run crowding.py beside a server, on its database; return what it prints."""
    command = [sys.executable, "-m", "bench.crowding", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def _database(
    contestant: Contestant, directory: Path, postgres: Postgres | None
) -> Iterator[tuple[str, Callable[[], int]]]:
    """Make an empty database; give its URL ("" for the server's own default) and a count of the messages in it."""
    count = f"SELECT count(*) FROM {contestant.message_table}"
    if contestant.database != "PostgreSQL":
        yield "", lambda: int(sqlite3.connect(directory / "imcore.sqlite3").execute(count).fetchone()[0])
        return
    assert postgres is not None
    maintenance = postgres.url
    url = f"{maintenance.rpartition('/')[0]}/bench"

    def stored() -> int:
        with psycopg.connect(url) as connection:
            row = connection.execute(count).fetchone()
            return int(row[0]) if row else 0

    # A database of one's own, gone afterwards: or autovacuum would work on one contestant's in another's time.
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench")
        connection.execute("CHECKPOINT")
        try:
            yield url, stored
        finally:
            connection.execute("DROP DATABASE bench WITH (FORCE)")


def _postmaster(postgres: Postgres) -> int:
    return int((postgres.data / "postmaster.pid").read_text().split()[0])


def _mosquitto(port: int, directory: Path) -> list[str]:
    configuration = directory / "mosquitto.conf"
    configuration.write_text(MOSQUITTO_CONFIGURATION.format(port=port))
    return [program("mosquitto") or "mosquitto", "-c", str(configuration)]


def program(name: str) -> str | None:
    # Debian keeps servers in sbin, which is not on every user's PATH.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _python(*arguments: str) -> Callable[[int, Path], list[str]]:
    return lambda port, directory: [sys.executable, *arguments, str(port)]


OURS_ENVIRONMENT = {
    "IMCORE_APP_ID": ours.APP_ID,
    "IMCORE_APP_KEY": ours.APP_KEY,
    "IMCORE_MASTER_KEY": ours.MASTER_KEY,
}


def imcore(database: str, loads: Mapping[str, Connect]) -> Contestant:
    """Return imcore on a database, under these loads."""
    return Contestant(
        command=lambda port, directory: [sys.executable, str(ROOT / "manage.py"), "serve", "--quiet"],
        environment=OURS_ENVIRONMENT,
        loads=loads,
        database=database,
        message_table="messaging_message",
    )


def _orm(database: str) -> Contestant:
    return Contestant(
        command=_python("-m", "bench.servers.orm"),
        environment={"DJANGO_SETTINGS_MODULE": "bench.servers.orm.settings"},
        loads={ORM: orm.pairs},
        database=database,
        message_table="orm_message",
    )


TRANSIENT = "imcore, transient messages"
STORED = "imcore, stored on SQLite"
BARE = "bare ASGI app, same uvicorn"
TUTORIAL = "Channels tutorial chat, daphne"
SOCKET_IO = "socket.io"
MOSQUITTO = "Mosquitto, QoS 0"
IMCORE = "imcore"
ORM = "one ORM transaction per message"
NOTHING = "imcore, a request that does nothing"
VIEW = "a plain Django view, one ORM transaction"
JOIN = "join"
LEAVE = "leave"
BARE_CONNECTIONS = "bare ASGI app, connections alone"

FANOUT = (
    imcore(
        "SQLite",
        {TRANSIENT: partial(ours.fanout, transient=True), STORED: partial(ours.fanout, transient=False)},
    ),
    Contestant(command=_python("-m", "bench.servers.bare"), loads={BARE: rooms.bare}),
    Contestant(
        command=lambda port, directory: [
            *(sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port)),
            *("-v", "0", "bench.servers.tutorial:application"),
        ],
        loads={TUTORIAL: rooms.tutorial_chat},
    ),
    Contestant(
        command=_mosquitto,
        loads={MOSQUITTO: rooms.mqtt},
        needs=lambda: program("mosquitto") is not None,
    ),
    Contestant(
        command=lambda port, directory: ["node", str(ROOT / "bench/servers/socketio.js"), str(port)],
        loads={SOCKET_IO: rooms.socket_io},
        needs=lambda: program("node") is not None and NODE_MODULES.is_dir(),
    ),
)
ONE_TO_ONE = tuple(
    make(database)
    for database in ("SQLite", "PostgreSQL")
    for make in (lambda database: imcore(database, {IMCORE: ours.pairs}), _orm)
)
ROOMS = (
    imcore(
        "SQLite",
        {
            TRANSIENT: partial(ours.room, transient=True),
            STORED: partial(ours.room, transient=False),
        },
    ),
    # One more speaks, as in ours.
    Contestant(
        command=_python("-m", "bench.servers.bare"), loads={BARE: lambda port, size: rooms.bare(port, size + 1)}
    ),
)
CROSSINGS = (
    imcore(
        "SQLite",
        {JOIN: partial(ours.crossing, is_leaving=False), LEAVE: partial(ours.crossing, is_leaving=True)},
    ),
)
QUERIES = replace(
    imcore(
        "PostgreSQL",
        {name: partial(ours.query, client_id=CALLER, where=form.where, sort=form.sort) for name, form in FORMS.items()},
    ),
    crowd="fill",
)
CALLS = (
    replace(
        imcore("PostgreSQL", {IMCORE: calling.sends, NOTHING: calling.nothing}),
        # Nobody is told to come again in a minute.
        crowd="unlimited",
    ),
    replace(
        _orm("PostgreSQL"),
        loads={VIEW: calling.views},
        environment={"DJANGO_SETTINGS_MODULE": "bench.servers.orm.settings", "BENCH_HTTP": "1"},
    ),
)
DEPTHS = {"newest": 0.0, "middle": 0.5, "oldest": 1.0}
PAGES = replace(
    imcore("PostgreSQL", {name: partial(calling.pages, depth=depth) for name, depth in DEPTHS.items()}),
    crowd="history",
)
ONLINE = {"2000 on line": 2000, "200 on line": 200}
BROADCASTS = replace(
    imcore("PostgreSQL", {name: partial(broadcasting.broadcasts, online=online) for name, online in ONLINE.items()}),
    message_table="messaging_servicemessage",
    crowd="known",
)
# How they are put under load is storm.py's.
RETURNING = replace(imcore("PostgreSQL", {}), crowd="inboxes")
CONNECTIONS = Contestant(command=_python("-m", "bench.servers.bare"), loads={})
