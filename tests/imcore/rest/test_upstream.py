"""What this server does not serve is handed to another, where the operator names one (IMCORE_UPSTREAM_URL)."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from imcore import limits
from imcore.models import Application
from imcore.rest import upstream
from tests.restclient import app_of, call
from tests.services import free_port
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("served")

NOT_FOUND = {"code": 404, "error": "Not found."}
FOUND = b'{"results": []}'
PATH = "/1.1/classes/Todo"


class Elsewhere:
    """Another server: it answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: bytes | None = self.write(FOUND)
        self.url = ""

    @staticmethod
    def write(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
        """Write an answer."""
        said = {"Content_Type": "application/json", "Content_Length": str(len(body)), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
        return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = request.split(" ")
        self.asked.append((method, target, headers, body))
        if self.answer is None:
            await reader.read()  # until the other side gives up
        else:
            writer.write(self.answer)
        writer.close()


@pytest.fixture
async def elsewhere(settings: DjangoSettings) -> AsyncIterator[Elsewhere]:
    """Another server, which this one hands requests to."""
    found = Elsewhere()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    settings.UPSTREAM_URL = found.url
    settings.UPSTREAM_SECONDS = 5.0
    yield found
    await upstream.close()
    server.close()
    await server.wait_closed()


async def test_nobody_else_is_asked_unless_the_operator_says_whom(application: Application) -> None:
    """rest-api 1.6: a clear 404."""
    answer = await call("GET", "/1.1/todos", app_of(application))

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_what_is_not_served_is_handed_on_as_it_came(application: Application, elsewhere: Elsewhere) -> None:
    """Method, path, query, body and the caller's own keys; nothing that is about this connection or the dashboard."""
    headers = app_of(
        application,
        **{
            "User-Agent": "LeanCloud-JS-SDK/4",
            "Cookie": "sessionid=the-dashboard-s",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
            "TE": "trailers",
            "X-Forwarded-For": "1.2.3.4",
        },
    )

    answer = await call("PUT", "//1.1/classes/Todo/a%20b%3F/", headers, {"a": 1}, where='{"b":"c d"}', limit="5")

    assert (answer.status_code, answer.content) == (200, FOUND)
    [(method, target, sent, body)] = elsewhere.asked
    assert (method, json.loads(body)) == ("PUT", {"a": 1})
    assert target.startswith("/1.1/classes/Todo/a%20b%3F?where=%7B%22b%22")
    assert sent["x-lc-key"] == application.app_key
    assert sent["user-agent"] == "LeanCloud-JS-SDK/4"
    assert sent["host"] == elsewhere.url.removeprefix("http://")
    assert sent["x-forwarded-for"] == "127.0.0.1"
    assert not sent.keys() & {"cookie", "x-hop", "te", "connection"}


async def test_an_answer_comes_back_as_it_was(application: Application, elsewhere: Elsewhere) -> None:
    """Compressed or not; but with our own headers where they are about this connection or this domain."""
    elsewhere.answer = elsewhere.write(
        gzip.compress(FOUND),
        "201 Created",
        Content_Encoding="gzip",
        Location="/1.1/classes/Todo/1",
        Set_Cookie="a=b",
        Connection="close, X-Hop",
        X_Hop="1",
        Access_Control_Allow_Origin="https://elsewhere.example.com",
    )

    answer = await call("POST", PATH, app_of(application, Origin="https://chat.example.com"), {})

    assert (answer.status_code, gzip.decompress(answer.content)) == (201, FOUND)
    assert answer["Content-Type"] == "application/json;charset=utf-8"
    assert answer["Location"] == "/1.1/classes/Todo/1"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert not answer.cookies
    assert not any(answer.has_header(name) for name in ("Set-Cookie", "X-Hop", "Connection"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("401 Unauthorized", b'{"code":401,"error":"Unauthorized."}'),
        ("302 Found", b"{}"),
        ("500 Internal Server Error", b'{"code":1,"error":"x"}'),
    ],
)
async def test_errors_and_redirects_come_back_too(
    application: Application, elsewhere: Elsewhere, status: str, body: bytes
) -> None:
    """It is the other server's word; redirects are not followed."""
    elsewhere.answer = elsewhere.write(body, status, Location=f"{elsewhere.url}/1.1/other")

    answer = await call("GET", PATH, app_of(application))

    assert (answer.status_code, answer.content) == (int(status[:3]), body)
    assert len(elsewhere.asked) == 1


async def test_a_page_is_no_answer(application: Application, elsewhere: Elsewhere) -> None:
    """Checklist 11: whatever stands between here and there."""
    elsewhere.answer = elsewhere.write(b"<h1>Bad Gateway</h1>", "502 Bad Gateway", Content_Type="text/html")

    answer = await call("GET", PATH, app_of(application))

    assert (answer.status_code, answer.json()) == (502, {"code": 502, "error": "Bad Gateway"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/1.1/date", 200),
        ("GET", "/1.1/test/master", 401),
        ("GET", "/1.2/classes/Todo", 404),
        ("GET", "/2/none", 404),
        ("GET", "/healthz/none", 404),
        ("GET", "/1.1/../admin", 404),
        ("GET", "/1.1/classes/%2e%2e/%2e%2e/admin", 404),
        ("GET", "/1.1/./x", 404),
        ("OPTIONS", "/1.1/classes/Todo", 200),
    ],
)
async def test_what_is_served_or_leads_elsewhere_is_not_handed_on(
    elsewhere: Elsewhere, method: str, path: str, status: int
) -> None:
    """Only what is below `/1.1/`, and stays there."""
    headers = {"Origin": "https://chat.example.com", "Access-Control-Request-Method": "GET"}

    answer = await call(method, path, headers)

    assert answer.status_code == status
    assert not elsewhere.asked


async def test_a_method_that_is_not_served_is_handed_on(application: Application, elsewhere: Elsewhere) -> None:
    """Some of a path may be here, and the rest elsewhere."""
    assert (await call("PUT", "/1.1/test/master", app_of(application), {"a": 1})).content == FOUND

    [(method, target, _, body)] = elsewhere.asked
    assert (method, target, json.loads(body)) == ("PUT", "/1.1/test/master", {"a": 1})


@pytest.mark.parametrize("path", [PATH, "/1.1/test/master"])
async def test_a_tunnel_is_handed_on_unopened(application: Application, elsewhere: Elsewhere, path: str) -> None:
    """The other server opens it, though this one has looked inside."""
    fields = {"_ApplicationId": application.app_id, "_method": "PUT", "a": 1}

    assert (await call("POST", path, None, fields, content_type="text/plain")).content == FOUND

    [(method, target, headers, body)] = elsewhere.asked
    assert (method, target, json.loads(body)) == ("POST", path, fields)
    assert headers["content-type"] == "text/plain"
    assert "x-lc-id" not in headers


async def test_two_servers_do_not_hand_a_request_to_each_other(application: Application, elsewhere: Elsewhere) -> None:
    """The second knows that it has been here, or at one like it."""
    await call("GET", PATH, app_of(application))
    [(_, _, sent, _)] = elsewhere.asked

    answer = await call("GET", PATH, app_of(application, Via=sent["via"]))

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert len(elsewhere.asked) == 1


def failed(answer: Any) -> bool:
    """Say whether an answer tells that the other server failed."""
    return bool((answer.status_code, answer.json()["code"]) == (502, 502))


async def test_a_server_that_does_not_answer_is_a_502(
    application: Application, elsewhere: Elsewhere, settings: DjangoSettings
) -> None:
    """In bounded time, and with CORS headers: gone, silent, or talking nonsense."""
    settings.UPSTREAM_SECONDS = 0.2
    elsewhere.answer = None
    assert failed(await call("GET", PATH, app_of(application)))

    elsewhere.answer = b"nonsense\r\n\r\n"
    assert failed(await call("GET", PATH, app_of(application)))

    settings.UPSTREAM_URL = f"http://127.0.0.1:{free_port()}"
    answer = await call("GET", PATH, app_of(application, Origin="https://chat.example.com"))
    assert failed(answer)
    assert answer["Access-Control-Allow-Origin"] == "*"


async def test_an_answer_without_end_is_a_502(application: Application, elsewhere: Elsewhere) -> None:
    """No more than 20 MB are kept."""
    elsewhere.answer = elsewhere.write(b" " * (limits.REST_BODY_MAX_BYTES + 1))

    assert failed(await call("GET", PATH, app_of(application)))


async def test_a_server_that_is_silent_does_not_take_all_threads(
    application: Application, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait for it are bounded; one too many is told at once, and everything else is served."""
    monkeypatch.setattr(upstream, "UNDER_WAY_MAX", 2)
    elsewhere.answer = None
    waiting = [asyncio.create_task(call("GET", PATH, app_of(application))) for _ in range(2)]
    await until(lambda: len(elsewhere.asked) == 2)

    refused = await call("GET", PATH, app_of(application))

    assert (refused.json()["code"], refused.json()["detail"]) == (502, "Too many requests wait for it.")
    assert (await call("GET", "/1.1/date")).status_code == 200
    await upstream.close()
    assert all([failed(await one) for one in waiting])
