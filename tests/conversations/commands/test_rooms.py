"""Chat rooms: who is there (realtime-protocol 4.13)."""

from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings, Member
from imcore.bridge import in_database
from imcore.capabilities import PARTIAL_FAILURE
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, OpType, SessionCommand
from tests.conftest import SignIn
from tests.conversations.rooming import names_here, people_in, room_of
from tests.conversations.talking import (
    add,
    answer,
    count,
    heard,
    look_up,
    query,
    refusal,
    remove,
    start,
    stored_members,
    told,
)
from tests.imclient import CONFIG_BITMAP, ImClient, InProcess

NOT_ALLOWED = 4308


async def test_who_starts_a_room_is_in_it_at_once(signed_in: SignIn) -> None:
    """Checklist 29. C# sends `unique`, JavaScript members: neither means anything here."""
    tom = await signed_in("tom")

    started = await start(tom, "jerry", transient=True, unique=True)

    assert await count(tom, started.cid) == 1
    assert await people_in(tom, started.cid) == ["tom"]
    assert {field.name for field, _ in started.ListFields()} == {"cid", "cdate"}
    assert len(started.cid) == 24
    assert await stored_members(started.cid) == []
    assert await heard(tom) == []


async def test_each_start_makes_another_room(signed_in: SignIn) -> None:
    """`unique` is for normal conversations, and the creator moves to the newest."""
    tom = await signed_in("tom")

    first = await start(tom, transient=True, unique=True)
    second = await start(tom, transient=True, unique=True)

    assert first.cid != second.cid
    assert not second.HasField("existing")
    assert (await count(tom, first.cid), await count(tom, second.cid)) == (0, 1)


async def test_coming_and_going_is_told_to_nobody_and_counted(signed_in: SignIn) -> None:
    """Checklist 49, first half."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    joined = await add(jerry, cid, "jerry")
    both = await people_in(tom, cid)
    left = await remove(jerry, cid, "jerry")

    assert (list(joined.allowedPids), list(joined.failedPids), joined.cid) == (["jerry"], [], cid)
    assert joined.udate
    assert (list(left.allowedPids), list(left.failedPids), left.cid) == (["jerry"], [], cid)
    assert left.udate
    assert both == ["jerry", "tom"]
    assert await people_in(jerry, cid) == ["tom"]
    assert await heard(tom) == await heard(jerry) == []


async def test_coming_twice_and_going_twice_does_no_harm(signed_in: SignIn) -> None:
    """A repeat is allowed, as in other conversations, and counts once."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    for _ in range(2):
        assert list((await add(jerry, cid, "jerry", "jerry")).allowedPids) == ["jerry"]
        assert await people_in(tom, cid) == ["jerry", "tom"]
    for _ in range(2):
        assert list((await remove(jerry, cid, "jerry")).allowedPids) == ["jerry"]
        assert await people_in(tom, cid) == ["tom"]


async def test_a_room_has_no_bound_and_lists_fifty(
    signed_in: SignIn, connect: Callable[..., Awaitable[InProcess]], obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """4.5: `members` tells 50 at most, `count` all."""
    await obey_settings(ConversationSettings, members_max=2)
    wire = await connect()
    clients = [await signed_in(f"client {number}", wire=wire) for number in range(60)]
    cid = await room_of(clients[0])

    for client in clients[1:]:
        await add(client, cid, client.client_id)

    assert await count(clients[0], cid) == 60
    assert len(await people_in(clients[0], cid)) == 50
    assert len(await people_in(clients[0], cid, limit=3)) == 3
    listed = await answer(clients[0], OpType.members, OpType.result, cid=cid, limit=1000)
    assert len(set(listed.m)) == 50


async def test_a_session_is_in_one_room_at_a_time(signed_in: SignIn) -> None:
    """Joining another leaves the former; another device of the same client stays where it is."""
    tom, phone, web = await signed_in("tom"), await signed_in("jerry"), await signed_in("jerry")
    first = await room_of(tom)
    second = await room_of(await signed_in("spike"))
    await add(phone, first, "jerry")
    await add(web, first, "jerry")
    together = await people_in(tom, first)

    await add(phone, second, "jerry")

    assert together == ["jerry", "tom"]
    assert await people_in(tom, first) == ["jerry", "tom"]
    assert await people_in(tom, second) == ["jerry", "spike"]
    await remove(web, second, "jerry")
    assert await people_in(tom, first) == ["jerry", "tom"]
    await remove(web, first, "jerry")
    assert await people_in(tom, first) == ["tom"]


async def test_who_disconnects_or_signs_out_is_gone(signed_in: SignIn, application: Application) -> None:
    """Being there is the session's, and nothing of it stays behind."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    lost, closing = await signed_in("lost"), await signed_in("closing")
    for client in (lost, closing):
        await add(client, cid, client.client_id)
    everybody = await people_in(tom, cid)

    await lost.wire.close()
    one_less = await people_in(tom, cid)
    await _sign_out(closing)

    assert everybody == ["closing", "lost", "tom"]
    assert one_less == ["closing", "tom"]
    assert await people_in(tom, cid) == ["tom"]
    await tom.wire.close()
    assert names_here(application) == set()


async def test_a_client_that_ends_takes_no_other_of_its_connection_along(
    signed_in: SignIn, connect: Callable[..., Awaitable[InProcess]]
) -> None:
    """Rooms are sessions', not connections'."""
    wire = await connect()
    tom, jerry = await signed_in("tom", wire=wire), await signed_in("jerry", wire=wire)
    cid = await room_of(tom)
    await add(jerry, cid, "jerry")

    await _sign_out(jerry)

    assert await people_in(tom, cid) == ["tom"]


async def test_nobody_brings_others_along_or_puts_them_out(signed_in: SignIn) -> None:
    """4.13: only the caller can be joined, the others fail with 4308; and only the caller can leave."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    brought = await add(jerry, cid, "spike", "jerry", "tyke")
    put_out = await remove(jerry, cid, "tom")

    assert list(brought.allowedPids) == ["jerry"]
    assert [(failed.code, list(failed.pids)) for failed in brought.failedPids] == [(NOT_ALLOWED, ["spike", "tyke"])]
    assert all(failed.reason for failed in brought.failedPids)
    assert list(put_out.allowedPids) == []
    assert [(failed.code, list(failed.pids)) for failed in put_out.failedPids] == [(NOT_ALLOWED, ["tom"])]
    assert await people_in(tom, cid) == ["jerry", "tom"]
    assert await told(tom) == []


async def test_without_partial_failure_nobody_comes_in_with_others(signed_in: SignIn) -> None:
    """Bit 5 of `configBitmap` says that a client reads `failedPids`; without, all or nothing."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    old = await signed_in("old", configBitmap=CONFIG_BITMAP & ~PARTIAL_FAILURE)

    refused = await refusal(old, OpType.add, cid=cid, m=["old", "spike"])

    assert refused.code == NOT_ALLOWED
    assert await people_in(tom, cid) == ["tom"]


@pytest.mark.parametrize("members", [[], [""], ["x" * 65], ["a\0b"]])
async def test_joining_as_nobody_is_refused(signed_in: SignIn, members: list[str]) -> None:
    """Bad input changes nothing."""
    tom = await signed_in("tom")
    cid = await room_of(tom)

    refused = await refusal(tom, OpType.add, cid=cid, m=members)

    assert refused.code == 4301
    assert await people_in(tom, cid) == ["tom"]


async def test_is_member_is_true_while_the_session_is_there(signed_in: SignIn) -> None:
    """4.5; and false for what there is not."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    async def is_in(cid: str) -> str:
        return (await answer(jerry, OpType.is_member, OpType.result, cids=[cid, "nothing"])).results.data

    before = await is_in(cid)
    await add(jerry, cid, "jerry")

    assert before == f'{{"{cid}":false,"nothing":false}}'
    assert await is_in(cid) == f'{{"{cid}":true,"nothing":false}}'


async def test_a_rooms_name_is_no_client_to_ask_for(signed_in: SignIn, application: Application) -> None:
    """Delivery finds rooms by names like clients'; whether somebody is in one is not told by `session/query`."""
    tom = await signed_in("tom")
    await room_of(tom)
    names = sorted(names_here(application))

    body = SessionCommand(sessionPeerIds=names)
    reply = await tom.request(CommandType.session, OpType.query, sessionMessage=body)

    assert len(names) == 3  # everybody is a name, too
    assert list(reply.sessionMessage.onlineSessionPeerIds) == ["tom"]


async def test_a_room_as_json_has_no_members(signed_in: SignIn) -> None:
    """4.4.1; and it is nobody's own conversation."""
    tom = await signed_in("tom")
    cid = await room_of(tom, name="lobby")

    found = await look_up(tom, cid)

    assert (found["conv_type"], found["tr"], found["sys"], found["c"], found["name"]) == (
        2,
        True,
        False,
        "tom",
        "lobby",
    )
    assert "m" not in found
    assert "lm" not in found
    assert await query(tom) == []
    assert [one["objectId"] for one in await query(tom, {"tr": True})] == [cid]


async def test_nothing_of_a_room_is_kept_as_membership(signed_in: SignIn, application: Application) -> None:
    """`m` is not maintained."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await add(jerry, await room_of(tom), "jerry")

    assert await in_database(lambda: Member.objects.filter(application=application).count()) == 0


async def _sign_out(client: ImClient) -> None:
    reply = await client.request(CommandType.session, OpType.close)
    assert reply.op == OpType.closed
