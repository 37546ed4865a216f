"""Waiting for what must happen, with a limit."""

import asyncio
from collections.abc import Callable
from time import monotonic


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Return as soon as a condition holds; fail if that takes too long."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.005)
