"""`conv/add`, `remove`, `count`, `members`: who is told what, and who is let in (realtime-protocol 4.3, 4.5)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings
from imcore.protocol.message_pb2 import ConvCommand, GenericCommand, OpType
from tests.conftest import SignIn
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
from tests.imclient import CONFIG_BITMAP, ImClient

PARTIAL_FAILURE = 32
NO_SUCH_CID = "0123456789abcdef01234567"
CHANGES = [OpType.add, OpType.remove]


async def talking(signed_in: SignIn, *names: str, **fields: bool) -> tuple[str, list[ImClient]]:
    """Sign clients in, start a conversation of them by the first, and let them hear of it."""
    clients = [await signed_in(name) for name in names]
    cid = (await start(clients[0], *names, **fields)).cid
    for client in clients:
        await heard(client)
    return cid, clients


def assert_body(notice: GenericCommand, cid: str, by: str, reply: ConvCommand) -> None:
    """Assert the fields that every membership notice has."""
    body = notice.convMessage
    assert (body.cid, body.initBy, body.udate) == (cid, by, reply.udate)


async def test_when_a_adds_b(signed_in: SignIn) -> None:
    """Checklist 31: 4.3.2, first row; the acting connection is told too, after its reply."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    toms_phone, spike, spikes_phone = await signed_in("tom"), await signed_in("spike"), await signed_in("spike")

    reply = await add(tom, cid, "spike")

    assert not tom.seen, "the reply comes first"
    for client in (tom, toms_phone, jerry):
        [members_joined] = await heard(client)
        assert (members_joined.op, list(members_joined.convMessage.m)) == (OpType.members_joined, ["spike"])
        assert_body(members_joined, cid, "tom", reply)
    for client in (spike, spikes_phone):
        joined, members_joined = await heard(client)
        assert (joined.op, members_joined.op) == (OpType.joined, OpType.members_joined)
        assert members_joined.convMessage.m == ["spike"]
        assert_body(joined, cid, "tom", reply)
        assert_body(members_joined, cid, "tom", reply)


async def test_when_b_joins(signed_in: SignIn) -> None:
    """Checklist 32: joining is adding oneself."""
    cid, [tom] = await talking(signed_in, "tom")
    jerry, jerrys_phone = await signed_in("jerry"), await signed_in("jerry")

    reply = await add(jerry, cid, "jerry")

    assert not jerry.seen, "the reply comes first"
    assert list(reply.allowedPids) == ["jerry"]
    for client in (jerry, jerrys_phone):
        joined, members_joined = await heard(client)
        assert (joined.op, members_joined.op) == (OpType.joined, OpType.members_joined)
        assert_body(joined, cid, "jerry", reply)
        assert_body(members_joined, cid, "jerry", reply)
    assert await told(tom) == [("members_joined", "jerry", ["jerry"])]


async def test_when_a_removes_b(signed_in: SignIn) -> None:
    """Checklist 32: the target is told `left` and nothing else."""
    cid, [tom, jerry, spike] = await talking(signed_in, "tom", "jerry", "spike")
    toms_phone, spikes_phone = await signed_in("tom"), await signed_in("spike")

    reply = await remove(tom, cid, "spike")

    assert not tom.seen, "the reply comes first"
    for client in (tom, toms_phone, jerry):
        [members_left] = await heard(client)
        assert (members_left.op, list(members_left.convMessage.m)) == (OpType.members_left, ["spike"])
        assert members_left.notificationType == 2
        assert_body(members_left, cid, "tom", reply)
    for client in (spike, spikes_phone):
        [left] = await heard(client)
        assert (left.op, left.notificationType) == (OpType.left, 1)
        assert_body(left, cid, "tom", reply)


async def test_when_b_leaves(signed_in: SignIn) -> None:
    """Checklist 32: leaving is removing oneself."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    jerrys_phone = await signed_in("jerry")

    reply = await remove(jerry, cid, "jerry")

    assert not jerry.seen, "the reply comes first"
    for client in (jerry, jerrys_phone):
        [left] = await heard(client)
        assert left.op == OpType.left
        assert_body(left, cid, "jerry", reply)
    assert await told(tom) == [("members_left", "jerry", ["jerry"])]


async def test_several_are_added_and_removed_in_one_notice(signed_in: SignIn) -> None:
    """One change is one `members_joined` or `members_left`, whatever its size."""
    cid, [tom] = await talking(signed_in, "tom")
    jerry = await signed_in("jerry")

    await add(tom, cid, "spike", "jerry", "tyke")
    await remove(tom, cid, "tyke", "jerry")

    assert await told(tom) == [
        ("members_joined", "tom", ["jerry", "spike", "tyke"]),
        ("members_left", "tom", ["jerry", "tyke"]),
    ]
    assert await told(jerry) == [
        ("joined", "tom", []),
        ("members_joined", "tom", ["jerry", "spike", "tyke"]),
        ("left", "tom", []),
    ]


async def test_the_reply_to_a_change_has_what_the_sdks_need(signed_in: SignIn) -> None:
    """Checklist 33 and P23: Swift applies a change only if `udate` is there."""
    cid, [tom] = await talking(signed_in, "tom")

    added = await add(tom, cid, "jerry", "spike")
    removed = await remove(tom, cid, "jerry")

    for reply, pids in ((added, ["jerry", "spike"]), (removed, ["jerry"])):
        assert {field.name for field, _ in reply.ListFields()} == {"cid", "allowedPids", "udate"}
        assert (reply.cid, list(reply.allowedPids)) == (cid, pids)


async def test_udate_rises_and_is_what_a_later_query_says(signed_in: SignIn) -> None:
    """Swift applies a change only if its date is not older than the one it has."""
    cid, [tom] = await talking(signed_in, "tom")
    dates = [(await look_up(tom, cid))["updatedAt"]]

    for change in (add, remove, add, remove):
        reply = await change(tom, cid, "jerry")
        assert (await look_up(tom, cid))["updatedAt"] == reply.udate
        dates.append(reply.udate)

    assert dates == sorted(set(dates)), "strictly rising, within one millisecond too"


async def test_adding_a_member_again_is_allowed_and_changes_nothing(signed_in: SignIn) -> None:
    """4.3.1: idempotent, and no notice."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    before = await look_up(tom, cid)

    reply = await add(tom, cid, "jerry", "tom", "jerry")

    assert sorted(reply.allowedPids) == ["jerry", "tom"]
    assert not reply.failedPids
    assert await told(tom) == await told(jerry) == []
    assert await look_up(tom, cid) == before
    assert reply.udate == before["updatedAt"]


async def test_removing_a_stranger_is_allowed_and_changes_nothing(signed_in: SignIn) -> None:
    """4.3.1: removing a non-member must not be an `error` (JS test), and causes no notice."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    spike = await signed_in("spike")
    before = await look_up(tom, cid)

    removed = await remove(tom, cid, "spike", "nobody")
    left = await remove(spike, cid, "spike")

    assert list(removed.allowedPids) == ["spike", "nobody"]
    assert list(left.allowedPids) == ["spike"]
    assert await told(tom) == await told(jerry) == await told(spike) == []
    assert await look_up(tom, cid) == before


async def test_only_those_who_are_new_are_announced(signed_in: SignIn) -> None:
    """A mixture of members and strangers is one change of the strangers."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")

    reply = await add(tom, cid, "jerry", "spike")

    assert list(reply.allowedPids) == ["jerry", "spike"]
    assert await told(jerry) == [("members_joined", "tom", ["spike"])]


async def test_the_last_one_may_leave_and_anyone_may_come_back(signed_in: SignIn) -> None:
    """A conversation without members exists on; joining is open."""
    cid, [tom] = await talking(signed_in, "tom", unique=True)

    await remove(tom, cid, "tom")
    emptied = (await count(tom, cid), (await look_up(tom, cid))["m"])
    await add(tom, cid, "tom")

    assert emptied == (0, [])
    assert await told(tom) == [("left", "tom", []), ("joined", "tom", []), ("members_joined", "tom", ["tom"])]
    assert (await start(tom, unique=True)).cid == cid


@pytest.mark.parametrize("op", CHANGES)
async def test_a_stranger_can_change_nobody_but_itself(signed_in: SignIn, op: OpType) -> None:
    """4317: a non-member adding others; with itself among them too."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")
    spike = await signed_in("spike")

    for members in (["jerry"], ["tyke"], ["spike", "tyke"]):
        refused = await refusal(spike, op, cid=cid, m=members)
        assert (refused.code, refused.reason) == (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")

    assert await stored_members(cid) == ["tom", "jerry"]
    assert await told(tom) == await told(spike) == []


@pytest.mark.parametrize("op", CHANGES)
async def test_one_who_has_left_is_a_stranger(signed_in: SignIn, op: OpType) -> None:
    """Membership counts at the time of the command, for the creator as well."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    await remove(jerry, cid, "tom")

    refused = await refusal(tom, op, cid=cid, m=["jerry"])

    assert refused.code == 4317


@pytest.mark.parametrize("op", [*CHANGES, OpType.count, OpType.members])
async def test_an_unknown_conversation_is_4303(signed_in: SignIn, op: OpType) -> None:
    """Whatever the id looks like; the connection goes on."""
    tom = await signed_in("tom")

    for cid in (NO_SUCH_CID, "_tmp:" + NO_SUCH_CID, "", "a\0b", "x" * 10_000, "中", "%", "' OR 1=1"):
        refused = await refusal(tom, op, cid=cid, m=["tom"])
        assert (refused.code, refused.reason) == (4303, "CONVERSATION_NOT_FOUND"), cid

    assert await query(tom) == []


@pytest.mark.parametrize("op", CHANGES)
async def test_bad_member_ids_fail_the_whole_request(signed_in: SignIn, op: OpType) -> None:
    """4301: no ids, or ids that no client can have."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")

    for members in ([], [""], ["jerry", "x" * 65], ["a\0b"]):
        refused = await refusal(tom, op, cid=cid, m=members)
        assert (refused.code, refused.reason) == (4301, "CONVERSATION_API_FAILED")

    assert await stored_members(cid) == ["tom", "jerry"]
    assert await told(tom) == []


@pytest.mark.parametrize("op", CHANGES)
async def test_the_members_of_a_temporary_conversation_do_not_change(signed_in: SignIn, op: OpType) -> None:
    """4.15: members are fixed at creation, so 4308."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry", tempConv=True)
    spike = await signed_in("spike")

    for client, member in ((tom, "spike"), (spike, "spike"), (jerry, "jerry"), (tom, "jerry")):
        refused = await refusal(client, op, cid=cid, m=[member])
        assert (refused.code, refused.reason) == (4308, "CONVERSATION_NOT_ALLOWED")

    assert await stored_members(cid) == ["tom", "jerry"]
    assert await told(tom) == await told(spike) == []


async def test_those_for_whom_there_is_no_room_fail_one_by_one(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """Checklist 33: 4304 in `failedPids`, with code, reason and pids; the others are let in."""
    cid, [tom] = await talking(signed_in, "tom")
    await obey_settings(ConversationSettings, members_max=3)

    reply = await add(tom, cid, "a", "b", "c", "d", "tom")

    assert list(reply.allowedPids) == ["a", "b", "tom"]
    assert [(failed.code, failed.reason, list(failed.pids)) for failed in reply.failedPids] == [
        (4304, "CONVERSATION_FULL", ["c", "d"])
    ]
    assert reply.udate == (await look_up(tom, cid))["updatedAt"]
    assert await told(tom) == [("members_joined", "tom", ["a", "b"])]
    assert await stored_members(cid) == ["tom", "a", "b"]


async def test_when_there_is_room_for_nobody_the_reply_is_still_no_error(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """4.3.1: `added` with empty `allowedPids`; JS tests read `failedPids`."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, members_max=2)
    spike = await signed_in("spike")

    added = await add(tom, cid, "spike")
    joined = await add(spike, cid, "spike")

    for reply in (added, joined):
        assert list(reply.allowedPids) == []
        assert [(failed.code, list(failed.pids)) for failed in reply.failedPids] == [(4304, ["spike"])]
        assert reply.udate
    assert await told(tom) == await told(spike) == []


async def test_all_or_nothing_for_a_client_that_does_not_know_partial_failure(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """Bit 5 of `configBitmap` declares `failedPids`; without it the whole request fails."""
    old = await signed_in("old", configBitmap=CONFIG_BITMAP & ~PARTIAL_FAILURE)
    cid = (await start(old)).cid
    await heard(old)
    await obey_settings(ConversationSettings, members_max=3)

    refused = await refusal(old, OpType.add, cid=cid, m=["a", "b", "c"])
    nobody = await stored_members(cid)
    reply = await add(old, cid, "a", "b")

    assert refused.code == 4304
    assert nobody == ["old"]
    assert list(reply.allowedPids) == ["a", "b"]
    assert await told(old) == [("members_joined", "old", ["a", "b"])]


async def test_a_conversation_holds_500_members(signed_in: SignIn) -> None:
    """The limit of the protocol, reached by adding."""
    tom = await signed_in("tom")
    cid = (await start(tom, *(f"member {number}" for number in range(498)))).cid

    reply = await add(tom, cid, "number 500", "number 501")

    assert list(reply.allowedPids) == ["number 500"]
    assert [list(failed.pids) for failed in reply.failedPids] == [["number 501"]]
    assert await count(tom, cid) == 500


async def test_joins_at_once_do_not_exceed_the_limit_nor_lose_anyone(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """The conversation's row is locked while its members change."""
    cid, [tom] = await talking(signed_in, "tom")
    await obey_settings(ConversationSettings, members_max=6)
    joiners = [await signed_in(f"joiner {number}") for number in range(8)]

    replies = await asyncio.gather(*(add(client, cid, client.client_id) for client in joiners))

    let_in = [client.client_id for client, reply in zip(joiners, replies, strict=True) if reply.allowedPids]
    assert len(let_in) == 5
    assert sorted(await stored_members(cid)) == sorted(["tom", *let_in])
    assert await count(tom, cid) == 6
    assert sorted(told_of for _, _, [told_of] in await told(tom)) == sorted(let_in)


async def test_anybody_may_count(signed_in: SignIn) -> None:
    """4.5: an explicit number; it follows the changes."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")
    stranger = await signed_in("stranger")

    counts = [await count(stranger, cid)]
    await add(tom, cid, "spike")
    counts.append(await count(stranger, cid))
    await remove(tom, cid, "spike", "jerry")
    counts.append(await count(stranger, cid))

    assert counts == [2, 3, 1]


async def test_members_lists_at_most_50(signed_in: SignIn) -> None:
    """4.5: limit ≤ 50; those who joined first come first."""
    tom = await signed_in("tom")
    everybody = ["tom", *(f"member {number}" for number in range(70))]
    cid = (await start(tom, *everybody)).cid

    async def listed(**fields: int) -> list[str]:
        return list((await answer(tom, OpType.members, OpType.result, cid=cid, **fields)).m)

    assert await listed(limit=3) == everybody[:3]
    for fields in ({}, {"limit": 0}, {"limit": -1}, {"limit": 50}, {"limit": 1000}):
        assert await listed(**fields) == everybody[:50]
