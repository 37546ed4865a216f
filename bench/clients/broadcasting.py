"""Clients that are on line while a service speaks to everybody, one message after the other."""

import http.client
import json
import statistics
import time
from types import TracebackType
from typing import Self

from bench.clients.calling import ANSWER_SECONDS, MASTER, post
from bench.clients.ours import TEXT, Client
from bench.generator import LoadFailed, Run, own_seconds
from bench.processes import on_core
from bench.wire import receive_until, wait_until_quiet
from imcore.protocol.message_pb2 import CommandType


class Broadcasts:
    """Says something to everybody over HTTP, and waits until all who are on line have it."""

    deliveries = 1
    is_stored = True

    def __init__(self, port: int, online: int) -> None:
        made = post(port, "/1.2/rtm/service-conversations", {"name": "news"})
        self._body = json.dumps({"from_client": "news", "conv_id": made["objectId"], "message": TEXT})
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._clients = [Client(port, f"client-{number}") for number in range(online)]
        wait_until_quiet(self._clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        for client in self._clients:
            client.close()

    def prepare(self) -> None:
        """Make ready for a run, in time that is not measured."""

    def run(self, seconds: float) -> Run:
        """Speak for some seconds, and until everybody has heard the last word."""
        waits_ms: list[float] = []
        began_at, before = time.monotonic(), own_seconds()
        with on_core(1):
            while time.monotonic() < began_at + seconds:
                spoke_at = time.monotonic()
                self._speak()
                waits_ms.append((time.monotonic() - spoke_at) * 1000)
        percentiles = statistics.quantiles(waits_ms if len(waits_ms) > 1 else waits_ms * 2, n=100)
        return Run(
            messages=len(waits_ms),
            seconds=time.monotonic() - began_at,
            generator_seconds=own_seconds() - before,
            p50_ms=percentiles[49],
            p99_ms=percentiles[98],
        )

    def _speak(self) -> None:
        headers = {"Content-Type": "application/json", **MASTER}
        self._http.request("POST", "/1.2/rtm/broadcasts", self._body, headers)
        answer = self._http.getresponse()
        said = json.load(answer)
        if answer.status != 200:
            raise LoadFailed(f"A broadcast was refused: {said}")
        for client in self._clients:
            command = receive_until(client.command, lambda received: received.cmd == CommandType.direct)
            if command.directMessage.id != said["msg-id"]:
                raise LoadFailed(f"{client.client_id} heard something else: {command}")


def broadcasts(port: int, known: int, *, online: int) -> Broadcasts:
    """Speak to all the clients that the server's database knows, of whom so many are on line."""
    return Broadcasts(port, online)
