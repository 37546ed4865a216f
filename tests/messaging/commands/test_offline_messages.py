"""Old clients are pushed the messages they missed, not counts (realtime-protocol 1.5: subprotocols ending in .1)."""

import pytest

from conversations.models import Conversation
from conversations.policy import Kind
from imcore import limits
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType
from messaging.models import Message, MessagingSettings
from messaging.storage import catching_up
from tests.conftest import SignIn
from tests.imclient import open_session
from tests.messaging.marking import ack, done
from tests.messaging.returning import (
    OFFLINE_PUSH,
    Connect,
    T,
    all_kept,
    back,
    many_conversations,
    patched,
    set_marks,
    told_kept,
    told_patch,
)
from tests.messaging.signing_in import ObeySettings, assert_opened
from tests.messaging.support import Imported, heard, import_messages, imported_id, say, started


async def test_missed_messages_are_pushed_behind_opened_oldest_first(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60, 56, 57: whole, from all conversations, without counts; not one's own."""
    room, other = await started(application, "tom", "jerry"), await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    acks = [
        await say(tom, room, "one", mentionPids=["jerry"], mentionAll=True, r=True),
        await say(tom, other, binaryMsg=b"\0\xff"),
        await say(jerry, room, "my own"),
        await say(tom, room, "two"),
    ]
    wire = await connect(OFFLINE_PUSH)

    opened = await open_session(wire, application.app_id, "jerry")
    frames = [await wire.receive() for _ in range(3)]
    await wire.close()

    assert_opened(opened)
    assert [frame.cmd for frame in frames] == [CommandType.direct] * 3
    assert all(frame.serverTs >= opened.serverTs and not frame.HasField("i") for frame in frames)
    messages = [frame.directMessage for frame in frames]
    assert [(one.cid, one.id, one.timestamp, one.fromPeerId) for one in messages] == [
        (cid, ack.uid, ack.t, "tom") for cid, ack in zip((room, other, room), (acks[0], acks[1], acks[3]), strict=True)
    ]
    assert all(one.offline and one.convType == Kind.NORMAL for one in messages)
    assert not any(one.HasField("hasMore") or one.HasField("patchTimestamp") for one in messages)
    assert (messages[0].msg, list(messages[0].mentionPids), messages[0].mentionAll) == ("one", ["jerry"], True)
    assert (messages[1].binaryMsg, messages[1].HasField("msg")) == (b"\0\xff", False)


@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.1", "lc.proto2base64.1"])
async def test_at_most_twenty_of_a_conversation_are_pushed_the_newest(
    application: Application, signed_in: SignIn, connect: Connect, obey_settings: ObeySettings, subprotocol: str
) -> None:
    """Checklist 60: `hasMore` where older ones are left out; the application may choose another number."""
    many, few = await started(application, "tom", "jerry"), await started(application, "tom", "jerry")
    await import_messages(many, [Imported(str(number), T + number, str(number)) for number in range(25)])
    await import_messages(few, [Imported(str(number), T + number, str(number)) for number in range(20)])

    jerry = await signed_in("jerry", wire=await connect((subprotocol,)))
    messages = await all_kept(jerry, 40)
    await obey_settings(MessagingSettings, offline_messages_max=2)
    fewer = await all_kept(await signed_in("jerry", wire=await connect((subprotocol,))), 4)

    assert [one.msg for one in messages if one.cid == many] == [str(number) for number in range(5, 25)]
    assert [one.msg for one in messages if one.cid == few] == [str(number) for number in range(20)]
    assert {one.cid for one in messages if one.hasMore} == {many}
    assert [one.timestamp for one in messages] == sorted(one.timestamp for one in messages)
    assert [one.msg for one in fewer if one.cid == few] == ["18", "19"]


async def test_messages_of_at_most_fifty_conversations_are_pushed(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60: of those with the newest activity; oldest message first."""
    cids = await many_conversations(application, "jerry", 60)

    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))

    assert [one.cid for one in await all_kept(jerry, 50)] == cids[10:]


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 58: after a lost connection, messages that were delivered live included."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    acks = [await say(tom, room, text) for text in ("one", "two", "three")]
    assert [(await heard(jerry)).offline for _ in acks] == [False] * 3

    jerry = await back(jerry, connect, application.app_id)
    first = await all_kept(jerry, 3)
    await ack(jerry, cid=room, fromts=acks[0].t, tots=acks[1].t)
    await done(jerry)
    jerry = await back(jerry, connect, application.app_id)
    second = await all_kept(jerry, 1)
    await ack(jerry, cid=room, mid=acks[2].uid)
    await done(jerry)
    jerry = await back(jerry, connect, application.app_id)
    await jerry.nothing_more()

    assert [one.id for one in first] == [ack.uid for ack in acks]
    assert [one.id for one in second] == [acks[2].uid]


async def test_a_second_open_on_the_same_connection_pushes_nothing_again(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60: it has them all, though it may not have acknowledged them yet (4.1.1)."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await say(tom, room, "one")
    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    await told_kept(jerry)

    again = await signed_in("jerry", wire=jerry.wire)
    await say(tom, room, "two")

    assert (await heard(again)).msg == "two"
    await again.nothing_more()


async def test_messages_read_as_they_do_now(application: Application, signed_in: SignIn, connect: Connect) -> None:
    """Checklist 64, 65: edited ones say when, recalled ones nothing; patches come before, in the order they were made.

    The client may know a message from before that was edited since.
    """
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    known, edited, recalled = [await say(tom, room, text) for text in ("known", "typo", "never mind")]
    await set_marks(room, "jerry", ack_seq=1)
    await patched(recalled.uid, at_ms=recalled.t + 1)
    await patched(edited.uid, at_ms=recalled.t + 2, text="no typo")
    await patched(known.uid, at_ms=recalled.t + 3, text="well known")

    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH), lastPatchTime=known.t)
    patches = [await told_patch(jerry) for _ in range(3)]
    messages = await all_kept(jerry, 2)

    assert [(one.mid, one.recall) for one in patches] == [(recalled.uid, True), (edited.uid, False), (known.uid, False)]
    assert [(one.id, one.msg, one.patchTimestamp) for one in messages] == [
        (edited.uid, "no typo", recalled.t + 2),
        (recalled.uid, '{"_lctype":-127}', recalled.t + 1),
    ]


async def test_of_very_many_of_ones_own_messages_only_the_newest_are_looked_through(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60: one who only talks, and never acknowledges what he says, signs in as fast as others."""
    room = await started(application, "tom", "jerry")
    own = catching_up.LOOKED_THROUGH
    await import_messages(room, [Imported("a", T, "too long ago")])
    await import_messages(room, [Imported(str(one), T + 1 + one, "mine", sender="jerry") for one in range(own - 1)])
    await import_messages(room, [Imported("b", T + own, "seen")])

    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))

    assert [one.msg for one in await all_kept(jerry, 1)] == ["seen"]


async def test_old_clients_hear_of_temporary_conversations_only_if_they_know_them(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60 (`configBitmap`, bit 1); never of an expired one."""
    living = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=3600)
    expired = await started(application, "tom", "jerry", "mary", kind=Kind.TEMPORARY, ttl_seconds=3600)
    tom = await signed_in("tom")
    for room in (living, expired):
        await say(tom, room, "hello")
    await in_database(lambda: Conversation.objects.filter(object_id=expired).update(expires_ms=1))

    knows = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    does_not = await signed_in("jerry", wire=await connect(OFFLINE_PUSH), configBitmap=1)

    assert [(one.cid, one.convType) for one in await all_kept(knows, 1)] == [(living, Kind.TEMPORARY)]
    await does_not.nothing_more()


async def test_messages_that_retention_has_deleted_are_not_missed(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60: nor do they stand in the way of others."""
    room = await started(application, "tom", "jerry")
    await import_messages(room, [Imported(str(number), T + number, str(number)) for number in range(3)])
    await in_database(lambda: Message.objects.filter(message_id=imported_id(room, "2")).delete())

    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))

    assert [one.msg for one in await all_kept(jerry, 2)] == ["0", "1"]


async def test_of_very_much_the_newest_is_pushed_and_the_rest_left_for_the_next_log_in(
    application: Application, signed_in: SignIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 60: in bytes, as texts or not. What is left out altogether is as it was, also for who speaks there."""
    left, part, whole = [await started(application, "tom", "jerry") for _ in range(3)]
    for number, room in enumerate((left, part, whole)):
        at_ms = T + 1000 * number
        await import_messages(room, [Imported(str(one), at_ms + one, f"{one} ééé") for one in range(4)])
    binary = Message.objects.filter(message_id=imported_id(whole, "1"))
    await in_database(lambda: binary.update(text=None, data=b"\0" * 8, is_binary=True))
    # Of 8 bytes each: four of one, and the first that is too much.
    monkeypatch.setattr(limits, "OFFLINE_MAX_BYTES", 5 * 8 + 1)
    tom = await signed_in("tom")

    jerry = await signed_in("jerry", wire=await connect(OFFLINE_PUSH))
    messages = await all_kept(jerry, 6)
    await say(tom, left, "live")
    live = await heard(jerry)
    for room in (part, whole):
        await ack(jerry, cid=room, tots=messages[-1].timestamp)
    await done(jerry)
    jerry = await back(jerry, connect, application.app_id)
    again = await all_kept(jerry, 5)

    assert [(one.cid, one.hasMore, one.timestamp - T) for one in messages] == [
        *((part, True, 1000 + number) for number in (2, 3)),
        *((whole, False, 2000 + number) for number in range(4)),
    ]
    assert (live.msg, live.cid) == ("live", left)
    assert [(one.cid, one.hasMore) for one in again] == [(left, False)] * 5
