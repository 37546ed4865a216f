"""`ack`: what a client has received, and the receipts its senders get."""

import asyncio
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from conversations.models import Member
from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType, ConvCommand, GenericCommand, OpType
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.imclient import CONFIG_BITMAP, ImClient, InProcess, sign_in
from tests.messaging.marking import RCP, ack, done, max_read, receipt, receipts, shown
from tests.messaging.signing_in import Connect, ObeySettings
from tests.messaging.support import another_application, frozen, heard, history, member, rows, say, started

GROUP_RECEIPTS = CONFIG_BITMAP | 64


@pytest.fixture
async def cid(application: Application) -> str:
    """A conversation of tom and jerry."""
    return await started(application, "tom", "jerry")


async def said(tom: ImClient, jerry: ImClient, cid: str, *texts: str, **fields: Any) -> list[AckCommand]:
    """Let tom say things that jerry hears; return the acks."""
    fields.setdefault("r", True)
    acks = []
    for text in texts:
        acks.append(await say(tom, cid, text, **fields))
        await heard(jerry)
    return acks


@pytest.mark.parametrize("form", ["mid", "range", "upto", "ids", "ids alone"])
async def test_every_form_of_an_ack_is_one_delivery_receipt(signed_in: SignIn, cid: str, form: str) -> None:
    """Checklist 58, P45, P46: by id and by time; the receipt has no `read`, and comes once."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello")
    forms: dict[str, dict[str, Any]] = {
        "mid": {"cid": cid, "mid": message.uid},
        "range": {"cid": cid, "fromts": message.t, "tots": message.t},
        "upto": {"cid": cid, "tots": message.t},
        "ids": {"cid": cid, "ids": [message.uid]},
        "ids alone": {"ids": [message.uid]},
    }

    await ack(jerry, **forms[form])
    body = await receipt(tom)
    await ack(jerry, **forms[form])
    await ack(jerry, cid=cid, mid=message.uid)
    await done(jerry)

    assert shown(body) == (message.uid, "jerry", False)
    assert body.cid == cid
    assert body.t >= message.t
    await tom.nothing_more()
    await jerry.nothing_more()
    [item] = await history(tom, cid)
    assert item.ackAt == body.t
    assert not item.HasField("readAt")
    marks = await member(cid, "jerry")
    assert (marks.ack_seq, marks.ack_ms, marks.read_seq) == (1, message.t, 0)


async def test_an_ack_has_no_answer(signed_in: SignIn, cid: str) -> None:
    """Not even with an `i`, nor when it is wrong."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello")
    for body in (AckCommand(cid=cid, mid=message.uid), AckCommand(), AckCommand(cid="nowhere", tots=1)):
        await jerry.wire.send(GenericCommand(cmd=CommandType.ack, i=77, peerId="jerry", ackMessage=body))

    await receipt(tom)
    await jerry.nothing_more()


async def test_the_ack_of_a_send_precedes_its_receipt(signed_in: SignIn, cid: str) -> None:
    """Checklist 58: JavaScript awaits a receipt from the ack on; a crowd acknowledges as fast as it hears."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    sends = 20

    async def acknowledge_all() -> None:
        for _ in range(sends):
            message = await heard(jerry)
            await ack(jerry, cid=cid, mid=message.id)

    acknowledging = asyncio.create_task(acknowledge_all())
    for number in range(sends):
        await tom.wire.send(
            GenericCommand(
                cmd=CommandType.direct, i=number + 1, peerId="tom", directMessage={"cid": cid, "msg": "x", "r": True}
            )
        )
    frames = [await tom.wire.receive() for _ in range(2 * sends)]
    await acknowledging

    acked: set[str] = set()
    for frame in frames:
        if frame.cmd == CommandType.ack:
            acked.add(frame.ackMessage.uid)
        else:
            assert frame.cmd == RCP
            assert frame.rcpMessage.id in acked


async def test_a_range_is_of_what_lies_in_it(signed_in: SignIn, cid: str) -> None:
    """Both ends included; own messages and those that want no receipt are passed over."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    one, two = await said(tom, jerry, cid, "one", "two")
    [quiet] = await said(tom, jerry, cid, "no receipt", r=False)
    own = await say(jerry, cid, "mine", r=True)
    await heard(tom)
    three, four = await said(tom, jerry, cid, "three", "four")

    await ack(jerry, cid=cid, fromts=two.t, tots=three.t)

    assert await receipts(tom, 2) == [(two.uid, "jerry", False), (three.uid, "jerry", False)]
    await tom.nothing_more()
    acked = {item.msgId for item in await history(jerry, cid) if item.HasField("ackAt")}
    assert acked == {two.uid, quiet.uid, three.uid}
    assert own.uid not in acked
    assert (await member(cid, "jerry")).ack_seq == 5

    await ack(jerry, cid=cid, tots=four.t)
    assert await receipts(tom, 1) == [(four.uid, "jerry", False)]
    await ack(jerry, cid=cid, fromts=0, tots=four.t)
    assert await receipts(tom, 1) == [(one.uid, "jerry", False)]
    await tom.nothing_more()


async def test_the_mark_moves_only_forward(signed_in: SignIn, cid: str) -> None:
    """It is the newest message that was ever acknowledged."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    one, two = await said(tom, jerry, cid, "one", "two")

    await ack(jerry, cid=cid, mid=two.uid)
    await ack(jerry, cid=cid, mid=one.uid)

    assert await receipts(tom, 2) == [(two.uid, "jerry", False), (one.uid, "jerry", False)]
    await done(jerry)
    marks = await member(cid, "jerry")
    assert (marks.ack_seq, marks.ack_ms) == (2, two.t)
    assert (await max_read(tom, cid)).maxAckTimestamp == two.t


async def test_who_acknowledges_his_own_message_changes_nothing(signed_in: SignIn, cid: str) -> None:
    """Native SDKs do, on their other devices (4.9.3)."""
    phone, laptop, jerry = await signed_in("tom"), await signed_in("tom"), await signed_in("jerry")
    [message] = await said(phone, jerry, cid, "hello")
    await heard(laptop)
    before = await member(cid, "tom")

    await ack(laptop, cid=cid, mid=message.uid)
    await ack(laptop, ids=[message.uid])
    await done(laptop)

    [item] = await history(phone, cid)
    assert not item.HasField("ackAt")
    after = await member(cid, "tom")
    assert (after.ack_seq, after.ack_ms) == (before.ack_seq, None)
    await phone.nothing_more()
    await jerry.nothing_more()


async def test_two_devices_of_both(signed_in: SignIn, cid: str) -> None:
    """Both of the sender's hear of it, and once, though both of the receiver's acknowledge it at once."""
    toms = [await signed_in("tom"), await signed_in("tom")]
    jerries = [await signed_in("jerry"), await signed_in("jerry")]
    message = await say(toms[0], cid, "hello", r=True)
    for other in (toms[1], *jerries):
        await heard(other)

    await asyncio.gather(*(ack(device, cid=cid, mid=message.uid) for device in jerries))
    for device in jerries:
        await done(device)

    for device in toms:
        assert await receipts(device, 1) == [(message.uid, "jerry", False)]
        await device.nothing_more()


async def test_in_a_conversation_of_three_there_are_no_receipts(application: Application, signed_in: SignIn) -> None:
    """Checklist 58. That it arrived shows in history all the same: first delivery counts."""
    cid = await started(application, "tom", "jerry", "mary")
    tom, jerry, mary = [await signed_in(name, configBitmap=GROUP_RECEIPTS) for name in ("tom", "jerry", "mary")]
    message = await say(tom, cid, "hello", r=True)

    with frozen() as clock:
        for client in (jerry, mary):
            clock.at_ms += 10
            await ack(client, cid=cid, mid=message.uid)
            await done(client)
        first_ms = clock.at_ms - 10

    [item] = await history(tom, cid)
    assert item.ackAt == first_ms
    await tom.nothing_more()


async def test_where_the_application_wants_it_groups_have_receipts_of_everybody(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """To sessions that declare bit 6 only; each receiver has a receipt of its own."""
    await obey_settings(MessagingSettings, receipts_members_max=3)
    cid = await started(application, "tom", "jerry", "mary")
    old, new = await signed_in("tom"), await signed_in("tom", configBitmap=GROUP_RECEIPTS)
    jerry, mary = await signed_in("jerry"), await signed_in("mary")
    message = await say(old, cid, "hello", r=True)
    await heard(new)

    for client in (jerry, mary):
        await ack(client, cid=cid, mid=message.uid)
        await ack(client, cid=cid, mid=message.uid)
        await done(client)

    assert await receipts(new, 2) == [(message.uid, "jerry", False), (message.uid, "mary", False)]
    await new.nothing_more()
    await old.nothing_more()


async def test_receipts_may_be_switched_off(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings, cid: str
) -> None:
    """With 0 members. History and marks are as ever."""
    await obey_settings(MessagingSettings, receipts_members_max=0)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello")

    await ack(jerry, cid=cid, mid=message.uid)
    await done(jerry)

    [item] = await history(tom, cid)
    assert item.HasField("ackAt")
    await tom.nothing_more()


async def test_nonsense_is_ignored(application: Application, signed_in: SignIn, cid: str) -> None:
    """Ids that are none, other people's conversations, times in the future and the past, ends in the wrong order."""
    elsewhere = await started(application, "tom", "mary")
    room, temporary = await started(application, "tom", kind=Kind.CHAT_ROOM), await started(application, "tom")
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    [message] = await said(tom, jerry, cid, "hello")
    [other] = await said(tom, mary, elsewhere, "not for jerry")
    in_room = await say(tom, room, "for everybody", r=True)
    far = 2**63 - 1

    nonsense: list[dict[str, Any]] = [
        {},
        {"cid": cid},
        {"cid": cid, "mid": "x" * 22},
        {"cid": cid, "mid": "\0"},
        {"cid": cid, "mid": "x" * 5000},
        {"cid": cid, "mid": other.uid},
        {"cid": elsewhere, "mid": other.uid},
        {"cid": elsewhere, "tots": far},
        {"cid": room, "mid": in_room.uid},
        {"cid": temporary, "tots": far},
        {"cid": "\0", "tots": far},
        {"cid": "", "tots": far},
        {"cid": "x" * 5000, "tots": far},
        {"cid": cid, "fromts": message.t + 1, "tots": far},
        {"cid": cid, "fromts": -far, "tots": message.t - 1},
        {"cid": cid, "fromts": far, "tots": 0},
        {"cid": cid, "tots": -far},
        {"ids": [other.uid, in_room.uid, "\0", "x"]},
        {"ids": ["x"] * 5000},
    ]
    for fields in nonsense:
        await ack(jerry, **fields)
    await done(jerry)

    for client in (tom, jerry, mary):
        await client.nothing_more()
    for conversation, name in ((cid, "jerry"), (elsewhere, "mary")):
        assert (await member(conversation, name)).ack_seq == 0
    assert [row.ack_ms for each in (cid, elsewhere, room) for row in await rows(each)] == [None] * 3

    await ack(jerry, cid=cid, fromts=-far - 1, tots=far)
    assert await receipts(tom, 1) == [(message.uid, "jerry", False)]
    assert (await member(cid, "jerry")).ack_ms == message.t


async def test_another_applications_message_cannot_be_acknowledged(connect: Connect, signed_in: SignIn) -> None:
    """By neither form, though the names are the same."""
    other = await another_application()
    cid = await started(other, "tom", "jerry")
    tom = await sign_in(await connect(), other.app_id, "tom")
    message = await say(tom, cid, "hello", r=True)
    jerry = await signed_in("jerry")

    await ack(jerry, cid=cid, mid=message.uid)
    await ack(jerry, ids=[message.uid])
    await done(jerry)

    assert [row.ack_ms for row in await rows(cid)] == [None]
    await tom.nothing_more()


async def test_who_has_left_acknowledges_nothing(signed_in: SignIn, cid: str) -> None:
    """His mark is gone."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello")
    await jerry.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=cid, m=["jerry"]))
    await tom.next_notice()

    await ack(jerry, cid=cid, mid=message.uid)
    await done(jerry)

    assert [row.ack_ms for row in await rows(cid)] == [None]
    await tom.nothing_more()


async def test_a_receipt_is_never_before_its_message(signed_in: SignIn, cid: str) -> None:
    """4.9.4: clients take `t` for "everything up to it", and clocks go back."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello")

    with frozen(message.t - 60_000):
        await ack(jerry, cid=cid, mid=message.uid)
        body = await receipt(tom)

    assert body.t == message.t


async def test_temporary_conversations_have_receipts(application: Application, signed_in: SignIn) -> None:
    """As normal ones."""
    cid = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello")

    await ack(jerry, cid=cid, mid=message.uid)

    assert await receipts(tom, 1) == [(message.uid, "jerry", False)]


async def test_a_client_that_is_pushed_messages_reads_what_it_acknowledges(
    application: Application, signed_in: SignIn, connect: Connect, cid: str
) -> None:
    """limits-settings-conflicts 4: it says no more. Its other devices get the count, its senders no read receipt."""
    tom, modern = await signed_in("tom"), await signed_in("jerry")
    old: InProcess = await connect(("lc.protobuf2.1",))
    jerry = await sign_in(old, application.app_id, "jerry")
    one, two = await said(tom, modern, cid, "one", "two")
    assert [(await heard(jerry)).msg for _ in range(2)] == ["one", "two"]

    await ack(jerry, cid=cid, mid=one.uid)

    notice = (await modern.notice(CommandType.unread)).unreadMessage
    assert [(tuple_.cid, tuple_.unread, tuple_.mid) for tuple_ in notice.convs] == [(cid, 1, two.uid)]
    assert await receipts(tom, 1) == [(one.uid, "jerry", False)]
    await ack(jerry, cid=cid, mid=one.uid)
    await done(jerry)
    for client in (tom, modern, jerry):
        await client.nothing_more()
    assert [row.read_ms for row in await rows(cid)] == [None, None]
    marks = await member(cid, "jerry")
    assert (marks.read_seq, marks.ack_seq, marks.read_ms) == (1, 1, None)
    assert not (await max_read(tom, cid)).HasField("maxReadTimestamp")


async def test_a_crowd_of_acks_is_noted_message_by_message(signed_in: SignIn, cid: str) -> None:
    """Of the newest thousand, and told of the newest hundred: bounded, whatever a client sends."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    acks = await said(tom, jerry, cid, *[f"{number}" for number in range(120)])

    await ack(jerry, cid=cid, tots=acks[-1].t)

    assert await receipts(tom, 100) == [(one.uid, "jerry", False) for one in acks[20:]]
    await tom.nothing_more()
    assert all(row.ack_ms is not None for row in await rows(cid))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
async def test_receipts_wait_for_nobody_who_holds_a_receivers_mark(
    application: Application, signed_in: SignIn, cid: str
) -> None:
    """They are told once, so they would be lost with a wait that PostgreSQL ends; of two marks, one is free."""
    other = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [first], [second] = await said(tom, jerry, cid, "one"), await said(tom, jerry, other, "two")
    held, told = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            assert list(Member.objects.select_for_update().filter(conversation__object_id=cid, client_id="jerry"))
            held.set()
            assert told.wait(10)

    holding = asyncio.create_task(in_database(hold))
    assert await asyncio.to_thread(held.wait, 10)
    await ack(jerry, ids=[first.uid, second.uid])
    try:
        heard_of = await receipts(tom, 2)
    finally:
        told.set()
        await holding
    await done(jerry)

    assert set(heard_of) == {(first.uid, "jerry", False), (second.uid, "jerry", False)}
    assert [(await member(one, "jerry")).ack_seq for one in (cid, other)] == [1, 1]
