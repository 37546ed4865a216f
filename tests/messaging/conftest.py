"""Fixtures of tests of messages."""

from collections.abc import Iterator
from typing import Any

import pytest

from imcore import bridge
from messaging.services import sending
from tests.messaging.gate import Gate

# What the applications' refresher asks once a second, whatever is sent.
NOT_OURS = {"_versions", "_load"}


@pytest.fixture
def store_gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate before the message store, open until the test closes it."""
    gate = Gate()
    monkeypatch.setattr(sending, "in_database", gate.in_database)
    monkeypatch.setattr(sending._batcher, "submit", gate.submit(sending._batcher.submit))
    yield gate
    gate.open()


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The storage functions that were run in the database, by name."""
    names: list[str] = []
    run = bridge._unit_of_work

    def recorded(work: Any) -> Any:
        if work.func.__name__ not in NOT_OURS:
            names.append(work.func.__name__)
        return run(work)

    monkeypatch.setattr(bridge, "_unit_of_work", recorded)
    return names
