"""A connection's bounded way out.

As long as the socket takes what it is given, a frame is written at once, in the step that offers it: no task, no
wake-up, no copy. Once the socket's own buffer is full, one task waits for it, and frames queue here up to a bound. A
client that does not read beyond that is disconnected; everything it missed is in history.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from imcore import metrics
from imcore.delivery.encoding import Priority

logger = logging.getLogger(__name__)

Event = dict[str, Any]

# How full the queue may be for a frame that may be dropped.
SHED_ABOVE: dict[int, float] = {Priority.NORMAL: 0.5, Priority.LOW: 0.1}


class Outbound:
    """The frames on their way to one socket.

    `send` is ASGI's; `write`, if the server has one, writes what need not wait, and returns False for the rest.
    `overflow` is called once, when the queue exceeds `max_frames` or `max_bytes`; it must end the connection. After
    that, and after `stop`, offers are dropped.
    """

    __slots__ = (
        "_is_stopped",
        "_max_bytes",
        "_max_frames",
        "_overflow",
        "_send",
        "_waiting",
        "_waiting_bytes",
        "_write",
        "_writer",
    )

    def __init__(
        self,
        send: Callable[[Event], Awaitable[None]],
        *,
        write: Callable[[Event], bool] | None = None,
        overflow: Callable[[], None],
        max_frames: int,
        max_bytes: int,
    ) -> None:
        self._send = send
        self._write = write or _write_nothing
        self._overflow = overflow
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._waiting: deque[Event] = deque()
        self._waiting_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._is_stopped = False

    def offer(self, event: Event) -> None:
        """Write an event, or queue it behind those that wait. Never waits and never raises."""
        if self._is_stopped:
            return
        if self._writer is not None:
            self._enqueue(event)
            return
        try:
            if self._write(event):
                return
            # Run the write by hand up to where it would wait. It mostly does not, and then a task per frame, which
            # would cost as much as the write itself, was never needed.
            writing = self._send(event)
            waits_for = writing.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - the socket is gone; its consumer is being told the same
            self._is_stopped = True
            return
        self._writer = asyncio.get_running_loop().create_task(
            self._drain(_Started(writing, waits_for)), name="outbound"
        )

    def sheds(self, priority: int) -> bool:
        """Return whether too much waits for a frame of this priority (realtime-protocol 4.13). Asked per receiver."""
        if self._writer is None:
            return False
        share = SHED_ABOVE[priority]
        return len(self._waiting) > share * self._max_frames or self._waiting_bytes > share * self._max_bytes

    def _enqueue(self, event: Event) -> None:
        self._waiting.append(event)
        self._waiting_bytes += _size(event)
        if len(self._waiting) > self._max_frames or self._waiting_bytes > self._max_bytes:
            metrics.count("outbound.overflow")
            self.stop()
            self._overflow()

    async def _drain(self, started: "_Started") -> None:
        try:
            await started
            while self._waiting:
                event = self._waiting.popleft()
                self._waiting_bytes -= _size(event)
                await self._send(event)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - as in offer
            self._is_stopped = True
            self._waiting.clear()
        finally:
            self._writer = None

    async def drained(self, seconds: float) -> bool:
        """Wait until nothing waits here; return False if the socket took less than that in `seconds`."""
        while self._writer is not None and not self._is_stopped:
            written, _ = await asyncio.wait([self._writer], timeout=seconds)
            if not written:
                return False
        return True

    async def flush(self, seconds: float) -> None:
        """Wait until everything offered is written, but no longer than `seconds`."""
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=seconds)

    def stop(self) -> None:
        """Drop what waits and refuse what comes."""
        self._is_stopped = True
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._writer is not None:
            self._writer.cancel()


def _write_nothing(event: Event) -> bool:
    return False


class _Started:
    """Awaits the rest of a coroutine that was run by hand up to its first wait."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Awaitable[None], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine: Coroutine[Any, Any, None] = self._coroutine  # type: ignore[assignment]
        try:
            yield self._waits_for
        except BaseException:
            coroutine.close()
            raise
        yield from coroutine.__await__()


def _size(event: Event) -> int:
    payload = event.get("bytes")
    return len(payload if payload is not None else event.get("text", ""))
