"""Tenants: what one application has, another one never sees, whatever it asks."""

from collections.abc import Awaitable, Callable

import pytest

from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, OpType
from tests.conftest import SignIn
from tests.conversations.talking import heard, query, refusal, start, stored_members, told
from tests.imclient import ImClient, InProcess, sign_in


@pytest.fixture
def another_application() -> Application:
    """The neighbour's application."""
    return Application.objects.create(name="the neighbour")


@pytest.fixture
async def neighbour(another_application: Application, connect: Callable[..., Awaitable[InProcess]]) -> ImClient:
    """A client of another application, with the same client id as the test's tom."""
    return await sign_in(await connect(), another_application.app_id, "tom")


@pytest.mark.parametrize("is_temporary", [False, True])
async def test_a_conversation_of_another_application_does_not_exist(
    signed_in: SignIn, neighbour: ImClient, is_temporary: bool
) -> None:
    """4303, although the client has the name of a member."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", tempConv=is_temporary)).cid
    await heard(tom)

    for op in (OpType.add, OpType.remove, OpType.count, OpType.members):
        for members in (["tom"], ["spike"]):
            refused = await refusal(neighbour, op, cid=cid, m=members)
            assert (refused.code, refused.reason) == (4303, "CONVERSATION_NOT_FOUND")

    assert sorted(await stored_members(cid)) == ["jerry", "tom"]
    assert await told(tom) == await told(neighbour) == []


async def test_messages_do_not_cross_to_another_application(signed_in: SignIn, neighbour: ImClient) -> None:
    """Neither into it nor out of it."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    await heard(tom)

    sent = await neighbour.request(CommandType.direct, directMessage={"cid": cid, "msg": "hi"})
    logs = await neighbour.request(CommandType.logs, logsMessage={"cid": cid})

    assert sent.ackMessage.code in (4303, 4401)
    assert (logs.cmd, logs.errorMessage.code) == (CommandType.error, 4303)
    assert await heard(tom) == await heard(neighbour) == []


async def test_queries_find_conversations_of_their_application_only(signed_in: SignIn, neighbour: ImClient) -> None:
    """By default, by id, by member, by attribute, by temporary id."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", attributes={"name": "secret"}, unique=True)).cid
    temporary = (await start(tom, "jerry", tempConv=True)).cid
    own = (await start(neighbour, attributes={"name": "own"})).cid

    for where in (
        None,
        {"m": "tom"},
        {"c": "tom"},
        {"$or": [{"name": "secret"}, {"name": "own"}]},
        {"objectId": {"$in": [cid, own]}},
        {"objectId": {"$ne": "x"}},
        {"nothing": {"$exists": False}},
    ):
        assert [one["objectId"] for one in await query(neighbour, where)] == [own]
    assert await query(neighbour, {"objectId": cid}) == []
    assert await query(neighbour, tempConvIds=[temporary, cid]) == []


@pytest.mark.parametrize("is_temporary", [False, True])
async def test_unique_conversations_are_unique_within_an_application(
    signed_in: SignIn, neighbour: ImClient, is_temporary: bool
) -> None:
    """The same member ids are other people there; and they hear nothing of these."""
    tom = await signed_in("tom")

    here = await start(tom, "jerry", unique=True, tempConv=is_temporary)
    there = await start(neighbour, "jerry", unique=True, tempConv=is_temporary)

    assert here.cid != there.cid
    assert not there.HasField("existing")
    for client, cid in ((tom, here.cid), (neighbour, there.cid)):
        assert {notice.convMessage.cid for notice in await heard(client)} == {cid}
