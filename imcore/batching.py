"""Gather waiting calls, run them as one, answer each.

The one place that waits in order to gather. A batch starts at once when the batcher is idle; what arrives while a
batch is in flight forms the next one. So a lone caller waits for nothing, and under load the cost of a transaction is
shared by up to `size` callers. Order is the order of `submit`, within and across batches.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from imcore.errors import ImError, SendTimeout

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Merges concurrent `submit` calls into calls of `run`, which gets the items and returns a result for each.

    If `run` raises an ImError, every item of the batch gets it: that is how `run` says that trying again is no use,
    for instance when the database is away. If it raises anything else, the batch is tried once more item by item, so
    that one bad item fails alone; `run` must therefore bear to see an item twice. At most `backlog` items wait; more
    are refused with SendTimeout.
    """

    def __init__(
        self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, size: int, backlog: int, name: str
    ) -> None:
        self._run = run
        self._size = size
        self._backlog = backlog
        self._name = name
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the result of `item`, once the batch it went into is done."""
        if len(self._waiting) >= self._backlog:
            raise SendTimeout("The server is overloaded.")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name=self._name)
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
                await self._run_batch(batch)
        finally:
            # No await stands between the last look at `_waiting` and this line, so no item can be left behind.
            self._worker = None

    async def _run_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
            answered = list(zip(batch, results, strict=True))
        except Exception as error:
            if len(batch) == 1 or isinstance(error, ImError):
                for _, answer in batch:
                    _fail(answer, error)
                return
            logger.warning(
                "%s: a batch of %d failed; trying its items one by one", self._name, len(batch), exc_info=True
            )
            for single in batch:
                await self._run_batch([single])
            return
        for (_, answer), result in answered:
            # A caller that stopped waiting has cancelled its future.
            if not answer.done():
                answer.set_result(result)


def _fail(answer: "asyncio.Future[Result]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
