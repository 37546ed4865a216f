"""Batcher: many calls, one run."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from imcore.batching import Batcher
from imcore.errors import ConversationFull, ImError, SendTimeout


class Recorder:
    """A `run` that keeps the batches it was given, and can be held at its gate."""

    def __init__(self, answer: Callable[[Sequence[int]], Sequence[int]] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._answer = answer or (lambda items: [item * 10 for item in items])

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        """Take a batch."""
        self.batches.append(list(items))
        await self.gate.wait()
        return self._answer(items)


def batcher(run: Recorder, *, size: int = 3, backlog: int = 100) -> Batcher[int, int]:
    """Make a batcher."""
    return Batcher(run, size=size, backlog=backlog, name="test")


async def submitted(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    """Submit items in this order, and return when all are waiting or running."""
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_a_lone_call_runs_at_once_and_alone() -> None:
    """Nobody waits for company."""
    run = Recorder()

    assert await batcher(run).submit(1) == 10

    assert run.batches == [[1]]


async def test_what_comes_while_a_batch_runs_makes_the_next_ones_in_order() -> None:
    """At most `size` go together; each caller gets its own result."""
    run = Recorder()
    run.gate.clear()
    shared = batcher(run)
    first = await submitted(shared, 1)
    rest = await submitted(shared, 2, 3, 4, 5)

    run.gate.set()
    results = await asyncio.gather(*first, *rest)

    assert run.batches == [[1], [2, 3, 4], [5]]
    assert results == [10, 20, 30, 40, 50]


async def test_a_batcher_that_ran_dry_starts_again() -> None:
    """Its worker ends with the last item."""
    run = Recorder()
    shared = batcher(run)

    assert [await shared.submit(1), await shared.submit(2)] == [10, 20]

    assert run.batches == [[1], [2]]


async def test_one_bad_item_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The batch is tried once more item by item; its neighbours do not notice."""

    def refuse_two(items: Sequence[int]) -> Sequence[int]:
        if 2 in items:
            raise ValueError("two")
        return [item * 10 for item in items]

    run = Recorder(refuse_two)
    tasks = await submitted(batcher(run), 1, 2, 3, 4)

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert results[0] == 10
    assert isinstance(results[1], ValueError)
    assert results[2:] == [30, 40]
    assert run.batches == [[1, 2, 3], [1], [2], [3], [4]]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_anticipated_error_fails_the_whole_batch_at_once() -> None:
    """That is how `run` says that trying again is no use. The next batch is another matter."""

    def refuse(items: Sequence[int]) -> Sequence[int]:
        if 1 in items:
            raise ConversationFull("no room")
        return list(items)

    run = Recorder(refuse)
    tasks = await submitted(batcher(run), 1, 2, 3, 4)

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(result, ImError) for result in results] == [True, True, True, False]
    assert run.batches == [[1, 2, 3], [4]]


async def test_beyond_the_backlog_calls_are_refused_at_once() -> None:
    """Nothing waits without a bound."""
    run = Recorder()
    run.gate.clear()
    shared = batcher(run, size=1, backlog=2)
    running = await submitted(shared, 1)
    waiting = await submitted(shared, 2, 3)

    with pytest.raises(SendTimeout):
        await shared.submit(4)

    run.gate.set()
    assert await asyncio.gather(*running, *waiting) == [10, 20, 30]
    assert await shared.submit(5) == 50


async def test_a_caller_that_stops_waiting_does_not_disturb_the_others() -> None:
    """Its item was accepted, so it is carried out."""
    run = Recorder()
    run.gate.clear()
    shared = batcher(run)
    running = await submitted(shared, 1)
    waiting = await submitted(shared, 2, 3)

    running[0].cancel()
    waiting[0].cancel()
    await asyncio.gather(running[0], waiting[0], return_exceptions=True)
    run.gate.set()

    assert await waiting[1] == 30
    assert run.batches == [[1], [2, 3]]


async def test_a_caller_that_stops_waiting_does_not_disturb_a_batch_that_fails() -> None:
    """Neither when the batch fails as a whole, nor item by item."""
    for error in (ConversationFull(), ValueError()):

        def fail(items: Sequence[int], error: Exception = error) -> Sequence[int]:
            raise error

        run = Recorder(fail)
        run.gate.clear()
        tasks = await submitted(batcher(run), 1, 2)
        tasks[0].cancel()
        run.gate.set()

        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1] is error
