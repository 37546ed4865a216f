"""How often an application may ask of what is dear: its messages, what goes to many (rest-api 7), and log-ins.

Each rate is a count per application in a window of a minute, and for some in one of a day, by the clock. Full windows
answer 429 until they end, which `Retry-After` tells. Redis counts for all processes, where there is one; a process
counts for itself where there is none, or when it does not answer. A refused request does not count.

    @endpoint(Who.MASTER, rate=MESSAGES)              every request counts
    rates.count(SUBSCRIBER_MESSAGES, caller)          or a view finds out first which rate it is
    await rates.counted(SIGN_UPS, caller)             or a coroutine does
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache
from redis import RedisError

from imcore import redis
from imcore.bridge import in_async
from imcore.identifiers import DAY_MS, now_ms
from imcore.models import RestSettings
from imcore.rest.authentication import Caller
from imcore.rest.exceptions import TooManyRequests

logger = logging.getLogger(__name__)

MINUTE_MS = 60_000
WINDOWS_MAX = 100_000
# The client would try for longer, and every message with it.
REDIS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Rate:
    """What is counted together: the settings that say how many a minute, and how many a day (0: no limit).

    `spares_developer`: what comes with the master key does not count.
    """

    name: str
    per_minute: str
    per_day: str = ""
    spares_developer: bool = False


MESSAGES: Final = Rate("messages", "rest_messages_per_minute")
# Ours: what is announced has a row for a day, whether or not it comes.
UPLOADS: Final = Rate("uploads", "rest_uploads_per_minute")
SUBSCRIBER_MESSAGES: Final = Rate(
    "subscriber-messages", "rest_subscriber_messages_per_minute", "rest_subscriber_messages_per_day"
)
BROADCASTS: Final = Rate("broadcasts", "rest_broadcasts_per_minute", "rest_broadcasts_per_day")
# Ours, against those who try one password with every name, or make users by the thousand. A back end does neither.
LOG_INS: Final = Rate("log-ins", "rest_log_ins_per_minute", spares_developer=True)
SIGN_UPS: Final = Rate("sign-ups", "rest_sign_ups_per_minute", spares_developer=True)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which at most so many requests count."""

    key: str
    at_most: int
    ends_ms: int


def count(rate: Rate, caller: Caller) -> None:
    """Count a request of an application. Raises TooManyRequests if a window is full; then nothing was counted."""
    at_ms = now_ms()
    windows = _windows(rate, caller, at_ms)
    is_shared = redis.is_configured() and windows
    _let_in(in_async(_first_full, windows, at_ms) if is_shared else _counts.first_full(windows), at_ms)


async def counted(rate: Rate, caller: Caller) -> None:
    """Do as `count`, on the loop."""
    at_ms = now_ms()
    _let_in(await _first_full(_windows(rate, caller, at_ms), at_ms), at_ms)


def _windows(rate: Rate, caller: Caller, at_ms: int) -> list[Window]:
    """Return the windows a request falls into; the longest first, since it is the one to wait for if all are full."""
    if caller.is_master and rate.spares_developer:
        return []
    settings = caller.application.of(RestSettings)
    found = []
    for setting, length_ms in ((rate.per_day, DAY_MS), (rate.per_minute, MINUTE_MS)):
        at_most = getattr(settings, setting) if setting else 0
        if at_most:
            number = at_ms // length_ms
            name = f"{rate.name}:{length_ms // 1000}:{number}"
            key = redis.rate_key(caller.application.pk, name)
            found.append(Window(key, at_most, (number + 1) * length_ms))
    return found


def _let_in(full: Window | None, at_ms: int) -> None:
    if full is not None:
        raise TooManyRequests(retry_after_seconds=-(-(full.ends_ms - at_ms) // 1000))


async def _first_full(windows: Sequence[Window], at_ms: int) -> Window | None:
    """Count in every window, or return the first that is full and count in none."""
    if redis.is_configured() and windows:
        try:
            return await _first_full_in_redis(windows, at_ms)
        except (RedisError, TimeoutError) as error:
            logger.warning("Redis does not count requests, this process does: %r", error)
    return _counts.first_full(windows)


# All or none, and no key that outlives its window.
_COUNT = """
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1]) then return i end
end
for i, key in ipairs(KEYS) do
  redis.call('INCR', key)
  redis.call('PEXPIRE', key, ARGV[2 * i])
end
return 0
"""


async def _first_full_in_redis(windows: Sequence[Window], at_ms: int) -> Window | None:
    bounds = [str(number) for window in windows for number in (window.at_most, window.ends_ms - at_ms)]
    client = redis.client()
    async with asyncio.timeout(REDIS_SECONDS):
        full = await client.eval(_COUNT, len(windows), *(window.key for window in windows), *bounds)
    return windows[int(full) - 1] if full else None


class Counts:
    """The windows of a process; that which was not used for longest is forgotten."""

    def __init__(self) -> None:
        self._counts: LRUCache[str, int] = LRUCache(WINDOWS_MAX)
        # Views run on several threads.
        self._lock = threading.Lock()

    def first_full(self, windows: Sequence[Window]) -> Window | None:
        """Count in every window, or return the first that is full and count in none."""
        with self._lock:
            counted = [(window, self._counts.get(window.key, 0)) for window in windows]
            full = next((window for window, number in counted if number >= window.at_most), None)
            if full is None:
                self._counts.update({window.key: number + 1 for window, number in counted})
            return full


_counts = Counts()
