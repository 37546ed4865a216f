"""A real server with small bounds, for what only real sockets show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Server, engine

# The test run itself answers pings: it must be in time whatever else its machine does.
BOUNDS = {
    "IMCORE_PING_SECONDS": "0.5",
    "IMCORE_PONG_SECONDS": "3",
    "IMCORE_LOGIN_SECONDS": "6",
    "IMCORE_FRAME_MAX_BYTES": "16384",
    "IMCORE_OUTBOUND_MAX_BYTES": "65536",
    "IMCORE_DRAIN_SECONDS": "0.2",
}


@pytest.fixture(scope="session")
def bounded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with BOUNDS; nothing unforeseen may happen in it."""
    directory: Path = tmp_path_factory.mktemp("bounded-server")
    with engine() as environment:
        server = Server(directory, environment={**environment, **BOUNDS})
        server.start()
        try:
            yield server
        finally:
            server.stop()
        server.assert_untroubled()
