"""Messages that were stored and whose copies were lost on the way: the server looks them up (docs/adr/0016)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conversations.policy import Kind
from imcore.delivery import router
from imcore.delivery.node import node
from imcore.errors import StorageUnavailable
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, OpType
from messaging.storage import messages, missing
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.api.saying import delete
from tests.messaging.support import away, command, heard, say, started


@asynccontextmanager
async def dying(signed_in: SignIn) -> AsyncIterator[ImClient]:
    """Let a device of tom's be on a server that stores what it sends, and dies before it has told anybody."""
    device = await signed_in("tom", deviceId="on a dying server")
    with pytest.MonkeyPatch.context() as lost:
        lost.setattr(router, "publish", lambda *args, **kwargs: None)
        yield device
        await device.wire.close()


async def test_a_message_whose_copies_were_lost_comes_before_the_next(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 53: to every device that was there, and in its place."""
    room = await started(application, "tom", "jerry")
    tom, jerry, phone = await signed_in("tom"), await signed_in("jerry"), await signed_in("jerry", deviceId="phone")
    await say(tom, room, "one")
    async with dying(signed_in) as device:
        await say(device, room, "two", r=True, mentionPids=["jerry"])
        await say(device, room, binaryMsg=b"three")
    await say(tom, room, "four")

    assert [one.msg or one.binaryMsg for one in [await heard(tom) for _ in range(2)]] == ["two", b"three"]
    await tom.nothing_more()
    for client in (jerry, phone):
        said = [await heard(client) for _ in range(4)]
        await client.nothing_more()
        assert [one.msg or one.binaryMsg for one in said] == ["one", "two", b"three", "four"]
        assert (said[1].r, list(said[1].mentionPids), said[1].fromPeerId) == (True, ["jerry"], "tom")


async def test_the_first_message_that_a_server_hears_of_shows_what_it_missed(
    application: Application, signed_in: SignIn
) -> None:
    """Whoever was here when that was sent gets it; whoever came later was told of it then."""
    room = await started(application, "tom", "jerry", "mary")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    async with dying(signed_in) as device:
        await say(device, room, "one")
    mary = await signed_in("mary")
    counted = await mary.notice(CommandType.unread)
    await say(tom, room, "two")

    assert [(await heard(jerry)).msg for _ in range(2)] == ["one", "two"]
    assert counted.unreadMessage.convs[0].unread == 1
    assert (await heard(mary)).msg == "two"
    for client in (jerry, mary):
        await client.nothing_more()


async def test_what_was_deleted_meanwhile_is_not_shown_nor_waited_for(
    application: Application, signed_in: SignIn
) -> None:
    """It has left a hole in the seqs, which is none in what comes."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "one")
    async with dying(signed_in) as device:
        gone = await say(device, room, "two")
        await say(device, room, "three")
    assert (await delete(application, room, gone)).status_code == 200
    await say(tom, room, "four")

    assert [(await heard(jerry)).msg for _ in range(3)] == ["one", "three", "four"]
    await jerry.nothing_more()


async def test_who_joined_later_is_not_told(application: Application, signed_in: SignIn) -> None:
    """It can read it in history, as everybody who joins."""
    room = await started(application, "tom", "jerry")
    tom, jerry, mary = await signed_in("tom"), await signed_in("jerry"), await signed_in("mary")
    await say(tom, room, "one")
    async with dying(signed_in) as device:
        await say(device, room, "two")
    await tom.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=room, m=["mary"]))
    await say(tom, room, "three")

    told = [await jerry.next_notice() for _ in range(4)]
    assert [one.directMessage.msg for one in told if one.cmd == CommandType.direct] == ["one", "two", "three"]
    told = [await mary.next_notice() for _ in range(3)]
    assert [one.directMessage.msg for one in told if one.cmd == CommandType.direct] == ["three"]


async def test_in_a_chat_room_they_come_to_who_was_there(application: Application, signed_in: SignIn) -> None:
    """Checklist 53: and not to their sender."""
    room = await started(application, "tom", kind=Kind.CHAT_ROOM)
    tom, jerry, mary = [await signed_in(name) for name in ("tom", "jerry", "mary")]
    for client in (tom, jerry):
        await client.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=room, m=[client.client_id]))
    await say(tom, room, "one")
    async with dying(signed_in) as device:
        await say(device, room, "two")
    await mary.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=room, m=["mary"]))
    await say(tom, room, "three")

    assert [(await heard(jerry)).msg for _ in range(3)] == ["one", "two", "three"]
    assert (await heard(mary)).msg == "three"
    await tom.nothing_more()


async def test_a_message_its_sender_was_not_sure_of_comes_once(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through and the answer was lost: the next message shows it, and the resend nothing more."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    desk = await signed_in("tom", deviceId="desk")
    await say(tom, room, "one")

    def stored_all_the_same(*args: Any, **kwargs: Any) -> None:
        store(*args, **kwargs)
        away()

    store = messages.store
    with monkeypatch.context() as broken:
        broken.setattr(messages, "store", stored_all_the_same)
        unsure = await tom.request(CommandType.direct, directMessage=command(room, "two", dt="token"))
    await say(jerry, room, "three")
    again = await say(tom, room, "two", dt="token")

    assert unsure.ackMessage.code == 4201
    jerrys = [await heard(jerry) for _ in range(2)]
    assert [one.msg for one in jerrys] == ["one", "two"]
    assert jerrys[1].id == again.uid
    assert (await heard(tom)).msg == "three"
    for client in (tom, jerry):
        await client.nothing_more()
    assert (await heard(desk)).msg == "one"


async def test_while_the_database_is_away_later_messages_are_not_held_for_ever(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were stored before it went."""
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "one")
    async with dying(signed_in) as device:
        await say(device, room, "two")

    def unreadable(**asked: Any) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(missing, "find", unreadable)
    await say(tom, room, "three")

    assert [(await heard(jerry)).msg for _ in range(2)] == ["one", "three"]
    await jerry.nothing_more()


async def test_many_are_looked_up_in_pages(
    application: Application, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long Redis was away."""
    monkeypatch.setattr("messaging.services.missing.MESSAGES_AT_ONCE", 3)
    room = await started(application, "tom", "jerry")
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await say(tom, room, "0")
    async with dying(signed_in) as device:
        for number in range(1, 9):
            await say(device, room, str(number))
    await say(tom, room, "9")

    assert [(await heard(jerry)).msg for _ in range(10)] == [str(number) for number in range(10)]
    await jerry.nothing_more()


async def test_what_nothing_comes_after_is_found_when_the_way_between_servers_was_broken(
    application: Application, signed_in: SignIn
) -> None:
    """A server has died, or Redis was away: each compares what it has passed on with what is stored."""
    said = await started(application, "tom", "jerry")
    silent = await started(application, "tom", "jerry")
    hall = await started(application, "tom", kind=Kind.CHAT_ROOM)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await jerry.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=hall, m=["jerry"]))
    await say(tom, silent, "known")
    await heard(jerry)
    async with dying(signed_in) as device:
        for room in (said, hall, said):
            await say(device, room, f"lost in {room}")

    node.doubt(0)
    told = [(await heard(jerry)).cid for _ in range(3)]
    node.doubt(0)

    assert sorted(told) == sorted([said, hall, said])
    assert [(await heard(tom)).cid for _ in range(2)] == [said, said]
    for client in (tom, jerry):
        await client.nothing_more()


async def test_nothing_is_said_twice_to_who_came_after_it(application: Application, signed_in: SignIn) -> None:
    """It was told of it when it came."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    await say(tom, room, "before")
    jerry = await signed_in("jerry")
    await jerry.notice(CommandType.unread)

    node.doubt(0)

    await jerry.nothing_more()
