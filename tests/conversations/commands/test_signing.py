"""Operations on conversations and block lists where the application wants signatures (realtime-protocol 9)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.models import ConversationSettings
from conversations.policy import Kind
from conversations.storage import conversations
from conversations.storage.conversations import NewConversation
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import BlacklistCommand, CommandType, GenericCommand, OpType
from tests.app_server import capitals, now_ms, signed
from tests.conftest import SignIn
from tests.conversations.talking import answer, ask, heard, refusal, start, stored, stored_members
from tests.imclient import ImClient

BLOCK = {OpType.block: "conversation-block-clients", OpType.unblock: "conversation-unblock-clients"}
BLOCKED = {OpType.block: OpType.blocked, OpType.unblock: OpType.unblocked}
HOUR = 3_600_000
NO_SUCH_CID = "0123456789abcdef01234567"
Json = dict[str, Any]

ObeySettings = Callable[..., Awaitable[None]]


async def talking(signed_in: SignIn, *names: str, **fields: bool) -> tuple[str, list[ImClient]]:
    """Sign clients in and start a conversation of them by the first, which needs no signature yet."""
    clients = [await signed_in(name) for name in names]
    cid = (await start(clients[0], *names, **fields)).cid
    for client in clients:
        await heard(client)
    return cid, clients


async def system_conversation(application: Application) -> str:
    """Make a system conversation."""
    new = NewConversation(
        object_id=identifiers.object_id(now_ms()), creator="", members=(), attributes={}, is_unique=False
    )
    made, _ = await in_database(
        conversations.create, application=application.pk, kind=Kind.SYSTEM, new=new, now_ms=now_ms()
    )
    return made.object_id


async def change_block_list(client: ImClient, op: OpType, cid: str, *members: str, **signature: Any) -> GenericCommand:
    """Send `blacklist/op` and return the answer."""
    body = BlacklistCommand(srcCid=cid, toPids=members, **signature)
    return await client.request(CommandType.blacklist, op, blacklistMessage=body)


def unusable(application: Application, before: str, after: str = "", another: str = "") -> list[Json]:
    """Return what is no signature of this: none, the wrong key, another one's, too old, from the future."""
    good = signed(application, before, after)
    return [
        {},
        good | {"n": "another nonce"},
        good | {"t": good["t"] - 1},
        good | {"s": "汤姆"},
        signed(application, before, after, key="not the master key"),
        signed(application, another, after),
        signed(application, before, "another-action"),
        signed(application, before, after, at=now_ms() - 6 * HOUR - 60_000),
        signed(application, before, after, at=now_ms() + 6 * HOUR + 60_000),
        signed(application, before, after, at=now_ms() // 1000 - 6 * 3600 - 60),
    ]


@pytest.mark.parametrize("members", ["jerry:mary", "jerry:mary:tom"], ids=["without self", "with self"])
@pytest.mark.parametrize("sent", [["mary", "jerry"], ["tom", "mary", "jerry"], ["jerry", "mary", "jerry"]])
async def test_a_start_is_signed_with_or_without_the_caller(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, sent: list[str], members: str
) -> None:
    """Checklist 72: whichever list is sent, JavaScript's signature has the caller in it and C#'s has not."""
    tom = await signed_in("tom")
    await obey_settings(ConversationSettings, sign_conversations=True)

    for signature in (
        signed(application, f"tom:{members}"),
        capitals(signed(application, f"tom:{members}")),
        signed(application, f"tom:{members}", at=now_ms() // 1000),
    ):
        cid = (await answer(tom, OpType.start, OpType.started, m=sent, **signature)).cid
        assert sorted(await stored_members(cid)) == ["jerry", "mary", "tom"]


@pytest.mark.parametrize("kind", [{}, {"unique": True}, {"transient": True}, {"tempConv": True}])
async def test_an_unsigned_start_makes_nothing(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, kind: dict[str, bool]
) -> None:
    """Checklist 72, and issue 3's bad input, for every kind: 4302, and nobody hears of it."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await obey_settings(ConversationSettings, sign_conversations=True)

    for signature in unusable(application, "tom:jerry:tom", another="mary:jerry:mary"):
        refused = await refusal(tom, OpType.start, m=["jerry"], **kind, **signature)
        assert (refused.code, refused.reason) == (4302, "CONVERSATION_SIGNATURE_FAILED")

    assert await stored(application) == []
    assert await heard(tom) == await heard(jerry) == []


async def test_a_chat_room_without_members_is_signed_so(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """Swift and Objective-C send no `m`; their callback gets no members, or the caller."""
    tom = await signed_in("tom")
    await obey_settings(ConversationSettings, sign_conversations=True)

    for members in ("", "tom"):
        signature = signed(application, f"tom:{members}")
        assert (await answer(tom, OpType.start, OpType.started, transient=True, **signature)).cid


@pytest.mark.parametrize("action", ["invite", "add"])
async def test_adding_is_signed_by_either_name(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, action: str
) -> None:
    """Checklist 72. JavaScript up to 5.0.0-rc.4 says `add`."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, sign_conversations=True)
    signature = capitals(signed(application, f"tom:{cid}:mary:spike", action))

    added = await answer(tom, OpType.add, OpType.added, cid=cid, m=["spike", "mary"], **signature)

    assert sorted(added.allowedPids) == ["mary", "spike"]


@pytest.mark.parametrize("action", ["kick", "remove"])
async def test_removing_is_signed_by_either_name(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, action: str
) -> None:
    """Checklist 72. One who removes himself along with others signs for all."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, sign_conversations=True)
    signature = signed(application, f"tom:{cid}:jerry:tom", action, at=now_ms() // 1000)

    removed = await answer(tom, OpType.remove, OpType.removed, cid=cid, m=["tom", "jerry"], **signature)

    assert sorted(removed.allowedPids) == ["jerry", "tom"]


@pytest.mark.parametrize("action", ["invite", "add", "join"])
async def test_joining_is_signed_by_any_name(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, action: str
) -> None:
    """Checklist 32, 72: in conversations, chat rooms and system conversations."""
    mary = await signed_in("mary")
    normal, _ = await talking(signed_in, "tom")
    room, _ = await talking(signed_in, "tom", transient=True)
    await obey_settings(ConversationSettings, sign_conversations=True)

    for cid in (normal, room, await system_conversation(application)):
        unsigned = await refusal(mary, OpType.add, cid=cid, m=["mary"])
        signature = signed(application, f"mary:{cid}:mary", action)
        joined = await answer(mary, OpType.add, OpType.added, cid=cid, m=["mary"], **signature)

        assert unsigned.code == 4302
        assert joined.allowedPids == ["mary"]


async def test_inviting_others_is_no_joining(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """A signature to `join` is for oneself."""
    cid, [tom] = await talking(signed_in, "tom")
    await obey_settings(ConversationSettings, sign_conversations=True)

    refused = await refusal(tom, OpType.add, cid=cid, m=["mary"], **signed(application, f"tom:{cid}:mary", "join"))

    assert refused.code == 4302


@pytest.mark.parametrize(
    ("op", "action", "members"), [(OpType.add, "invite", ["spike"]), (OpType.remove, "kick", ["jerry"])]
)
async def test_an_unsigned_change_of_members_changes_nothing(
    signed_in: SignIn,
    application: Application,
    obey_settings: ObeySettings,
    op: OpType,
    action: str,
    members: list[str],
) -> None:
    """Checklist 72, and issue 3's bad input. The signature for another conversation, too, is none."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, sign_conversations=True)
    [before] = await stored(application)

    good, others = f"tom:{cid}:{members[0]}", f"jerry:{cid}:{members[0]}"
    for signature in [
        *unusable(application, good, action, another=others),
        signed(application, f"tom:{NO_SUCH_CID}:{members[0]}", action),
        signed(application, f"tom:{cid}:{members[0]}:tom", action),
    ]:
        refused = await refusal(tom, op, cid=cid, m=members, **signature)
        assert (refused.code, refused.reason) == (4302, "CONVERSATION_SIGNATURE_FAILED")

    [after] = await stored(application)
    assert (after.members_version, after.updated_ms) == (before.members_version, before.updated_ms)
    assert sorted(await stored_members(cid)) == ["jerry", "tom"]
    assert await heard(tom) == await heard(jerry) == []


async def test_leaving_is_never_signed(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """Java does not; nor is a wrong signature looked at."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, sign_conversations=True)

    for client, signature in ((tom, {}), (jerry, {"s": "wrong", "t": 1, "n": "n"})):
        left = await answer(client, OpType.remove, OpType.removed, cid=cid, m=[client.client_id], **signature)
        assert left.allowedPids == [client.client_id]


@pytest.mark.parametrize("op", [OpType.add, OpType.remove])
async def test_the_signature_is_looked_at_before_the_conversation(
    signed_in: SignIn, obey_settings: ObeySettings, op: OpType
) -> None:
    """4302, not 4303: nobody finds out unsigned which ids there are."""
    tom = await signed_in("tom")
    await obey_settings(ConversationSettings, sign_conversations=True)

    for cid in (NO_SUCH_CID, "", "\0"):
        assert (await refusal(tom, op, cid=cid, m=["mary"])).code == 4302


async def test_what_only_reads_is_never_signed(signed_in: SignIn, obey_settings: ObeySettings) -> None:
    """Only starting, adding and removing are."""
    cid, [tom] = await talking(signed_in, "tom")
    await obey_settings(ConversationSettings, sign_conversations=True, sign_block_lists=True)

    for op in (OpType.count, OpType.members, OpType.is_member):
        assert (await ask(tom, op, cid=cid)).op == OpType.result


@pytest.mark.parametrize("op", list(BLOCK))
async def test_block_lists_are_signed_in_either_order(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, op: OpType
) -> None:
    """Checklist 72. JavaScript up to 5.0.0-rc.4 has client and conversation signed in each other's place."""
    cid, [tom, _] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, block_lists_enabled=True, sign_block_lists=True)

    for before in (f"tom:{cid}:jerry:mary", f"{cid}:tom:jerry:mary"):
        signature = capitals(signed(application, before, BLOCK[op]))
        reply = await change_block_list(tom, op, cid, "mary", "jerry", **signature)
        assert reply.op == BLOCKED[op], reply
        assert sorted(reply.blacklistMessage.allowedPids) == ["jerry", "mary"]


@pytest.mark.parametrize("op", list(BLOCK))
@pytest.mark.parametrize("is_enabled", [True, False])
async def test_an_unsigned_change_of_a_block_list_changes_nothing(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings, op: OpType, is_enabled: bool
) -> None:
    """Checklist 72, and issue 3's bad input: 4546, before 4544 and 4303."""
    cid, [tom, jerry] = await talking(signed_in, "tom", "jerry")
    await obey_settings(ConversationSettings, block_lists_enabled=is_enabled, sign_block_lists=True)
    [before] = await stored(application)

    wrong_action = BLOCK[OpType.unblock if op == OpType.block else OpType.block]
    for signature in [
        *unusable(application, f"tom:{cid}:jerry", BLOCK[op], another=f"jerry:{cid}:jerry"),
        signed(application, f"tom:{cid}:jerry", wrong_action),
    ]:
        for conversation in (cid, NO_SUCH_CID):
            refused = await change_block_list(tom, op, conversation, "jerry", **signature)
            assert refused.cmd == CommandType.error
            error = refused.errorMessage
            assert (error.code, error.reason) == (4546, "BLACKLIST_SIGNATURE_FAILED")

    [after] = await stored(application)
    assert (after.members_version, after.has_blocked) == (before.members_version, False)
    assert sorted(await stored_members(cid)) == ["jerry", "tom"]
    assert await heard(tom) == await heard(jerry) == []


async def test_each_switch_is_for_its_own_operations(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """Signatures are required only where the application's switch is on."""
    cid, [tom] = await talking(signed_in, "tom")
    await obey_settings(ConversationSettings, block_lists_enabled=True, sign_block_lists=True)
    assert (await ask(tom, OpType.add, cid=cid, m=["mary"])).op == OpType.added

    await obey_settings(ConversationSettings, sign_block_lists=False, sign_conversations=True)
    assert (await change_block_list(tom, OpType.block, cid, "mary")).op == OpType.blocked
