"""`read`: moving the read mark, the count that comes back, read receipts, and `conv/max_read`."""

import asyncio
from typing import Any

import pytest

from conversations.models import KeptNotice
from conversations.policy import Kind
from imcore import identifiers, limits
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    ConvCommand,
    GenericCommand,
    OpType,
    ReadCommand,
    ReadTuple,
)
from messaging.models import MessagingSettings
from tests.conftest import SignIn
from tests.imclient import CONFIG_BITMAP, ImClient, sign_in
from tests.messaging.marking import (
    ack,
    count,
    done,
    max_read,
    read,
    receipt,
    receipts,
    send_read,
    shown,
    unread,
    unread_command,
)
from tests.messaging.signing_in import Connect, ObeySettings, assert_error
from tests.messaging.support import frozen, heard, history, member, rows, say, started

GROUP_RECEIPTS = CONFIG_BITMAP | 64


@pytest.fixture
async def cid(application: Application) -> str:
    """A conversation of tom and jerry."""
    return await started(application, "tom", "jerry")


@pytest.fixture
async def tom(signed_in: SignIn, cid: str) -> ImClient:
    """The one who writes."""
    return await signed_in("tom")


@pytest.fixture
async def jerry(signed_in: SignIn, cid: str) -> ImClient:
    """The one who reads."""
    return await signed_in("jerry")


async def said(sender: ImClient, receiver: ImClient, cid: str, *texts: str, **fields: Any) -> list[AckCommand]:
    """Let one say things that the other hears; return the acks."""
    acks = []
    for text in texts:
        acks.append(await say(sender, cid, text, **fields))
        await heard(receiver)
    return acks


async def test_a_read_is_a_read_receipt_and_a_count_of_nothing(tom: ImClient, jerry: ImClient, cid: str) -> None:
    """Checklist 58, 59: a read implies the delivery, whose receipt goes first unless it went already."""
    one, two = await said(tom, jerry, cid, "one", "two", r=True)
    await ack(jerry, cid=cid, mid=one.uid)
    await receipt(tom)

    await read(jerry, cid, mid=two.uid, timestamp=two.t)

    notice = await unread_command(jerry)
    [told] = notice.convs
    assert notice.notifTime > 0
    assert (told.cid, told.unread, told.mentioned, told.convType) == (cid, 0, False, 1)
    assert (told.mid, told.timestamp, getattr(told, "from"), told.data) == (two.uid, two.t, "tom", "two")
    got = [await receipt(tom) for _ in range(3)]
    assert [shown(body) for body in got] == [
        (two.uid, "jerry", False),
        (one.uid, "jerry", True),
        (two.uid, "jerry", True),
    ]
    assert all(body.cid == cid and body.t >= two.t for body in got)
    for client in (tom, jerry):
        await client.nothing_more()
    items = await history(tom, cid)
    assert [item.readAt for item in items] == [got[1].t, got[2].t]
    assert all(item.HasField("ackAt") for item in items)
    marks = await member(cid, "jerry")
    assert (marks.read_seq, marks.read_ms, marks.ack_seq, marks.ack_ms) == (2, two.t, 2, two.t)
    assert marks.own_since_read == 0


async def test_every_session_of_the_reader_gets_the_count(
    application: Application, tom: ImClient, jerry: ImClient, signed_in: SignIn, connect: Connect, cid: str
) -> None:
    """Checklist 59, P39: the one that sent `read`, too, and when it was 0 before; none that is pushed messages."""
    tablet = await signed_in("jerry")
    old = await sign_in(await connect(("lc.protobuf2.1",)), application.app_id, "jerry")
    [message] = await said(tom, jerry, cid, "hello")
    for device in (tablet, old):
        await heard(device)

    for _ in range(2):
        await read(jerry, cid, mid=message.uid, timestamp=message.t)
        for device in (jerry, tablet):
            assert (await unread(device)).unread == 0

    for client in (tom, old):
        await client.nothing_more()


async def test_the_count_is_told_of_a_conversation_without_messages(jerry: ImClient, cid: str) -> None:
    """Swift waits for it (4.9.5)."""
    await read(jerry, cid)

    told = await unread(jerry)
    assert (told.cid, told.unread, told.HasField("mid")) == (cid, 0, False)


async def test_a_read_with_an_i_has_no_answer(tom: ImClient, jerry: ImClient, cid: str) -> None:
    """Checklist 59, P3: Java attaches one, and takes any answer for that of another request."""
    await said(tom, jerry, cid, "hello")
    for convs in ([ReadTuple(cid=cid)], [ReadTuple(cid="nowhere")], []):
        body = ReadCommand(convs=convs)
        await jerry.wire.send(GenericCommand(cmd=CommandType.read, i=-5, peerId="jerry", readMessage=body))

    assert (await unread(jerry)).unread == 0
    await jerry.nothing_more()


async def test_a_read_without_a_session_has_no_answer_either(application: Application, connect: Connect) -> None:
    """Not even 4105."""
    wire = await connect()
    for fields in ({"readMessage": ReadCommand()}, {"ackMessage": AckCommand()}):
        cmd = CommandType.read if "readMessage" in fields else CommandType.ack
        await wire.send(GenericCommand(cmd=cmd, i=1, appId=application.app_id, **fields))
    assert (await wire.request(CommandType.echo)).cmd == CommandType.echo


@pytest.mark.parametrize("form", ["convs", "cid", "cids", "mid alone", "time alone"])
async def test_every_form_of_a_read(tom: ImClient, jerry: ImClient, cid: str, form: str) -> None:
    """4.9.5: C# names the conversation only; JavaScript leaves the id out when the last message is its own."""
    [message] = await said(tom, jerry, cid, "hello", r=True)
    forms: dict[str, dict[str, Any]] = {
        "convs": {"convs": [ReadTuple(cid=cid)]},
        "cid": {"cid": cid},
        "cids": {"cids": [cid]},
        "mid alone": {"convs": [ReadTuple(cid=cid, mid=message.uid)]},
        "time alone": {"convs": [ReadTuple(cid=cid, timestamp=message.t)]},
    }

    await send_read(jerry, **forms[form])

    assert (await unread(jerry)).unread == 0
    assert await receipts(tom, 2) == [(message.uid, "jerry", False), (message.uid, "jerry", True)]


async def test_a_part_may_be_read(tom: ImClient, jerry: ImClient, cid: str) -> None:
    """By id exactly that far, by time to the end of the millisecond; what one wrote oneself is not counted."""
    one, two = await said(tom, jerry, cid, "one", "two", mentionPids=["jerry"])
    await said(jerry, tom, cid, "mine")
    three, four = await said(tom, jerry, cid, "three", "four")

    positions: list[tuple[dict[str, Any], int, bool]] = [
        ({"mid": one.uid, "timestamp": four.t}, 3, True),
        ({"timestamp": two.t - 1}, 3, True),
        ({"timestamp": two.t}, 2, False),
        ({"timestamp": three.t + 1}, 0 if four.t == three.t + 1 else 1, False),
        ({"mid": "unknown", "timestamp": four.t}, 0, False),
    ]
    for position, expected, is_mentioned in positions:
        await read(jerry, cid, **position)
        told = await unread(jerry)
        assert (told.unread, told.mentioned) == (expected, is_mentioned), position
        assert await count(cid, "jerry") == expected
    assert (await member(cid, "tom")).read_seq == 0


async def test_a_mark_never_goes_back_and_never_beyond_the_newest_message(
    tom: ImClient, jerry: ImClient, cid: str
) -> None:
    """JavaScript without a known message sends its own clock."""
    one, two = await said(tom, jerry, cid, "one", "two")
    await read(jerry, cid, timestamp=2**63 - 1)
    assert (await unread(jerry)).unread == 0

    for position in ({"mid": one.uid, "timestamp": one.t}, {"timestamp": 1}, {"mid": "unknown"}, {"mid": "\0"}):
        await read(jerry, cid, **position)
        assert (await unread(jerry)).unread == 0
    marks = await member(cid, "jerry")
    assert (marks.read_seq, marks.read_ms) == (2, two.t)
    changed_ms = marks.unread_changed_ms
    assert changed_ms > 0

    await said(tom, jerry, cid, "three")
    assert await count(cid, "jerry") == 1
    assert (await member(cid, "jerry")).unread_changed_ms == changed_ms
    await read(jerry, cid, mid="unknown")
    assert (await unread(jerry)).unread == 1


async def test_what_is_not_ones_own_cannot_be_read(application: Application, signed_in: SignIn, cid: str) -> None:
    """Unknown conversations, other people's, chat rooms, system conversations: no word, and nothing moves."""
    others = await started(application, "tom", "mary")
    room, system = [await started(application, "tom", kind=kind) for kind in (Kind.CHAT_ROOM, Kind.SYSTEM)]
    tom, jerry, mary = [await signed_in(name) for name in ("tom", "jerry", "mary")]
    [message] = await said(tom, mary, others, "not for jerry", r=True)
    before = await member(others, "mary")

    for conversation_id in (others, room, system, "nowhere", "", "\0", "x" * 5000):
        await read(jerry, conversation_id)
        await read(jerry, conversation_id, mid=message.uid, timestamp=message.t)
    await done(jerry)

    for client in (tom, jerry, mary):
        await client.nothing_more()
    after = await member(others, "mary")
    assert (after.read_seq, after.ack_seq) == (before.read_seq, before.ack_seq)
    [row] = await rows(others)
    assert (row.ack_ms, row.read_ms) == (None, None)

    await read(jerry, cid, mid=message.uid)
    assert (await unread(jerry)).unread == 0


async def test_many_conversations_are_read_at_once(application: Application, signed_in: SignIn) -> None:
    """A hundred by one command; what is beyond is ignored."""
    cids = [await started(application, "tom", "jerry") for _ in range(limits.READ_CONVERSATIONS_MAX + 2)]
    tom = await signed_in("tom")
    for cid in cids:
        await say(tom, cid, "hello")
    jerry = await signed_in("jerry")
    await unread_command(jerry)  # what it is told at log-in

    await send_read(jerry, convs=[ReadTuple(cid=cid) for cid in cids])
    await done(jerry)

    told = {(await unread(jerry)).cid for _ in range(limits.READ_CONVERSATIONS_MAX)}
    assert told == set(cids[: limits.READ_CONVERSATIONS_MAX])
    assert [await count(cid, "jerry") for cid in cids[-3:]] == [0, 1, 1]
    await jerry.nothing_more()


async def test_a_read_while_one_sends_counts_neither_too_much_nor_too_little(
    tom: ImClient, jerry: ImClient, signed_in: SignIn, cid: str
) -> None:
    """A conversation stands still while its counters are computed: both write, one device of jerry's reads."""
    tablet = await signed_in("jerry")

    async def talk(client: ImClient) -> None:
        for number in range(30):
            await say(client, cid, f"{number}", r=True)

    async def read_along() -> None:
        for _ in range(30):
            await read(tablet, cid)
            await done(tablet)

    await asyncio.gather(talk(tom), talk(jerry), read_along())

    kept = await rows(cid)
    for name in ("tom", "jerry"):
        mark = (await member(cid, name)).read_seq
        assert await count(cid, name) == sum(row.seq > mark and row.sender != name for row in kept)


async def test_reads_of_both_devices_are_one_receipt(
    tom: ImClient, jerry: ImClient, signed_in: SignIn, cid: str
) -> None:
    """And an ack that comes behind the read is none at all: JavaScript delays it for a second."""
    tablet = await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello", r=True)
    await heard(tablet)

    await asyncio.gather(*(read(device, cid, mid=message.uid, timestamp=message.t) for device in (jerry, tablet)))
    await ack(jerry, cid=cid, fromts=message.t, tots=message.t)
    for device in (jerry, tablet):
        await done(device)

    assert await receipts(tom, 2) == [(message.uid, "jerry", False), (message.uid, "jerry", True)]
    await tom.nothing_more()


async def test_a_conversation_of_three_has_no_read_receipts(application: Application, signed_in: SignIn) -> None:
    """Checklist 58. Nor is it noted with the message: the marks tell (`max_read`)."""
    cid = await started(application, "tom", "jerry", "mary")
    tom, jerry = [await signed_in(name, configBitmap=GROUP_RECEIPTS) for name in ("tom", "jerry")]
    [message] = await said(tom, jerry, cid, "hello", r=True)

    await read(jerry, cid, mid=message.uid, timestamp=message.t)

    assert (await unread(jerry)).unread == 0
    await tom.nothing_more()
    [row] = await rows(cid)
    assert row.read_ms is None
    assert (await max_read(tom, cid)).maxReadTimestamp == message.t


async def test_where_the_application_wants_it_every_reader_of_a_group_is_told(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """To sessions that declare bit 6 only; history tells the first."""
    await obey_settings(MessagingSettings, receipts_members_max=3)
    cid = await started(application, "tom", "jerry", "mary")
    old, new = await signed_in("tom"), await signed_in("tom", configBitmap=GROUP_RECEIPTS)
    jerry, mary = await signed_in("jerry"), await signed_in("mary")
    message = await say(old, cid, "hello", r=True)
    await heard(new)
    for client in (jerry, mary):
        await heard(client)
        await read(client, cid)
        await unread(client)

    got = [await receipt(new) for _ in range(4)]

    assert [shown(body) for body in got] == [
        (message.uid, "jerry", False),
        (message.uid, "jerry", True),
        (message.uid, "mary", False),
        (message.uid, "mary", True),
    ]
    await new.nothing_more()
    await old.nothing_more()
    [item] = await history(new, cid)
    assert (item.ackAt, item.readAt) == (got[0].t, got[1].t)


async def test_temporary_conversations_are_read_like_others(application: Application, signed_in: SignIn) -> None:
    """Count and receipts; not when their time is over."""
    cid = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    [message] = await said(tom, jerry, cid, "hello", r=True)

    await read(jerry, cid)

    told = await unread(jerry)
    assert (told.unread, told.convType) == (0, Kind.TEMPORARY)
    assert await receipts(tom, 2) == [(message.uid, "jerry", False), (message.uid, "jerry", True)]
    with frozen(identifiers.now_ms() + 61_000):
        await read(jerry, cid)
        await done(jerry)
    await jerry.nothing_more()


async def test_receipts_are_bounded(tom: ImClient, jerry: ImClient, cid: str) -> None:
    """The newest hundred are sent, the newest twenty kept for a sender who is away; all are noted."""
    acks = await said(tom, jerry, cid, *[f"{number}" for number in range(110)], r=True)

    await read(jerry, cid)

    newest = [one.uid for one in acks[-limits.RECEIPTS_MAX :]]
    told = await receipts(tom, 2 * limits.RECEIPTS_MAX)
    assert told == [*((uid, "jerry", False) for uid in newest), *((uid, "jerry", True) for uid in newest)]
    kept = await in_database(
        lambda: [row.fields["id"] for row in KeptNotice.objects.filter(conversation__object_id=cid, op="rcp")]
    )
    assert kept == newest[-limits.KEPT_RECEIPTS_MAX :]
    assert all(row.read_ms is not None for row in await rows(cid))


async def test_max_read_is_of_the_others(application: Application, signed_in: SignIn) -> None:
    """Checklist 70: maxima, whether or not receipts were asked for; absent while there are none."""
    cid = await started(application, "tom", "jerry", "mary")
    tom, jerry, mary = [await signed_in(name) for name in ("tom", "jerry", "mary")]
    nothing = await max_read(tom, cid, queryAllMembers=True)
    one, two, three = [await say(tom, cid, text) for text in ("one", "two", "three")]
    await ack(jerry, cid=cid, mid=three.uid)
    await read(jerry, cid, mid=one.uid, timestamp=one.t)
    await read(mary, cid, mid=two.uid, timestamp=two.t)
    await read(tom, cid)
    for client in (tom, jerry, mary):
        await done(client)

    brief = await max_read(tom, cid)
    found = await max_read(tom, cid, queryAllMembers=True)

    assert not nothing.HasField("maxReadTimestamp")
    assert not nothing.HasField("maxAckTimestamp")
    assert [(one.pid, len(one.ListFields())) for one in nothing.maxReadTuples] == [("jerry", 1), ("mary", 1)]
    assert (brief.maxAckTimestamp, brief.maxReadTimestamp, list(brief.maxReadTuples)) == (three.t, two.t, [])
    assert (found.maxAckTimestamp, found.maxReadTimestamp) == (three.t, two.t)
    assert [(one.pid, one.maxAckTimestamp, one.maxReadTimestamp) for one in found.maxReadTuples] == [
        ("jerry", three.t, one.t),
        ("mary", two.t, two.t),
    ]
    assert (await max_read(mary, cid)).maxReadTimestamp == three.t


async def test_max_read_is_refused(application: Application, signed_in: SignIn, cid: str) -> None:
    """Checklist 70: to who may not read what was said, and where nobody's reading is noted."""
    room = await started(application, "tom", kind=Kind.CHAT_ROOM)
    system = await started(application, "tom", kind=Kind.SYSTEM)
    mary = await signed_in("mary")

    async def refusal(conversation_id: str) -> GenericCommand:
        body = ConvCommand(cid=conversation_id)
        return await mary.request(CommandType.conv, OpType.max_read, convMessage=body)

    assert_error(await refusal(cid), 4312, "CONVERSATION_LOG_REJECTED")
    for conversation_id in (room, system):
        assert_error(await refusal(conversation_id), 4308, "CONVERSATION_NOT_ALLOWED")
    for conversation_id in ("nowhere", "", "\0"):
        assert_error(await refusal(conversation_id), 4303, "CONVERSATION_NOT_FOUND")
