"""What runs beside the connections, and what is waited for when it stops."""

import asyncio

import pytest

from imcore.gateway import lifecycle, registry


async def test_a_process_that_stops_waits_for_what_ended_sessions_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on afterwards, as if nothing had been."""
    written = []

    async def write() -> None:
        await asyncio.sleep(0)
        written.append("a seat")

    monkeypatch.setattr(registry, "_before_stop", [write])

    await lifecycle.stop()
    await lifecycle.ensure_started()

    assert written == ["a seat"]


async def test_a_process_that_stops_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database may be away."""
    ended = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    monkeypatch.setattr(registry, "_before_stop", [never])
    monkeypatch.setattr(lifecycle, "LAST_WORDS_SECONDS", 0.01)

    await lifecycle.stop()
    await lifecycle.ensure_started()

    assert ended == [True]
