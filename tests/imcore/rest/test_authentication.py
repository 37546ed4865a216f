"""Who is let in over HTTP, by which headers (rest-api 2.1 to 2.8)."""

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.test import AsyncClient, RequestFactory
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rest_framework.request import Request

from imcore import user_sessions
from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_database
from imcore.models import Application, GatewaySettings, RestSettings
from imcore.protocol.message_pb2 import CommandType, OpType
from imcore.rest.authentication import Who, authenticate
from imcore.rest.exceptions import Unauthorized
from tests.conftest import SignIn
from tests.conversations.api.asking import ask
from tests.imclient import ImClient
from tests.messaging.signing_in import ObeySettings
from tests.restclient import app_of, call, master_of

PATH = "/1.1/rtm/notifications"
UNAUTHORIZED = {"code": 401, "error": "Unauthorized."}
EXPIRED = {"code": 4112, "error": "SESSION_TOKEN_EXPIRED"}
ANDROID_KEY = "an-android-secure-key"
ID, APP_KEY, MASTER_KEY = "an-application-id", "UtOCzqb67d3sN12Kts4URwy8", "DyJegPlemooo4X1tg94gQkw1"
# rest-api 2.3: the documented vectors.
SIGNED, SIGNED_BY_MASTER = "d5bcbb897e19b2f6633c716dfdfaf9be", "e074720658078c898aa0d4b1b82bdf4b"
AT = "1453014943466"


@pytest.fixture
async def documented(snapshot: ApplicationSnapshot, monkeypatch: pytest.MonkeyPatch) -> ApplicationSnapshot:
    """The application of the documentation's examples."""
    example = replace(snapshot, app_id=ID, app_key=APP_KEY, master_key=MASTER_KEY, android_secure_key=ANDROID_KEY)

    async def get(app_id: str) -> ApplicationSnapshot | None:
        return example if app_id == ID else None

    monkeypatch.setattr(applications, "get", get)
    return example


def signed(key: str, at: str = AT, suffix: str = "") -> str:
    """Sign as the SDKs do."""
    return f"{hashlib.md5((at + key).encode()).hexdigest()},{at}{suffix}"


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
    "the app key and an older master key": (
        {"X_AVOSCloud_Application_Key": APP_KEY, "X_AVOSCloud_Master_Key": MASTER_KEY},
        True,
    ),
    "the app key and a wrong master key": ({"X_LC_Key": APP_KEY, "X_AVOSCloud_Master_Key": "wrong"}, False),
    "a signature and the master key": ({"X_LC_Sign": f"{SIGNED},{AT}", "X_LC_Key": f"{MASTER_KEY},master"}, True),
    "a signature of Android": ({"X_LC_Sign": signed(ANDROID_KEY, suffix=",ax-sig-1")}, False),
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
    "the app key for Android's": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT},ax-sig-1"},
    "Android's key for the app key": {"X_LC_Id": ID, "X_LC_Sign": signed(ANDROID_KEY)},
    "Android's key for the master key": {"X_LC_Id": ID, "X_LC_Sign": signed(ANDROID_KEY, suffix=",master")},
    "Android's key itself": {"X_LC_Id": ID, "X_LC_Key": ANDROID_KEY},
    "a signature of another kind": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT},ax-sig-2"},
    "a time in other digits": {"X_LC_Id": ID, "X_LC_Sign": signed(APP_KEY, "١٢٣")},
    "a wrong key and an older one": {
        "X_LC_Id": ID,
        "X_LC_Key": "wrong",
        "X_AVOSCloud_Application_Key": APP_KEY,
    },
    "more than a signature": {"X_LC_Id": ID, "X_LC_Sign": f"{SIGNED},{AT},,x"},
    "a signature of elsewhere": {"X_LC_Id": ID, "X_LC_Sign": f"é,{AT}"},
}


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD.keys())
def test_whoever_knows_none_is_not(documented: ApplicationSnapshot, headers: dict[str, str]) -> None:
    """rest-api 15: items 2 and 4."""
    with pytest.raises(Unauthorized):
        rights(**headers)


def test_an_application_without_a_key_for_android_lets_none_in(
    documented: ApplicationSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 4: nothing is no secret."""

    async def get(app_id: str) -> ApplicationSnapshot | None:
        return replace(documented, android_secure_key="")

    monkeypatch.setattr(applications, "get", get)

    with pytest.raises(Unauthorized):
        rights(X_LC_Id=ID, X_LC_Sign=signed("", suffix=",ax-sig-1"))


@pytest.mark.parametrize(
    ("age_ms", "is_let_in"), [(0, True), (60_000, True), (-60_000, True), (60_001, False), (-60_001, False)]
)
def test_signatures_are_too_old_where_the_application_says_so(
    documented: ApplicationSnapshot, monkeypatch: pytest.MonkeyPatch, age_ms: int, is_let_in: bool
) -> None:
    """rest-api 2.3: not by default, as the documented ones show, which are of 2016."""
    monkeypatch.setattr(documented.of(RestSettings), "rest_signature_max_age_seconds", 60)
    monkeypatch.setattr("imcore.rest.authentication.now_ms", lambda: int(AT) + age_ms)

    if is_let_in:
        assert rights(X_LC_Id=ID, X_LC_Sign=f"{SIGNED},{AT}") is False
    else:
        with pytest.raises(Unauthorized):
            rights(X_LC_Id=ID, X_LC_Sign=f"{SIGNED},{AT}")


FAMILIES = st.sampled_from(
    [
        ("X-LC-Id", "X-LC-Key", "X-LC-Sign"),
        ("X-AVOSCloud-Application-Id", "X-AVOSCloud-Application-Key", "X-AVOSCloud-Request-Sign"),
        ("X-Uluru-Application-Id", "X-Uluru-Application-Key", "X-LC-Sign"),
    ]
)
SPACES = st.sampled_from(["", " ", "  ", "\t"])
SECRETS = {"": APP_KEY, "master": MASTER_KEY, "ax-sig-1": ANDROID_KEY}


@given(family=FAMILIES, spaces=SPACES, suffix=st.sampled_from(list(SECRETS)), at=st.integers(0, 10**15), data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_form_of_a_signature_is_good_for_what_its_key_is(
    documented: ApplicationSnapshot,
    family: tuple[str, str, str],
    spaces: str,
    suffix: str,
    at: int,
    data: st.DataObject,
) -> None:
    """Checklist 3 and 4: names, letters, spaces; and no change of a digit, or of the key, goes unseen."""
    digest = hashlib.md5(f"{at}{SECRETS[suffix]}".encode()).hexdigest()
    digest = "".join(data.draw(st.sampled_from([char, char.upper()])) for char in digest)
    parts = [digest, str(at), *([suffix] if suffix else [])]

    assert rights(**{family[0]: ID, family[2]: f"{spaces},{spaces}".join(parts)}) is (suffix == "master")

    place = data.draw(st.integers(0, 31))
    other = "0" if digest[place] != "0" else "1"
    for wrong in (digest[:place] + other + digest[place + 1 :], digest[:31], digest + "0"):
        with pytest.raises(Unauthorized):
            rights(**{family[0]: ID, family[2]: ",".join([wrong, *parts[1:]])})
    with pytest.raises(Unauthorized):
        rights(**{family[0]: ID, family[2]: ",".join([digest, str(at + 1), *parts[2:]])})


@given(family=FAMILIES, text=st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_text_is_a_key(documented: ApplicationSnapshot, family: tuple[str, str, str], text: str) -> None:
    """Checklist 2: 401, never a failure."""
    assume(text.strip() not in (APP_KEY, MASTER_KEY))

    for name in family[1:]:
        with pytest.raises(Unauthorized):
            rights(**{family[0]: ID, name: text})


def signature(key: str) -> str:
    """Sign now."""
    return signed(key, str(time.time_ns() // 1_000_000))


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


# Endpoint → what a caller with each kind of rights is answered; those of its own tokens are below.
SERVED = {
    "anybody": {"nobody": 200, "app": 200, "master": 200},
    "application": {"nobody": 401, "app": 200, "master": 200},
    "user": {"nobody": 401, "app": 403, "master": 403},
    "client": {"nobody": 401, "app": 401, "master": 401},
    "master": {"nobody": 401, "app": 403, "master": 200},
}


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("endpoint", list(SERVED))
async def test_an_endpoint_serves_whom_it_says(application: Application, endpoint: str) -> None:
    """rest-api 2.7: 401 for nobody, 403 for somebody else."""
    who = {"nobody": {}, "app": app_of(application), "master": master_of(application)}

    answers = {name: await call("GET", f"/1.1/test/{endpoint}", headers) for name, headers in who.items()}

    assert {name: answer.status_code for name, answer in answers.items()} == SERVED[endpoint]


@pytest.mark.usefixtures("served")
async def test_the_developer_s_endpoints_say_that_they_are(application: Application) -> None:
    """rest-api 2.7; checklist 2: the master key by itself gives no more than the app key."""
    for key in (application.app_key, application.master_key):
        refused = await call("GET", "/1.1/test/master", {"X-LC-Id": application.app_id, "X-LC-Key": key})

        assert refused.status_code == 403
        assert refused.json() == {"code": 403, "error": "The master key is required for this operation."}


@dataclass(frozen=True)
class Somebody:
    """A user."""

    object_id: str


@pytest.fixture
def accounts(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tom is logged in to the test's application."""
    monkeypatch.setattr(user_sessions, "_resolvers", [])

    @user_sessions.users_resolved_by
    async def resolve(of: ApplicationSnapshot, token: str) -> Somebody | None:
        return Somebody("tom") if (of.pk, token) == (application.pk, "token-of-tom") else None


@pytest.mark.usefixtures("served", "accounts")
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"X-LC-Session": "token-of-tom"}, {}),
        ({"X-AVOSCloud-Session-Token": "token-of-tom"}, {}),
        ({"X-Uluru-Session-Token": " token-of-tom "}, {}),
        ({}, {"session_token": "token-of-tom"}),
        ({"X-LC-Session": ""}, {"session_token": "token-of-tom"}),
        ({"X-LC-Session": "", "X-AVOSCloud-Session-Token": "token-of-tom"}, {}),
    ],
)
async def test_a_user_is_known_by_his_session(
    application: Application, headers: dict[str, str], query: dict[str, str]
) -> None:
    """rest-api 2.4; checklist 5: an empty header is none."""
    for endpoint in ("user", "application"):
        answer = await call("GET", f"/1.1/test/{endpoint}", app_of(application, **headers), **query)

        assert answer.json() == {"is_master": False, "client_id": "", "user": "tom"}


@pytest.mark.usefixtures("served", "accounts")
@pytest.mark.parametrize("token", ["", " ", "unknown"])
async def test_a_session_that_is_none_is_nobody_s(application: Application, token: str) -> None:
    """rest-api 2.4; checklist 5: 403 where a user is needed, else as if nothing had been said."""
    headers = app_of(application, **{"X-LC-Session": token})

    refused = await call("GET", "/1.1/test/user", headers)
    served = await call("GET", "/1.1/test/application", headers)

    assert (refused.status_code, refused.json()["code"]) == (403, 403)
    assert (served.status_code, served.json()["user"]) == (200, None)


@pytest.mark.usefixtures("served", "accounts")
async def test_a_user_of_another_application_is_nobody(application: Application) -> None:
    """Two applications never see each other's users."""
    neighbour = await in_database(lambda: Application.objects.create(name="the neighbour"))

    refused = await call("GET", "/1.1/test/user", app_of(neighbour, **{"X-LC-Session": "token-of-tom"}))

    assert refused.status_code == 403


@pytest.mark.usefixtures("served")
async def test_a_client_is_known_by_its_session(signed_in: SignIn, application: Application) -> None:
    """rest-api 2.5."""
    tom = await signed_in("tom")

    answer = await ask(application, tom, "/1.1/test/client")

    assert answer.json() == {"is_master": False, "client_id": "tom", "user": None}
