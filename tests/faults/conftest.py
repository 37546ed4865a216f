"""PostgreSQL and Redis that fault tests may break, and two server processes that share them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.processes import CREDENTIALS, Server
from tests.services import Services, running_services


@dataclass(frozen=True)
class TwoNodes:
    """Two server processes behind nothing but two ports, and what they share."""

    first: Server
    second: Server
    services: Services


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """PostgreSQL and Redis of our own, whatever engine this run uses: the tests stop, crash and empty them."""
    with running_services() as running:
        yield running


@pytest.fixture(scope="module")
def nodes(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """Two nodes, started once for a module."""
    environment = {**CREDENTIALS, **services.environment, "IMCORE_DRAIN_SECONDS": "4"}
    folder = tmp_path_factory.mktemp("nodes")
    first, second = (Server(folder / name, environment=environment) for name in ("first", "second"))
    try:
        for node in (first, second):
            node.launch()
        for node in (first, second):
            node.wait_until_ready()
        yield TwoNodes(first, second, services)
        assert [first.stop(), second.stop()] == [0, 0]
        for node in (first, second):
            # Channels reports a lost Redis with a traceback, Django every 503.
            node.assert_untroubled(expected=["channels_redis.pubsub", "django.request"])
    finally:
        first.kill()
        second.kill()


@pytest.fixture
def two_nodes(nodes: TwoNodes) -> TwoNodes:
    """Two running nodes and their services, put right again if the test before has broken any."""
    nodes.services.postgres.start()
    nodes.services.redis.start()
    for node in (nodes.first, nodes.second):
        if not node.is_running:
            node.start()
        node.wait_until_ready()
    return nodes
