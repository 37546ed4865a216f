"""Commands that take too long, found by one clock for all of them.

A timer per command would cost as much as the rest of dispatching it. Instead commands under way are kept in the order
they began, and a task looks at the oldest every WATCH_SECONDS.
"""

import asyncio
import time
from typing import Protocol

from django.conf import settings

WATCH_SECONDS = 0.25


class Runner(Protocol):
    """What runs one command at a time: its task, and whether that was cancelled for taking too long."""

    worker: asyncio.Task[None] | None
    is_overdue: bool


_under_way: dict[Runner, float] = {}


def begin(runner: Runner) -> None:
    """Note that a command begins."""
    _under_way[runner] = time.monotonic()


def end(runner: Runner) -> None:
    """Note that it has ended."""
    del _under_way[runner]


async def watch() -> None:
    """Cancel what has been under way for over COMMAND_SECONDS, for ever."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        limit = time.monotonic() - settings.COMMAND_SECONDS
        for runner, began in list(_under_way.items()):
            if began > limit:
                break
            if runner.worker is not None and not runner.is_overdue:
                runner.is_overdue = True
                runner.worker.cancel()
