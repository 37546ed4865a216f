"""`blacklist/…`: who may not be in a conversation, and who does not want to be (realtime-protocol 4.8)."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings
from conversations.policy import Kind
from conversations.services import moderation
from imcore import limits
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.moderating import (
    BLOCKING,
    WITHOUT_PARTIAL_FAILURE,
    answer_list,
    ask_list,
    attempt,
    block,
    change_role,
    error_of,
    failures,
    group,
    hears,
    hush,
    stored_blocks,
    unblock,
    version,
)
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
)

UNAUTHORIZED = (4320, "CONVERSATION_OPERATION_UNAUTHORIZED")
NOT_THERE = (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")
BLOCKED = (4548, "BLOCKED_BY_CONV")
FULL = (4543, "BLACKLIST_FULL")
OFF = (4544, "BLACKLIST_FEATURE_DISABLED")
NO_SUCH_CID = "0123456789abcdef01234567"
EVERY_OP = [OpType.block, OpType.unblock, OpType.query, OpType.check_block]


@pytest.fixture(autouse=True)
async def roles_and_blocks(obey_settings: Callable[..., Awaitable[None]]) -> None:
    """Every test here is of an application with roles and block lists."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)


async def test_when_a_blocks_b(signed_in: SignIn) -> None:
    """Checklist 47: exact frames, in order, to the target, the actor, the others and everybody's other devices."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    toms_phone, jerrys_phone = await signed_in("tom"), await signed_in("jerry")

    reply = await block(tom, cid, "jerry")

    assert not tom.seen, "the reply comes first"
    assert {field.name for field, _ in reply.ListFields()} == {"srcCid", "allowedPids"}
    assert (reply.srcCid, list(reply.allowedPids)) == (cid, ["jerry"])
    updated = (await look_up(tom, cid))["updatedAt"]
    for client in (jerry, jerrys_phone):
        frames = await heard(client)
        assert [frame.op for frame in frames] == [OpType.blocked, OpType.left]
        assert [frame.notificationType for frame in frames] == [1, 1]
        for frame in frames:
            body = frame.convMessage
            assert (body.cid, body.initBy, body.udate) == (cid, "tom", updated)
    for client in (tom, toms_phone, spike):
        frames = await heard(client)
        assert [frame.op for frame in frames] == [OpType.members_blocked, OpType.members_left]
        assert [frame.notificationType for frame in frames] == [2, 2]
        for frame in frames:
            body = frame.convMessage
            assert (body.cid, body.initBy, body.udate, list(body.m)) == (cid, "tom", updated, ["jerry"])


async def test_when_a_unblocks_b(signed_in: SignIn) -> None:
    """Checklist 47: B is told although no member; it is not added again, but may come."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    await block(tom, cid, "jerry")
    await hush(tom, jerry, spike)
    toms_phone, jerrys_phone = await signed_in("tom"), await signed_in("jerry")

    reply = await unblock(tom, cid, "jerry")

    assert not tom.seen, "the reply comes first"
    assert (reply.srcCid, list(reply.allowedPids), failures(reply.failedPids)) == (cid, ["jerry"], [])
    for client in (jerry, jerrys_phone):
        [notice] = await heard(client)
        assert (notice.op, notice.notificationType) == (OpType.unblocked, 1)
        assert (notice.convMessage.cid, notice.convMessage.initBy) == (cid, "tom")
    for client in (tom, toms_phone, spike):
        assert await hears(client) == [("members_unblocked", "tom", ["jerry"])]
    assert set(await stored_members(cid)) == {"tom", "spike"}
    assert list((await add(jerry, cid, "jerry")).allowedPids) == ["jerry"]


async def test_who_is_blocked_is_out(signed_in: SignIn) -> None:
    """Checklist 47: at once, of the count and the list; it neither sends, reads, nor finds the conversation its own."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry", unique=True)

    await block(tom, cid, "jerry")

    assert (await count(tom, cid), await stored_members(cid)) == (1, ["tom"])
    assert await attempt(jerry, cid) == await attempt(jerry, cid, transient=True) == (4401, "INVALID_MESSAGING_TARGET")
    assert await query(jerry) == []
    assert (await look_up(jerry, cid))["objectId"] == cid, "P37: found by its id, or the event would be lost"
    assert (await start(tom, "jerry", unique=True)).cid != cid
    assert (await start(tom, unique=True)).cid == cid


async def test_who_is_blocked_is_not_added_and_does_not_join(signed_in: SignIn) -> None:
    """Checklist 47, 33: 4548 in `failedPids`; the others are added, with the notices of them alone."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await block(tom, cid, "jerry", "butch")
    await hush(tom, jerry)
    spike = await signed_in("spike")

    mixed = await add(tom, cid, "jerry", "spike", "butch")
    joining = await add(jerry, cid, "jerry")

    assert (list(mixed.allowedPids), failures(mixed.failedPids)) == (["spike"], [(*BLOCKED, ["jerry", "butch"])])
    assert (list(joining.allowedPids), failures(joining.failedPids)) == ([], [(*BLOCKED, ["jerry"])])
    assert mixed.udate == joining.udate
    assert await hears(tom) == [("members_joined", "tom", ["spike"])]
    assert await hears(spike) == [("joined", "tom", []), ("members_joined", "tom", ["spike"])]
    assert await heard(jerry) == []


async def test_for_a_client_that_does_not_know_partial_failure_it_is_an_error(signed_in: SignIn) -> None:
    """Checklist 33: without bit 5 of `configBitmap`, one blocked client keeps all out, itself too."""
    old = await signed_in("old", configBitmap=WITHOUT_PARTIAL_FAILURE)
    jerry = await signed_in("jerry", configBitmap=WITHOUT_PARTIAL_FAILURE)
    cid = (await start(old, "spike")).cid
    await block(old, cid, "jerry")
    await hush(old, jerry)

    adding = await refusal(old, OpType.add, cid=cid, m=["tyke", "jerry"])
    joining = await refusal(jerry, OpType.add, cid=cid, m=["jerry"])
    blocking = await ask_list(old, OpType.block, srcCid=cid, toPids=["tyke", "old"])

    assert (adding.code, adding.reason, list(adding.pids)) == (*BLOCKED, ["jerry"])
    assert (joining.code, joining.reason) == BLOCKED
    assert error_of(blocking) == UNAUTHORIZED
    assert set(await stored_members(cid)) == {"old", "spike"}
    assert await stored_blocks(cid) == ["jerry"]
    assert await heard(old) == await heard(jerry) == []


async def test_anybody_can_be_blocked_before_it_ever_came(signed_in: SignIn) -> None:
    """4.8: no `left` for one who was not there, and the members hear of no leaving."""
    cid, [tom] = await group(signed_in, "tom")
    stranger = await signed_in("stranger")

    reply = await block(tom, cid, "stranger")

    assert list(reply.allowedPids) == ["stranger"]
    assert await hears(stranger) == [("blocked", "tom", [])]
    assert await hears(tom) == [("members_blocked", "tom", ["stranger"])]


async def test_members_and_strangers_are_blocked_in_one_change(signed_in: SignIn) -> None:
    """Checklist 47: `members_blocked` names all, `members_left` those who were there."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")

    await block(tom, cid, "stranger", "jerry")

    assert await hears(spike) == [("members_blocked", "tom", ["stranger", "jerry"]), ("members_left", "tom", ["jerry"])]
    assert await hears(jerry) == [("blocked", "tom", []), ("left", "tom", [])]


async def test_a_manager_blocks_members_and_no_one_else(signed_in: SignIn) -> None:
    """4.8: of a mixed list the others are done; an error only when nobody is left."""
    cid, [tom, jerry, spike, tyke] = await group(signed_in, "tom", "jerry", "spike", "tyke")
    for name in ("jerry", "tyke"):
        await change_role(tom, cid, name, "Manager")
    await hush(tom, jerry, spike, tyke)

    reply = await block(jerry, cid, "tyke", "spike", "tom", "jerry")
    nobody = await ask_list(jerry, OpType.block, srcCid=cid, toPids=["tom", "tyke"])

    assert (list(reply.allowedPids), failures(reply.failedPids)) == (
        ["spike"],
        [(*UNAUTHORIZED, ["tyke", "tom", "jerry"])],
    )
    assert error_of(nobody) == UNAUTHORIZED
    assert await stored_blocks(cid) == ["spike"]
    for client in (tom, jerry, tyke):
        assert await hears(client) == [("members_blocked", "jerry", ["spike"]), ("members_left", "jerry", ["spike"])]


async def test_who_was_blocked_is_a_stranger_to_the_lists(signed_in: SignIn) -> None:
    """4.8: someone just blocked, once a Manager, gets 4317 for everything."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await change_role(tom, cid, "jerry", "Manager")
    await block(tom, cid, "jerry")
    await hush(tom, jerry)

    for op in EVERY_OP:
        assert error_of(await ask_list(jerry, op, srcCid=cid, toPids=["jerry"])) == NOT_THERE

    assert await stored_blocks(cid) == ["jerry"]
    assert await heard(tom) == await heard(jerry) == []


async def test_repeating_it_is_allowed_and_changes_nothing(signed_in: SignIn) -> None:
    """4.8: only those for whom something is new are announced."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await block(tom, cid, "jerry")
    await hush(tom, jerry)
    before = await version(cid)

    again = await block(tom, cid, "jerry", "jerry")
    idle = await unblock(tom, cid, "nobody")
    unchanged = await version(cid)
    mixed = await block(tom, cid, "jerry", "spike")

    assert (list(again.allowedPids), list(idle.allowedPids)) == (["jerry"], ["nobody"])
    assert unchanged == before
    assert list(mixed.allowedPids) == ["jerry", "spike"]
    assert await hears(tom) == [("members_blocked", "tom", ["spike"])]
    assert await heard(jerry) == []


@pytest.mark.parametrize(("op", "replied"), BLOCKING)
async def test_ids_that_no_client_can_have_fail_the_whole_request(
    signed_in: SignIn, op: OpType, replied: OpType
) -> None:
    """4301: no ids, or impossible ones; nothing changes and nobody is told."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    for targets in ([], [""], ["jerry", "x" * 65], ["a\0b"]):
        refused = await ask_list(tom, op, srcCid=cid, toPids=targets)
        assert error_of(refused) == (4301, "CONVERSATION_API_FAILED")

    assert await stored_blocks(cid) == []
    assert await heard(tom) == await heard(jerry) == []


@pytest.mark.parametrize("op", EVERY_OP)
async def test_in_an_unknown_conversation_it_is_4303(signed_in: SignIn, op: OpType) -> None:
    """11: checked before everything else. A query without `srcCid` is about the caller instead."""
    tom = await signed_in("tom")

    for cid in (NO_SUCH_CID, "_tmp:" + NO_SUCH_CID, "a\0b", "x" * 10_000):
        assert error_of(await ask_list(tom, op, srcCid=cid, toPids=["jerry"]))[0] == 4303


async def test_without_the_feature_every_list_is_4544_and_blocks_hold(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """11: off by default; who was blocked while it was on stays out."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await block(tom, cid, "jerry")
    await obey_settings(ConversationSettings, block_lists_enabled=False)

    for op in EVERY_OP:
        assert error_of(await ask_list(tom, op, srcCid=cid, toPids=["jerry"])) == OFF
    assert error_of(await ask_list(tom, OpType.query)) == OFF
    for op in (OpType.block, OpType.unblock):
        assert error_of(await ask_list(tom, op, toCids=[cid])) == OFF

    assert failures((await add(jerry, cid, "jerry")).failedPids) == [(*BLOCKED, ["jerry"])]


async def test_the_list_comes_in_pages(signed_in: SignIn) -> None:
    """Checklist 48: `next` is a decimal integer, and absent at the end; nobody twice, nobody left out."""
    names = [f"client {number:02}" for number in range(25)]
    cid, [tom, _] = await group(signed_in, "tom", "jerry")
    await block(tom, cid, *names)

    pages, following = [], ""
    while True:
        page = await answer_list(tom, OpType.query, OpType.query_result, srcCid=cid, next=following)
        pages.append(list(page.blockedPids))
        assert page.srcCid == cid
        if not page.HasField("next"):
            break
        following = page.next
        assert following.isdecimal()

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [name for page in pages for name in page] == names


@pytest.mark.parametrize("following", ["x", "-1", "²", "9" * 40])
async def test_a_next_that_no_page_said_is_4301(signed_in: SignIn, following: str) -> None:
    """Checklist 48: for either list."""
    cid, [tom] = await group(signed_in, "tom")

    for conversation in (cid, ""):
        refused = await ask_list(tom, OpType.query, srcCid=conversation, next=following)
        assert error_of(refused) == (4301, "CONVERSATION_API_FAILED")


async def test_check_tells_who_of_the_asked_is_blocked(signed_in: SignIn) -> None:
    """4.8: in the order asked, each once; none for nobody; and nothing to a Member."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await block(tom, cid, "spike", "tyke")

    checked = await answer_list(
        tom, OpType.check_block, OpType.check_result, srcCid=cid, toPids=["tyke", "tom", "a\0b", "spike", "tyke"]
    )
    nobody = await answer_list(tom, OpType.check_block, OpType.check_result, srcCid=cid, toPids=["tom"])
    refused = [await ask_list(jerry, op, srcCid=cid, toPids=["tyke"]) for op in (OpType.query, OpType.check_block)]

    assert {error_of(reply) for reply in refused} == {(4320, "CONVERSATION_OPERATION_UNAUTHORIZED")}
    assert (checked.srcCid, list(checked.blockedPids)) == (cid, ["tyke", "spike"])
    assert (nobody.srcCid, list(nobody.blockedPids)) == (cid, [])


def test_the_list_has_room_for_500_and_in_chat_rooms_for_10000() -> None:
    """limits-settings-conflicts 1: what the tests below bound lower are these numbers."""
    assert moderation._BLOCKED.max_of(Kind.NORMAL) == limits.BLOCKED_MAX == 500
    assert moderation._BLOCKED.max_of(Kind.CHAT_ROOM) == 10_000


async def test_those_for_whom_the_list_has_no_room_fail_one_by_one(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4543: the list is filled to its last place; who is on it already needs none; who goes leaves a place."""
    three = moderation._BLOCKED._replace(max_of_normal=3)
    monkeypatch.setattr(moderation, "_BLOCK", moderation._BLOCK._replace(bound=three))
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    reply = await block(tom, cid, "a", "b", "c", "jerry")
    full = await ask_list(tom, OpType.block, srcCid=cid, toPids=["jerry"])
    again = await block(tom, cid, "a", "jerry")
    await unblock(tom, cid, "b")
    freed = await block(tom, cid, "d", "jerry")

    assert (list(reply.allowedPids), failures(reply.failedPids)) == (["a", "b", "c"], [(*FULL, ["jerry"])])
    assert error_of(full) == FULL
    assert (list(again.allowedPids), failures(again.failedPids)) == (["a"], [(*FULL, ["jerry"])])
    assert (list(freed.allowedPids), failures(freed.failedPids)) == (["d"], [(*FULL, ["jerry"])])
    assert await stored_blocks(cid) == ["a", "c", "d"]
    assert set(await stored_members(cid)) == {"tom", "jerry"}
    assert [operation for operation, _, _ in await hears(jerry)] == [
        "members_blocked",
        "members_unblocked",
        "members_blocked",
    ]


async def test_a_block_and_an_invitation_at_once_leave_no_blocked_member(signed_in: SignIn) -> None:
    """Checklist 47: the conversation's row is locked, so whichever comes first, the block has the last word."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    names = [f"client {number}" for number in range(8)]
    toms_phone = await signed_in("tom")

    await asyncio.gather(block(toms_phone, cid, *names), *(add(client, cid, *names) for client in (tom, jerry, spike)))

    assert set(await stored_members(cid)) == {"tom", "jerry", "spike"}
    assert sorted(await stored_blocks(cid)) == names


async def test_a_chat_room_puts_the_blocked_out(signed_in: SignIn) -> None:
    """4.8: `blocked` to the target and nothing to the others; it hears no more, does not come back, and cannot send."""
    tom, jerry, spike = [await signed_in(name) for name in ("tom", "jerry", "spike")]
    cid = (await start(tom, transient=True)).cid
    for client in (jerry, spike):
        await add(client, cid, client.client_id)

    reply = await block(tom, cid, "jerry")
    notice, *others = await heard(jerry)
    back = await add(jerry, cid, "jerry")
    sent = await attempt(jerry, cid)
    await attempt(spike, cid)

    assert list(reply.allowedPids) == ["jerry"]
    assert (notice.op, notice.convMessage.cid, notice.convMessage.transient) == (OpType.blocked, cid, True)
    assert others == []
    assert failures(back.failedPids) == [(*BLOCKED, ["jerry"])]
    assert sent == BLOCKED
    assert await heard(jerry) == []
    assert await count(tom, cid) == 2
    assert await heard(spike) == []
    await unblock(tom, cid, "jerry")
    assert await count(tom, cid) == 2, "unblocking does not put it back"
    assert list((await add(jerry, cid, "jerry")).allowedPids) == ["jerry"]


async def test_a_client_refuses_invitations_into_a_conversation(signed_in: SignIn) -> None:
    """4.8, the other direction: `toCids`. Others cannot add it, 4548; it may still come by itself. Nobody is told."""
    cid, [tom] = await group(signed_in, "tom")
    jerry = await signed_in("jerry")

    reply = await answer_list(jerry, OpType.block, OpType.blocked, toCids=[cid, NO_SUCH_CID, cid])
    invited = await add(tom, cid, "jerry", "spike")
    told = await hears(tom)
    joined = await add(jerry, cid, "jerry")

    assert (reply.srcPid, list(reply.blockedCids)) == ("jerry", [cid])
    assert failures(reply.failedPids) == [(4303, "CONVERSATION_NOT_FOUND", [NO_SUCH_CID])]
    assert (list(invited.allowedPids), failures(invited.failedPids)) == (["spike"], [(*BLOCKED, ["jerry"])])
    assert told == [("members_joined", "tom", ["spike"])]
    assert list(joined.allowedPids) == ["jerry"]
    assert await stored_blocks(cid) == []
    assert await stored_blocks(cid, is_by_client=True) == ["jerry"]


async def test_a_client_lets_itself_be_invited_again(signed_in: SignIn) -> None:
    """4.8, the other direction: neither list touches the other, and repeating it is harmless."""
    cid, [tom] = await group(signed_in, "tom")
    jerry = await signed_in("jerry")
    await block(tom, cid, "jerry")
    for _ in range(2):
        await answer_list(jerry, OpType.block, OpType.blocked, toCids=[cid])

    accepted = [await answer_list(jerry, OpType.unblock, OpType.unblocked, toCids=[cid]) for _ in range(2)]
    still_blocked = await add(tom, cid, "jerry")
    await unblock(tom, cid, "jerry")
    added = await add(tom, cid, "jerry")

    assert [(list(one.blockedCids), list(one.failedPids)) for one in accepted] == [([cid], [])] * 2
    assert failures(still_blocked.failedPids) == [(*BLOCKED, ["jerry"])]
    assert list(added.allowedPids) == ["jerry"]


async def test_a_members_refusal_holds_when_the_conversation_unblocks_it(signed_in: SignIn) -> None:
    """4.8: lifting a block does not lift the client's own refusal."""
    cid, [tom] = await group(signed_in, "tom")
    jerry = await signed_in("jerry")
    await answer_list(jerry, OpType.block, OpType.blocked, toCids=[cid])
    await block(tom, cid, "jerry")

    await unblock(tom, cid, "jerry")

    assert failures((await add(tom, cid, "jerry")).failedPids) == [(*BLOCKED, ["jerry"])]
    assert list((await answer_list(tom, OpType.query, OpType.query_result, srcCid=cid)).blockedPids) == []


async def test_a_clients_list_of_conversations_comes_in_pages(signed_in: SignIn) -> None:
    """Checklist 48: a query without `srcCid` lists what the caller refuses, and nobody else's."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cids = [(await start(tom, unique=False)).cid for _ in range(3)]
    await answer_list(jerry, OpType.block, OpType.blocked, toCids=cids)
    await answer_list(tom, OpType.block, OpType.blocked, toCids=cids[:1])

    first = await answer_list(jerry, OpType.query, OpType.query_result, limit=2)
    second = await answer_list(jerry, OpType.query, OpType.query_result, limit=2, next=first.next)

    assert (first.srcPid, list(first.blockedCids), first.next.isdecimal()) == ("jerry", cids[:2], True)
    assert (list(second.blockedCids), second.HasField("next")) == (cids[2:], False)


async def test_a_client_refuses_only_so_many_conversations(signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """4543 for those over the limit; 4301 for more in one request than are looked at."""
    monkeypatch.setattr(limits, "BLOCKED_MAX", 2)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cids = [(await start(tom, unique=False)).cid for _ in range(3)]

    reply = await answer_list(jerry, OpType.block, OpType.blocked, toCids=cids)
    too_many = await ask_list(jerry, OpType.block, toCids=[f"conversation {number}" for number in range(101)])

    assert (list(reply.blockedCids), failures(reply.failedPids)) == (cids[:2], [(*FULL, [cids[2]])])
    assert error_of(too_many) == (4301, "CONVERSATION_API_FAILED")


async def test_being_a_member_follows_blocks_and_comings(signed_in: SignIn) -> None:
    """4.5: `is_member` for each asked, of whatever kind; false for what does not exist."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    room = (await start(tom, transient=True)).cid
    temporary = (await start(tom, "jerry", tempConv=True)).cid

    async def joined() -> set[str]:
        asked = [cid, room, temporary, NO_SUCH_CID, "a\0b", ""]
        answers = json.loads((await answer(jerry, OpType.is_member, OpType.result, cids=asked)).results.data)
        assert list(answers) == asked
        return {one for one, is_member in answers.items() if is_member}

    at_first = await joined()
    await add(jerry, room, "jerry")
    in_the_room = await joined()
    await block(tom, cid, "jerry")
    await block(tom, room, "jerry")
    await hush(jerry)
    blocked = await joined()

    assert at_first == {cid, temporary}
    assert in_the_room == {cid, room, temporary}
    assert blocked == {temporary}


async def test_leaving_is_open_to_the_blocked(signed_in: SignIn) -> None:
    """4.3.1: removing oneself where one is not must not be an error."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await block(tom, cid, "jerry")

    reply = await remove(jerry, cid, "jerry")

    assert (list(reply.allowedPids), failures(reply.failedPids)) == (["jerry"], [])
    assert await stored_blocks(cid) == ["jerry"]
