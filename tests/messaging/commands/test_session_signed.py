"""Logging in where the application wants signatures (realtime-protocol 9)."""

from typing import Any

import pytest

from imcore.appsettings import applications
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import GenericCommand, OpType, SessionCommand
from messaging.models import Device, MessagingSettings
from tests.app_server import capitals, now_ms, signed
from tests.imclient import assert_addressed, open_session, sign_in
from tests.messaging.signing_in import SESSION, Connect, ObeySettings, assert_error, assert_opened, local_sessions

HOUR = 3_600_000


@pytest.fixture(autouse=True)
async def sign_login(obey_settings: ObeySettings) -> None:
    """Turn login signatures on."""
    await obey_settings(MessagingSettings, sign_login=True)


def toms(application: Application, **options: Any) -> dict[str, Any]:
    """Return the signature of tom's login."""
    return signed(application, "tom:", **options)


async def test_a_signed_login_is_let_in(application: Application, connect: Connect) -> None:
    """Checklist 25, 72: milliseconds, seconds, lower case and capitals, and the same again."""
    signature = toms(application)

    for fields in (
        signature,
        signature,
        capitals(signature),
        toms(application, at=now_ms() // 1000),
        toms(application, at=now_ms() - 5 * HOUR),
        toms(application, at=now_ms() + 5 * HOUR),
    ):
        assert_opened(await open_session(await connect(), application.app_id, "tom", **fields))


async def test_a_login_without_a_signature_of_this_client_is_refused(
    application: Application, connect: Connect
) -> None:
    """Checklist 25: none, the wrong key, another client's, another application's text, too old, from the future."""
    good = toms(application)
    bad: list[dict[str, Any]] = [
        {},
        {"s": good["s"]},
        good | {"n": "another nonce"},
        good | {"t": good["t"] + 1},
        good | {"s": "汤姆"},
        toms(application, key="not the master key"),
        toms(application, key=application.app_key),
        signed(application, "mary:"),
        signed(application, "tom"),
        signed(application, ":"),
        toms(application, at=now_ms() - 6 * HOUR - 60_000),
        toms(application, at=now_ms() + 6 * HOUR + 60_000),
        toms(application, at=now_ms() // 1000 - 6 * 3600 - 60),
    ]

    for fields in bad:
        assert_error(await open_session(await connect(), application.app_id, "tom", **fields), 4102, "SIGNATURE_FAILED")

    assert local_sessions(application, "tom") == []
    assert not await in_database(lambda: Device.objects.filter(application=application).exists())


async def test_a_refused_login_can_be_tried_again_on_the_same_connection(
    application: Application, connect: Connect
) -> None:
    """JavaScript and Java do."""
    wire = await connect()

    assert_error(await open_session(wire, application.app_id, "tom"), 4102, "SIGNATURE_FAILED")

    assert_opened(await open_session(wire, application.app_id, "tom", **toms(application)))


async def test_a_refused_login_leaves_the_session_that_is_there(application: Application, connect: Connect) -> None:
    """C# signs again on its open connection."""
    wire = await connect()
    tom = await sign_in(wire, application.app_id, "tom", **toms(application))

    assert_error(await open_session(wire, application.app_id, "tom", s="0" * 40), 4102, "SIGNATURE_FAILED")

    assert len(local_sessions(application, "tom")) == 1
    asked = SessionCommand(sessionPeerIds=["tom"])
    assert (await tom.request(SESSION, OpType.query, sessionMessage=asked)).op == OpType.query_result


async def test_an_anonymous_login_is_signed_over_an_empty_id(application: Application, connect: Connect) -> None:
    """Checklist 10, 72. That signature makes nobody else's session."""
    signature = signed(application, ":")

    assert_opened(await open_session(await connect(), application.app_id, None, **signature))
    assert_error(await open_session(await connect(), application.app_id, None), 4102, "SIGNATURE_FAILED")


async def test_a_token_needs_no_signature(application: Application, connect: Connect) -> None:
    """Checklist 12, 72: neither to open again nor to be refreshed."""
    first = await sign_in(await connect(), application.app_id, "tom", **toms(application))
    refreshed = await first.request(SESSION, OpType.refresh, sessionMessage=SessionCommand(st=first.token))

    for token in (first.token, refreshed.sessionMessage.st):
        assert_opened(await open_session(await connect(), application.app_id, "tom", st=token, r=True))


async def test_javascript_coming_back_with_nothing_is_told_4102(application: Application, connect: Connect) -> None:
    """Checklist 25. Its token has expired and it never signs a second time (realtime-protocol 4.1.1)."""
    await sign_in(await connect(), application.app_id, "tom", **toms(application))

    again = await open_session(await connect(), application.app_id, "tom", r=True)

    assert_error(again, 4102, "SIGNATURE_FAILED")


async def test_java_coming_back_without_a_serial_is_told_4102_without_one(
    application: Application, connect: Connect
) -> None:
    """Checklist 14: the answer is an `error` without `i`, and the connection stays for a signed open."""
    wire = await connect()
    body = SessionCommand(r=True, deviceId="phone")

    await wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, appId=application.app_id, peerId="tom", sessionMessage=body)
    )
    refused = await wire.receive()

    assert_error(refused, 4102, "SIGNATURE_FAILED")
    assert not refused.HasField("i")
    assert_addressed(refused, "tom")
    assert_opened(await open_session(wire, application.app_id, "tom", **toms(application)))


async def test_a_new_master_key_ends_every_signature(application: Application, connect: Connect) -> None:
    """What was signed with the old one is wrong."""
    signature = toms(application)
    application.master_key = "another key"
    await in_database(application.save)
    await applications.refresh()

    refused = await open_session(await connect(), application.app_id, "tom", **signature)

    assert_error(refused, 4102, "SIGNATURE_FAILED")
    assert_opened(await open_session(await connect(), application.app_id, "tom", **toms(application)))
