"""`conv/member_info_update`, and what roles forbid (realtime-protocol 4.7)."""

from collections.abc import Awaitable, Callable

import pytest

from conversations.models import ConversationSettings, MemberInfo
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvMemberInfo, OpType
from tests.conftest import SignIn
from tests.conversations.moderating import (
    WITHOUT_PARTIAL_FAILURE,
    ask_role,
    block,
    change_role,
    error_of,
    failures,
    group,
    hears,
    hush,
    silence,
    stored_roles,
    version,
)
from tests.conversations.talking import add, ask, heard, look_up, refusal, remove, start, stored_members, told

UNAUTHORIZED = (4320, "CONVERSATION_OPERATION_UNAUTHORIZED")
NO_SUCH_CID = "0123456789abcdef01234567"


@pytest.fixture(autouse=True)
async def roles_and_blocks(obey_settings: Callable[..., Awaitable[None]]) -> None:
    """Every test here is of an application with roles and block lists."""
    await obey_settings(ConversationSettings, roles_enabled=True, block_lists_enabled=True)


async def test_a_role_is_answered_and_all_members_are_told(application: Application, signed_in: SignIn) -> None:
    """Checklist 44: `member_info_updated`, then `member_info_changed` to all sessions of all members."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    toms_phone, stranger = await signed_in("tom"), await signed_in("stranger")

    reply = await change_role(tom, cid, "jerry", "Manager")

    assert not tom.seen, "the reply comes first"
    [record] = await in_database(lambda: list(MemberInfo.objects.filter(application=application)))
    assert reply.cid == cid
    assert reply.info == ConvMemberInfo(pid="jerry", role="Manager", infoId=record.info_id)
    assert (record.client_id, record.role) == ("jerry", "Manager")
    updated = (await look_up(tom, cid))["updatedAt"]
    for client in (tom, toms_phone, jerry, spike):
        [changed] = await heard(client)
        body = changed.convMessage
        assert (changed.cmd, changed.op) == (CommandType.conv, OpType.member_info_changed)
        assert (body.cid, body.initBy, body.udate) == (cid, "tom", updated)
        assert body.info == ConvMemberInfo(pid="jerry", role="Manager")
        assert changed.notificationType == 2
    assert await heard(stranger) == []


async def test_the_target_may_stand_in_info_alone(signed_in: SignIn) -> None:
    """4.7: `targetClientId` and `info.pid` name the same client; either will do."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")

    reply = await ask(tom, OpType.member_info_update, cid=cid, info=ConvMemberInfo(pid="jerry", role="Manager"))

    assert reply.op == OpType.member_info_updated
    assert await stored_roles(cid) == [("jerry", "Manager")]


async def test_a_role_given_again_changes_nothing(signed_in: SignIn) -> None:
    """Checklist 44: idempotent, and no notice."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    first = await change_role(tom, cid, "jerry", "Manager")
    await hush(tom, jerry)
    before = await version(cid)

    again = await change_role(tom, cid, "jerry", "Manager")

    assert again == first
    assert await heard(tom) == await heard(jerry) == []
    assert await version(cid) == before


async def test_a_manager_can_be_made_a_member_again(signed_in: SignIn) -> None:
    """Checklist 44: the same record, rewritten; what managers may, he may no longer."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    given = await change_role(tom, cid, "jerry", "Manager")
    await silence(jerry, cid, "spike")

    taken = await change_role(tom, cid, "jerry", "Member")

    assert taken.info.infoId == given.info.infoId
    assert await stored_roles(cid) == [("jerry", "Member")]
    assert (await refusal(jerry, OpType.add_shutup, cid=cid, m=["spike"])).code == 4320
    assert [operation for operation, _, _ in await hears(spike)] == [
        "member_info_changed",
        "shutuped",
        "members_shutuped",
        "member_info_changed",
    ]


async def test_a_member_cannot_promote_itself(signed_in: SignIn) -> None:
    """Checklist 45 [JS test]: 4320, nothing changes and nobody is told."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")

    refused = [await ask_role(jerry, cid, target, "Manager") for target in ("jerry", "spike")]

    assert [error_of(reply) for reply in refused] == [UNAUTHORIZED] * 2
    assert await stored_roles(cid) == []
    assert await heard(tom) == await heard(jerry) == await heard(spike) == []


async def test_nobody_can_be_made_owner(signed_in: SignIn) -> None:
    """4.7: the creator is, and nobody else; he cannot step down either."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    assert error_of(await ask_role(tom, cid, "jerry", "Owner")) == UNAUTHORIZED
    assert error_of(await ask_role(tom, cid, "tom", "Member")) == UNAUTHORIZED
    assert await stored_roles(cid) == []
    assert await heard(tom) == await heard(jerry) == []


@pytest.mark.parametrize("role", ["", "manager", "MEMBER", "Admin", "Manager\0", "M" * 5000])
async def test_a_role_that_does_not_exist_is_4321(signed_in: SignIn, role: str) -> None:
    """11: UNKNOWN_CONVERSATION_ROLE; the spelling is exact."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    refused = await ask_role(tom, cid, "jerry", role)

    assert error_of(refused) == (4321, "UNKNOWN_CONVERSATION_ROLE")
    assert await stored_roles(cid) == []
    assert await heard(tom) == await heard(jerry) == []


async def test_who_may_not_give_roles_does_not_learn_which_there_are(signed_in: SignIn) -> None:
    """4.7: permission comes before the role is read."""
    cid, [_, jerry] = await group(signed_in, "tom", "jerry")
    stranger = await signed_in("stranger")

    assert error_of(await ask_role(jerry, cid, "jerry", "King")) == UNAUTHORIZED
    assert error_of(await ask_role(stranger, cid, "jerry", "King"))[0] == 4317


@pytest.mark.parametrize("target", ["", "x" * 65, "a\0b"])
async def test_a_role_for_what_no_client_can_be_is_4301(signed_in: SignIn, target: str) -> None:
    """11: CONVERSATION_API_FAILED."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")

    assert error_of(await ask_role(tom, cid, target, "Manager")) == (4301, "CONVERSATION_API_FAILED")
    assert await stored_roles(cid) == []


async def test_a_role_in_an_unknown_conversation_is_4303(signed_in: SignIn) -> None:
    """11: checked before everything else."""
    tom = await signed_in("tom")

    for cid in ("", NO_SUCH_CID, "_tmp:" + NO_SUCH_CID):
        assert error_of(await ask_role(tom, cid, "jerry", "King"))[0] == 4303


async def test_without_the_feature_roles_are_4325_and_owners_leave(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """4.7: off by default; what was given while it was on pins nobody."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")
    await change_role(tom, cid, "jerry", "Manager")
    await obey_settings(ConversationSettings, roles_enabled=False)

    refused = await ask_role(tom, cid, "jerry", "Member")
    reply = await remove(tom, cid, "tom")

    assert error_of(refused) == (4325, "CONVERSATION_MEMBER_INFO_FEATURE_DISABLED")
    assert (list(reply.allowedPids), failures(reply.failedPids)) == (["tom"], [])


async def test_the_owner_cannot_leave_once_there_are_roles(signed_in: SignIn) -> None:
    """Checklist 45 [JS test]: `failedPids` 4324, not an error; nothing changes and nobody is told."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    await change_role(tom, cid, "jerry", "Manager")
    await hush(tom, jerry)

    left, removed = await remove(tom, cid, "tom"), await remove(jerry, cid, "tom")

    for reply in (left, removed):
        assert list(reply.allowedPids) == []
        assert failures(reply.failedPids) == [(4324, "CONVERSATION_NEED_OWNER", ["tom"])]
        assert reply.udate
    assert await stored_members(cid) == ["tom", "jerry"]
    assert await heard(tom) == await heard(jerry) == []


async def test_a_creator_may_leave_and_come_back_before_the_first_role(signed_in: SignIn) -> None:
    """4.7 [two JS tests]: the owner is pinned from the first record on, and by no earlier event."""
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")

    await remove(tom, cid, "tom")
    meanwhile = await ask_role(tom, cid, "jerry", "Manager")
    await add(tom, cid, "tom")
    given = await change_role(tom, cid, "jerry", "Manager")
    pinned = await remove(tom, cid, "tom")

    assert error_of(meanwhile)[0] == 4317, "who is not there owns nothing"
    assert given.info.role == "Manager"
    assert [code for code, _, _ in failures(pinned.failedPids)] == [4324]
    assert [operation for operation, _, _ in await hears(jerry)] == [
        "members_left",
        "members_joined",
        "member_info_changed",
    ]


async def test_the_owner_stays_pinned_when_the_last_manager_is_none_any_more(signed_in: SignIn) -> None:
    """4.7: from the first record on, whatever becomes of it."""
    cid, [tom, _] = await group(signed_in, "tom", "jerry")
    await change_role(tom, cid, "jerry", "Manager")
    await change_role(tom, cid, "jerry", "Member")
    await remove(tom, cid, "jerry")

    reply = await remove(tom, cid, "tom")

    assert [code for code, _, _ in failures(reply.failedPids)] == [4324]


async def test_a_role_ends_with_the_membership(signed_in: SignIn) -> None:
    """4.7: who leaves, is removed or is blocked comes back as a Member."""
    cid, [tom, jerry, spike, _] = await group(signed_in, "tom", "jerry", "spike", "tyke")
    for name in ("jerry", "spike", "tyke"):
        await change_role(tom, cid, name, "Manager")

    await remove(jerry, cid, "jerry")
    await remove(tom, cid, "spike")
    await block(tom, cid, "tyke")
    await add(tom, cid, "jerry", "spike")

    assert await stored_roles(cid) == []
    for client in (jerry, spike):
        assert (await refusal(client, OpType.add_shutup, cid=cid, m=["tom"])).code == 4320


async def test_a_manager_removes_members_and_no_one_else(signed_in: SignIn) -> None:
    """Checklist 32, 33 with roles: partial success, and the exact notices."""
    cid, [tom, jerry, spike, tyke] = await group(signed_in, "tom", "jerry", "spike", "tyke")
    jerrys_phone = await signed_in("jerry")
    await change_role(tom, cid, "jerry", "Manager")
    await change_role(tom, cid, "tyke", "Manager")
    await hush(tom, jerry, jerrys_phone, spike, tyke)

    reply = await remove(jerry, cid, "tyke", "spike", "tom", "nobody")

    assert not jerry.seen, "the reply comes first"
    assert list(reply.allowedPids) == ["spike", "nobody"]
    assert failures(reply.failedPids) == [
        (*UNAUTHORIZED, ["tyke"]),
        (4324, "CONVERSATION_NEED_OWNER", ["tom"]),
    ]
    for client in (tom, jerry, jerrys_phone, tyke):
        assert await hears(client) == [("members_left", "jerry", ["spike"])]
    assert await hears(spike) == [("left", "jerry", [])]


async def test_a_member_who_removes_others_with_itself_just_leaves(signed_in: SignIn) -> None:
    """Checklist 33 with roles: the others fail with 4320."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")

    reply = await remove(jerry, cid, "jerry", "spike")
    alone = await refusal(spike, OpType.remove, cid=cid, m=["tom"])

    assert list(reply.allowedPids) == ["jerry"]
    assert failures(reply.failedPids) == [(*UNAUTHORIZED, ["spike"])]
    assert alone.code == 4320, "a request without right is an error as a whole"
    assert await told(tom) == [("members_left", "jerry", ["jerry"])]
    assert await stored_members(cid) == ["tom", "spike"]


async def test_all_or_nothing_for_a_client_that_does_not_know_partial_failure(signed_in: SignIn) -> None:
    """Checklist 33: without bit 5 of `configBitmap`, one who may not be removed spares all, even the owner himself."""
    old = await signed_in("old", configBitmap=WITHOUT_PARTIAL_FAILURE)
    cid = (await start(old, "jerry", "spike")).cid
    await change_role(old, cid, "jerry", "Manager")
    await heard(old)

    refused = await refusal(old, OpType.remove, cid=cid, m=["spike", "old"])

    assert (refused.code, list(refused.pids)) == (4324, ["old"])
    assert await stored_members(cid) == ["jerry", "spike", "old"]
    assert await heard(old) == []


@pytest.mark.parametrize("roles_enabled", [True, False])
async def test_adding_needs_no_role(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]], roles_enabled: bool
) -> None:
    """Checklist 31, 32 with roles: a Member invites, anybody joins, with the same notices as without roles."""
    await obey_settings(ConversationSettings, roles_enabled=roles_enabled)
    cid, [tom, jerry] = await group(signed_in, "tom", "jerry")
    spike, tyke = await signed_in("spike"), await signed_in("tyke")

    invited = await add(jerry, cid, "spike")
    joined = await add(tyke, cid, "tyke")

    assert (list(invited.allowedPids), list(joined.allowedPids)) == (["spike"], ["tyke"])
    assert await hears(tom) == [("members_joined", "jerry", ["spike"]), ("members_joined", "tyke", ["tyke"])]
    assert await hears(spike) == [
        ("joined", "jerry", []),
        ("members_joined", "jerry", ["spike"]),
        ("members_joined", "tyke", ["tyke"]),
    ]


async def test_a_manager_gives_roles_where_the_application_says_so(
    signed_in: SignIn, obey_settings: Callable[..., Awaitable[None]]
) -> None:
    """limits-settings-conflicts 4: the Owner only, by default; the setting lets a Manager change a Member."""
    cid, [tom, jerry, spike] = await group(signed_in, "tom", "jerry", "spike")
    await change_role(tom, cid, "jerry", "Manager")

    before = await ask_role(jerry, cid, "spike", "Manager")
    await obey_settings(ConversationSettings, managers_change_roles=True)
    await change_role(jerry, cid, "spike", "Manager")
    equals = await ask_role(jerry, cid, "spike", "Member")

    assert error_of(before) == error_of(equals) == UNAUTHORIZED
    assert await stored_roles(cid) == [("jerry", "Manager"), ("spike", "Manager")]
    assert [by for _, by, _ in await hears(spike)] == ["tom", "jerry"]
