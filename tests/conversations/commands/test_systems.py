"""System conversations as clients see them: subscribing, and who follows (realtime-protocol 4.14)."""

import json

import pytest

from conversations.models import Conversation, Subscription
from conversations.policy import Kind
from imcore import identifiers
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, LogsCommand, OpType
from tests.conftest import SignIn
from tests.conversations.talking import Json, add, answer, count, heard, look_up, query, refusal, remove, start
from tests.imclient import ImClient

NOT_ALLOWED = 4308


async def service_of(application: Application, name: str = "news") -> str:
    """Make a system conversation, as only the service can, and return its id."""
    now_ms = identifiers.now_ms()
    made = await in_database(
        lambda: Conversation.objects.create(
            application=application,
            object_id=identifiers.object_id(now_ms),
            kind=Kind.SYSTEM,
            attributes={"name": name},
            created_ms=now_ms,
            updated_ms=now_ms,
        )
    )
    return made.object_id


@pytest.fixture
async def service(application: Application) -> str:
    """The id of a system conversation."""
    return await service_of(application)


async def is_member(client: ImClient, *cids: str) -> Json:
    """Ask whether the client is in conversations."""
    body = await answer(client, OpType.is_member, OpType.result, cids=cids)
    found: Json = json.loads(body.results.data)
    return found


async def test_subscribing_shows_in_is_member_and_in_results(signed_in: SignIn, service: str) -> None:
    """Checklist 50; nobody is told, on any device."""
    tom, toms_web = await signed_in("tom"), await signed_in("tom")
    before = await is_member(tom, service), await look_up(tom, service)
    began = identifiers.now_ms()

    added = await add(tom, service, "tom")
    followed = await is_member(toms_web, service), await look_up(toms_web, service)
    removed = await remove(tom, service, "tom")
    after = await is_member(tom, service), await look_up(tom, service)

    assert before[0] == after[0] == {service: False}
    for found in (before[1], after[1]):
        assert found["joined"] is False
        assert not found.keys() & {"joinedAt", "muted"}
    assert followed[0] == {service: True}
    assert (followed[1]["joined"], followed[1]["muted"]) == (True, False)
    assert began <= followed[1]["joinedAt"] <= identifiers.now_ms()
    assert (list(added.allowedPids), list(removed.allowedPids)) == (["tom"], ["tom"])
    assert added.udate
    assert removed.udate
    assert await heard(tom) == await heard(toms_web) == []


async def test_a_muted_subscription_says_so(signed_in: SignIn, service: str) -> None:
    """Checklist 50: `muted`."""
    tom = await signed_in("tom")
    await add(tom, service, "tom")

    await in_database(lambda: Subscription.objects.filter(client_id="tom").update(is_muted=True))

    assert (await look_up(tom, service))["muted"] is True


async def test_a_system_conversation_as_json(signed_in: SignIn, service: str) -> None:
    """4.4.1: no members, no creator; and it is nobody's own conversation."""
    tom = await signed_in("tom")
    await add(tom, service, "tom")

    [found] = await query(tom, {"sys": True})

    assert (found["objectId"], found["conv_type"], found["sys"], found["tr"]) == (service, 3, True, False)
    assert not found.keys() & {"m", "c", "lm", "uniqueId", "msg"}
    assert await query(tom) == []


async def test_subscribing_twice_is_one_subscription_with_its_first_date(signed_in: SignIn, service: str) -> None:
    """Repeating it is harmless, and so is leaving twice."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await add(tom, service, "tom")
    first = (await look_up(tom, service))["joinedAt"]

    await add(tom, service, "tom")
    await add(jerry, service, "jerry")
    followers = await count(tom, service)
    for _ in range(2):
        assert list((await remove(jerry, service, "jerry")).allowedPids) == ["jerry"]

    assert (await look_up(tom, service))["joinedAt"] == first
    assert (followers, await count(tom, service)) == (2, 1)


async def test_nobody_subscribes_or_unsubscribes_others(signed_in: SignIn, service: str) -> None:
    """4.14: `failedPids` 4308."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    await add(jerry, service, "jerry")

    added = await add(tom, service, "spike", "tom")
    removed = await remove(tom, service, "jerry")

    assert list(added.allowedPids) == ["tom"]
    assert [(failed.code, list(failed.pids)) for failed in added.failedPids] == [(NOT_ALLOWED, ["spike"])]
    assert list(removed.allowedPids) == []
    assert [(failed.code, list(failed.pids)) for failed in removed.failedPids] == [(NOT_ALLOWED, ["jerry"])]
    assert all(failed.reason for failed in (*added.failedPids, *removed.failedPids))
    assert await is_member(jerry, service) == {service: True}


async def test_is_member_answers_for_every_kind_at_once(
    signed_in: SignIn, application: Application, service: str
) -> None:
    """4.5: Swift asks for normal ones, too; unknown ones and those of others are false."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    other = await service_of(application, "other")
    mine, theirs = (await start(tom, "spike")).cid, (await start(jerry, "spike")).cid
    temporary = (await start(tom, "spike", tempConv=True)).cid
    room = (await start(tom, transient=True)).cid
    await add(tom, service, "tom")

    asked = [mine, theirs, temporary, room, service, other, "nothing", "", "a\0b", "x" * 100]
    found = await is_member(tom, *asked)

    assert list(found) == asked
    assert {cid for cid, is_in in found.items() if is_in} == {mine, temporary, room, service}
    assert (await refusal(tom, OpType.is_member, cids=[f"{number}" for number in range(101)])).code == 4301


async def test_is_member_knows_what_another_server_has_changed(signed_in: SignIn) -> None:
    """What this process remembers of a conversation is not asked."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry")).cid
    await is_member(jerry, cid)

    await in_database(lambda: Conversation.objects.get(object_id=cid).members.filter(client_id="jerry").delete())

    assert await is_member(jerry, cid) == {cid: False}


async def test_only_subscribers_read_history(signed_in: SignIn, service: str) -> None:
    """4.11: 4312 for others."""
    tom = await signed_in("tom")

    async def read() -> int:
        reply = await tom.request(CommandType.logs, logsMessage=LogsCommand(cid=service))
        return reply.errorMessage.code

    before = await read()
    await add(tom, service, "tom")
    following = await read()
    await remove(tom, service, "tom")

    assert (before, following, await read()) == (4312, 0, 4312)


@pytest.mark.parametrize("op", ["add_shutup", "query_shutup", "check_shutup", "member_info_update"])
async def test_what_only_groups_have_is_refused(signed_in: SignIn, service: str, op: str) -> None:
    """4308."""
    tom = await signed_in("tom")
    await add(tom, service, "tom")
    body = ConvCommand(cid=service, m=["jerry"], targetClientId="jerry")
    body.info.role = "Manager"

    reply = await tom.request(CommandType.conv, OpType.Value(op), convMessage=body)

    assert reply.errorMessage.code == NOT_ALLOWED


async def test_clients_make_no_system_conversations(signed_in: SignIn) -> None:
    """`sys` is the server's key."""
    tom = await signed_in("tom")

    started = await start(tom, attributes={"sys": True})

    assert (await look_up(tom, started.cid))["sys"] is False


async def test_a_service_that_is_gone_is_not_found(signed_in: SignIn, service: str) -> None:
    """Between the look at it and the subscription, too."""
    tom = await signed_in("tom")
    await in_database(lambda: Conversation.objects.filter(object_id=service).delete())

    assert (await refusal(tom, OpType.add, cid=service, m=["tom"])).code == 4303
    assert await is_member(tom, service) == {service: False}
