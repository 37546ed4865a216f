"""How often one client may ask: a bucket of tokens per client and kind of command.

A bucket holds a minute's worth and fills evenly, so a client may spend its minute at once and then goes on at the
rate. The buckets are this process's own: nothing is asked of Redis, and a client with devices on several processes
has a budget on each. Their number is bounded; the one that was not used for longest is forgotten, and full again.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from cachetools import LRUCache

from imcore.errors import ConversationQuotaExceeded, ImError, MessageQuotaExceeded
from imcore.models import GatewaySettings

BUCKETS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Throttle:
    """One of the rates: the setting that says how many a minute (0: no limit), and the error of those above it."""

    setting: str
    error: type[ImError]


MESSAGES = Throttle("client_messages_per_minute", MessageQuotaExceeded)
HISTORY = Throttle("client_history_queries_per_minute", ConversationQuotaExceeded)
OPERATIONS = Throttle("client_operations_per_minute", ConversationQuotaExceeded)


class Buckets:
    """The buckets of a process, by whose they are and what for."""

    def __init__(self, size: int = BUCKETS_MAX) -> None:
        self._buckets: LRUCache[Hashable, tuple[float, float]] = LRUCache(size)

    def take(self, key: Hashable, *, per_minute: int, now: float) -> bool:
        """Take a token if there is one, and return whether there was. `now` is a monotonic clock's, in seconds."""
        tokens, filled_at = self._buckets.get(key, (float(per_minute), now))
        tokens = min(float(per_minute), tokens + (now - filled_at) * per_minute / 60)
        has_token = tokens >= 1
        self._buckets[key] = (tokens - 1 if has_token else tokens, now)
        return has_token

    def __len__(self) -> int:
        return len(self._buckets)


def check(buckets: Buckets, throttle: Throttle, key: Hashable, *, settings: GatewaySettings, now: float) -> None:
    """Count one command, or raise the throttle's error if there were too many."""
    per_minute = getattr(settings, throttle.setting)
    if per_minute and not buckets.take(key, per_minute=per_minute, now=now):
        raise throttle.error(f"At most {per_minute} a minute.")
