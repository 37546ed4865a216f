"""Wills: what is said in a client's name when it is lost (realtime-protocol 4.9.1)."""

import asyncio
from typing import Any

import pytest

from conversations.models import ConversationSettings
from conversations.policy import Kind
from conversations.services import rooms
from imcore import limits
from imcore.bridge import in_database
from imcore.gateway import lifecycle
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType, ConvCommand, GenericCommand, OpType, SessionCommand
from messaging.events import Mentions
from messaging.models import DeviceState, Will
from messaging.services import sessions, wills
from messaging.storage import devices
from messaging.storage import wills as stored_wills
from messaging.storage.wills import LeftWill
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.gate import Gate
from tests.messaging.signing_in import SESSION, Connect, ObeySettings, device_of, local_sessions
from tests.messaging.support import attempt, away, command, frozen, heard, history, say, started


async def leave(client: ImClient, room: str, text: str | None = "tom is gone", **fields: Any) -> AckCommand:
    """Leave a will."""
    return await say(client, room, text, will=True, **fields)


async def hears_nothing(client: ImClient) -> None:
    """Assert that no will is under way."""
    await wills.settle()
    await client.nothing_more()


async def left(application: Application) -> list[str | None]:
    """Return the texts of the wills that are kept."""
    kept = Will.objects.filter(application=application)
    return await in_database(lambda: list(kept.values_list("text", flat=True)))


async def carried_through() -> None:
    """Wait until every command that was received is carried through."""
    while under_way := [task for task in asyncio.all_tasks() if task.get_name() == "lane"]:
        await asyncio.wait(under_way)


async def test_a_will_is_acknowledged_and_said_when_its_clients_connection_is_lost(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 5, 68: with its id, at the time of the loss, once, to those on line, and in no history."""
    room = await started(application, "tom", "jerry")
    tom, jerry, web = await signed_in("tom"), await signed_in("jerry"), await signed_in("tom", deviceId="web")
    ack = await leave(tom, room, mentionPids=["jerry"], mentionAll=True)
    await jerry.nothing_more()

    with frozen(ack.t + 60_000):
        await tom.wire.close()
        message, on_web = await heard(jerry), await heard(web)

    assert (message.id, message.timestamp, message.msg) == (ack.uid, ack.t + 60_000, "tom is gone")
    assert (message.fromPeerId, message.cid, message.convType) == ("tom", room, 1)
    assert (list(message.mentionPids), message.mentionAll) == (["jerry"], True)
    assert not message.HasField("transient")
    assert on_web == message
    await hears_nothing(jerry)
    assert await history(jerry, room) == []
    assert await left(application) == []


async def test_a_will_is_not_said_after_a_close(application: Application, signed_in: SignIn) -> None:
    """Checklist 68. Nor when the same client is lost later."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom", deviceId="phone"), await signed_in("jerry")
    await leave(tom, room)

    await tom.request(SESSION, OpType.close)
    again = await signed_in("tom", wire=tom.wire, deviceId="phone")
    await again.wire.close()

    await hears_nothing(jerry)
    assert await left(application) == []


async def test_a_will_is_not_said_when_the_socket_goes_while_the_close_is_carried_through(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68. Who drops the socket behind its `close` has said it all the same."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await leave(tom, room)
    has_begun, may_go_on, close = asyncio.Event(), asyncio.Event(), sessions.close

    async def slowly(**fields: Any) -> None:
        has_begun.set()
        await may_go_on.wait()
        await close(**fields)

    monkeypatch.setattr(sessions, "close", slowly)
    await tom.send(SESSION, OpType.close)
    await has_begun.wait()
    await tom.wire.close()

    await hears_nothing(jerry)
    may_go_on.set()


async def test_who_says_goodbye_behind_a_slow_command_and_drops_the_socket_is_not_lost(
    application: Application, signed_in: SignIn, store_gate: Gate
) -> None:
    """Checklist 68. What it sent before is carried through, and its tokens are void."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await leave(tom, room)
    store_gate.close()
    await tom.send(CommandType.direct, directMessage=command(room, "bye"))
    await store_gate.holds(1)
    await tom.send(SESSION, OpType.close)
    await tom.wire.close()
    store_gate.open()

    assert (await heard(jerry)).msg == "bye"
    await carried_through()
    await hears_nothing(jerry)
    assert await left(application) == []
    assert local_sessions(application, "tom") == []
    assert (await device_of(application, "tom")).state == DeviceState.CLOSED


async def test_who_says_goodbye_behind_its_will_is_not_lost(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68: the socket goes while the will is being left."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    is_dropped = asyncio.Event()

    async def drop_then_cross(work: Any, *args: Any, **kwargs: Any) -> Any:
        if work.__name__ == "store":
            await tom.send(SESSION, OpType.close)
            await tom.wire.close()
            is_dropped.set()
        return await in_database(work, *args, **kwargs)

    monkeypatch.setattr(wills, "in_database", drop_then_cross)
    await tom.send(CommandType.direct, directMessage=command(room, "tom is gone", will=True))

    await is_dropped.wait()
    await carried_through()
    await hears_nothing(jerry)
    assert await left(application) == []


async def test_a_goodbye_that_fails_when_the_socket_is_gone_leaves_a_client_that_is_lost(
    application: Application, signed_in: SignIn, store_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68: the database was away."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await leave(tom, room)
    monkeypatch.setattr(devices, "close", away)
    store_gate.close()
    await tom.send(CommandType.direct, directMessage=command(room, "bye"))
    await store_gate.holds(1)
    await tom.send(SESSION, OpType.close)
    await tom.wire.close()
    store_gate.open()

    assert [(await heard(jerry)).msg for _ in range(2)] == ["bye", "tom is gone"]
    await hears_nothing(jerry)


async def test_a_device_that_is_lost_while_it_comes_back_is_lost(
    application: Application, signed_in: SignIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68: what it left on the connection before is said."""
    room = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    tom = await signed_in("tom", deviceId="phone")
    await leave(tom, room)
    wire = await connect()
    come_in = sessions.open_with_token

    async def lose_then_come_in(**asked: Any) -> Any:
        await wire.close()
        return await come_in(**asked)

    monkeypatch.setattr(sessions, "open_with_token", lose_then_come_in)
    body = SessionCommand(st=tom.token, r=True)
    await wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, i=1, appId=application.app_id, peerId="tom", sessionMessage=body)
    )

    assert (await heard(jerry)).msg == "tom is gone"
    await tom.wire.close()
    await hears_nothing(jerry)


async def test_the_newest_will_of_a_client_replaces_every_earlier_one(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 68: across conversations and devices."""
    first, second = await started(application, "tom", "jerry"), await started(application, "tom", "jerry", "mary")
    phone, web = await signed_in("tom", deviceId="phone"), await signed_in("tom", deviceId="web")
    jerry = await signed_in("jerry")
    await leave(phone, first, "one")
    await leave(phone, second, "two")
    await leave(web, first, "three")

    await phone.wire.close()
    await hears_nothing(jerry)
    await web.wire.close()

    assert (await heard(jerry)).msg == "three"
    await hears_nothing(jerry)


async def test_a_binary_will_survives(application: Application, signed_in: SignIn) -> None:
    """Checklist 56, 68. So does a text that PostgreSQL could not keep as one."""
    room = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")

    for body in ({"text": None, "binaryMsg": b"\0\xff"}, {"text": "a\0b", "mentionPids": ["mary", "a\0"]}):
        tom = await signed_in("tom")
        await leave(tom, room, **body)
        await tom.wire.close()
        message = await heard(jerry)
        assert message.binaryMsg == body.get("binaryMsg", b"")
        assert message.msg == (body["text"] or "")
        assert list(message.mentionPids) == (["mary"] if "mentionPids" in body else [])


async def test_a_will_for_a_chat_room_reaches_those_who_are_there(application: Application, signed_in: SignIn) -> None:
    """Checklist 68."""
    room = await started(application, "tom", kind=Kind.CHAT_ROOM)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await jerry.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=room, m=["jerry"]))
    await leave(tom, room)

    await tom.wire.close()

    assert (await heard(jerry)).convType == Kind.CHAT_ROOM


async def test_a_will_from_a_connection_that_its_device_has_left_is_refused(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68: the device came back elsewhere while it was being left. The one before stays, and is said."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom", deviceId="phone"), await signed_in("jerry")
    await leave(tom, room, "the one before")
    elsewhere = []

    async def come_back_then_cross(work: Any, *args: Any, **kwargs: Any) -> Any:
        if work.__name__ == "store":
            elsewhere.append(await signed_in("tom", st=tom.token, r=True))
        return await in_database(work, *args, **kwargs)

    monkeypatch.setattr(wills, "in_database", come_back_then_cross)
    refused = await attempt(tom, room, "too late", will=True)

    assert refused.code == 4105
    await tom.wire.close()
    await hears_nothing(jerry)
    await elsewhere[0].wire.close()
    assert (await heard(jerry)).msg == "the one before"
    await hears_nothing(jerry)


@pytest.mark.parametrize("is_lost_first", [False, True])
async def test_a_will_that_was_stored_while_its_device_waited_to_come_back_is_said(
    is_lost_first: bool, application: Application, signed_in: SignIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68: it is looked for when the new session can be lost, and said if that has been lost by then."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom", deviceId="phone"), await signed_in("jerry")
    wire, come_back = await connect(), rooms.come_back

    async def with_a_will(*, session: Any, **asked: Any) -> None:
        will = LeftWill(application.pk, "tom", session.device, room, "x" * 22, "tom is gone", None, False, Mentions())
        assert await in_database(stored_wills.store, will, session_key=session.key, now_ms=1)
        if is_lost_first:
            await wire.close()
        await come_back(session=session, **asked)

    monkeypatch.setattr(rooms, "come_back", with_a_will)
    body = SessionCommand(st=tom.token, r=True)
    await wire.send(
        GenericCommand(cmd=SESSION, op=OpType.open, i=1, appId=application.app_id, peerId="tom", sessionMessage=body)
    )
    if not is_lost_first:
        assert (await wire.receive()).op == OpType.opened
        await wire.close()

    assert (await heard(jerry)).msg == "tom is gone"
    await hears_nothing(jerry)


@pytest.mark.parametrize("by_token", [True, False])
async def test_a_device_that_comes_back_before_its_loss_is_noticed_keeps_its_will(
    by_token: bool, application: Application, signed_in: SignIn
) -> None:
    """Checklist 68. It is said when the new connection is lost, or dropped with a close."""
    room = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    lost = await signed_in("tom", deviceId="phone")
    await leave(lost, room)

    session = {"st": lost.token} if by_token else {"deviceId": "phone"}
    back = await signed_in("tom", r=True, **session)
    await lost.wire.close()
    await hears_nothing(jerry)
    await back.wire.close()

    assert (await heard(jerry)).msg == "tom is gone"
    await hears_nothing(jerry)


async def test_a_client_that_the_server_sends_away_is_not_said_to_be_gone(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 6, 68: it comes back elsewhere, and its will is still good there."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await leave(tom, room)

    lifecycle.close_everyone()
    assert await tom.wire.closed() == 1001
    await tom.wire.close()
    again = await signed_in("jerry")

    assert await jerry.wire.closed() == 1001
    await hears_nothing(again)
    assert await left(application) == ["tom is gone"]


async def test_a_device_that_another_one_signs_out_is_lost(application: Application, signed_in: SignIn) -> None:
    """Checklist 16, 68. So is a client that its application kicks."""
    room = await started(application, "tom", "jerry")
    phone, jerry = await signed_in("tom", deviceId="phone", tag="mobile"), await signed_in("jerry")
    await leave(phone, room)

    await signed_in("tom", deviceId="pad", tag="mobile")

    assert (await heard(jerry)).msg == "tom is gone"
    assert (await phone.notice(SESSION, OpType.closed)).sessionMessage.code == 4111


@pytest.mark.parametrize("why", ["removed", "silenced", "expired"])
async def test_who_may_not_send_any_more_is_not_heard(
    why: str, application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Checklist 68. Members are looked up when the will is said."""
    await obey_settings(ConversationSettings, roles_enabled=True)
    room = await started(application, "jerry", "tom", kind=Kind.TEMPORARY if why == "expired" else Kind.NORMAL)
    tom, jerry, web = await signed_in("tom"), await signed_in("jerry"), await signed_in("jerry", deviceId="web")
    ack = await leave(tom, room)
    if why != "expired":
        op = OpType.remove if why == "removed" else OpType.add_shutup
        reply = await jerry.request(CommandType.conv, op, convMessage=ConvCommand(cid=room, m=["tom"]))
        assert reply.convMessage.allowedPids == ["tom"]
        await web.notice(CommandType.conv, OpType.members_left if why == "removed" else OpType.members_shutuped)

    with frozen(ack.t + (limits.TEMPORARY_TTL_DEFAULT_SECONDS * 1000 if why == "expired" else 0)):
        await tom.wire.close()
        await hears_nothing(web)

    assert await left(application) == []


@pytest.mark.parametrize(
    ("kind", "sender", "fields", "code"),
    [
        (Kind.NORMAL, "mary", {}, 4401),
        (Kind.NORMAL, "tom", {"text": "x" * 5121}, 4109),
        (Kind.NORMAL, "tom", {"pushData": "x" * 5121}, 4109),
        (Kind.NORMAL, "tom", {"text": None}, 4301),
        (Kind.SYSTEM, "tom", {}, 4308),
        (None, "tom", {}, 4303),
    ],
)
async def test_a_will_is_refused_as_a_send_is_and_changes_nothing(
    application: Application, signed_in: SignIn, kind: Kind | None, sender: str, fields: dict[str, Any], code: int
) -> None:
    """Checklist 53, 68, 69. The one before stays."""
    room = await started(application, "tom", "jerry")
    target = "nowhere" if kind is None else await started(application, "tom", "jerry", kind=kind)
    client, jerry = await signed_in(sender), await signed_in("jerry")
    if sender == "tom":
        await leave(client, room, "the one before")

    refused = await attempt(client, target, **{"text": "never", **fields}, will=True)

    assert refused.code == code
    await client.wire.close()
    if sender == "tom":
        assert (await heard(jerry)).msg == "the one before"
    await hears_nothing(jerry)


async def test_a_client_without_a_will_costs_nothing_when_it_is_lost(
    application: Application, signed_in: SignIn, crossings: list[str]
) -> None:
    """Thousands may be lost at once."""
    tom = await signed_in("tom")
    crossings.clear()

    await tom.wire.close()
    await wills.settle()

    assert "take" not in crossings


async def test_a_will_that_is_being_left_when_its_client_is_lost_is_said(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 68: what was received is carried through."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")

    async def lose_then_cross(work: Any, *args: Any, **kwargs: Any) -> Any:
        if work.__name__ == "store":
            await tom.wire.close()
        return await in_database(work, *args, **kwargs)

    monkeypatch.setattr(wills, "in_database", lose_then_cross)
    await tom.send(CommandType.direct, directMessage=command(room, "tom is gone", will=True))

    assert (await heard(jerry)).msg == "tom is gone"
