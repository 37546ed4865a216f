"""Fixtures of what back ends say and read."""

import pytest

from imcore.identifiers import now_ms
from imcore.models import Application
from tests.conversations.commands.test_systems import service_of

MINUTE_MS = 60_000


@pytest.fixture
async def service(application: Application) -> str:
    """A service conversation."""
    return await service_of(application)


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the minute that rates count in not end; it has just begun, since Redis goes by its own clock."""
    at_ms = now_ms() // MINUTE_MS * MINUTE_MS
    monkeypatch.setattr("imcore.rest.rates.now_ms", lambda: at_ms)
