"""Paths as SDKs write them, and what holds for every answer (rest-api 1, 2.8, 3.8)."""

import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import brotli
import pytest
from asgiref.testing import ApplicationCommunicator
from pytest_django.fixtures import Settings as DjangoSettings

from imcore import limits
from imcore.asgi import application as asgi_application
from imcore.bridge import in_database
from imcore.models import Application
from imcore.rest.bounds import bounded
from messaging.models import Kick
from tests.imcore.rest.served import LARGE
from tests.restclient import Headers, app_of, call, master_of

PAGE = {"Origin": "https://chat.example.com"}
BROWSER = {**PAGE, "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = "application/json;charset=utf-8"
NOT_FOUND = {"code": 404, "error": "Not found."}
new_communicator: Any = ApplicationCommunicator  # asgiref has no types for it

pytestmark = pytest.mark.usefixtures("served")


@pytest.mark.parametrize(
    "path", ["/1.1/date", "//1.1/date", "/1.1/date/", "///1.1////date//", "/1.2/date", "/1.1/date?"]
)
async def test_slashes_and_versions_do_not_matter(path: str) -> None:
    """Checklist 8: 200, no redirect, no keys."""
    answer = await call("GET", path)

    assert (answer.status_code, answer.json()["__type"]) == (200, "Date")


async def test_the_time_is_written_as_the_sdks_read_it() -> None:
    """rest-api 10.7: exactly three digits of a fraction."""
    iso = (await call("GET", "/1.1/date")).json()["iso"]

    assert len(iso) == len("2026-01-02T03:04:05.006Z")
    assert iso.endswith("Z")


async def test_the_server_is_there() -> None:
    """rest-api 10.7."""
    answer = await call("GET", "/1.1/ping")

    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        "/1.1/stats/collect",
        "/1.1/stats/open/collect",
        "/1.1/statistics",
        "/1.1/statistics/apps/x/sendPolicy",
        "/1.1/always_collect",
        "/1.1/open/collect",
    ],
)
async def test_statistics_of_old_sdks_are_dropped(method: str, path: str) -> None:
    """rest-api 10.7: whatever they send."""
    answer = await call(method, path, None, "{not JSON" if method != "GET" else None)

    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    "path", ["/1.1", "/1.1/", "/1.1/no/such/path", "/1.2//none/", "/2/none", "/v1/none", "/1.1/%00"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
async def test_an_unknown_path_is_a_404(method: str, path: str) -> None:
    """rest-api 1.6."""
    answer = await call(method, path, PAGE, {"name": "Lunch"} if method != "GET" else None)

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/1.1/date", "//1.1/test/master/", "/1.2/none", "/v1/route", "/2/route", "/1.1"])
@pytest.mark.parametrize("headers", [{}, PAGE, {**PAGE, "Access-Control-Request-Method": "PUT"}])
async def test_options_are_answered_on_any_path(path: str, headers: dict[str, str]) -> None:
    """Checklist 7: 200 with nothing in it, whether a browser asks or somebody else."""
    answer = await call("OPTIONS", path, headers)

    assert (answer.status_code, answer.content) == (200, b"")
    assert "x-lc-im-session-token" in answer["Access-Control-Allow-Headers"]
    assert answer["Access-Control-Max-Age"] == "86400"
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/1.1/date", 200),
        ("/1.1/test/large", 200),
        ("/1.1/test/master", 401),
        ("/1.1/test/page", 403),
        ("/1.1/none", 404),
        ("/1.1/test/send", 405),
        ("/1.1/test/crash", 500),
        ("/1.1/test/crash-outside", 500),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
async def test_every_answer_is_json_that_nobody_keeps(
    path: str, status: int, debug: bool, settings: DjangoSettings
) -> None:
    """Checklist 7 and 11: crashes and Django's own pages too, also while debugging, and to a browser."""
    settings.DEBUG = debug

    answer = await call("GET", path, BROWSER)

    assert answer.status_code == status
    assert answer["Content-Type"] == JSON
    assert answer["Cache-Control"] == "no-cache,no-store"
    assert answer["Pragma"] == "no-cache"
    assert answer["Access-Control-Allow-Origin"] == "*"
    body = json.loads(brotli.decompress(answer.content) if answer.has_header("Content-Encoding") else answer.content)
    assert "secret" not in str(body)
    if status != 200:
        assert isinstance(body["code"], int)
        assert body["error"]


async def test_a_failure_is_told_without_detail() -> None:
    """rest-api 4.1: code 1."""
    for path in ("/1.1/test/crash", "/1.1/test/crash-outside"):
        answer = await call("GET", path)

        assert answer.json() == {"code": 1, "error": "Internal server error."}


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("br;q=0, gzip;q=0.0", None),
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", "br"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("GZIP", "gzip"),
    ],
)
async def test_a_long_answer_is_compressed_for_whoever_likes_it(accepted: str, encoding: str | None) -> None:
    """rest-api 1.7: gzip and brotli."""
    answer = await call("GET", "/1.1/test/large", {"Accept-Encoding": accepted})

    assert answer.get("Content-Encoding") == encoding
    assert "Accept-Encoding" in answer["Vary"]
    assert answer["Content-Length"] == str(len(answer.content))
    decode = {None: bytes, "gzip": gzip.decompress, "br": brotli.decompress}[encoding]
    assert json.loads(decode(answer.content)) == LARGE


async def test_a_short_answer_is_not_compressed() -> None:
    """It would be longer."""
    assert not (await call("GET", "/1.1/date", {"Accept-Encoding": "gzip, br"})).has_header("Content-Encoding")


async def test_the_dashboard_is_none_of_this() -> None:
    """Pages for people stay pages, and are not for other web pages to read."""
    answer = await call("GET", "/admin/login/", BROWSER)

    assert answer["Content-Type"].startswith("text/html")
    assert not answer.has_header("Access-Control-Allow-Origin")


class Asked:
    """A request piece by piece into the whole ASGI application, as a socket hands it over. Its path is as on the wire.

    Its caller knows the app key, unless `keys_of` says otherwise.
    """

    def __init__(
        self,
        application: Application,
        *headers: tuple[bytes, bytes],
        path: str = "/1.1/test/echo",
        keys_of: Callable[[Application], Headers] = app_of,
    ) -> None:
        keys = [(name.lower().encode(), value.encode()) for name, value in keys_of(application).items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"testserver"), *keys, *headers],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }
        self._wire = new_communicator(asgi_application, scope)

    async def send(self, piece: bytes, *, more: bool) -> None:
        """Send a piece of the body."""
        await self._wire.send_input({"type": "http.request", "body": piece, "more_body": more})

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body."""
        start = await self._wire.receive_output(5)
        body = await self._wire.receive_output(5)
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, json.loads(body["body"])


TOO_LARGE = {"code": 413, "error": "The body is too large."}


async def test_a_body_that_is_announced_as_too_large_is_not_read(application: Application) -> None:
    """rest-api 3.8: 413 before a byte of it has come."""
    length = str(limits.REST_BODY_MAX_BYTES + 1).encode()

    status, headers, body = await Asked(application, (b"content-length", length)).answer()

    assert (status, body) == (413, TOO_LARGE)
    assert headers["content-type"] == JSON
    assert headers["access-control-allow-origin"] == "*"


async def test_a_body_without_a_length_is_read_up_to_the_bound(application: Application) -> None:
    """rest-api 3.8: no more than 20 MB, however it comes."""
    asked = Asked(application)
    piece = b" " * (limits.REST_BODY_MAX_BYTES // 4)
    for _ in range(4):
        await asked.send(piece, more=True)
    await asked.send(b"{", more=True)

    status, _, body = await asked.answer()

    assert (status, body) == (413, TOO_LARGE)


async def test_a_body_that_does_not_come_is_not_waited_for(application: Application, settings: DjangoSettings) -> None:
    """What has come of it would be kept for as long as the client likes."""
    settings.BODY_SECONDS = 0.01
    asked = Asked(application, (b"content-length", b"1000"))
    await asked.send(b"{", more=True)

    status, headers, body = await asked.answer()

    assert (status, body) == (408, {"code": 408, "error": "The body came too slowly."})
    assert headers["access-control-allow-origin"] == "*"
    assert headers["connection"] == "close"


async def test_an_answer_may_take_longer_than_the_body_it_is_an_answer_to(settings: DjangoSettings) -> None:
    """A long download was cut off, and told in its midst that the body came too slowly."""
    settings.BODY_SECONDS = 0.01
    told: list[str] = []

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        """Read the body, then wait for the caller to leave, as a server does that streams."""
        told.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        told.append((await receive())["type"])

    wire = new_communicator(bounded(stream), {"type": "http", "headers": []})
    await wire.send_input({"type": "http.request", "body": b"", "more_body": False})
    await wire.receive_output(5)

    assert await wire.receive_nothing(timeout=0.1)
    await wire.send_input({"type": "http.disconnect"})
    await wire.wait(5)

    assert told == ["http.request", "http.disconnect"]


async def test_a_body_without_a_length_is_read(application: Application) -> None:
    """Chunked, as Java streams it."""
    asked = Asked(application)
    await asked.send(b'{"name": ', more=True)
    await asked.send(b'"Lunch"}', more=False)

    status, _, body = await asked.answer()

    assert (status, body["body"]) == (200, {"name": "Lunch"})


SLASHES = pytest.mark.parametrize(
    ("written", "client_id"),
    [("a%2F%2Fb", "a//b"), ("%2fa", "/a"), ("a%2F", "a/"), ("a//b", "a/b"), ("%E5%AD%97%2F%2F", "字//")],
)


async def kicked(application: Application) -> list[str]:
    """Return which clients were kicked."""
    client_ids = Kick.objects.filter(application=application).values_list("client_id", flat=True)
    return await in_database(lambda: list(client_ids))


@SLASHES
async def test_slashes_of_a_name_are_the_names(application: Application, written: str, client_id: str) -> None:
    """rest-api 1.4: those of the path are doubled by SDKs; who kicks `a//b` does not mean `a/b`."""
    asked = Asked(application, path=f"//1.2/rtm//clients/{written}/kick/", keys_of=master_of)
    await asked.send(b"{}", more=False)

    assert (await asked.answer())[0] == 200
    assert await kicked(application) == [client_id]


@SLASHES
async def test_slashes_of_a_name_are_the_names_in_a_batch_too(
    application: Application, written: str, client_id: str
) -> None:
    """A request in a batch is what it is by itself."""
    kick = {"method": "POST", "path": f"/1.2/rtm//clients/{written}/kick/"}

    answer = await call("POST", "/1.1/batch", master_of(application), {"requests": [kick]})

    assert [one.keys() for one in answer.json()] == [{"success"}]
    assert await kicked(application) == [client_id]
