"""Where an SDK is told to connect, and the health checks."""

from typing import Any

import pytest
from django.test import AsyncClient
from pytest_django.fixtures import Settings as DjangoSettings

from imcore import redis
from imcore.appsettings import applications
from imcore.bridge import in_database
from imcore.models import Application

PAGE = {"origin": "https://chat.example.com"}


async def ask(path: str, query: str = "", *, secure: bool = False, headers: dict[str, str] | None = None) -> Any:
    """Make a GET request; Django's client reaches us as `testserver`."""
    # With the host, else the client would take the first word of `//v1/route` for one.
    url = f"http://testserver{path}?{query}" if query else f"http://testserver{path}"
    return await AsyncClient().get(url, secure=secure, headers=headers)


# As each SDK builds it (realtime-protocol 1.3).
QUERIES = {
    "JavaScript": "appId={app_id}&secure=true&_t=1700000000000",
    "JavaScript without TLS": "appId={app_id}&secure=false&_t=1700000000000",
    "JavaScript in WeChat": "appId={app_id}&secure=true&features=wechat&_t=1700000000000",
    "JavaScript with a server name": "appId={app_id}&secure=true&server=s1&_t=1700000000000",
    "Java": "appId={app_id}&installationId=3f2504e04f8911d39a0c0305e82c3301&secure=1",
    "Swift, Objective-C, C#": "appId={app_id}&secure=1",
    "none": "",
}


@pytest.mark.parametrize("path", ["/v1/route", "//v1/route", "/v1/route/"])
@pytest.mark.parametrize("sdk", list(QUERIES))
async def test_the_router_answers_every_sdk(sdk: str, path: str, application: Application) -> None:
    """Checklist 1. SDKs whose server address ends in a slash ask with two. Java and C# need `secondary`."""
    answer = await ask(path, QUERIES[sdk].format(app_id=application.app_id))

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/json")
    assert answer.json() == {
        "groupId": "g0",
        "server": "ws://testserver/",
        "secondary": "ws://testserver/",
        "ttl": 3600,
    }


@pytest.mark.parametrize("sdk", ["JavaScript", "JavaScript without TLS", "Java"])
@pytest.mark.parametrize(("secure", "scheme"), [(True, "wss"), (False, "ws")])
async def test_the_scheme_follows_the_request(sdk: str, secure: bool, scheme: str, application: Application) -> None:
    """Checklist 1. Not `secure`, which JavaScript asks for by default, also of a server without TLS."""
    answer = await ask("/v1/route", QUERIES[sdk].format(app_id=application.app_id), secure=secure)

    assert answer.json()["server"] == f"{scheme}://testserver/"


@pytest.mark.parametrize(
    ("public_url", "server"),
    [
        ("https://rtm.example.com", "wss://rtm.example.com/"),
        ("http://10.0.0.1:8000", "ws://10.0.0.1:8000/"),
        ("https://example.com/im", "wss://example.com/im/"),
    ],
)
async def test_a_public_url_fixes_what_clients_are_told(
    public_url: str, server: str, settings: DjangoSettings, application: Application
) -> None:
    """Checklist 1. IMCORE_PUBLIC_URL, for servers that do not see the name they are reached by."""
    settings.PUBLIC_URL = public_url

    answer = await ask("/v1/route", f"appId={application.app_id}")

    assert answer.json()["server"] == answer.json()["secondary"] == server


@pytest.mark.parametrize("app_id", ["no application", "%00", "x" * 1000, "%E6%B1%A4", "%ff"])
async def test_an_unknown_application_is_told_404(app_id: str) -> None:
    """Checklist 1. It makes the Apple SDKs stop asking."""
    answer = await ask("/v1/route", f"appId={app_id}", headers=PAGE)

    assert answer.status_code == 404
    assert answer.json() == {"code": 404, "error": "No application has this App ID."}


async def test_an_application_that_is_switched_off_is_told_404(application: Application) -> None:
    """Checklist 1."""
    application.is_active = False
    await in_database(application.save)

    assert (await ask("/v1/route", f"appId={application.app_id}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/v1/route", "", 200),
        ("//v1/route", "", 200),
        ("/v1/route", "appId=unknown-application", 404),
        ("/1.1/no/such/path", "", 404),
        ("//1.1/no/such/path", "", 404),
    ],
)
async def test_web_pages_may_read_every_answer_errors_too(path: str, query: str, status: int) -> None:
    """Checklist 1. Else a browser shows a network error instead of ours."""
    answer = await ask(path, query, headers=PAGE)

    assert answer.status_code == status
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Content-Type"].startswith("application/json")


async def test_a_preflight_is_allowed_and_remembered_for_a_day() -> None:
    """Checklist 1; rest-api 2.8."""
    answer = await AsyncClient().options(
        "/v1/route",
        headers={
            **PAGE,
            "access-control-request-method": "GET",
            "access-control-request-headers": "content-type",
        },
    )

    assert answer.status_code == 200
    assert answer.content == b""
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answer["Access-Control-Allow-Methods"]
    assert "content-type" in answer["Access-Control-Allow-Headers"].lower()
    assert answer["Access-Control-Max-Age"] == "86400"
    assert not answer.has_header("Access-Control-Allow-Credentials")


async def test_a_wrong_method_is_told_as_json() -> None:
    """rest-api 2.7: every error has the one shape."""
    answer = await AsyncClient().post("/v1/route", headers=PAGE)

    assert answer.status_code == 405
    assert answer.json()["code"] == 405
    assert answer["Access-Control-Allow-Origin"] == "*"


async def test_an_unforeseen_failure_is_told_without_detail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Architecture 3.7: logged once with its traceback; web pages may read it."""

    async def unavailable(app_id: str) -> None:
        raise RuntimeError("the secret detail")

    monkeypatch.setattr(applications, "get", unavailable)

    answer = await ask("/v1/route", "appId=anything-at-all", headers=PAGE)

    assert answer.status_code == 500
    assert answer.json() == {"code": 1, "error": "Internal server error."}
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert [record.name for record in caplog.records if record.exc_info] == ["imcore.rest.exceptions"]


async def test_a_host_that_is_none_is_refused_as_json() -> None:
    """It would end up in the answer."""
    answer = await ask("/v1/route", headers={**PAGE, "host": "evil.example.com/x?"})

    assert answer.status_code == 400
    assert answer.json() == {"code": 400, "error": "Bad request."}
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("public_url", "host"),
    [("", "testserver"), ("https://im.example.com", "im.example.com"), ("http://h:8000", "h:8000")],
)
@pytest.mark.parametrize("path", ["/2/route", "//2/route/"])
async def test_the_app_router_names_the_host_of_every_service(
    path: str, public_url: str, host: str, settings: DjangoSettings, application: Application
) -> None:
    """rest-api 15: item 55. All keys, without scheme: JavaScript and Swift put `https://` before them."""
    settings.PUBLIC_URL = public_url

    answer = await ask(path, f"appId={application.app_id}")

    assert answer.status_code == 200
    services = ["api_server", "engine_server", "play_server", "push_server", "rtm_router_server", "stats_server"]
    assert answer.json() == {"ttl": 3600, **dict.fromkeys(services, host)}


async def test_the_process_says_that_it_lives() -> None:
    """/healthz depends on nothing."""
    answer = await ask("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_the_process_says_that_it_can_serve() -> None:
    """/readyz asks the database, and Redis where there is one."""
    answer = await ask("/readyz")

    assert answer.status_code == 200
    expected = "ok" if redis.is_configured() else "not configured"
    assert answer.json() == {"status": "ok", "database": "ok", "redis": expected}


async def test_the_process_says_that_it_cannot_serve_and_no_password(settings: DjangoSettings) -> None:
    """/readyz names the kind of failure only."""
    settings.REDIS_URL = "redis://:secret@127.0.0.1:1/0"

    answer = await ask("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "database": "ok", "redis": "failed: ConnectionError"}
