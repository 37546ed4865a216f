"""What an application's own server does: sign for its clients (realtime-protocol 9), written without our own code."""

import hashlib
import hmac
import time
from typing import Any

from imcore.models import Application

NONCE = "a nonce"


def now_ms() -> int:
    """Return the time as the application's server has it."""
    return int(time.time() * 1000)


def signed(
    application: Application, before: str, after: str = "", *, at: int | None = None, key: str | None = None
) -> dict[str, Any]:
    """Return the three signature fields over `application:before:timestamp:nonce`, and `:after` if there is one."""
    timestamp = now_ms() if at is None else at
    text = f"{application.app_id}:{before}:{timestamp}:{NONCE}" + (f":{after}" if after else "")
    digest = hmac.new((key or application.master_key).encode(), text.encode(), hashlib.sha1).hexdigest()
    return {"s": digest, "t": timestamp, "n": NONCE}


def capitals(signature: dict[str, Any]) -> dict[str, Any]:
    """Write a signature as the C# sample does."""
    return signature | {"s": signature["s"].upper()}
