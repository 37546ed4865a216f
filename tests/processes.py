"""Real servers for tests: `manage.py serve` in a process of its own, and what kills, stops and watches it.

server = Server(directory)                            SQLite in `directory`, a free port, known credentials
server = Server(directory, environment=…)             or on the PostgreSQL and Redis that `environment` names
server.start(); server.url; server.ws_url; server.stop(); server.kill(); server.output()

with engine() as environment: …                       a fresh database on the engine of this test run
"""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent
# Two cores may be shared by several suites; a limit only has to be there, and to name what did not come.
START_SECONDS = 90.0
STOP_SECONDS = 60.0
WAIT_SECONDS = 60.0

CREDENTIALS = {
    "IMCORE_APP_ID": "a-journeys-app",
    "IMCORE_APP_KEY": "the-key-of-the-journeys",
    "IMCORE_MASTER_KEY": "the-master-key-of-the-journeys",
    "IMCORE_ADMIN_PASSWORD": "the-password-of-the-journeys",
}
_OWN = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "HOST", "PORT", "LOG_LEVEL", "DEBUG", "SECRET_KEY")
_databases = itertools.count(1)
# 0 is the test run's own, 1 its broker.
_redis_numbers = itertools.cycle(range(2, 16))


class ProcessFailed(AssertionError):
    """A process ended, or did not do what was waited for. The text holds what it printed."""


class Server:
    """One server process at a time, with its data in `directory`, on the same port in all its lives.

    `command` is what starts it (default: `manage.py serve`); it finds its port in PORT.
    """

    def __init__(
        self,
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        working_directory: Path = ROOT,
        port: int | None = None,
    ) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.command = list(command or (sys.executable, "manage.py", "serve"))
        self.environment = {
            **inherited_environment(),
            "IMCORE_DATA_DIR": str(directory / "data"),
            "PORT": str(self.port),
            **(CREDENTIALS if environment is None else environment),
        }
        self._working_directory = working_directory
        self._log = directory / "output"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return what an SDK is given as `server`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Return the WebSocket's URL."""
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def app_id(self) -> str:
        """Return the App ID that the environment fixes."""
        return self.environment["IMCORE_APP_ID"]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Return the running process."""
        assert self._process is not None, "the server was not started"
        return self._process

    @property
    def is_running(self) -> bool:
        """Say whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """Return what the processes of this server have printed, logs included."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def launch(self) -> None:
        """Start the process and return at once."""
        assert self._process is None, "the server runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._working_directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, as a shell gives to what is typed at a terminal.
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the process and return when it can serve; raise ProcessFailed with its output if it cannot."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when /readyz answers 200."""
        deadline = time.monotonic() + START_SECONDS
        while get(f"{self.url}/readyz").status != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                status = self.process.poll()
                self.kill()
                raise ProcessFailed(f"The server did not come up (exit status {status}). It printed:\n{self.output()}")
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit status (negative: the signal it died of)."""
        process = self.process
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessFailed(f"The server did not stop within {STOP_SECONDS} s:\n{self.output()}") from None
        self._process = None
        return status

    def stop(self) -> int:
        """Ask the process to stop (SIGTERM) and return its exit status; do nothing if it is not running."""
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        return self.wait()

    def interrupt(self) -> int:
        """Press Ctrl-C (SIGINT to the whole process group) and return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()

    def kill(self) -> None:
        """End the process group at once (SIGKILL); do nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        # The leader may be gone while its children are not.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def manage(self, *arguments: str) -> str:
        """Run a management command with this server's environment and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self._working_directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ProcessFailed(f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def assert_untroubled(self, *, expected: Sequence[str] = ()) -> None:
        """Assert that nothing unforeseen happened in the server: no traceback, no logged error.

        `expected` names loggers whose errors are no surprise, since the test broke something.
        """
        output = self.output()
        errors = [line for line in output.splitlines() if " ERROR " in line or " CRITICAL " in line]
        unforeseen = [line for line in errors if not any(f" {name}: " in line for name in expected)]
        # A traceback belongs to the error above it, or to nothing.
        if len(unforeseen) == len(errors) or not expected:
            unforeseen += ["Traceback"] if "Traceback" in output else []
        unforeseen += [trouble for trouble in ("never awaited", "never retrieved", "Warning:") if trouble in output]
        assert not unforeseen, f"{unforeseen} in:\n{output}"


class Answer:
    """What an HTTP request brought: status 0 if nobody answered."""

    def __init__(self, status: int, body: bytes = b"", url: str = "") -> None:
        self.status = status
        self.body = body
        self.url = url

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


# What a developer has set as a proxy must not come between.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, opener: urllib.request.OpenerDirector = _direct, data: bytes | None = None, **headers: str) -> Answer:
    """Make a request and return the answer, whatever it is."""
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with opener.open(request, timeout=10) as response:
            return Answer(response.status, response.read(), response.url)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), url)
    except OSError:
        return Answer(0)


def inherited_environment() -> dict[str, str]:
    """Return this process's environment without anything that configures imcore."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _OWN and not name.startswith("IMCORE_") and name != "DJANGO_SETTINGS_MODULE"
    } | {"PYTHONUNBUFFERED": "1"}


@contextmanager
def engine() -> Iterator[dict[str, str]]:
    """Give the environment of a server with fresh data on this run's engine: SQLite, or its PostgreSQL and Redis."""
    if not os.environ.get("DATABASE_URL"):
        yield dict(CREDENTIALS)
        return
    with fresh_database(os.environ["DATABASE_URL"]) as database:
        environment = {**CREDENTIALS, "DATABASE_URL": database}
        if redis_url := os.environ.get("REDIS_URL"):
            environment["REDIS_URL"] = f"{redis_url.rpartition('/')[0]}/{next(_redis_numbers)}"
        yield environment


@contextmanager
def fresh_database(database_url: str) -> Iterator[str]:
    """Make an empty database beside the given one on its PostgreSQL, and drop it afterwards."""
    name = f"imcore_{os.getpid()}_{next(_databases)}"
    _execute(database_url, f'CREATE DATABASE "{name}"')
    try:
        yield f"{database_url.rpartition('/')[0]}/{name}"
    finally:
        _execute(database_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statement.encode())


async def eventually(
    holds: Callable[[], Awaitable[bool]], what: str, *, seconds: float = WAIT_SECONDS, every: float = 0.1
) -> None:
    """Return as soon as `holds` does; fail with `what` if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds} s: {what}")
        await asyncio.sleep(every)


def wait_for(holds: Callable[[], object], what: Callable[[], str], *, seconds: float = WAIT_SECONDS) -> None:
    """Return as soon as `holds` does; fail with what `what` says if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds} s: {what()}")
        time.sleep(0.05)
