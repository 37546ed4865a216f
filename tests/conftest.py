"""Fixtures. Each test has its own application, so tests need not clean up after each other."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
from django.db import connections
from django.test.utils import setup_databases, teardown_databases
from pytest_django.plugin import DjangoDbBlocker

from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_database
from imcore.gateway import lifecycle
from imcore.models import Application
from messaging.models import MessagingSettings
from tests.imclient import ImClient, InProcess, Wire, sign_in

_numbers = itertools.count(1)

SignIn = Callable[..., Awaitable[ImClient]]


@pytest.fixture(scope="session", autouse=True)
def database(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Make a test database that every test may use, from any thread.

    Nothing is rolled back, since what a test does happens on other threads; data belong to the test's application.
    """
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
        yield
        close_pools()
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session", autouse=True)
async def node_of_this_process(database: None) -> AsyncIterator[None]:
    """Run what a server runs beside its connections."""
    await lifecycle.ensure_started()
    yield
    await lifecycle.stop()


def close_pools() -> None:
    """Give the test database's connections back, so that it can be dropped."""
    connections.close_all()
    for connection in connections.all():
        if connection.vendor == "postgresql":
            cast(Any, connection).close_pool()


@pytest.fixture
def application() -> Application:
    """A new application."""
    return Application.objects.create(name=f"application {next(_numbers)}")


@pytest.fixture
async def snapshot(application: Application) -> ApplicationSnapshot:
    """The application as servers see it."""
    found = await applications.get(application.app_id)
    assert found is not None
    return found


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[InProcess]]]:
    """Open WebSockets into this process; they are closed after the test."""
    wires: list[InProcess] = []

    async def open_wire(*args: Any, **options: Any) -> InProcess:
        wire = await InProcess.connect(*args, **options)
        wires.append(wire)
        return wire

    yield open_wire
    await asyncio.gather(*(wire.close() for wire in wires), return_exceptions=True)


@pytest.fixture
def signed_in(application: Application, connect: Callable[..., Awaitable[InProcess]]) -> SignIn:
    """Sign clients of the test's application in, each on a connection of its own unless given one."""

    async def sign(client_id: str, *, wire: Wire | None = None, **session: Any) -> ImClient:
        return await sign_in(wire or await connect(), application.app_id, client_id, **session)

    return sign


@pytest.fixture
def obey_settings(application: Application) -> Callable[..., Awaitable[None]]:
    """Change settings of the test's application, and make this process obey at once."""

    async def change(model: Any, **values: Any) -> None:
        await in_database(lambda: model.objects.update_or_create(application=application, defaults=values))
        await applications.refresh()

    return change


@pytest.fixture
async def patches_enabled(obey_settings: Callable[..., Awaitable[None]]) -> None:
    """The test's application lets authors edit and recall."""
    await obey_settings(MessagingSettings, edit_enabled=True, recall_enabled=True)
