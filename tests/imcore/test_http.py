"""A bounded number of requests has a thread at a time (docs/settings.md, IMCORE_REQUEST_THREADS)."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from pytest_django.fixtures import Settings as DjangoSettings

from imcore import urls
from imcore.bridge import in_async
from imcore.http import Handler
from imcore.models import Application
from tests.waiting import until

BUSY = {"code": 503, "error": "The server is busy."}


class Gate:
    """What holds the requests to `/1.1/test/held`; `number` of them are inside."""

    def __init__(self) -> None:
        self.number = 0
        self._opened = threading.Event()

    def close(self) -> None:
        """Hold whoever comes."""
        self.number = 0
        self._opened.clear()

    def pass_through(self) -> None:
        """Wait until the gate is open."""
        self.number += 1
        assert self._opened.wait(10)

    def open(self) -> None:
        """Let through who waits, and who comes."""
        self._opened.set()


gate = Gate()


def held(request: HttpRequest) -> HttpResponse:
    """Wait at the gate, then ask a service, as endpoints do."""
    gate.pass_through()
    in_async(asyncio.sleep, 0)
    return JsonResponse({})


def counting(request: HttpRequest) -> HttpResponse:
    """Ask the database on the request's own thread, as the dashboard does."""
    Application.objects.count()
    asked.append(connections["default"])
    # As PostgreSQL's; that of SQLite would stay.
    asked[-1].close_at = 0
    return JsonResponse({})


# What such requests asked, each on its thread.
asked: list[BaseDatabaseWrapper] = []
urlpatterns = [
    path("1.1/test/counting", counting),
    path("1.1/test/held", held),
    path("files/test/held", held),
    *urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def one_thread(settings: DjangoSettings) -> Iterator[None]:
    """One request has a thread, one may wait."""
    gate.close()
    settings.ROOT_URLCONF = __name__
    settings.REQUEST_THREADS = 1
    settings.REQUEST_BACKLOG = 1
    yield
    gate.open()


class Server:
    """A server's handler, asked as uvicorn asks it."""

    def __init__(self) -> None:
        self._handler = Handler()

    def ask(self, path: str) -> "asyncio.Task[tuple[int, dict[str, str], Any]]":
        """Begin to ask; the task returns status, headers and body."""
        return asyncio.create_task(self._ask(path))

    async def _ask(self, path: str) -> tuple[int, dict[str, str], Any]:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"testserver"), (b"origin", b"https://example.com")],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._handler(scope, receive, send)
        headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, json.loads(b"".join(one.get("body", b"") for one in sent[1:]))


async def test_a_request_waits_for_a_thread_and_one_too_many_is_told_to_come_back() -> None:
    """503 at the bound, and what waited is served."""
    server = Server()
    first = server.ask("/1.1/test/held")
    await until(lambda: gate.number == 1)
    second = server.ask("/1.1/test/held")
    # It is the one that may wait, once this one is refused.
    status, headers, body = await server.ask("/1.1/test/held")

    assert (status, body) == (503, BUSY)
    assert int(headers["retry-after"]) > 0
    assert headers["content-type"] == "application/json;charset=utf-8"
    assert headers["access-control-allow-origin"] == "*"
    assert gate.number == 1

    gate.open()

    assert [(await one)[0] for one in (first, second)] == [200, 200]


async def test_nobody_waits_for_a_thread_for_long(settings: DjangoSettings) -> None:
    """503 after IMCORE_REQUEST_WAIT_SECONDS; then the next may wait."""
    settings.REQUEST_WAIT_SECONDS = 0.01
    server = Server()
    first = server.ask("/1.1/test/held")
    await until(lambda: gate.number == 1)

    assert [(await server.ask("/1.1/date"))[0] for _ in range(2)] == [503, 503]

    gate.open()

    assert (await first)[0] == 200
    assert (await server.ask("/1.1/date"))[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/route", "//v1/route", "/2/route/"])
async def test_health_and_routers_answer_while_all_threads_are_taken(path: str, settings: DjangoSettings) -> None:
    """Who watches the process would end it; clients would not find it again."""
    settings.REQUEST_BACKLOG = 0
    server = Server()
    server.ask("/1.1/test/held")
    await until(lambda: gate.number == 1)

    assert (await server.ask("/1.1/date"))[0] == 503
    assert (await server.ask(path))[0] == 200


async def test_downloads_take_no_thread_from_others(settings: DjangoSettings) -> None:
    """A bucket that does not answer ends nothing but what asks for files."""
    settings.REQUEST_BACKLOG = 0
    server = Server()
    downloads = [server.ask("/files/test/held") for _ in range(2)]
    await until(lambda: gate.number == 2)

    assert (await server.ask("/1.1/date"))[0] == 200

    gate.open()

    assert [(await one)[0] for one in downloads] == [200, 200]


async def test_threads_are_used_again() -> None:
    """Not one for each request, which nothing would bound."""
    server = Server()
    gate.open()
    await server.ask("/1.1/test/held")
    before = threading.active_count()

    for _ in range(20):
        assert (await server.ask("/1.1/test/held"))[0] == 200

    assert threading.active_count() <= before


async def test_a_request_leaves_no_connection_to_the_database_behind(application: Application) -> None:
    """Each thread would keep one, and there are more threads than connections."""
    asked.clear()

    assert (await Server().ask("/1.1/test/counting"))[0] == 200

    assert [one.connection for one in asked] == [None]
