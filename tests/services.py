"""PostgreSQL and Redis of our own, for tests and benchmarks: private ports, temporary data, gone afterwards.

    with running_services() as services:
        services.environment        DATABASE_URL, REDIS_URL, CELERY_BROKER_URL
        services.redis.restart()    each one can be stopped, crashed, started again; its port stays the same

    python tests/services.py run -- COMMAND…        run COMMAND with that environment
    python tests/services.py install PACKAGE…       install the Debian packages whose program is missing

Servers that already run on this machine are neither used nor touched. Standard library only.
"""

import argparse
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
START_SECONDS = 60
STOP_SECONDS = 30


class ServiceError(Exception):
    """A program is missing, or a server did not start."""


class Service(ABC):
    """One server process with its data in `directory`, on the same port of 127.0.0.1 for all its lives."""

    stop_signal = signal.SIGTERM
    crash_signal = signal.SIGKILL

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory / "log"
        self.user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that starts the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether clients can use the server now."""

    def start(self) -> None:
        """Start the server and return when it answers; raise ServiceError with its log's end if it does not.

        Do nothing if it is running already.
        """
        if self._process is not None and self._process.poll() is None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                # Ctrl-C must reach the tests first: they still talk to the server while they stop.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.crash()
                last_lines = self.log.read_text(errors="replace").splitlines()[-20:]
                raise ServiceError("\n".join([f"{self.command[0]} did not start:", *last_lines]))
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server in good order, by force if it takes too long; do nothing if it is not running."""
        self._end(self.stop_signal)

    def crash(self) -> None:
        """End the server at once, as a fault would; do nothing if it is not running."""
        self._end(self.crash_signal)

    def restart(self) -> None:
        """Stop the server and start it again on the same port."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Postgres(Service):
    """A PostgreSQL cluster with its own defaults (fsync is on) and one superuser, `imcore`."""

    # "Fast": do not wait for clients to leave.
    stop_signal = signal.SIGINT
    # "Immediate": recovers at the next start. SIGKILL would leave children behind, which block that start.
    crash_signal = signal.SIGQUIT

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.programs = postgres_programs()
        self.data = directory / "data"
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root. Debian's package makes this user.
            self.user = "postgres"
            shutil.chown(directory, self.user, self.user)
        # The environment's locale is often unset in a container, which would make the cluster SQL_ASCII.
        locale = ("--encoding=UTF8", "--locale=C.UTF-8")
        self._call("initdb", "--pgdata", str(self.data), "--username=imcore", "--auth=trust", *locale)

    @property
    def url(self) -> str:
        """Return the DATABASE_URL."""
        return f"postgresql://imcore@127.0.0.1:{self.port}/imcore"

    @property
    def command(self) -> list[str]:
        """Return the command that starts the cluster."""
        return [
            str(self.programs / "postgres"),
            *("-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.directory)),
        ]

    def answers(self) -> bool:
        """Say whether the cluster accepts connections; an open port is not enough while it recovers."""
        ready = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def create_database(self, name: str) -> None:
        """Create an empty database called `name`."""
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "imcore", name)

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"{program} failed:\n{done.stdout}")


class Redis(Service):
    """A Redis that writes nothing to disk: a restart loses all it held, which imcore must survive."""

    @property
    def url(self) -> str:
        """Return the REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def broker_url(self) -> str:
        """Return the CELERY_BROKER_URL: another database of the same server."""
        return f"redis://127.0.0.1:{self.port}/1"

    @property
    def command(self) -> list[str]:
        """Return the command that starts Redis without a configuration file."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no"}
        return [redis_program(), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def answers(self) -> bool:
        """Say whether Redis answers a PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


@dataclass(frozen=True)
class Services:
    """The running servers."""

    postgres: Postgres
    redis: Redis

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that point imcore at these servers."""
        return {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": self.redis.broker_url,
        }


@contextmanager
def running_services() -> Iterator[Services]:
    """Run PostgreSQL and Redis for the length of the block; raise ServiceError if one does not start."""
    with tempfile.TemporaryDirectory(prefix="imcore-") as name, ExitStack() as running:
        home = Path(name)
        home.chmod(0o755)  # the user postgres must pass through
        redis = Redis(_made(home / "redis"))
        postgres = Postgres(_made(home / "postgres"))
        for service in (redis, postgres):
            running.callback(service.stop)
            service.start()
        postgres.create_database("imcore")
        yield Services(postgres=postgres, redis=redis)


def postgres_programs() -> Path:
    """Return the directory of PostgreSQL's programs: Debian's newest, else the one on the PATH."""
    # Debian first: a lone or foreign `postgres` on the PATH need not fit the other programs.
    versions = [path.parent for path in DEBIAN_POSTGRES.glob("*/bin/initdb") if path.parts[-3].isdigit()]
    if versions:
        return max(versions, key=lambda programs: int(programs.parent.name))
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise ServiceError("PostgreSQL is missing: install the package `postgresql`.")


def redis_program() -> str:
    """Return the path of Redis's server."""
    if found := shutil.which("redis-server"):
        return found
    raise ServiceError("Redis is missing: install the package `redis-server`.")


def free_port() -> int:
    """Return a port nobody listens on.

    It lies below the range the kernel picks client ports from (32768 and up): while a server is down in a
    fault test, a reconnecting client could otherwise be given that very port, connect to itself and hold it.
    """
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServiceError("No free port between 20000 and 32000.")


def run(command: Sequence[str]) -> int:
    """Run `command` beside fresh services, stop them whatever ends it, and return its exit status."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda number, _frame: sys.exit(128 + number))
    with running_services() as services:
        print(f"PostgreSQL on port {services.postgres.port}, Redis on port {services.redis.port}", flush=True)
        process = subprocess.Popen(command, env={**os.environ, **services.environment})
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # The terminal has sent Ctrl-C to the command too: give it time to finish by itself.
            status = _wait_or_kill(process)
        except SystemExit:
            process.terminate()
            _wait_or_kill(process)
            raise
        finally:
            # An impatient second Ctrl-C must not leave servers behind.
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(name, signal.SIG_IGN)
    return status if status >= 0 else 128 - status


def install(packages: Sequence[str]) -> None:
    """Install the Debian packages that are missing, by their programs; raise ServiceError with advice if we may not."""
    missing = [package for package in packages if not _is_installed(package)]
    if not missing:
        return
    words = " ".join(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServiceError(f"Missing: {words}. Install them first, on Debian with: apt-get install {words}")
    print(f"Installing {words} with apt-get", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
        if subprocess.run(["apt-get", *arguments], env=environment, check=False).returncode:
            raise ServiceError(f"apt-get {arguments[0]} failed")


def _is_installed(package: str) -> bool:
    if package == "postgresql":
        try:
            postgres_programs()
        except ServiceError:
            return False
        # As root we run it as the user that Debian's package makes.
        return os.geteuid() != 0 or _user_exists("postgres")
    if package == "libc6-dev":
        return Path("/usr/include/stdio.h").exists()
    # Debian keeps servers in sbin, which is not on every user's PATH.
    return shutil.which(package, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _wait_or_kill(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        return process.wait()


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="PostgreSQL and Redis for tests and benchmarks.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("run", help="run a command beside them").add_argument("command", nargs="+")
    actions.add_parser("install", help="install missing Debian packages").add_argument("packages", nargs="+")
    arguments = parser.parse_args()
    try:
        if arguments.action == "run":
            return run(arguments.command)
        install(arguments.packages)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
