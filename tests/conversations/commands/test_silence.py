"""`conv/…_shutup`: members who read and do not speak (realtime-protocol 4.8)."""

from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings
from conversations.policy import Kind
from conversations.services import moderation
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import CommandType, OpType
from tests.conftest import SignIn
from tests.conversations.moderating import (
    SILENCING,
    WITHOUT_PARTIAL_FAILURE,
    attempt,
    block,
    change_role,
    failures,
    group,
    hears,
    hush,
    silence,
    silence_until,
    stored_silences,
    unblock,
    unsilence,
    version,
)
from tests.conversations.talking import add, answer, heard, look_up, refusal, remove, start

UNAUTHORIZED = (4320, "CONVERSATION_OPERATION_UNAUTHORIZED")
NO_SUCH_CID = "0123456789abcdef01234567"
ASKING = [OpType.query_shutup, OpType.check_shutup]
FULL = (4561, "SILIENCED_MEMBER_LIST_FULL")


@pytest.fixture(autouse=True)
async def roles_and_blocks(obey_settings: Callable[..., Awaitable[None]]) -> None:
    """Every test here is of an application with roles and block lists."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)


@pytest.mark.parametrize(
    ("op", "replied", "to_target", "to_members"),
    [
        (*SILENCING[0], OpType.shutuped, OpType.members_shutuped),
        (*SILENCING[1], OpType.unshutuped, OpType.members_unshutuped),
    ],
)
async def test_when_a_silences_b_or_lets_b_speak(
    signed_in: SignIn, op: OpType, replied: OpType, to_target: OpType, to_members: OpType
) -> None:
    """Checklist 46: exact frames to the target, the actor, the other members and everybody's other devices."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    if op == OpType.remove_shutup:
        await silence(tom, cid, "jerry")
        await hush(tom, jerry, spike)
    toms_phone, jerrys_phone, stranger = [await signed_in(name) for name in ("tom", "jerry", "stranger")]

    reply = await answer(tom, op, replied, cid=cid, m=["jerry"])

    assert not tom.seen, "the reply comes first"
    assert {field.name for field, _ in reply.ListFields()} == {"cid", "allowedPids"}
    assert (reply.cid, list(reply.allowedPids)) == (cid, ["jerry"])
    updated = (await look_up(tom, cid))["updatedAt"]
    for client in (jerry, jerrys_phone):
        first, second = await heard(client)
        assert (first.op, first.notificationType) == (to_target, 1)
        assert (first.convMessage.cid, first.convMessage.initBy) == (cid, "tom")
        assert (second.op, second.notificationType) == (to_members, 2)
    for client in (tom, toms_phone, spike):
        [notice] = await heard(client)
        assert (notice.op, notice.notificationType) == (to_members, 2)
        body = notice.convMessage
        assert (body.cid, body.initBy, list(body.m), body.udate) == (cid, "tom", ["jerry"], updated)
    assert await heard(stranger) == []


async def test_a_silenced_member_reads_and_does_not_speak(signed_in: SignIn) -> None:
    """Checklist 46: an ack with 4563, transient messages too; he hears the others, and speaks when he is let."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await silence(tom, cid, "jerry")
    await hush(tom, jerry)

    refused = [await attempt(jerry, cid), await attempt(jerry, cid, transient=True)]
    heard_meanwhile = [await heard(tom), await attempt(tom, cid)]
    [message] = await heard(jerry)
    await unsilence(tom, cid, "jerry")

    assert refused == [(4563, "SILIENCED")] * 2
    assert heard_meanwhile == [[], (0, "")]
    assert message.cmd == CommandType.direct
    assert await attempt(jerry, cid) == (0, "")


async def test_check_tells_who_of_the_asked_is_silenced(signed_in: SignIn) -> None:
    """Checklist 46: `check_result` has those alone, in the order asked, each once; none for nobody."""
    cid, [tom, jerry, _] = await group(signed_in, "tom", "jerry", "spike")
    await silence(tom, cid, "spike", "jerry")

    checked = await answer(
        jerry, OpType.check_shutup, OpType.check_result, cid=cid, m=["tom", "jerry", "nobody", "a\0b", "spike", "jerry"]
    )
    nobody = await answer(jerry, OpType.check_shutup, OpType.check_result, cid=cid, m=["tom"])

    assert (checked.cid, list(checked.m)) == (cid, ["jerry", "spike"])
    assert (nobody.cid, list(nobody.m)) == (cid, [])


async def test_a_silenced_manager_cannot_let_himself_speak(signed_in: SignIn) -> None:
    """Checklist 46 [JS test]: an `error` 4320, because JavaScript takes no rejection from `failedPids` here."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await change_role(tom, cid, "jerry", "Manager")
    await silence(tom, cid, "jerry")
    await hush(tom, jerry)

    refused = await refusal(jerry, OpType.remove_shutup, cid=cid, m=["jerry"])

    assert (refused.code, refused.reason) == UNAUTHORIZED
    assert await stored_silences(cid) == ["jerry"]
    assert await heard(tom) == await heard(jerry) == []


async def test_a_manager_silences_members_and_no_one_else(signed_in: SignIn) -> None:
    """Checklist 46: of a mixed list the members are silenced, the others fail one by one."""
    cid, [tom, jerry, spike, tyke] = await group(signed_in, "tom", "jerry", "spike", "tyke")
    for name in ("jerry", "tyke"):
        await change_role(tom, cid, name, "Manager")
    await hush(tom, jerry, spike, tyke)

    reply = await silence(jerry, cid, "tom", "spike", "stranger", "tyke", "jerry")
    nobody = await refusal(jerry, OpType.add_shutup, cid=cid, m=["tom", "tyke"])

    assert list(reply.allowedPids) == ["spike"]
    assert failures(reply.failedPids) == [
        (*UNAUTHORIZED, ["tom", "tyke", "jerry"]),
        (4317, "CONVERSATION_MEMBERSHIP_REQUIRED", ["stranger"]),
    ]
    assert (nobody.code, list(nobody.pids)) == (4320, ["tom", "tyke"])
    assert await stored_silences(cid) == ["spike"]
    for client in (tom, jerry, tyke):
        assert await hears(client) == [("members_shutuped", "jerry", ["spike"])]
    assert await hears(spike) == [("shutuped", "jerry", []), ("members_shutuped", "jerry", ["spike"])]


async def test_all_or_nothing_for_a_client_that_does_not_know_partial_failure(signed_in: SignIn) -> None:
    """4.8: without bit 5 of `configBitmap` one failure is that of all."""
    old = await signed_in("old", configBitmap=WITHOUT_PARTIAL_FAILURE)
    cid = (await start(old, "jerry", "spike")).cid
    await heard(old)

    refused = await refusal(old, OpType.add_shutup, cid=cid, m=["jerry", "stranger"])
    nobody = await stored_silences(cid)
    reply = await silence(old, cid, "jerry", "spike")

    assert (refused.code, list(refused.pids)) == (4317, ["stranger"])
    assert nobody == []
    assert list(reply.allowedPids) == ["jerry", "spike"]
    assert await hears(old) == [("members_shutuped", "old", ["jerry", "spike"])]


async def test_repeating_it_is_allowed_and_changes_nothing(signed_in: SignIn) -> None:
    """4.8: only those for whom something is new are announced."""
    cid, [tom, jerry, _] = await group(signed_in, "tom", "jerry", "spike")
    await silence(tom, cid, "jerry")
    await hush(tom, jerry)
    before = await version(cid)

    again = await silence(tom, cid, "jerry", "jerry")
    idle = await unsilence(tom, cid, "spike", "nobody")
    unchanged = await version(cid)
    mixed = await silence(tom, cid, "jerry", "spike")

    assert (list(again.allowedPids), list(idle.allowedPids)) == (["jerry"], ["spike", "nobody"])
    assert unchanged == before
    assert list(mixed.allowedPids) == ["jerry", "spike"]
    assert await hears(tom) == await hears(jerry) == [("members_shutuped", "tom", ["spike"])]


async def test_a_silence_survives_leaving_and_coming_back(signed_in: SignIn) -> None:
    """4.8: it is the client's, not the membership's; and it can be lifted from one who is away."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    await silence(tom, cid, "jerry", "spike")

    for client in (jerry, spike):
        await remove(client, cid, client.client_id)
    lifted = await unsilence(tom, cid, "spike")
    for client in (jerry, spike):
        await add(client, cid, client.client_id)

    assert list(lifted.allowedPids) == ["spike"]
    assert await attempt(jerry, cid) == (4563, "SILIENCED")
    assert await attempt(spike, cid) == (0, "")


async def test_a_silence_survives_a_block(signed_in: SignIn) -> None:
    """4.8: the two lists do not touch each other."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await silence(tom, cid, "jerry")

    await block(tom, cid, "jerry")
    while_blocked = await attempt(jerry, cid)
    await unblock(tom, cid, "jerry")
    await add(tom, cid, "jerry")

    assert while_blocked == (4401, "INVALID_MESSAGING_TARGET")
    assert await attempt(jerry, cid) == (4563, "SILIENCED")


async def test_the_list_is_for_every_member_and_comes_in_pages(signed_in: SignIn) -> None:
    """Checklist 48: `next` is a decimal integer, and absent at the end; nobody twice, nobody left out."""
    names = [f"member {number:02}" for number in range(25)]
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await add(tom, cid, *names)
    await silence(tom, cid, *names)

    pages, following = [], ""
    while True:
        page = await answer(jerry, OpType.query_shutup, OpType.shutup_result, cid=cid, limit=10, next=following)
        pages.append(list(page.m))
        assert page.cid == cid
        if not page.HasField("next"):
            break
        following = page.next
        assert following.isdecimal()

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [name for page in pages for name in page] == names


async def test_a_page_that_is_just_full_is_the_last(signed_in: SignIn) -> None:
    """Checklist 48: no `next` that leads to nothing; nor on an empty list."""
    cid, [tom] = await group(signed_in, "tom")
    await add(tom, cid, "a", "b")

    empty = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid, limit=2)
    await silence(tom, cid, "a", "b")
    full = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid, limit=2)

    assert (list(empty.m), empty.HasField("next")) == ([], False)
    assert (list(full.m), full.HasField("next")) == (["a", "b"], False)


@pytest.mark.parametrize(
    ("limit", "length"), [(None, 10), (0, 10), (-1, 10), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)]
)
async def test_a_page_has_10_or_as_many_as_asked_but_100_at_most(
    signed_in: SignIn, limit: int | None, length: int
) -> None:
    """Checklist 48."""
    cid, [tom] = await group(signed_in, "tom")
    names = [f"member {number}" for number in range(101)]
    await add(tom, cid, *names)
    await silence(tom, cid, *names)
    fields = {} if limit is None else {"limit": limit}

    page = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid, **fields)

    assert list(page.m) == names[:length]


@pytest.mark.parametrize("following", ["x", "-1", "1.5", "1e3", "²", "१", " 1", "0x10", "9" * 40, "1\0"])
async def test_a_next_that_no_page_said_is_4301(signed_in: SignIn, following: str) -> None:
    """Checklist 48: text that is not a number of ours fails, and nothing else does."""
    cid, [tom] = await group(signed_in, "tom")

    refused = await refusal(tom, OpType.query_shutup, cid=cid, next=following)

    assert (refused.code, refused.reason) == (4301, "CONVERSATION_API_FAILED")


async def test_a_next_beyond_the_end_is_an_empty_page(signed_in: SignIn) -> None:
    """Checklist 48: a list may have grown shorter meanwhile."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")
    await silence(tom, cid, "jerry")

    page = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid, next="9" * 18)

    assert (list(page.m), page.HasField("next")) == ([], False)


async def test_paging_goes_on_where_it_was_when_somebody_leaves_the_list(signed_in: SignIn) -> None:
    """Checklist 48: a place in the list, not a count of entries."""
    cid, [tom] = await group(signed_in, "tom")
    await add(tom, cid, *"abcd")
    await silence(tom, cid, *"abcd")
    first = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid, limit=2)
    await unsilence(tom, cid, "a")

    second = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid, limit=2, next=first.next)

    assert (list(first.m), list(second.m)) == (["a", "b"], ["c", "d"])


@pytest.mark.parametrize("op", ASKING)
async def test_who_is_no_member_does_not_see_the_list(signed_in: SignIn, op: OpType) -> None:
    """4.8: `query_shutup` is open to every member, and to no one else."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")
    await silence(tom, cid, "jerry")
    stranger = await signed_in("stranger")

    refused = await refusal(stranger, op, cid=cid, m=["jerry"])

    assert (refused.code, refused.reason) == (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")


@pytest.mark.parametrize("op", [OpType.add_shutup, OpType.remove_shutup])
async def test_ids_that_no_client_can_have_fail_the_whole_request(signed_in: SignIn, op: OpType) -> None:
    """4301: no ids, or impossible ones; nothing changes and nobody is told."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    for members in ([], [""], ["jerry", "x" * 65], ["a\0b"]):
        refused = await refusal(tom, op, cid=cid, m=members)
        assert (refused.code, refused.reason) == (4301, "CONVERSATION_API_FAILED")

    assert await stored_silences(cid) == []
    assert await heard(tom) == await heard(jerry) == []


@pytest.mark.parametrize("op", [OpType.add_shutup, OpType.remove_shutup, *ASKING])
async def test_in_an_unknown_conversation_it_is_4303(signed_in: SignIn, op: OpType) -> None:
    """11: checked before everything else."""
    tom = await signed_in("tom")

    for cid in ("", NO_SUCH_CID, "_tmp:" + NO_SUCH_CID):
        assert (await refusal(tom, op, cid=cid, m=["jerry"])).code == 4303


def test_the_list_has_room_for_500() -> None:
    """limits-settings-conflicts 1: what the tests below bound lower is this number."""
    assert moderation._SILENCED.max_of(Kind.NORMAL) == 500
    assert moderation._SILENCED.max_of(Kind.CHAT_ROOM) == 10_000


async def test_those_for_whom_the_list_has_no_room_fail_one_by_one(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4561: the list is filled to its last place; who is on it already needs none; who goes leaves a place."""
    moderation_limit(monkeypatch, 3)
    cid, [tom] = await group(signed_in, "tom")
    await add(tom, cid, *"abcde")
    await heard(tom)

    reply = await silence(tom, cid, "a", "b", "c", "d", "e")
    full = await refusal(tom, OpType.add_shutup, cid=cid, m=["d"])
    again = await silence(tom, cid, "a", "b", "d")
    await unsilence(tom, cid, "b")
    freed = await silence(tom, cid, "d", "e")

    assert (list(reply.allowedPids), failures(reply.failedPids)) == (["a", "b", "c"], [(*FULL, ["d", "e"])])
    assert (full.code, full.reason) == FULL
    assert (list(again.allowedPids), failures(again.failedPids)) == (["a", "b"], [(*FULL, ["d"])])
    assert (list(freed.allowedPids), failures(freed.failedPids)) == (["d"], [(*FULL, ["e"])])
    assert await stored_silences(cid) == ["a", "c", "d"]
    assert await hears(tom) == [
        ("members_shutuped", "tom", ["a", "b", "c"]),
        ("members_unshutuped", "tom", ["b"]),
        ("members_shutuped", "tom", ["d"]),
    ]


async def test_silences_for_a_time_take_no_place_of_those_for_good(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """limits-settings-conflicts 1: the limit is on permanent ones; the list shows those, a check shows all in force."""
    moderation_limit(monkeypatch, 2)
    cid, [tom, jerry, _] = await group(signed_in, "tom", "jerry", "spike")
    await add(tom, cid, *"abc")
    await silence_until(cid, "jerry", now_ms() + 3_600_000)
    await silence_until(cid, "spike", now_ms() - 1)

    both = await silence(tom, cid, "a", "b")
    third = await refusal(tom, OpType.add_shutup, cid=cid, m=["jerry"])
    listed = await answer(tom, OpType.query_shutup, OpType.shutup_result, cid=cid)
    checked = await answer(tom, OpType.check_shutup, OpType.check_result, cid=cid, m=["a", "jerry", "spike"])
    await unsilence(tom, cid, "a")
    for_good = await silence(tom, cid, "jerry")

    assert (list(both.allowedPids), third.code) == (["a", "b"], 4561)
    assert list(listed.m) == ["a", "b"]
    assert list(checked.m) == ["a", "jerry"]
    assert list(for_good.allowedPids) == ["jerry"]
    assert await attempt(jerry, cid) == (4563, "SILIENCED")


async def test_a_silence_for_a_time_is_4315_and_ends(signed_in: SignIn) -> None:
    """11: CONVERSATION_BLACKLISTED, the old REST's temporary silence."""
    cid, [_, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    await silence_until(cid, "jerry", now_ms() + 3_600_000)
    await silence_until(cid, "spike", now_ms() - 1)

    assert await attempt(jerry, cid) == (4315, "CONVERSATION_BLACKLISTED")
    assert await attempt(spike, cid) == (0, "")


async def test_in_a_chat_room_only_the_silenced_is_told(signed_in: SignIn) -> None:
    """4.8: its creator silences whom he likes, there or not; `shutuped` to the target only."""
    tom, jerry, spike = [await signed_in(name) for name in ("tom", "jerry", "spike")]
    cid = (await start(tom, transient=True)).cid
    for client in (jerry, spike):
        await add(client, cid, client.client_id)

    reply = await silence(tom, cid, "jerry", "away")

    assert list(reply.allowedPids) == ["jerry", "away"]
    assert await hears(tom) == await hears(spike) == []
    [notice] = await heard(jerry)
    assert (notice.op, notice.convMessage.cid, notice.convMessage.transient) == (OpType.shutuped, cid, True)
    assert await attempt(jerry, cid) == (4563, "SILIENCED")
    assert await attempt(spike, cid) == (0, "")


def moderation_limit(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the list have so many places."""
    bound = moderation._SILENCED._replace(max_of_normal=number)
    monkeypatch.setattr(moderation, "_SILENCE", moderation._SILENCE._replace(bound=bound))
