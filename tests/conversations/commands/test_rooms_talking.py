"""What is said in a chat room, and to whom (realtime-protocol 4.9.1, 4.13, 6)."""

from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings
from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, LogsCommand, OpType
from tests.conftest import SignIn
from tests.conversations.rooming import block, people_in, room_of, sending_code
from tests.conversations.talking import add, answer, heard, look_up, query, refusal, remove, say, told
from tests.imclient import ImClient
from tests.messaging.support import started

SILENCED, BLOCKED, OUTSIDER = 4563, 4548, 4317
UNAUTHORIZED = 4320

ObeySettings = Callable[..., Awaitable[None]]


@pytest.fixture
async def moderated(obey_settings: ObeySettings) -> None:
    """Enable roles, without which nobody is silenced, and block lists."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)


async def read(client: ImClient, cid: str) -> list[str]:
    """Return the bodies of a room's history."""
    reply = await client.request(CommandType.logs, logsMessage=LogsCommand(cid=cid))
    assert reply.cmd == CommandType.logs, reply
    return [item.data for item in reply.logsMessage.logs]


def texts(frames: list[GenericCommand]) -> list[str]:
    """Return the bodies of messages, and the names of other notices."""
    return [frame.directMessage.msg if frame.cmd == CommandType.direct else OpType.Name(frame.op) for frame in frames]


async def test_everybody_in_the_room_hears_a_message_but_its_sender(signed_in: SignIn) -> None:
    """Realtime-protocol 6: nor do the sender's other devices, in the room or not."""
    tom, other_device = await signed_in("tom"), await signed_in("tom")
    jerry, jerrys_web, spike = await signed_in("jerry"), await signed_in("jerry"), await signed_in("spike")
    cid = await room_of(tom)
    for client in (other_device, jerry, jerrys_web):
        await add(client, cid, client.client_id)

    sent = await say(tom, cid, "hello", mentionPids=["jerry"], r=True, dt="once")
    await say(tom, cid, "hello", dt="once")

    for client in (jerry, jerrys_web):
        [frame] = await heard(client)
        message = frame.directMessage
        assert (message.cid, message.id, message.timestamp) == (cid, sent.uid, sent.t)
        assert (message.fromPeerId, message.msg, message.convType) == ("tom", "hello", 2)
        assert list(message.mentionPids) == ["jerry"]
        assert not message.transient
    assert await heard(tom) == await heard(other_device) == await heard(spike) == []


async def test_who_has_left_hears_nothing_and_a_newcomer_only_what_comes(signed_in: SignIn) -> None:
    """Presence is membership."""
    tom, jerry, spike = await signed_in("tom"), await signed_in("jerry"), await signed_in("spike")
    cid = await room_of(tom)
    await add(jerry, cid, "jerry")

    await say(tom, cid, "one")
    await remove(jerry, cid, "jerry")
    await add(spike, cid, "spike")
    await say(tom, cid, "two", mentionAll=True)

    assert texts(await heard(jerry)) == ["one"]
    [frame] = await heard(spike)
    assert (frame.directMessage.msg, frame.directMessage.mentionAll) == ("two", True)


async def test_who_is_not_in_the_room_may_send_and_anybody_may_read(signed_in: SignIn) -> None:
    """4.9.1 and 4.11: history is kept and open; sending makes nobody a participant."""
    tom, stranger = await signed_in("tom"), await signed_in("stranger")
    cid = await room_of(tom)

    await say(stranger, cid, "from outside")
    await say(tom, cid, "passing", transient=True)
    await say(tom, cid, "from inside")

    assert texts(await heard(tom)) == ["from outside"]
    assert await heard(stranger) == []
    assert await people_in(tom, cid) == ["tom"]
    assert await read(stranger, cid) == ["from outside", "from inside"]


async def test_a_passing_message_is_heard_and_not_kept(signed_in: SignIn) -> None:
    """Checklist 55, in a chat room: the sender's other devices do not get it here."""
    tom, other_device, jerry = await signed_in("tom"), await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    for client in (other_device, jerry):
        await add(client, cid, client.client_id)

    await say(tom, cid, "typing", transient=True)

    [frame] = await heard(jerry)
    assert (frame.directMessage.transient, frame.directMessage.convType) == (True, 2)
    assert await heard(other_device) == []
    assert await read(jerry, cid) == []


async def test_a_room_has_a_last_message_and_counts_nothing_unread(signed_in: SignIn) -> None:
    """4.4.1 and 4.13: who was away comes back without `unread`."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    await add(jerry, cid, "jerry")
    await jerry.wire.close()

    sent = await say(tom, cid, "missed", mentionPids=["jerry"])
    back = await signed_in("jerry", st=jerry.token, r=True)

    [found] = await query(tom, {"objectId": cid}, flag=2)
    assert (found["msg"], found["bin"], found["msg_mid"], found["msg_from"]) == ("missed", False, sent.uid, "tom")
    assert found["lm"]["__type"] == "Date"
    assert await heard(back) == []


@pytest.mark.usefixtures("moderated")
async def test_the_silenced_hear_of_it_alone_and_cannot_send(signed_in: SignIn) -> None:
    """Checklist 46, in a chat room: `shutuped` to the target only; 4563 for what is kept and what passes."""
    tom, jerry, spike = await signed_in("tom"), await signed_in("jerry"), await signed_in("spike")
    cid = await room_of(tom)
    for client in (jerry, spike):
        await add(client, cid, client.client_id)

    await answer(tom, OpType.add_shutup, OpType.shutup_added, cid=cid, m=["jerry"])
    codes = [await sending_code(jerry, cid), await sending_code(jerry, cid, transient=True)]
    listed = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid)
    await say(spike, cid, "still heard")
    await answer(tom, OpType.remove_shutup, OpType.shutup_removed, cid=cid, m=["jerry"])
    allowed = await sending_code(jerry, cid, "again")

    assert codes == [SILENCED, SILENCED]
    assert list(listed.m) == ["jerry"]
    assert allowed == 0
    frames = await heard(jerry)
    assert texts(frames) == ["shutuped", "still heard", "unshutuped"]
    assert all(frame.convMessage.transient for frame in frames if frame.cmd == CommandType.conv)
    assert texts(await heard(spike)) == ["again"]
    assert texts(await heard(tom)) == ["still heard", "again"]
    assert await read(tom, cid) == ["still heard", "again"]


@pytest.mark.usefixtures("moderated")
async def test_the_blocked_are_put_out_and_can_neither_come_nor_send(signed_in: SignIn) -> None:
    """Checklist 47, in a chat room: `blocked` to the target only, and no `left`; all its devices are out."""
    tom, jerry, jerrys_web = await signed_in("tom"), await signed_in("jerry"), await signed_in("jerry")
    spike = await signed_in("spike")
    cid = await room_of(tom)
    for client in (jerry, jerrys_web, spike):
        await add(client, cid, client.client_id)

    assert await block(tom, cid, "jerry", "stranger") == ["jerry", "stranger"]
    await say(tom, cid, "not for jerry")

    for client in (jerry, jerrys_web):
        [frame] = await heard(client)
        assert (frame.op, frame.convMessage.cid, frame.convMessage.initBy) == (OpType.blocked, cid, "tom")
        assert frame.convMessage.transient
    assert await people_in(tom, cid) == ["spike", "tom"]
    joining = await add(jerry, cid, "jerry")
    assert [(failed.code, list(failed.pids)) for failed in joining.failedPids] == [(BLOCKED, ["jerry"])]
    assert [await sending_code(jerry, cid), await sending_code(jerry, cid, transient=True)] == [BLOCKED, BLOCKED]
    assert texts(await heard(spike)) == ["not for jerry"]
    assert await told(tom) == []


@pytest.mark.usefixtures("moderated")
async def test_the_unblocked_may_come_again_and_are_not_brought(signed_in: SignIn) -> None:
    """4.8."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    await add(jerry, cid, "jerry")
    await block(tom, cid, "jerry")

    await block(tom, cid, "jerry", undo=True)
    before = await people_in(tom, cid)
    await add(jerry, cid, "jerry")

    assert before == ["tom"]
    assert await people_in(tom, cid) == ["jerry", "tom"]
    assert [op for op, _, _ in await told(jerry)] == ["blocked", "unblocked"]


@pytest.mark.usefixtures("moderated")
async def test_only_the_owner_silences_and_blocks_wherever_he_is(signed_in: SignIn) -> None:
    """4.8: a participant is a Member, who is not in the room an outsider."""
    tom, jerry, stranger = await signed_in("tom"), await signed_in("jerry"), await signed_in("stranger")
    cid = await room_of(tom)
    await add(jerry, cid, "jerry")

    assert (await refusal(jerry, OpType.add_shutup, cid=cid, m=["stranger"])).code == UNAUTHORIZED
    assert (await refusal(stranger, OpType.add_shutup, cid=cid, m=["jerry"])).code == OUTSIDER
    await remove(tom, cid, "tom")
    assert await block(tom, cid, "stranger") == ["stranger"]
    assert (await refusal(stranger, OpType.query_shutup, cid=cid)).code == OUTSIDER
    assert [op for op, _, _ in await told(jerry)] == []


async def test_roles_are_not_for_rooms(signed_in: SignIn, obey_settings: ObeySettings) -> None:
    """4308."""
    await obey_settings(ConversationSettings, roles_enabled=True)
    tom = await signed_in("tom")
    body = ConvCommand(cid=await room_of(tom), targetClientId="jerry")
    body.info.pid, body.info.role = "jerry", "Manager"

    reply = await tom.request(CommandType.conv, OpType.member_info_update, convMessage=body)

    assert reply.errorMessage.code == 4308


async def test_a_room_created_on_behalf_of_a_client_is_empty(signed_in: SignIn, application: Application) -> None:
    """Over HTTP there is no session to put into it."""
    tom = await signed_in("tom")

    cid = await started(application, "tom", kind=Kind.CHAT_ROOM)

    assert await people_in(tom, cid) == []
    assert (await look_up(tom, cid))["c"] == "tom"
