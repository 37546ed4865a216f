"""Coming back: with a token, without one, and in each SDK's way."""

import asyncio
from datetime import UTC, datetime, timedelta

from django.db.models import F

from imcore.appsettings import ApplicationSnapshot, applications
from imcore.bridge import in_database
from imcore.capabilities import ASSUMED, DECLARED
from imcore.models import Application
from imcore.protocol.message_pb2 import GenericCommand, OpType, SessionCommand
from messaging.models import Device, MessagingSettings
from messaging.services import sessions
from tests.conftest import SignIn
from tests.imclient import assert_addressed, open_session, sign_in
from tests.messaging.signing_in import (
    SESSION,
    Connect,
    ObeySettings,
    assert_error,
    assert_opened,
    device_of,
    local_sessions,
)


async def test_a_token_alone_opens_again_and_keeps_the_tag(application: Application, connect: Connect) -> None:
    """Checklist 12."""
    first = await sign_in(await connect(), application.app_id, "tom", deviceId="phone", tag="mobile", configBitmap=59)
    await first.wire.close()
    before = await device_of(application, "tom")

    again = await open_session(
        await connect(), application.app_id, "tom", st=first.token, r=True, configBitmap=None, ua=None
    )

    assert_opened(again)
    (session,) = local_sessions(application, "tom")
    assert (session.tag, session.config_bitmap & DECLARED, session.device) == ("mobile", 59, before.pk)
    assert (await device_of(application, "tom")).last_seen_at > before.last_seen_at


async def test_a_token_that_comes_over_many_connections_at_once_opens_on_each(
    application: Application, connect: Connect
) -> None:
    """Checklist 12: those that come back together share a statement, and a device may be among them twice."""
    first = await sign_in(await connect(), application.app_id, "tom", deviceId="phone")
    other = await sign_in(await connect(), application.app_id, "jerry", deviceId="phone")
    wires = [await connect() for _ in range(6)]
    whose = [other if number == 2 else first for number in range(6)]

    opened = await asyncio.gather(
        *(
            open_session(wire, application.app_id, one.client_id, st=one.token, r=True)
            for wire, one in zip(wires, whose, strict=True)
        )
    )

    for one, answer in zip(whose, opened, strict=True):
        assert_opened(answer)
        assert answer.peerId == one.client_id
    keys = {session.key for session in local_sessions(application, "tom")}
    assert (await device_of(application, "tom")).session_key in keys


async def test_a_token_opens_while_its_first_session_is_still_there(signed_in: SignIn, connect: Connect) -> None:
    """Checklist 12: a client comes back before the server has noticed that its old connection is gone."""
    tom = await signed_in("tom")

    again = await signed_in("tom", wire=await connect(), st=tom.token, r=True)

    assert (await again.request(SESSION, OpType.query, sessionMessage=SessionCommand(sessionPeerIds=["tom"]))).i


async def test_c_sharp_comes_back_without_token_bitmap_and_user_agent(
    application: Application, connect: Connect
) -> None:
    """Checklist 13. What it declared before still holds."""
    first = await sign_in(await connect(), application.app_id, "tom", deviceId="pc", configBitmap=59, ua="c#/1")
    await first.wire.close()

    again = await open_session(await connect(), application.app_id, "tom", deviceId="pc", r=True, configBitmap=None)

    assert_opened(again)
    (session,) = local_sessions(application, "tom")
    assert session.config_bitmap & DECLARED == 59
    assert (await device_of(application, "tom")).user_agent == "c#/1"


async def test_a_device_that_never_declared_a_bitmap_is_taken_for_c_sharp(
    application: Application, connect: Connect
) -> None:
    """Checklist 13: 0xAB (realtime-protocol 4.1.1)."""
    await sign_in(await connect(), application.app_id, "tom", deviceId="pc", configBitmap=None)

    (session,) = local_sessions(application, "tom")
    assert session.config_bitmap & DECLARED == ASSUMED == 0xAB


async def test_java_coming_back_without_a_serial_is_answered_without_one(
    application: Application, connect: Connect
) -> None:
    """Checklist 14, when it succeeds."""
    token = (await sign_in(await connect(), application.app_id, "tom")).token
    wire = await connect()
    body = SessionCommand(st=token, r=True, configBitmap=0xAF)

    await wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, appId=application.app_id, peerId="tom", sessionMessage=body)
    )
    opened = await wire.receive()

    assert_opened(opened)
    assert not opened.HasField("i")


async def test_java_coming_back_with_a_bad_token_is_told_4112_without_a_serial(
    application: Application, connect: Connect
) -> None:
    """Checklist 14. It then opens with a signature on the same connection."""
    wire = await connect()
    body = SessionCommand(st="no token of ours", r=True)

    await wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, appId=application.app_id, peerId="tom", sessionMessage=body)
    )
    refused = await wire.receive()

    assert_error(refused, 4112, "SESSION_TOKEN_EXPIRED")
    assert not refused.HasField("i")
    assert_addressed(refused, "tom")
    assert_opened(await open_session(wire, application.app_id, "tom"))


async def test_java_coming_back_is_told_other_failures_as_closed(application: Application, connect: Connect) -> None:
    """Checklist 14. Anything but 4102 and 4112 travels as `closed` with a code to an open without `i` (4.1.1)."""
    tom = await sign_in(await connect(), application.app_id, "tom")
    await tom.request(SESSION, OpType.close)
    wire = await connect()
    body = SessionCommand(st=tom.token, r=True)

    await wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, appId=application.app_id, peerId="tom", sessionMessage=body)
    )
    closed = await wire.receive()

    assert (closed.cmd, closed.op) == (SESSION, OpType.closed)
    assert (closed.sessionMessage.code, closed.sessionMessage.reason) == (4105, "SESSION_REQUIRED")
    assert not closed.HasField("i")
    assert_addressed(closed, "tom")


async def test_an_expired_token_is_refused_with_4112(
    application: Application, connect: Connect, obey_settings: ObeySettings
) -> None:
    """Checklist 15."""
    await obey_settings(MessagingSettings, session_token_seconds=0)
    expired = (await sign_in(await connect(), application.app_id, "tom")).token
    await obey_settings(MessagingSettings, session_token_seconds=3600)

    refused = await open_session(await connect(), application.app_id, "tom", serial=5, st=expired, r=True)

    assert_error(refused, 4112, "SESSION_TOKEN_EXPIRED")
    assert refused.i == 5


async def test_a_token_is_only_good_for_its_client_its_application_and_untouched(
    application: Application, connect: Connect
) -> None:
    """Checklist 15, for every other token that is not one."""
    token = (await sign_in(await connect(), application.app_id, "tom")).token
    other = await in_database(lambda: Application.objects.create(name="other"))

    answers = [
        await open_session(await connect(), application.app_id, "mary", st=token),
        await open_session(await connect(), other.app_id, "tom", st=token),
        await open_session(await connect(), application.app_id, "tom", st=token[:-1]),
        await open_session(await connect(), application.app_id, "tom", st="[1, 1, 9999999999]:"),
        await open_session(await connect(), application.app_id, "tom", st="\0"),
    ]

    for answer in answers:
        assert_error(answer, 4112, "SESSION_TOKEN_EXPIRED")
    assert local_sessions(application, "mary") == []


async def test_a_new_master_key_ends_every_token(
    application: Application, snapshot: ApplicationSnapshot, connect: Connect
) -> None:
    """Checklist 15."""
    token = (await sign_in(await connect(), application.app_id, "tom")).token
    application.master_key = "another key"
    await in_database(application.save)
    await applications.refresh()

    assert_error(
        await open_session(await connect(), application.app_id, "tom", st=token), 4112, "SESSION_TOKEN_EXPIRED"
    )


async def test_a_device_forgotten_after_a_year_needs_a_new_login(application: Application, connect: Connect) -> None:
    """Checklist 15: its token names a device that is no longer there."""
    token = (await sign_in(await connect(), application.app_id, "tom")).token
    await in_database(
        lambda: Device.objects.filter(application=application).update(
            last_seen_at=F("last_seen_at") - sessions.FORGET_AFTER - timedelta(days=1)
        )
    )

    assert await sessions.forget_devices(now=datetime.now(UTC)) >= 1

    assert_error(
        await open_session(await connect(), application.app_id, "tom", st=token), 4112, "SESSION_TOKEN_EXPIRED"
    )
