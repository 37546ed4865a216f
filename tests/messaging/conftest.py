"""Fixtures of tests of messages."""

from collections.abc import Iterator

import pytest

from messaging.services import sending
from tests.messaging.gate import Gate


@pytest.fixture
def store_gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate before the message store, open until the test closes it."""
    gate = Gate()
    monkeypatch.setattr(sending, "in_database", gate.in_database)
    monkeypatch.setattr(sending._batcher, "submit", gate.submit(sending._batcher.submit))
    yield gate
    gate.open()
