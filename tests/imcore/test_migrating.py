"""Preparing a database that others use, or prepare (docs/deploy.md)."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from imcore import migrating
from tests.processes import Server, fresh_database, wait_for
from tests.services import Services, running_services

pytestmark = pytest.mark.slow

SLOW_MIGRATION = """
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import pre_migrate

def sleep(**_):
    connection.cursor().execute("SELECT pg_sleep(1.5)")

pre_migrate.connect(sleep)
call_command("migrate", "sessions", verbosity=0)
print(connection.cursor().execute("SHOW statement_timeout").fetchone())
"""


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """PostgreSQL of our own, whatever engine this run uses."""
    with running_services() as running:
        yield running


@pytest.fixture
def server(services: Services, tmp_path: Path) -> Iterator[Server]:
    """A server on an empty database, whose statements may take a second. It is not started."""
    with fresh_database(services.postgres.url) as database:
        environment = {"DATABASE_URL": database, "IMCORE_DATABASE_WAIT_SECONDS": "1"}
        server = Server(tmp_path / "server", environment=environment)
        try:
            yield server
        finally:
            server.kill()


def test_a_server_waits_for_another_that_prepares_the_database_as_long_as_it_takes(server: Server) -> None:
    """A new index on a large table may need minutes; no request may."""
    with psycopg.connect(server.environment["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrating.LOCK])
        server.launch()
        patient = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND now() - query_start > '1.5 s'"
        wait_for(lambda: other.execute(patient).fetchone() is not None, server.output)

    server.wait_until_ready()
    assert migrating.WAITING in server.output()
    assert server.stop() == 0


def test_a_migration_may_take_longer_than_a_request(server: Server) -> None:
    """`manage.py migrate` too. What the connection does after it is limited again."""
    assert "('1s',)" in server.manage("shell", "--no-imports", "-c", SLOW_MIGRATION)
