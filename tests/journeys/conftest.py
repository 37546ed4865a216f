"""One server process for all journeys, on the engine of this test run."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.journeys.running import FOLDER, FOUR, Sdk, node_program
from tests.processes import Server, engine


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that journeys share; each has clients and conversations of its own. They must not stop it."""
    with engine() as environment:
        running = Server(tmp_path_factory.mktemp("server"), environment=environment)
        try:
            running.start()
            yield running
            assert running.stop() == 0
            running.assert_untroubled()
        finally:
            running.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A running server that a journey may stop and kill."""
    with engine() as environment:
        running = Server(tmp_path / "server", environment={**environment, "IMCORE_DRAIN_SECONDS": "2"})
        try:
            running.start()
            yield running
        finally:
            running.kill()


@pytest.fixture(scope="session")
def application_with(server: Server) -> Callable[..., dict[str, str]]:
    """Name an application of the shared server by its settings: `application_with("roles_enabled=on")`.

    Returns what tells a script to use it. It is made when it is first asked for.
    """

    @cache
    def make(*settings: str) -> dict[str, str]:
        printed = server.manage("create_application", " ".join(settings)[:100])
        credentials = dict(re.findall(r"^(App ID|App Key|Master Key) +(\S+)$", printed, re.MULTILINE))
        server.manage("application_settings", credentials["App ID"], *settings)
        return {
            "IMCORE_APP_ID": credentials["App ID"],
            "IMCORE_APP_KEY": credentials["App Key"],
            "IMCORE_MASTER_KEY": credentials["Master Key"],
        }

    return make


@dataclass(frozen=True)
class Proxy:
    """A proxy in front of a server. `certificate` is the file to trust, where it speaks TLS."""

    port: int
    certificate: Path

    @property
    def address(self) -> str:
        """Return its host and port."""
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def proxy_of(tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    """Put a proxy before a server: `proxy_of(server, tls=True)`."""
    with ExitStack() as running:

        def start(server: Server, *, tls: bool) -> Proxy:
            key, certificate = _certificate(tmp_path) if tls else (Path("-"), Path("-"))
            process = subprocess.Popen(
                [node_program(), str(FOLDER / "proxy.mjs"), str(key), str(certificate), str(server.port)],
                stdout=subprocess.PIPE,
            )
            running.enter_context(process)
            running.callback(process.kill)
            assert process.stdout is not None
            return Proxy(int(process.stdout.readline()), certificate)

        yield start


def over_tls(environment: dict[str, str], sdk: Sdk, proxy: Proxy) -> dict[str, str]:
    """Send what an SDK asks over HTTP through a proxy that speaks TLS: 4.x puts `https://` before everything."""
    server = proxy.address
    trusting = {"NODE_EXTRA_CA_CERTS": str(proxy.certificate)}
    return environment | trusting | {"IMCORE_URL": server if sdk is FOUR else f"https://{server}"}


def through(proxy: Proxy) -> dict[str, str]:
    """Name a way to the server that the journey can break."""
    return {"PROXY": proxy.address}


def _certificate(directory: Path) -> tuple[Path, Path]:
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate
