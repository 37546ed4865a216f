"""A gate before the message store: while it is closed, sends pile up, so a test decides what comes into one batch."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from imcore.bridge import in_database
from messaging.storage.messages import Draft, Refused, Stored

SECONDS = 5.0

Submit = Callable[[Draft], Coroutine[Any, Any, Stored | Refused]]


class Gate:
    """Stands where `sending` crosses into the database. `batches` are the sizes of what was let through or waits."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._submitted = 0
        self._arrival = asyncio.Event()

    def close(self) -> None:
        """Let no batch through from now on."""
        self._is_open.clear()
        self._submitted = 0
        self.batches.clear()

    def open(self) -> None:
        """Let through what waits and what comes."""
        self._is_open.set()

    async def holds(self, sends: int) -> None:
        """Wait until so many sends have come since the gate was closed."""
        async with asyncio.timeout(SECONDS):
            while self._submitted < sends:
                self._arrival.clear()
                await self._arrival.wait()

    def submit(self, submit: Submit) -> Submit:
        """Return the batcher's `submit`, counted."""

        async def counted(draft: Draft) -> Stored | Refused:
            answer = asyncio.ensure_future(submit(draft))
            # Its first step puts the draft into the batcher's queue.
            await asyncio.sleep(0)
            self._submitted += 1
            self._arrival.set()
            return await answer

        return counted

    async def in_database(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Stand in for the bridge."""
        self.batches.append(len(args[0]))
        async with asyncio.timeout(SECONDS):
            await self._is_open.wait()
        return await in_database(work, *args, **kwargs)


async def together(gate: Gate, *sends: Awaitable[Any]) -> list[Any]:
    """Run sends so that the first makes a batch of its own and all others make the next one, in this order."""
    gate.close()
    answers = []
    for number, send in enumerate(sends, 1):
        answers.append(asyncio.ensure_future(send))
        await gate.holds(number)
    gate.open()
    return list(await asyncio.gather(*answers))
