"""Typed messages: what the server needs to know of a body it otherwise passes on untouched (realtime-protocol 5)."""

from typing import Final

import orjson

TEXT: Final = -1
RECALLED: Final = -127
# What is left of a recalled message, wherever it shows (P44).
RECALLED_BODY: Final = '{"_lctype":-127}'


def message_type(text: str) -> int | None:
    """Return the `_lctype` of a text body, or None for a body without one. Any text is a legal body."""
    if not text.startswith("{") or '"_lctype"' not in text:
        return None
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    number = body.get("_lctype")
    is_number = isinstance(number, int) and not isinstance(number, bool) and -(2**31) <= number < 2**31
    return number if is_number else None
