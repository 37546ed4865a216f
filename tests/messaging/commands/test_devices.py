"""Devices with a tag: one of them is on line, and which one (realtime-protocol 4.1.2)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand
from messaging.models import Device, DeviceState, MessagingSettings
from messaging.services import sessions
from tests.conftest import SignIn
from tests.imclient import ImClient, InProcess, open_session, sign_in
from tests.messaging.signing_in import (
    SESSION,
    Connect,
    ObeySettings,
    assert_error,
    assert_opened,
    local_sessions,
)
from tests.messaging.support import heard, say, started

Open = Callable[..., Awaitable[GenericCommand]]

EVICTED = (4111, "SESSION_CONFLICT")
ON_DEVICES = {"sign_in", "come_back", "load", "holders", "evict_others", "give_way"}


@pytest.fixture
def opening(application: Application, connect: Connect) -> Open:
    """Send tom's `session/open`, on a connection of its own unless given one, and return the answer."""

    async def send(*, wire: InProcess | None = None, **session: Any) -> GenericCommand:
        return await open_session(wire or await connect(), application.app_id, "tom", **session)

    return send


async def assert_told(client: ImClient, code: int, reason: str, detail: str = "") -> None:
    """Assert that a client is told that the server has ended its session, and nothing else."""
    notice = await client.notice(SESSION, OpType.closed)
    body = notice.sessionMessage
    assert (body.code, body.reason, body.detail) == (code, reason, detail)
    await client.nothing_more()


def on_line(application: Application) -> list[str]:
    """Return the keys of tom's sessions."""
    return [session.key for session in local_sessions(application, "tom")]


async def states(application: Application) -> dict[str, str]:
    """Return the states of tom's devices, by identity."""
    devices = Device.objects.filter(application=application, client_id="tom")
    return await in_database(lambda: dict(devices.values_list("identity", "state")))


async def test_a_login_with_a_tag_that_is_taken_signs_the_older_device_out(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 16. The newcomer's `opened` has nothing before it; the older is told without `i`."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")

    pad = await signed_in("tom", deviceId="pad", tag="mobile")

    await assert_told(phone, *EVICTED)
    await pad.nothing_more()
    assert len(on_line(application)) == 1
    refused = await phone.request(SESSION, OpType.refresh)
    assert_error(refused, 4105, "SESSION_REQUIRED")


async def test_the_other_client_on_the_older_ones_connection_goes_on(
    application: Application, connect: Connect, signed_in: SignIn
) -> None:
    """Checklist 16. Only the session ends (4.1.2), and tom may sign in there again."""
    wire = await connect()
    phone = await sign_in(wire, application.app_id, "tom", deviceId="phone", tag="mobile")
    mary = await sign_in(wire, application.app_id, "mary", deviceId="phone", tag="mobile")

    pad = await signed_in("tom", deviceId="pad", tag="mobile")
    await phone.notice(SESSION, OpType.closed)

    assert (await mary.request(SESSION, OpType.refresh)).op == OpType.refreshed
    assert_opened(await open_session(wire, application.app_id, "tom", deviceId="phone", tag="mobile"))
    await assert_told(pad, *EVICTED)


async def test_a_return_to_a_tag_that_is_taken_is_refused_and_the_older_device_stays(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 17. So is a log-in that its user does not want to be forced. Nothing is left of it."""
    room = await started(application, "tom", "jerry")
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    wire = await connect()

    refused = await open_session(wire, application.app_id, "tom", deviceId="pad", tag="mobile", r=True, serial=9)

    assert_error(refused, *EVICTED)
    assert refused.i == 9
    await say(await signed_in("jerry"), room, "hello")
    assert (await heard(phone)).msg == "hello"
    await phone.nothing_more()
    assert len(on_line(application)) == 1
    assert (await wire.request(CommandType.echo)).cmd == CommandType.echo


async def test_who_was_refused_was_not_signed_in(signed_in: SignIn, opening: Open) -> None:
    """Checklist 17, 18. So it was not kicked either, when the other one logs in anew, and returns when that is gone."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    assert_error(await opening(deviceId="pad", tag="mobile", r=True), *EVICTED)
    await phone.request(SESSION, OpType.close)
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    await phone.request(SESSION, OpType.close)

    assert_opened(await opening(deviceId="pad", tag="mobile", r=True))


@pytest.mark.parametrize("how", ["token", "identity", "expired token", "token from refresh"])
async def test_the_device_that_was_signed_out_does_not_come_back_by_itself(
    how: str, signed_in: SignIn, opening: Open, obey_settings: ObeySettings
) -> None:
    """Checklist 18. JavaScript sends nothing but the token; 4112 would make it come back without a tag."""
    await obey_settings(MessagingSettings, session_token_seconds=0 if how == "expired token" else 3600)
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    token = phone.token
    if how == "token from refresh":
        token = (await phone.request(SESSION, OpType.refresh)).sessionMessage.st
    pad = await signed_in("tom", deviceId="pad", tag="mobile")
    await phone.notice(SESSION, OpType.closed)
    await pad.request(SESSION, OpType.close)

    session = {"deviceId": "phone", "tag": "mobile"} if how == "identity" else {"st": token}
    answers = [await opening(r=True, **session) for _ in range(2)]

    for refused in answers:
        assert_error(refused, *EVICTED)


async def test_java_is_told_of_the_conflict_without_a_serial(application: Application, signed_in: SignIn) -> None:
    """Checklist 18. As `closed` with a code, since an `error` without `i` is for 4102 and 4112 only (4.1.1)."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    await signed_in("tom", deviceId="pad", tag="mobile")
    await phone.notice(SESSION, OpType.closed)

    body = SessionCommand(st=phone.token, r=True, configBitmap=0xAF)
    await phone.wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, appId=application.app_id, peerId="tom", sessionMessage=body)
    )
    closed = await phone.wire.receive()

    assert (closed.cmd, closed.op) == (SESSION, OpType.closed)
    assert (closed.sessionMessage.code, closed.sessionMessage.reason) == EVICTED
    assert not closed.HasField("i")


async def test_the_device_that_was_signed_out_logs_in_again_and_takes_the_tag_back(
    application: Application, signed_in: SignIn, opening: Open
) -> None:
    """Checklist 16, 18: without `r`. Its new token is good, the old one is not."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    pad = await signed_in("tom", deviceId="pad", tag="mobile")

    again = await signed_in("tom", deviceId="phone", tag="mobile")

    await assert_told(pad, *EVICTED)
    assert_error(await opening(st=phone.token, r=True), 4105, "SESSION_REQUIRED")
    assert_opened(await opening(st=again.token, r=True))
    assert await states(application) == {"phone": DeviceState.SIGNED_IN, "pad": DeviceState.KICKED}


@pytest.mark.parametrize("is_return", [True, False])
async def test_a_device_does_not_conflict_with_itself(
    is_return: bool, application: Application, signed_in: SignIn, opening: Open
) -> None:
    """Checklist 12, 16, 17: what-users-ask 4. It comes back before the server knows that its connection is lost, by
    its token, by its identity, or by its token with another push token."""
    phone = await signed_in("tom", deviceToken="push", tag="mobile")

    answers = [
        await opening(st=phone.token, r=is_return),
        await opening(deviceToken="push", tag="mobile", r=is_return),
        await opening(st=phone.token, deviceToken="changed", tag="mobile", r=is_return),
    ]

    for opened in answers:
        assert_opened(opened)
    await phone.nothing_more()
    assert await states(application) == {"push": DeviceState.SIGNED_IN}


async def test_an_open_on_the_same_connection_is_no_conflict(application: Application, connect: Connect) -> None:
    """Checklist 17 (4.1.1), not even of a device that does not say which one it is."""
    wire = await connect()
    await sign_in(wire, application.app_id, "tom", tag="mobile")

    tom = await sign_in(wire, application.app_id, "tom", tag="mobile", r=True)

    await tom.nothing_more()
    assert len(on_line(application)) == 1


async def test_a_return_to_a_tag_that_is_free_is_welcome(
    application: Application, signed_in: SignIn, opening: Open
) -> None:
    """Checklist 17: the other device is off line, signed out or not."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    await phone.wire.close()

    assert_opened(await opening(deviceId="pad", tag="mobile", r=True))

    assert await states(application) == {"phone": DeviceState.SIGNED_IN, "pad": DeviceState.SIGNED_IN}
    # It holds the tag by being on line; the phone was not kicked, but must wait.
    assert_error(await opening(st=phone.token, r=True), *EVICTED)


@pytest.mark.parametrize("other", [{}, {"tag": "default"}, {"tag": "web"}])
async def test_other_tags_and_none_are_left_alone(
    other: dict[str, str], application: Application, signed_in: SignIn
) -> None:
    """Checklist 19. The literal `default` is no tag."""
    bystander = await signed_in("tom", deviceId="bystander", **other)
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    marys = await signed_in("mary", deviceId="pad", tag="mobile")
    await signed_in("tom", deviceId="pad", tag="mobile")

    await phone.notice(SESSION, OpType.closed)

    await bystander.nothing_more()
    await marys.nothing_more()
    assert len(on_line(application)) == 2


async def test_a_token_keeps_its_tag_and_evicts_by_it(signed_in: SignIn, opening: Open) -> None:
    """Checklist 12, 16: a user's log-in may bring a token, too, and is one all the same."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    await phone.wire.close()
    assert_opened(await opening(deviceId="web", tag="web"))
    pad = await signed_in("tom", deviceId="pad", tag="mobile", r=True)

    assert_opened(await opening(st=phone.token))

    await assert_told(pad, *EVICTED)


async def test_a_return_evicts_where_the_application_wants_it_so(
    application: Application, signed_in: SignIn, opening: Open, obey_settings: ObeySettings
) -> None:
    """Checklist 17, by the older rule (limits-settings-conflicts 4). Who was evicted is still refused."""
    await obey_settings(MessagingSettings, reopen_evicts=True)
    phone = await signed_in("tom", deviceId="phone", tag="mobile")

    pad = await signed_in("tom", deviceId="pad", tag="mobile", r=True)

    await assert_told(phone, *EVICTED)
    assert_error(await opening(st=phone.token, r=True), *EVICTED)
    assert_error(await opening(deviceId="phone", tag="mobile", r=True), *EVICTED)
    await pad.nothing_more()


@pytest.mark.parametrize("number", range(4))
async def test_of_two_devices_that_log_in_at_once_one_is_left(
    number: int, application: Application, connect: Connect
) -> None:
    """Checklist 16. The other one is refused, or told that it was signed out."""
    wires = [await connect() for _ in range(3)]
    names = ["phone", "pad", "watch"]

    answers = await asyncio.gather(
        *(
            open_session(wire, application.app_id, "tom", deviceId=name, tag="mobile")
            for wire, name in zip(wires, names, strict=True)
        )
    )
    await router.settle()

    assert sorted((await states(application)).values()) == [DeviceState.KICKED, DeviceState.KICKED, "signed in"]
    (session,) = local_sessions(application, "tom")
    (left,) = [name for name, state in (await states(application)).items() if state == DeviceState.SIGNED_IN]
    assert session.device == (await in_database(Device.objects.get, application=application, identity=left)).pk
    for wire, name, answer in zip(wires, names, answers, strict=True):
        if name == left:
            assert_opened(answer)
        elif answer.cmd == CommandType.error:
            assert_error(answer, *EVICTED)
        else:
            await assert_told(ImClient(wire, "tom", answer), *EVICTED)


@pytest.mark.parametrize("by_token", [True, False])
@pytest.mark.parametrize("number", range(3))
async def test_of_two_devices_that_return_at_once_one_is_let_in(
    number: int, by_token: bool, application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 17: as after a restart, when both were signed in. Never both, and not neither."""
    session: dict[str, dict[str, Any]] = {}
    for name in ("phone", "pad"):
        client = await signed_in("tom", deviceId=name, tag="mobile", r=True)
        await client.wire.close()
        session[name] = {"st": client.token} if by_token else {"deviceId": name, "tag": "mobile"}

    answers = await asyncio.gather(
        *(
            open_session(wire, application.app_id, "tom", r=True, **session[name])
            for wire, name in [(await connect(), "phone"), (await connect(), "pad")]
        )
    )

    opened = [answer for answer in answers if answer.op == OpType.opened]
    refused = [answer for answer in answers if answer.cmd == CommandType.error]
    assert (len(opened), len(refused)) == (1, 1)
    assert_error(refused[0], *EVICTED)
    assert len(on_line(application)) == 1


async def test_a_kick_ends_all_sessions_of_a_client_and_voids_its_tokens(
    application: Application, snapshot: ApplicationSnapshot, signed_in: SignIn, opening: Open
) -> None:
    """Checklist 21 for 4.1.2: `closed` 4115. It may sign in again by itself, and returns with a token get 4112."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    web = await signed_in("tom", deviceId="web")
    mary = await signed_in("mary")

    await sessions.kick(application=application.pk, client_id="tom", reason="terms")

    for client in (phone, web):
        await assert_told(client, 4115, "KICKED_BY_APP", "terms")
    await mary.nothing_more()
    assert on_line(application) == []
    for token in (phone.token, web.token):
        assert_error(await opening(st=token, r=True), 4112, "SESSION_TOKEN_EXPIRED")
    assert_opened(await opening(deviceId="phone", tag="mobile", r=True))
    assert_opened(await opening(deviceId="web"))
    assert_error(await opening(st=phone.token, r=True), 4105, "SESSION_REQUIRED")


async def test_who_opens_anew_while_it_is_kicked_is_signed_in_where_it_is_found(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session is served, and is gone with its connection."""
    tom = await signed_in("tom", deviceId="phone")
    has_begun, may_go_on, open_anew = asyncio.Event(), asyncio.Event(), sessions.open_session

    async def slowly(**fields: Any) -> Any:
        has_begun.set()
        await may_go_on.wait()
        return await open_anew(**fields)

    monkeypatch.setattr(sessions, "open_session", slowly)
    await tom.send(SESSION, OpType.open, appId=application.app_id, sessionMessage=SessionCommand(deviceId="phone"))
    await has_begun.wait()
    await sessions.kick(application=application.pk, client_id="tom", reason="")
    await tom.notice(SESSION, OpType.closed)
    may_go_on.set()
    await tom.notice(SESSION, OpType.opened)

    assert (await tom.request(SESSION, OpType.refresh)).op == OpType.refreshed
    assert len(on_line(application)) == 1
    await tom.wire.close()
    assert on_line(application) == []


@pytest.mark.parametrize("how", ["open_session", "open_with_token"])
@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", "lc.protobuf2.1"])
async def test_a_device_that_is_kicked_before_its_session_can_be_found_is_told_so(
    how: str,
    subprotocol: str,
    application: Application,
    signed_in: SignIn,
    connect: Connect,
    opening: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checklist 21 for 4.1.2: between its row and its place on the presence table, also in place of another session."""
    room = await started(application, "tom", "jerry")
    await say(await signed_in("jerry"), room, "hello")
    tom = await signed_in("tom", deviceId="phone", wire=await connect(("lc.protobuf2.3",)))
    await tom.notice(CommandType.unread)
    wire = await connect((subprotocol,))
    come_in = getattr(sessions, how)

    async def and_be_kicked(**fields: Any) -> Any:
        signed_in = await come_in(**fields)
        await sessions.kick(application=application.pk, client_id="tom", reason="terms")
        await router.settle()
        return signed_in

    monkeypatch.setattr(sessions, how, and_be_kicked)
    session: dict[str, Any] = {"st": tom.token} if how == "open_with_token" else {"deviceId": "phone"}
    opened = await opening(wire=wire, r=True, **session)

    assert_opened(opened)
    await assert_told(tom, 4115, "KICKED_BY_APP", "terms")
    await assert_told(ImClient(wire, "tom", opened), 4115, "KICKED_BY_APP")
    assert on_line(application) == []
    monkeypatch.setattr(sessions, how, come_in)
    assert_error(await opening(wire=wire, st=opened.sessionMessage.st), 4112, "SESSION_TOKEN_EXPIRED")


async def test_a_device_that_signs_out_elsewhere_before_its_session_can_be_found_is_over(
    application: Application, signed_in: SignIn, connect: Connect, opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 12, 21: its tokens are void, so it could not come back."""
    before = await signed_in("tom", deviceId="phone")
    wire = await connect()
    come_in = sessions.open_with_token

    async def and_sign_out(**fields: Any) -> Any:
        signed_in = await come_in(**fields)
        await before.request(SESSION, OpType.close)
        return signed_in

    monkeypatch.setattr(sessions, "open_with_token", and_sign_out)
    opened = await opening(wire=wire, st=before.token, r=True)

    assert_opened(opened)
    await assert_told(ImClient(wire, "tom", opened), 4105, "SESSION_REQUIRED")
    assert on_line(application) == []


async def test_a_kick_leaves_the_reasons_for_which_others_were_void(
    application: Application, signed_in: SignIn, opening: Open
) -> None:
    """Checklist 18, 21: 4111 and 4105 stay what they were."""
    phone = await signed_in("tom", deviceId="phone", tag="mobile")
    await signed_in("tom", deviceId="pad", tag="mobile")
    closed = await signed_in("tom", deviceId="web")
    await closed.request(SESSION, OpType.close)

    await sessions.kick(application=application.pk, client_id="tom", reason="")

    notices = [(await phone.next_notice()).sessionMessage.code]
    assert notices == [4111]
    assert_error(await opening(st=phone.token, r=True), *EVICTED)
    assert_error(await opening(st=closed.token, r=True), 4105, "SESSION_REQUIRED")


async def test_coming_back_costs_one_statement_and_with_a_tag_one_more(
    signed_in: SignIn, opening: Open, crossings: list[str]
) -> None:
    """Checklist 12: thousands may do it at once. Its room seat is asked for, too."""
    web, phone = await signed_in("tom", deviceId="web"), await signed_in("tom", deviceId="phone", tag="mobile")
    crossings.clear()
    assert_opened(await opening(st=web.token, r=True))
    untagged = crossings.copy()
    crossings.clear()
    assert_opened(await opening(st=phone.token, r=True))

    assert [name for name in untagged if name in ON_DEVICES] == ["come_back"]
    assert [name for name in crossings if name in ON_DEVICES] == ["come_back", "holders"]


async def test_a_token_upload_is_answered_and_changes_nothing(signed_in: SignIn) -> None:
    """Checklist 7 for 4.16: Swift waits for the answer, Objective-C may send it without `i`."""
    tom = await signed_in("tom")
    body = {"initiative": True, "type": "token", "data": "abc"}

    reply = await tom.request(CommandType.report, OpType.upload, reportMessage=body)
    await tom.send(CommandType.report, OpType.upload, reportMessage=body)

    assert (reply.cmd, reply.op) == (CommandType.report, OpType.uploaded)
    await tom.nothing_more()


@pytest.mark.parametrize("op", [OpType.add, OpType.remove])
async def test_watching_others_is_not_supported(op: Any, signed_in: SignIn) -> None:
    """Checklist 7 for 4.1.3."""
    tom = await signed_in("tom")

    assert_error(await tom.request(SESSION, op), 4200, "INTERNAL_ERROR")
