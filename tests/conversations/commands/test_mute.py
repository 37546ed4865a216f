"""`conv/mute` and `conv/unmute`: no offline push for oneself, and nothing else (realtime-protocol 4.6.2)."""

import pytest

from conversations.models import Conversation, Subscription
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.talking import add, answer, heard, look_up, query, refusal, say, start

MUTE, UNMUTE, UPDATED = OpType.mute, OpType.unmute, OpType.updated


@pytest.mark.parametrize("is_temporary", [False, True])
async def test_muting_is_seen_in_the_conversation_and_told_to_nobody(signed_in: SignIn, is_temporary: bool) -> None:
    """Checklist 43: `mu` has the caller; `udate` is later than the last change; no push."""
    tom, other, jerry = [await signed_in(one) for one in ("tom", "tom", "jerry")]
    cid = (await start(tom, "jerry", tempConv=is_temporary)).cid
    await heard(tom), await heard(other), await heard(jerry)
    before = await look_up(tom, cid)

    muted = await answer(tom, MUTE, UPDATED, cid=cid)

    after = await look_up(jerry, cid)
    assert (before["mu"], after["mu"]) == ([], ["tom"])
    assert (muted.cid, after["updatedAt"]) == (cid, muted.udate)
    assert muted.udate > before["updatedAt"]
    assert await heard(tom) == await heard(other) == await heard(jerry) == []


async def test_unmuting_undoes_it_and_both_may_be_repeated(signed_in: SignIn) -> None:
    """Checklist 43. Each time `udate` is newer."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry")).cid
    dates = [(await look_up(tom, cid))["updatedAt"]]

    for op, expected in ((UNMUTE, []), (MUTE, ["tom"]), (MUTE, ["tom"]), (UNMUTE, []), (UNMUTE, [])):
        dates.append((await answer(tom, op, UPDATED, cid=cid)).udate)
        assert (await look_up(jerry, cid))["mu"] == expected

    assert dates == sorted(set(dates))


async def test_who_has_muted_a_conversation_still_gets_its_messages(signed_in: SignIn) -> None:
    """It is about offline push only."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry")).cid
    await answer(jerry, MUTE, UPDATED, cid=cid)
    await heard(jerry)

    await say(tom, cid, "hello")

    [message] = await heard(jerry)
    assert message.directMessage.msg == "hello"


@pytest.mark.parametrize("op", [MUTE, UNMUTE])
async def test_only_a_member_mutes(signed_in: SignIn, op: OpType) -> None:
    """Checklist 43: 4317, and nothing changes."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    cid = (await start(tom, "jerry")).cid
    before = await look_up(tom, cid)

    refused = await refusal(spike, op, cid=cid)

    assert (refused.code, refused.reason) == (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")
    assert await look_up(tom, cid) == before


@pytest.mark.parametrize("op", [MUTE, UNMUTE])
async def test_a_chat_room_cannot_be_muted(signed_in: SignIn, op: OpType) -> None:
    """4308: it has no offline push."""
    tom = await signed_in("tom")
    cid = (await start(tom, transient=True)).cid

    refused = await refusal(tom, op, cid=cid)

    assert (refused.code, refused.reason) == (4308, "CONVERSATION_NOT_ALLOWED")
    assert (await refusal(tom, op, cid="nothing")).code == 4303


async def test_a_subscriber_mutes_a_system_conversation(signed_in: SignIn, application: Application) -> None:
    """Checklist 43, 50: `muted` is the subscriber's own; whoever does not follow it gets 4317."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    row = await in_database(
        lambda: Conversation.objects.create(
            application=application, object_id="s" * 24, kind=3, created_ms=1_000, updated_ms=1_000
        )
    )
    await add(tom, row.object_id, "tom")

    muted = await answer(tom, MUTE, UPDATED, cid=row.object_id)
    refused = await refusal(spike, MUTE, cid=row.object_id)

    [found] = await query(tom, {"objectId": row.object_id})
    assert (found["joined"], found["muted"]) == (True, True)
    assert muted.udate > found["updatedAt"]
    assert refused.code == 4317
    followers = await in_database(lambda: list(Subscription.objects.filter(conversation=row).values_list("client_id")))
    assert followers == [("tom",)]
