"""Identifiers, and the clock that never repeats itself."""

import base64
import os
import secrets
import threading
import time
from datetime import UTC, datetime

# base64 in the order of its own alphabet, so that ids made from a rising clock sort as text and fill the end of
# the primary key's B-tree instead of random pages of it.
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SORTED = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_TO_SORTED = bytes.maketrans(_BASE64, _SORTED)

DAY_MS = 86_400_000


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso_date(at_ms: int) -> str:
    """Write an instant as the protocol does: ISO-8601 in UTC with milliseconds (realtime-protocol 3.5)."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RisingClock:
    """Milliseconds since the epoch, each greater than the one before, even when the wall clock stands or goes back."""

    def __init__(self) -> None:
        self._last = 0

    def next_ms(self) -> int:
        """Return a number greater than every one returned before, and at least the wall clock."""
        self._last = max(self._last + 1, now_ms())
        return self._last

    def last_ms(self) -> int:
        """Return a number at least as great as every one returned before, and at least the wall clock."""
        self._last = max(self._last, now_ms())
        return self._last


class _Randomness(threading.local):
    """Random bytes drawn ahead, for each thread its own: asking the system for ten at a time is slow."""

    drawn = b""
    used = 0


_randomness = _Randomness()


def _random_bytes(count: int) -> bytes:
    if _randomness.used + count > len(_randomness.drawn):
        _randomness.drawn = os.urandom(4096)
        _randomness.used = 0
    start = _randomness.used
    _randomness.used += count
    return _randomness.drawn[start : start + count]


def message_id(at_ms: int) -> str:
    """Make a message id: 22 characters of base64url's alphabet (realtime-protocol 4.9.1), rising with `at_ms`."""
    raw = at_ms.to_bytes(6, "big") + _random_bytes(10)
    return base64.b64encode(raw)[:22].translate(_TO_SORTED).decode()


def object_id(at_ms: int) -> str:
    """Make an object id: 24 hexadecimal digits, the first eight of them the second it was made in."""
    return f"{at_ms // 1000:08x}{secrets.token_hex(8)}"


def application_id() -> str:
    """Make an application id: 24 letters and digits, since SDKs refuse ids of 8 or fewer (rest-api 1.3)."""
    return secrets.token_hex(12)


def secret_key() -> str:
    """Make an application key or master key: 32 characters of base64url's alphabet."""
    return secrets.token_urlsafe(24)


def session_key() -> str:
    """Make what tells one session from all others: 16 characters of base64url's alphabet."""
    return base64.urlsafe_b64encode(_random_bytes(12)).decode()


def anonymous_client_id() -> str:
    """Make the id of a client that logs in without one (realtime-protocol 4.1.1)."""
    return secrets.token_urlsafe(12)
