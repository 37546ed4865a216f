"""Clients that ask over HTTP: connections that stay open, each with one request outstanding."""

import asyncio
import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from bench.clients.ours import APP_ID, MASTER_KEY, TEXT
from bench.crowding import HISTORY_CONVERSATION, HISTORY_MESSAGES, HISTORY_START_MS
from bench.generator import LoadFailed, Run, own_seconds
from bench.processes import on_core

ANSWER_SECONDS = 60.0
IN_FLIGHT = 16
MASTER: Mapping[str, str] = {"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},master"}
PAGE = 1000

# The answer to one request; raises for one that is wrong.
Check = Callable[[bytes], None]


class Calls:
    """Connections that make the same request over and over."""

    deliveries = 1

    def __init__(self, port: int, request: bytes, check: Check, *, in_flight: int, is_stored: bool = False) -> None:
        self.is_stored = is_stored
        self._port = port
        self._request = request
        self._check = check
        self._in_flight = in_flight
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()

    def prepare(self) -> None:
        """Make ready for a run, in time that is not measured."""

    def run(self, seconds: float) -> Run:
        """Ask for some seconds, and until the last answer is there."""
        waits_ms: list[float] = []
        began_at, before = time.monotonic(), own_seconds()
        with on_core(1):
            self._runner.run(self._ask(began_at + seconds, waits_ms))
        percentiles = statistics.quantiles(waits_ms if len(waits_ms) > 1 else waits_ms * 2, n=100)
        return Run(
            messages=len(waits_ms),
            seconds=time.monotonic() - began_at,
            generator_seconds=own_seconds() - before,
            p50_ms=percentiles[49],
            p99_ms=percentiles[98],
        )

    async def _ask(self, until: float, waits_ms: list[float]) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._in_flight):
                group.create_task(self._ask_in_turn(until, waits_ms), name="connection")

    async def _ask_in_turn(self, until: float, waits_ms: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        try:
            while time.monotonic() < until:
                began_at = time.monotonic()
                writer.write(self._request)
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._check(await _answer(reader))
                waits_ms.append((time.monotonic() - began_at) * 1000)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    if status != b"200":
        raise LoadFailed(f"The answer is {status.decode()}: {body[:200]!r}")
    return body


def _request(method: str, path: str, headers: Mapping[str, str] = MASTER, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _answered(body: bytes) -> None:
    """Take any answer."""


def sends(port: int, in_flight: int) -> Calls:
    """Send messages of 200 bytes to a conversation of two, as its application."""
    made = post(port, "/1.2/rtm/conversations", {"m": ["tom", "jerry"]})
    request = _request(
        "POST", f"/1.2/rtm/conversations/{made['objectId']}/messages", body={"from_client": "tom", "message": TEXT}
    )
    return Calls(port, request, _answered, in_flight=in_flight, is_stored=True)


def nothing(port: int, in_flight: int) -> Calls:
    """Ask for what needs neither keys nor a database: what a request costs by itself."""
    return Calls(port, _request("GET", "/1.1/ping", {}), _answered, in_flight=in_flight)


def views(port: int, in_flight: int) -> Calls:
    """Send messages of 200 bytes to a conversation of the ORM way."""
    made = post(port, "/conversations", {"members": ["tom", "jerry"]})
    body = {"conversation": made["conversation"], "from_client": "tom", "message": TEXT}
    return Calls(port, _request("POST", "/messages", {}, body), _answered, in_flight=in_flight, is_stored=True)


def pages(port: int, in_flight: int, *, depth: float) -> Calls:
    """Read a page of the long conversation, from so far down: 0 is its newest message, 1 its oldest."""
    start_ms = HISTORY_START_MS + round((1 - depth) * (HISTORY_MESSAGES - PAGE)) + PAGE + 1
    path = f"/1.2/rtm/conversations/{HISTORY_CONVERSATION}/messages?limit={PAGE}&timestamp={start_ms}"

    def check(body: bytes) -> None:
        if body.count(b'"msg-id"') != PAGE:
            raise LoadFailed(f"A page has {body.count(b'msg-id')} messages.")

    return Calls(port, _request("GET", path), check, in_flight=in_flight)


def post(port: int, path: str, body: Any) -> Any:
    """Ask once, and return what the answer says."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **MASTER},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)
