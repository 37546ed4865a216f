"""`conv/start`: who gets which conversation (realtime-protocol 4.2)."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from itertools import combinations

from conversations.models import ConversationSettings
from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.talking import (
    add,
    ask,
    count,
    heard,
    look_up,
    query,
    refusal,
    remove,
    start,
    stored,
    stored_members,
    told,
)

CONVERSATION_FULL = 4304


async def test_the_creator_is_a_member_without_naming_itself(signed_in: SignIn) -> None:
    """Checklist 26."""
    tom = await signed_in("tom")

    started = await start(tom, "jerry")

    assert (await look_up(tom, started.cid))["m"] == ["jerry", "tom"]
    assert len(started.cid) == 24
    assert set(started.cid) <= set("0123456789abcdef")


async def test_the_reply_carries_nothing_that_a_normal_conversation_has_not(signed_in: SignIn) -> None:
    """Realtime-protocol 4.2, table of `started`, and 3.4: `tempConv` and `tempConvTTL` must be absent."""
    tom = await signed_in("tom")

    started = await start(tom, "jerry", "tom")

    assert {field.name for field, _ in started.ListFields()} == {"cid", "cdate"}


async def test_a_start_without_members_makes_a_conversation_of_one(signed_in: SignIn) -> None:
    """Members are `m` and the caller."""
    tom = await signed_in("tom")

    started = await start(tom)

    assert await stored_members(started.cid) == ["tom"]


async def test_a_member_named_twice_is_a_member_once(signed_in: SignIn) -> None:
    """Rule 2: duplicates are removed."""
    tom = await signed_in("tom")

    started = await start(tom, "jerry", "tom", "jerry", "tom")

    assert await stored_members(started.cid) == ["jerry", "tom"]
    assert await count(tom, started.cid) == 2


async def test_a_start_that_does_not_ask_for_uniqueness_makes_a_new_conversation_each_time(
    signed_in: SignIn, application: Application
) -> None:
    """JS up to 4.x sends no `unique`; others send false."""
    tom = await signed_in("tom")

    cids = {(await start(tom, "jerry", **fields)).cid for fields in ({}, {}, {"unique": False}, {"unique": True})}

    assert len(cids) == len(await stored(application)) == 4


async def test_the_same_members_get_the_same_unique_conversation_and_nobody_hears_of_it(signed_in: SignIn) -> None:
    """Checklist 27."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    first = await start(tom, "jerry", unique=True, attributes={"name": "first"})
    await heard(tom), await heard(jerry)

    second = await start(jerry, "jerry", "tom", unique=True, attributes={"name": "second"})

    assert not first.HasField("existing")
    assert (second.cid, second.cdate, second.uniqueId, second.existing) == (
        first.cid,
        first.cdate,
        first.uniqueId,
        True,
    )
    assert await told(tom) == await told(jerry) == []
    assert (await look_up(tom, first.cid))["name"] == "first"


async def test_a_larger_or_smaller_member_set_is_another_one(signed_in: SignIn) -> None:
    """Rule 5: the match is on the exact set."""
    tom = await signed_in("tom")

    cids = {
        (await start(tom, *members, unique=True)).cid
        for members in ([], ["jerry"], ["mary"], ["jerry", "mary"], ["Jerry"])
    }

    assert len(cids) == 5


async def test_a_unique_start_does_not_find_a_conversation_that_was_not_started_so(signed_in: SignIn) -> None:
    """Rule 5: among normal conversations created with `unique=true`."""
    tom = await signed_in("tom")
    plain = await start(tom, "jerry")

    unique = await start(tom, "jerry", unique=True)

    assert unique.cid != plain.cid
    assert not unique.HasField("existing")


async def test_unique_id_is_the_digest_of_the_documented_example(signed_in: SignIn) -> None:
    """The guide's own example; imported conversations depend on it."""
    steve = await signed_in("SteveJobs")

    started = await start(steve, "BillGates", unique=True)

    assert started.uniqueId == "6c7b0e5afcae9aa1139a0afa25833dec"
    assert (await look_up(steve, started.cid))["uniqueId"] == started.uniqueId


async def test_member_ids_that_run_together_alike_are_different_sets(signed_in: SignIn) -> None:
    """The concatenation behind `uniqueId` is ambiguous, so the sets are compared."""
    ab = await signed_in("ab")
    first = await start(ab, "c", unique=True)
    second = await start(ab, "ca", "b", unique=True)
    a = await signed_in("a")

    third = await start(a, "bc", unique=True)

    assert first.uniqueId == third.uniqueId == hashlib.md5(b"abc").hexdigest()
    assert len({first.cid, second.cid, third.cid}) == 3
    assert not third.HasField("existing")


async def test_many_who_start_the_same_unique_conversation_at_once_get_one_and_hear_of_it_once(
    signed_in: SignIn, application: Application
) -> None:
    """Two clients may press "chat" at the same moment."""
    names = ["tom", "jerry", "mary"]
    clients = [await signed_in(name) for name in names for _ in range(4)]

    replies = await asyncio.gather(*(start(client, *names, unique=True) for client in clients))

    assert len({reply.cid for reply in replies}) == 1
    assert sorted(reply.existing for reply in replies) == [False] + [True] * (len(clients) - 1)
    [creator] = {client.client_id for client, reply in zip(clients, replies, strict=True) if not reply.existing}
    for client in clients:
        assert await told(client) == [("joined", creator, []), ("members_joined", creator, sorted(names))]
    assert [one.member_count for one in await stored(application)] == [3]


async def test_many_different_unique_conversations_can_start_at_once(signed_in: SignIn) -> None:
    """Starts that do not concern each other do not get in each other's way."""
    pairs = list(combinations(["a", "b", "c", "d"], 2))
    asking = [(await signed_in(by), other) for pair in pairs for by, other in (pair, pair[::-1])]

    replies = await asyncio.gather(*(start(client, other, unique=True) for client, other in asking))

    assert len({reply.cid for reply in replies}) == len(pairs)
    assert sum(reply.existing for reply in replies) == len(pairs)


async def test_a_change_of_members_moves_a_unique_conversation_to_its_new_set(signed_in: SignIn) -> None:
    """Rule 5 and U6: `uniqueId` is recomputed, and the old set is free."""
    tom = await signed_in("tom")
    pair = await start(tom, "jerry", unique=True)
    await add(tom, pair.cid, "mary")

    trio = await start(tom, "jerry", "mary", unique=True)
    new_pair = await start(tom, "jerry", unique=True)

    assert (trio.cid, trio.existing) == (pair.cid, True)
    assert trio.uniqueId == hashlib.md5(b"jerrymarytom").hexdigest()
    assert new_pair.cid != pair.cid
    assert new_pair.uniqueId == pair.uniqueId


async def test_a_unique_conversation_that_returns_to_a_taken_set_leaves_it_to_the_other(signed_in: SignIn) -> None:
    """There may be several conversations of one member set; only one of them is the unique one."""
    tom = await signed_in("tom")
    old = await start(tom, "jerry", unique=True)
    await add(tom, old.cid, "mary")
    new = await start(tom, "jerry", unique=True)

    await remove(tom, old.cid, "mary")

    assert (await start(tom, "jerry", unique=True)).cid == new.cid
    assert (await look_up(tom, old.cid))["uniqueId"] == new.uniqueId
    assert sorted((await look_up(tom, old.cid))["m"]) == ["jerry", "tom"]


async def test_every_member_session_hears_of_a_new_conversation_after_the_reply(signed_in: SignIn) -> None:
    """Checklist 30."""
    tom, toms_phone = await signed_in("tom"), await signed_in("tom")
    jerry, jerrys_phone = await signed_in("jerry"), await signed_in("jerry")
    mary = await signed_in("mary")

    started = await start(tom, "jerry")

    assert not tom.seen, "the reply comes first"
    updated = (await look_up(tom, started.cid))["updatedAt"]
    for client in (tom, toms_phone, jerry, jerrys_phone):
        joined, members_joined = await heard(client)
        assert (joined.op, members_joined.op) == (OpType.joined, OpType.members_joined)
        assert (joined.notificationType, members_joined.notificationType) == (1, 2)
        for notice in (joined, members_joined):
            assert notice.convMessage.cid == started.cid
            assert notice.convMessage.initBy == "tom"
            assert notice.convMessage.udate == updated
            assert not notice.convMessage.HasField("tempConv")
        assert sorted(members_joined.convMessage.m) == ["jerry", "tom"]
    assert await told(mary) == []


async def test_a_client_that_is_away_finds_the_conversation_when_it_comes(signed_in: SignIn) -> None:
    """Notices are hints: what one was told and what one fetches afresh agree."""
    tom = await signed_in("tom")
    started = await start(tom, "jerry")

    jerry = await signed_in("jerry")

    assert [found["objectId"] for found in await query(jerry)] == [started.cid]
    assert await told(jerry) == []


async def test_500_members_can_start_a_conversation_and_501_cannot(signed_in: SignIn, application: Application) -> None:
    """Rule 4: 4304, and nothing is created."""
    tom = await signed_in("tom")
    others = [f"member {number}" for number in range(500)]

    too_many = await refusal(tom, OpType.start, m=others)
    nothing = await stored(application)
    just_enough = await start(tom, *others[:499])

    assert (too_many.code, too_many.reason) == (CONVERSATION_FULL, "CONVERSATION_FULL")
    assert nothing == []
    assert await count(tom, just_enough.cid) == 500


async def test_an_application_may_allow_fewer_members(
    signed_in: SignIn, application: Application, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """`members_max` is the application's choice."""
    tom = await signed_in("tom")
    await obey_settings(ConversationSettings, members_max=3)

    await start(tom, "a", "b", "tom")
    refused = await refusal(tom, OpType.start, m=["a", "b", "c"])

    assert refused.code == CONVERSATION_FULL
    assert len(await stored(application)) == 1


async def test_member_ids_that_no_client_can_have_are_refused(signed_in: SignIn, application: Application) -> None:
    """A client id has 1 to 64 characters of any text, without U+0000."""
    tom = await signed_in("tom")

    for client_id in ("", "x" * 65, "a\0b"):
        refused = await refusal(tom, OpType.start, m=["jerry", client_id])
        assert (refused.code, list(refused.pids)) == (4301, [client_id])

    assert await stored(application) == []
    assert (await start(tom, "中" * 64, "😀", " ")).cid


async def test_temporary_precedes_chat_room_precedes_normal(signed_in: SignIn, application: Application) -> None:
    """Rule 1 and P22: `tempConv`, then `transient`, then normal; `unique` has no say in it."""
    tom = await signed_in("tom")

    temporary = await start(tom, "jerry", tempConv=True, transient=True, unique=True)
    await ask(tom, OpType.start, m=["jerry"], transient=True, unique=True)
    normal = await start(tom, "jerry", tempConv=False, transient=False, unique=True)

    assert temporary.cid.startswith("_tmp:")
    assert not temporary.HasField("uniqueId")
    assert normal.HasField("uniqueId")
    assert not normal.HasField("existing")
    assert [one.kind for one in await stored(application) if one.kind != Kind.CHAT_ROOM] == [
        Kind.TEMPORARY,
        Kind.NORMAL,
    ]
