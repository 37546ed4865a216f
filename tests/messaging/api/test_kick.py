"""Sending a client away (rest-api 8.12, realtime-protocol 4.1.2, 9)."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as operator

from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from messaging.models import Kick, MessagingSettings
from messaging.services import catching_up, sessions
from messaging.tasks import forget_kicks
from tests.app_server import now_ms, signed
from tests.conftest import SignIn
from tests.imclient import ImClient, open_session
from tests.messaging.signing_in import SESSION, Connect, ObeySettings, assert_error, assert_opened, local_sessions
from tests.messaging.support import another_application
from tests.restclient import app_of, call, master_of

HOUR = 3_600_000


async def kick(application: Application, client_id: str = "tom", **body: Any) -> None:
    """Kick a client as the developer."""
    answer = await call("POST", f"/1.2/rtm/clients/{quote(client_id)}/kick", master_of(application), body)
    assert (answer.status_code, answer.json()) == (200, {})


async def told(client: ImClient) -> tuple[int, str, str | None]:
    """Return code, reason and detail of the next notice, which must end the session."""
    body = (await client.notice(SESSION, OpType.closed)).sessionMessage
    return body.code, body.reason, body.detail if body.HasField("detail") else None


async def kicks(application: Application) -> dict[str, int]:
    """Return when clients were kicked."""
    rows = Kick.objects.filter(application=application).values_list("client_id", "kicked_ms")
    return dict(await in_database(lambda: list(rows)))


async def test_all_sessions_of_a_client_are_closed_and_its_tokens_void(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 35: with the text in `detail`. Neither others nor a client of this name elsewhere notice."""
    phone, web, mary = await signed_in("tom"), await signed_in("tom"), await signed_in("mary")
    elsewhere = await another_application()
    opened = await open_session(await connect(), elsewhere.app_id, "tom")

    await kick(application, reason="二十个字" * 5)

    assert await told(phone) == await told(web) == (4115, "KICKED_BY_APP", "二十个字" * 5)
    assert local_sessions(application, "tom") == []
    assert len(local_sessions(elsewhere, "tom")) == 1
    await mary.nothing_more()
    assert_error(await phone.request(SESSION, OpType.refresh), 4105, "SESSION_REQUIRED")
    for client in (phone, web):
        refused = await open_session(await connect(), application.app_id, "tom", st=client.token, r=True)
        assert_error(refused, 4112, "SESSION_TOKEN_EXPIRED")
    again = await open_session(await connect(), elsewhere.app_id, "tom", st=opened.sessionMessage.st, r=True)
    assert_opened(again)


@pytest.mark.parametrize("path", ["/1.1/rtm/client/kick", "/1.2/rtm/client/kick"])
async def test_1_1_names_the_client_in_its_body(application: Application, signed_in: SignIn, path: str) -> None:
    """Checklist 35: without a text there is no `detail`."""
    tom = await signed_in("to/m")
    web = await signed_in("to/m")

    answer = await call("POST", path, master_of(application), {"client_id": "to/m"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert await told(tom) == await told(web) == (4115, "KICKED_BY_APP", None)


@pytest.mark.parametrize("client_id", ["nobody", "a/b", "x" * 64])
async def test_a_client_that_is_not_there_can_be_kicked(application: Application, client_id: str) -> None:
    """Checklist 35: it may have a signature and never have come."""
    began = now_ms()

    await kick(application, client_id)
    await kick(application, client_id, reason="again")

    assert began <= (await kicks(application))[client_id] <= now_ms()


async def test_what_cannot_be_asked_kicks_nobody(application: Application, signed_in: SignIn) -> None:
    """Checklist 35: a text that is too long or none, a client id that is none, the app key."""
    tom = await signed_in("tom")
    master, named = master_of(application), "/1.1/rtm/client/kick"
    cases: list[tuple[int, str, dict[str, str], Any]] = [
        (1, "/1.2/rtm/clients/tom/kick", master, {"reason": "x" * 21}),
        (1, "/1.2/rtm/clients/tom/kick", master, {"reason": ["terms"]}),
        (403, "/1.2/rtm/clients/tom/kick", app_of(application), {}),
        (4103, f"/1.2/rtm/clients/{'x' * 65}/kick", master, {}),
        (1, named, master, {}),
        (1, named, master, {"client_id": 7}),
        (1, named, master, {"client_id": "tom", "reason": "x" * 21}),
        (4103, named, master, {"client_id": ""}),
        (4103, named, master, {"client_id": "x" * 65}),
        (403, named, app_of(application), {"client_id": "tom"}),
    ]

    for code, path, headers, body in cases:
        answer = await call("POST", path, headers, body)
        assert answer.json()["code"] == code, (path, body)

    await tom.nothing_more()
    assert await kicks(application) == {}


@pytest.fixture
async def sign_login(obey_settings: ObeySettings) -> None:
    """Turn login signatures on."""
    await obey_settings(MessagingSettings, sign_login=True)


@pytest.mark.usefixtures("sign_login")
async def test_an_older_signature_logs_in_no_more(application: Application, connect: Connect) -> None:
    """Checklist 35: in milliseconds or in seconds; a new one does, and others' are as good as before."""
    old = signed(application, "tom:")
    in_seconds = signed(application, "tom:", at=now_ms() // 1000)
    marys = signed(application, "mary:")

    async def open_with(client_id: str, signature: dict[str, Any]) -> Any:
        return await open_session(await connect(), application.app_id, client_id, **signature)

    assert_opened(await open_with("tom", old))
    await kick(application)

    for signature in (old, in_seconds):
        assert_error(await open_with("tom", signature), 4102, "SIGNATURE_FAILED")
    assert local_sessions(application, "tom") == []
    assert_opened(await open_with("mary", marys))
    assert_opened(await open_with("tom", signed(application, "tom:")))
    await kick(application)
    assert_error(await open_with("tom", signed(application, "tom:", at=now_ms() - HOUR)), 4102, "SIGNATURE_FAILED")


@pytest.mark.usefixtures("sign_login")
async def test_who_logs_in_while_it_is_kicked_does_not_stay(
    application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 35: after its signature was looked at, before its session can be found."""
    signature, open_anew = signed(application, "tom:"), sessions.open_session

    async def and_be_kicked(**fields: Any) -> Any:
        signed_in = await open_anew(**fields)
        await kick(application)
        await router.settle()
        return signed_in

    monkeypatch.setattr(sessions, "open_session", and_be_kicked)
    refused = await open_session(await connect(), application.app_id, "tom", **signature)

    assert_error(refused, 4102, "SIGNATURE_FAILED")
    assert local_sessions(application, "tom") == []


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("by_token", [True, False])
async def test_who_comes_while_it_is_kicked_is_told_the_text_once_it_can_be_found(
    application: Application,
    signed_in: SignIn,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    is_before: bool,
    by_token: bool,
) -> None:
    """Checklist 35: before it is looked whether its device is signed in still, or after; without a tag."""
    tom, load = await signed_in("tom", deviceId="phone"), catching_up.load

    async def and_be_kicked(**asked: Any) -> Any:
        missed = None if is_before else await load(**asked)
        await kick(application, reason="terms")
        await router.settle()
        return missed or await load(**asked)

    await tom.wire.close()
    monkeypatch.setattr(catching_up, "load", and_be_kicked)
    session: dict[str, Any] = {"st": tom.token} if by_token else {"deviceId": "phone"}
    wire = await connect()
    opened = await open_session(wire, application.app_id, "tom", r=True, **session)

    assert_opened(opened)
    returned = ImClient(wire, "tom", opened)
    assert await told(returned) == (4115, "KICKED_BY_APP", "terms")
    await returned.nothing_more()
    assert local_sessions(application, "tom") == []


async def test_without_signatures_it_may_come_again(application: Application, connect: Connect) -> None:
    """As anybody may who knows the app key."""
    await kick(application)

    assert_opened(await open_session(await connect(), application.app_id, "tom"))


async def test_kicks_are_forgotten_when_no_signature_is_so_old(application: Application) -> None:
    """Running it twice does no harm."""
    rows = [
        Kick(application=application, client_id=client_id, kicked_ms=now_ms() - age)
        for client_id, age in (("old", 6 * HOUR + 120_000), ("tom", 6 * HOUR - 60_000))
    ]
    await in_database(lambda: Kick.objects.bulk_create(rows))

    for _ in range(2):
        await asyncio.to_thread(forget_kicks)

    assert set(await kicks(application)) == {"tom"}
    assert forget_kicks.name in {entry["task"] for entry in operator.CELERY_BEAT_SCHEDULE.values()}
