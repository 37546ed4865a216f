"""Who is let in over HTTP, by which headers (rest-api 2.1 to 2.8)."""

import hashlib
import time
from dataclasses import replace
from typing import Any

import pytest
from django.test import AsyncClient, RequestFactory
from rest_framework.request import Request

from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_database
from imcore.models import Application, GatewaySettings
from imcore.protocol.message_pb2 import CommandType, OpType
from imcore.rest.authentication import Who, authenticate
from imcore.rest.exceptions import Unauthorized
from tests.conftest import SignIn
from tests.conversations.api.asking import ask
from tests.imclient import ImClient
from tests.messaging.signing_in import ObeySettings

PATH = "/1.1/rtm/notifications"
UNAUTHORIZED = {"code": 401, "error": "Unauthorized."}
EXPIRED = {"code": 4112, "error": "SESSION_TOKEN_EXPIRED"}
ID, APP_KEY, MASTER_KEY = "an-application-id", "UtOCzqb67d3sN12Kts4URwy8", "DyJegPlemooo4X1tg94gQkw1"
# rest-api 2.3: the documented vectors.
SIGNED, SIGNED_BY_MASTER = "d5bcbb897e19b2f6633c716dfdfaf9be", "e074720658078c898aa0d4b1b82bdf4b"
AT = "1453014943466"


@pytest.fixture
async def documented(snapshot: ApplicationSnapshot, monkeypatch: pytest.MonkeyPatch) -> ApplicationSnapshot:
    """The application of the documentation's examples."""
    example = replace(snapshot, app_id=ID, app_key=APP_KEY, master_key=MASTER_KEY)

    async def get(app_id: str) -> ApplicationSnapshot | None:
        return example if app_id == ID else None

    monkeypatch.setattr(applications, "get", get)
    return example


def rights(**headers: str) -> bool:
    """Return whether the headers are the developer's; raise if they are nobody's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    caller = authenticate(Request(RequestFactory().get("/", headers=named)), Who.APPLICATION)
    assert caller is not None
    return caller.is_master


GOOD = {
    "the key": ({"X_LC_Key": APP_KEY}, False),
    "the master key": ({"X_LC_Key": f"{MASTER_KEY},master"}, True),
    "the master key with spaces": ({"X_LC_Key": f" {MASTER_KEY} , master "}, True),
    "the master key alone": ({"X_LC_Key": MASTER_KEY}, False),
    "a signature": ({"X_LC_Sign": f"{SIGNED},{AT}"}, False),
    "a signature by the master key": ({"X_LC_Sign": f"{SIGNED_BY_MASTER},{AT},master"}, True),
    "a signature in capitals with spaces": ({"X_LC_Sign": f"{SIGNED.upper()} , {AT}"}, False),
    "an older key": ({"X_AVOSCloud_Application_Key": APP_KEY}, False),
    "the oldest key": ({"X_Uluru_Application_Key": APP_KEY}, False),
    "an older signature": ({"X_AVOSCloud_Request_Sign": f"{SIGNED_BY_MASTER},{AT},master"}, True),
    "an older master key": ({"X_AVOSCloud_Master_Key": MASTER_KEY}, True),
    "the oldest master key": ({"X_Uluru_Master_Key": MASTER_KEY}, True),
    "a wrong key and a good signature": ({"X_LC_Key": "wrong", "X_LC_Sign": f"{SIGNED},{AT}"}, False),
    "an empty key and an older one": ({"X_LC_Key": "", "X_AVOSCloud_Application_Key": APP_KEY}, False),
}


@pytest.mark.parametrize(("headers", "is_master"), GOOD.values(), ids=GOOD.keys())
def test_who_knows_a_key_is_let_in(documented: ApplicationSnapshot, headers: dict[str, str], is_master: bool) -> None:
    """rest-api 15: items 1, 2, 3 and 4."""
    assert rights(X_LC_Id=ID, **headers) is is_master


@pytest.mark.parametrize("name", ["X-LC-Id", "x-lc-id", "X-AVOSCloud-Application-Id", "X-Uluru-Application-Id"])
def test_an_application_has_several_headers_for_its_id(documented: ApplicationSnapshot, name: str) -> None:
    """rest-api 15: item 3."""
    assert rights(**{name: ID, "X-LC-Key": APP_KEY}) is False


BAD = {
    "nothing": {},
    "no key": {"X_LC_Id": ID},
    "an empty key": {"X_LC_Id": ID, "X_LC_Key": ""},
    "no application": {"X_LC_Key": APP_KEY},
    "another application": {"X_LC_Id": "another", "X_LC_Key": APP_KEY},
    "a wrong key": {"X_LC_Id": ID, "X_LC_Key": APP_KEY + "x"},
    "a key in other letters": {"X_LC_Id": ID, "X_LC_Key": APP_KEY.lower()},
    "the app key as master key": {"X_LC_Id": ID, "X_LC_Key": f"{APP_KEY},master"},
    "the app key in the older master header": {"X_LC_Id": ID, "X_AVOSCloud_Master_Key": APP_KEY},
    "only the word": {"X_LC_Id": ID, "X_LC_Key": ",master"},
    "letters of elsewhere": {"X_LC_Id": ID, "X_LC_Key": "é"},
    "a tampered time": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT[:-1]}7"},
    "a signature without time": {"X_LC_Id": ID, "X_LC_Sign": SIGNED},
    "a signature of the app key as master": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT},master"},
    "a signature of the master key as app": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED_BY_MASTER},{AT}"},
    "a secret this server has not": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT},ax-sig-1"},
    "more than a signature": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT},,x"},
    "a signature of elsewhere": {"X_LC_Id": ID, "X_LC_Sign": f"é,{AT}"},
}


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD.keys())
def test_whoever_knows_none_is_not(documented: ApplicationSnapshot, headers: dict[str, str]) -> None:
    """rest-api 15: items 2 and 4."""
    with pytest.raises(Unauthorized):
        rights(**headers)


def signature(key: str) -> str:
    """Sign as the SDKs do."""
    at = str(time.time_ns() // 1_000_000)
    return f"{hashlib.md5((at + key).encode()).hexdigest()},{at}"


async def test_a_refusal_is_json_that_web_pages_may_read(signed_in: SignIn, application: Application) -> None:
    """rest-api 15: items 2 and 7; 401 with the documented body."""
    tom = await signed_in("tom")

    refused = await ask(application, tom, PATH, headers={"X-LC-Key": "wrong", "Origin": "https://chat.example.com"})

    assert (refused.status_code, refused.json()) == (401, UNAUTHORIZED)
    assert refused["Access-Control-Allow-Origin"] == "*"
    assert refused["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    "path", [PATH, "//1.1/rtm/notifications", "/1.1//rtm//notifications/", "/1.2/rtm/notifications"]
)
async def test_slashes_and_versions_do_not_matter(signed_in: SignIn, application: Application, path: str) -> None:
    """rest-api 1.4, 1.5: no redirect, whatever the SDK makes of its server's address."""
    tom = await signed_in("tom")

    answer = await ask(application, tom, path, start_ts=1)

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-cache,no-store"


async def test_a_client_comes_with_a_signature_too(signed_in: SignIn, application: Application) -> None:
    """Java, Swift and Objective-C sign."""
    tom = await signed_in("tom")
    headers = {"X-LC-Key": None, "X-LC-Sign": signature(application.app_key)}

    assert (await ask(application, tom, PATH, headers=headers, start_ts=1)).status_code == 200


async def test_a_body_of_a_get_request_is_ignored(signed_in: SignIn, application: Application) -> None:
    """JavaScript 4 sends `{}` (realtime-protocol 10)."""
    tom = await signed_in("tom")
    headers = {
        "X-LC-Id": application.app_id,
        "X-LC-Key": application.app_key,
        "X-LC-IM-Session-Token": tom.token,
    }

    for body in ("{}", "{", "null"):
        answer = await AsyncClient().generic(
            "GET",
            PATH,
            body,
            content_type="application/json",
            headers=headers,
            query_params={"client_id": "tom", "start_ts": "1", "notification_type": "permanent"},
        )

        assert (answer.status_code, answer.json()) == (200, {"hasMore": False, "notifications": []})


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "jerry"},
        {"client_id": ""},
        {"headers": {"X-LC-IM-Session-Token": None}},
        {"headers": {"X-LC-IM-Session-Token": ""}},
        {"headers": {"X-LC-IM-Session-Token": "nonsense"}},
        {"headers": {"X-LC-IM-Session-Token": "WzEsMSwxXQ:x"}},
    ],
)
async def test_a_token_is_good_for_its_client_only(
    signed_in: SignIn, application: Application, changes: dict[str, Any]
) -> None:
    """Checklist 74; rest-api 2.5: 401 with code 4112."""
    tom = await signed_in("tom")

    refused = await ask(application, tom, PATH, **changes)

    assert refused.status_code == 401
    assert {key: refused.json()[key] for key in EXPIRED} == EXPIRED


async def test_a_token_of_another_application_is_good_for_nothing(signed_in: SignIn, application: Application) -> None:
    """Checklist 74: though both have a client of this name."""
    tom = await signed_in("tom")
    neighbour = await in_database(lambda: Application.objects.create(name="the neighbour"))

    refused = await ask(neighbour, tom, PATH)

    assert (refused.status_code, refused.json()) == (401, EXPIRED)


async def test_a_token_ends_with_its_session(signed_in: SignIn, application: Application) -> None:
    """Checklist 21, 74: `session/close` voids it here as well."""
    tom = await signed_in("tom")
    assert (await ask(application, tom, PATH, start_ts=1)).status_code == 200

    await tom.request(CommandType.session, OpType.close)

    refused = await ask(application, tom, PATH, start_ts=1)
    assert (refused.status_code, refused.json()) == (401, EXPIRED)


async def test_a_refreshed_token_is_good_and_so_is_the_old_one(signed_in: SignIn, application: Application) -> None:
    """Until it expires."""
    tom = await signed_in("tom")
    refreshed = await tom.request(CommandType.session, OpType.refresh)
    fresh = ImClient(tom.wire, "tom", refreshed)

    for client in (tom, fresh):
        assert (await ask(application, client, PATH, start_ts=1)).status_code == 200


async def test_an_application_that_is_switched_off_answers_nobody(signed_in: SignIn, application: Application) -> None:
    """4100, as on the WebSocket; but only to who knows a key."""
    tom = await signed_in("tom")
    application.is_active = False
    await in_database(application.save)
    await applications.refresh()

    refused = await ask(application, tom, PATH)
    unknown = await ask(application, tom, PATH, headers={"X-LC-Key": "wrong"})

    assert (refused.status_code, refused.json()) == (400, {"code": 4100, "error": "APP_NOT_AVAILABLE"})
    assert unknown.json() == UNAUTHORIZED


async def test_web_pages_come_from_allowed_origins(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """rest-api 2.8: `allowed_origins` counts here as on the WebSocket."""
    tom = await signed_in("tom")
    await obey_settings(GatewaySettings, allowed_origins="https://chat.example.com")

    statuses = {
        origin: (await ask(application, tom, PATH, headers={"Origin": origin}, start_ts=1)).status_code
        for origin in ("https://chat.example.com", "http://localhost:3000", "https://evil.example.com", None)
    }

    assert list(statuses.values()) == [200, 200, 403, 200]


HEADERS = """
    Content-Type Origin X-LC-Id X-LC-Key X-LC-Sign X-LC-Session X-LC-Prod X-LC-UA X-LC-IM-Session-Token Accept
    Accept-Encoding Cache-Control Authorization X-Requested-With X-LC-Hook-Key X-AVOSCloud-Application-Id
    X-AVOSCloud-Application-Key X-AVOSCloud-Application-Production X-AVOSCloud-Client-Version X-AVOSCloud-Request-Sign
    X-AVOSCloud-Session-Token X-AVOSCloud-Super-Key X-AVOSCloud-Master-Key X-Uluru-Application-Id
    X-Uluru-Application-Key X-Uluru-Application-Production X-Uluru-Client-Version X-Uluru-Session-Token
""".lower().split()


@pytest.mark.parametrize("path", [PATH, "//1.1/classes/_ConversationMemberInfo", "/1.1/no/such/path", "/1.2/none"])
async def test_a_preflight_allows_what_sdks_send(path: str) -> None:
    """rest-api 15: item 7; 200 without keys, on any path."""
    answer = await AsyncClient().options(
        f"http://testserver{path}",
        headers={
            "Origin": "https://chat.example.com",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": ",".join(HEADERS),
        },
    )

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert set(HEADERS) <= {name.strip() for name in answer["Access-Control-Allow-Headers"].lower().split(",")}
    methods = {name.strip() for name in answer["Access-Control-Allow-Methods"].split(",")}
    assert methods == {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
