"""What a client is told it has not read, when it logs in (realtime-protocol 4.10)."""

from typing import Any
from unittest import mock

import pytest

from conversations.models import Conversation, Subscription
from conversations.policy import Kind
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, SessionCommand
from messaging.models import MessagingSettings
from messaging.services.catching_up import UNREAD_MARGIN_MS
from messaging.storage import catching_up
from tests.conftest import SignIn
from tests.conversations.rooming import room_of
from tests.conversations.talking import add, remove
from tests.imclient import open_session
from tests.messaging.returning import (
    Connect,
    back,
    counts,
    many_conversations,
    only_count,
    patched,
    set_marks,
    told_unread,
)
from tests.messaging.signing_in import SESSION, ObeySettings, assert_opened
from tests.messaging.support import another_application, attempt, away, frozen, heard, say, started

DAY_MS = 86_400_000


def opening_at(now_ms: int) -> Any:
    """Let sessions open at this time, for the length of the block."""
    return mock.patch("messaging.commands.session.now_ms", return_value=now_ms)


async def test_a_client_is_told_how_much_it_has_not_read_and_what_came_last(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60, 11: behind `opened`; own messages do not count, muted conversations do."""
    room, quiet = await started(application, "tom", "jerry"), await started(application, "tom", "jerry")
    await set_marks(quiet, "jerry", is_muted=True)
    tom = await signed_in("tom")
    await say(tom, room, "one")
    last = await say(tom, room, "two")
    alone = await say(tom, quiet, "three")

    wire = await connect()
    opened = await open_session(wire, application.app_id, "jerry")
    frame = await wire.receive()

    assert_opened(opened)
    assert frame.cmd == CommandType.unread
    assert not frame.HasField("op")
    assert not frame.HasField("i")
    assert (frame.peerId, frame.service) == ("jerry", 2)
    assert frame.serverTs >= opened.serverTs
    assert last.t <= frame.unreadMessage.notifTime <= frame.serverTs
    assert [(one.cid, one.unread, one.mid, one.timestamp, one.data) for one in frame.unreadMessage.convs] == [
        (quiet, 1, alone.uid, alone.t, "three"),
        (room, 2, last.uid, last.t, "two"),
    ]
    for one in frame.unreadMessage.convs:
        assert (getattr(one, "from"), one.convType, one.mentioned) == ("tom", Kind.NORMAL, False)
        assert not one.HasField("patchTimestamp")
        assert not one.HasField("binaryMsg")
    await (await back(tom, connect, application.app_id)).nothing_more()


async def test_who_has_read_everything_is_told_nothing(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60: never an empty frame."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await say(tom, room, "hello")
    await set_marks(room, "jerry", read_seq=1)

    await (await signed_in("jerry")).nothing_more()
    await (await signed_in("a stranger")).nothing_more()


async def test_the_newest_message_reads_as_it_does_now(application: Application, signed_in: SignIn) -> None:
    """Checklist 60, 64, 65: bytes as bytes; an edited one with its new body and the time; nothing of a recalled one."""
    rooms = [await started(application, "tom", "jerry") for _ in range(4)]
    tom = await signed_in("tom")
    await say(tom, rooms[0], binaryMsg=b"\0\1\xff")
    edited, recalled = await say(tom, rooms[1], "typo"), await say(tom, rooms[2], "never mind")
    await patched(edited.uid, at_ms=edited.t + 1, text="no typo")
    await patched(recalled.uid, at_ms=recalled.t + 2)
    await say(tom, rooms[3], "nul \0 in it")

    convs = {one.cid: one for one in (await told_unread(await signed_in("jerry"))).convs}

    binary = convs[rooms[0]]
    assert (binary.binaryMsg, binary.HasField("data")) == (b"\0\1\xff", False)
    assert (convs[rooms[1]].data, convs[rooms[1]].patchTimestamp) == ("no typo", edited.t + 1)
    assert (convs[rooms[2]].data, convs[rooms[2]].patchTimestamp) == ('{"_lctype":-127}', recalled.t + 2)
    assert convs[rooms[3]].data == "nul \0 in it"


async def test_mentions_that_are_not_read_are_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 57: by name, by everybody; not one's own; not what was read."""
    named, all_of_us, own, read, gone = [await started(application, "tom", "jerry", "mary") for _ in range(5)]
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, named, "@jerry", mentionPids=["jerry"])
    await say(tom, named, "and")
    await say(tom, all_of_us, "@all", mentionAll=True)
    await say(tom, own, "before")
    await say(jerry, own, "@all", mentionAll=True, mentionPids=["jerry"])
    await say(tom, read, "@jerry", mentionPids=["jerry"])
    await say(tom, read, "after")
    await set_marks(read, "jerry", read_seq=1)
    await say(tom, gone, "@jerry", mentionPids=["jerry"])
    # What is recalled is counted like one's own.
    await set_marks(gone, "jerry", own_since_read=1, unread_changed_ms=identifiers.now_ms())

    told = await told_unread(await signed_in("jerry", lastUnreadNotifTime=1))

    mentioned = {one.cid: (one.unread, one.mentioned) for one in told.convs}
    assert mentioned == {
        named: (2, True),
        all_of_us: (1, True),
        own: (1, False),
        read: (1, False),
        gone: (0, False),
    }


async def test_at_most_fifty_conversations_are_told_the_newest_first(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Checklist 60; the application may choose another number, and then no frame has more than fifty."""
    cids = await many_conversations(application, "jerry", 110)

    by_default = await signed_in("jerry")
    told = list(await counts(by_default))
    await by_default.nothing_more()
    await obey_settings(MessagingSettings, unread_conversations_max=105)
    many = await signed_in("jerry")
    frames = [list(await counts(many)) for _ in range(3)]
    await many.nothing_more()

    assert told == cids[:59:-1]
    assert [len(frame) for frame in frames] == [50, 50, 5]
    assert [cid for frame in frames for cid in frame] == cids[:4:-1]


async def test_a_count_ends_at_a_hundred(application: Application, signed_in: SignIn) -> None:
    """Checklist 60: 100 means "100 or more". Nor is a count ever below 0."""
    many, few = await many_conversations(application, "jerry", 2)
    await in_database(lambda: Conversation.objects.filter(object_id=many).update(last_seq=101))
    await set_marks(few, "jerry", own_since_read=3, unread_changed_ms=identifiers.now_ms())

    assert await counts(await signed_in("jerry")) == {many: 100}
    assert await counts(await signed_in("jerry", lastUnreadNotifTime=1)) == {few: 0, many: 100}


async def test_a_client_that_knows_the_time_is_told_only_what_has_changed_since(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 60: with new messages, or read meanwhile on another device, which is 0."""
    old, new, read = [await started(application, "tom", "jerry") for _ in range(3)]
    tom = await signed_in("tom")
    for room in (old, new, read):
        said = await say(tom, room, "one")

    with opening_at(said.t + UNREAD_MARGIN_MS + 1):
        first = await told_unread(await signed_in("jerry"))
        await (await signed_in("jerry", lastUnreadNotifTime=first.notifTime)).nothing_more()
    with frozen(first.notifTime + 1000):
        await say(tom, new, "two")
        await set_marks(read, "jerry", read_seq=1, unread_changed_ms=identifiers.now_ms())
    with opening_at(first.notifTime + 2000):
        jerry = await signed_in("jerry", lastUnreadNotifTime=first.notifTime)
    second = await told_unread(jerry)

    assert {one.cid: one.unread for one in first.convs} == {old: 1, new: 1, read: 1}
    assert {one.cid: one.unread for one in second.convs} == {new: 2, read: 0}
    assert second.notifTime == first.notifTime + 2000


async def test_what_is_stamped_a_little_behind_the_time_that_a_client_knows_is_told(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 60: by a server whose clock is behind, or before a wait in the database; or the clock went back."""
    known, new, read = [await started(application, "tom", "jerry") for _ in range(3)]
    tom = await signed_in("tom")
    for room in (known, new, read):
        said = await say(tom, room, "one")
    with opening_at(said.t + UNREAD_MARGIN_MS + 1000):
        first = await told_unread(await signed_in("jerry"))
    with frozen(first.notifTime - 500):
        await say(tom, new, "two")
        await set_marks(read, "jerry", read_seq=1, unread_changed_ms=identifiers.now_ms())

    for now_ms in (first.notifTime + 60_000, first.notifTime - 400):
        with opening_at(now_ms):
            jerry = await signed_in("jerry", lastUnreadNotifTime=first.notifTime)
        assert await counts(jerry) == {new: 2, read: 0}


async def test_of_what_was_never_said_nothing_is_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 60: not even to a client that says a time from before all times."""
    await started(application, "tom", "jerry")

    await (await signed_in("jerry", lastUnreadNotifTime=1)).nothing_more()


async def test_a_position_from_the_future_says_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 60: the server's clock went back since."""
    room = await started(application, "tom", "jerry")
    await say(await signed_in("tom"), room, "hello")

    jerry = await signed_in("jerry", lastUnreadNotifTime=identifiers.now_ms() + DAY_MS)

    assert await counts(jerry) == {room: 1}


async def test_temporary_conversations_are_for_those_who_know_them_and_while_they_live(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 60: in a frame of their own, which others do not get (`configBitmap`, bit 1)."""
    plain = await started(application, "tom", "jerry")
    living = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=3600)
    expired = await started(application, "tom", "jerry", "mary", kind=Kind.TEMPORARY, ttl_seconds=3600)
    tom = await signed_in("tom")
    for room in (plain, living, expired):
        await say(tom, room, "hello")
    await in_database(lambda: Conversation.objects.filter(object_id=expired).update(expires_ms=1))

    knows, does_not = await signed_in("jerry"), await signed_in("jerry", configBitmap=1)
    told = await told_unread(knows), await told_unread(knows), await told_unread(does_not)
    await knows.nothing_more()
    await does_not.nothing_more()

    assert [[(one.cid, one.convType) for one in body.convs] for body in told] == [
        [(plain, Kind.NORMAL)],
        [(living, Kind.TEMPORARY)],
        [(plain, Kind.NORMAL)],
    ]


async def test_what_is_not_kept_is_never_unread(application: Application, signed_in: SignIn) -> None:
    """Checklist 60, 55: transient messages, chat rooms, system conversations that nobody wrote to, refused sends."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    chat_room = await room_of(jerry)
    await say(jerry, chat_room, "in here")
    await say(tom, room, "typing…", transient=True)
    await heard(jerry)
    assert (await attempt(await signed_in("mary"), room, "let me in")).code == 4401

    def subscribe() -> None:
        system = Conversation.objects.create(
            application=application, object_id="f" * 24, kind=Kind.SYSTEM, created_ms=1, updated_ms=1
        )
        Subscription.objects.create(conversation=system, application=application, client_id="jerry", subscribed_ms=1)

    await in_database(subscribe)

    await (await signed_in("jerry")).nothing_more()


async def test_who_has_left_or_was_never_in_is_told_nothing(application: Application, signed_in: SignIn) -> None:
    """Checklist 60. Also not of a conversation of another application with a client of the same name."""
    room = await started(application, "tom", "jerry")
    await say(await signed_in("tom"), room, "hello")
    other = await another_application()
    theirs = await started(other, "tom", "jerry")
    await in_database(lambda: Conversation.objects.filter(object_id=theirs).update(last_seq=1))

    assert (await only_count(await signed_in("jerry"))).cid == room
    await (await signed_in("mary")).nothing_more()


async def test_a_second_open_on_the_same_connection_is_told_again(application: Application, signed_in: SignIn) -> None:
    """Checklist 60: Java and .NET open twice on their refresh paths; counts are the same, messages come once."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "one")
    await heard(jerry)

    again = await signed_in("jerry", wire=jerry.wire)
    told = await counts(again)
    await say(tom, room, "two")

    assert told == {room: 1}
    assert (await heard(again)).msg == "two"
    await again.nothing_more()


async def test_a_device_that_was_away_is_told_that_its_client_left_and_joined_again(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60: what it still shows as unread was said before, and is history now."""
    room = await started(application, "tom", "jerry")
    await say(await signed_in("tom"), room, "hello")
    phone = await signed_in("jerry")
    told = await told_unread(phone)
    web = await signed_in("jerry")
    await phone.wire.close()
    await remove(web, room, "jerry")
    await add(web, room, "jerry")

    phone = await back(phone, connect, application.app_id, lastUnreadNotifTime=told.notifTime)

    assert [one.unread for one in told.convs] == [1]
    assert (await only_count(phone)).unread == 0


async def test_a_client_without_a_serial_is_told_as_well(
    application: Application, signed_in: SignIn, connect: Connect
) -> None:
    """Checklist 60, 14: Java's automatic re-open."""
    room = await started(application, "tom", "jerry")
    jerry = await signed_in("jerry")
    await say(await signed_in("tom"), room, "hello")
    wire = await connect()

    await wire.send(
        GenericCommand(
            cmd=SESSION,
            op=OpType.open,
            appId=application.app_id,
            peerId="jerry",
            sessionMessage=SessionCommand(st=jerry.token, r=True),
        )
    )
    opened, frame = await wire.receive(), await wire.receive()

    assert_opened(opened)
    assert [(one.cid, one.unread) for one in frame.unreadMessage.convs] == [(room, 1)]


async def test_while_the_database_is_away_nobody_signs_in(
    application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 60: told as other trouble of the database is; the client tries again and is whole."""
    room = await started(application, "tom", "jerry")
    await in_database(lambda: Conversation.objects.filter(object_id=room).update(last_seq=1))
    wire = await connect()

    with monkeypatch.context() as patch:
        patch.setattr(catching_up, "missed_by", away)
        refused = await open_session(wire, application.app_id, "jerry")
    opened = await open_session(wire, application.app_id, "jerry")

    assert refused.cmd == CommandType.error, refused
    assert_opened(opened)
    assert [one.cid for one in (await wire.receive()).unreadMessage.convs] == [room]
