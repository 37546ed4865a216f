"""`conv/update`: attributes that members change, and who hears of it (realtime-protocol 4.6.1)."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from conversations.events import AttributesUpdated
from conversations.models import Conversation, ConversationSettings, KeptNotice
from conversations.policy import Kind
from conversations.storage import attributes as storage
from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.identifiers import now_ms
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, OpType
from tests.conftest import SignIn
from tests.conversations.talking import Json, add, answer, attr, heard, look_up, refusal, start
from tests.imclient import ImClient
from tests.messaging.signing_in import ObeySettings


async def update(client: ImClient, cid: str, changes: Any) -> ConvCommand:
    """Change attributes and return the body of `updated`."""
    return await answer(client, OpType.update, OpType.updated, cid=cid, attr=attr(changes))


def modified(body: ConvCommand) -> Json:
    """Return `attrModified`, which must be there."""
    assert body.HasField("attrModified")
    found: Json = json.loads(body.attrModified.data)
    return found


def changed_to(number: int, before: Mapping[str, Any]) -> Json:
    """Return attributes with another number."""
    return {**before, "n": number}


async def attributes_of(cid: str) -> tuple[Json, int]:
    """Return the attributes as the database has them, and their version."""
    row = await in_database(lambda: Conversation.objects.get(object_id=cid))
    return row.attributes, row.attributes_version


async def kept_updates(cid: str) -> list[KeptNotice]:
    """Return what is kept of updates for those who are away."""
    return await in_database(
        lambda: list(KeptNotice.objects.filter(conversation__object_id=cid, op="updated").order_by("id"))
    )


async def quietly_started(client: ImClient, *members: str, **fields: Any) -> str:
    """Start a conversation, let its creator hear of it, and return its id."""
    cid = (await start(client, *members, **fields)).cid
    await heard(client)
    return cid


async def test_the_actor_is_told_what_the_touched_keys_are_now(signed_in: SignIn) -> None:
    """Checklist 41: nested, never dotted; whole top-level keys; a deleted one is absent."""
    tom = await signed_in("tom")
    cid = await quietly_started(
        tom, attributes={"name": "a", "gone": 1, "attr": {"topic": "x", "n": 1, "tags": ["a"]}, "other": 0}
    )
    changes = {
        "name": "b",
        "gone": {"__op": "Delete"},
        "attr.topic": "y",
        "attr.deep.er": True,
        "attr.n": {"__op": "Increment", "amount": 2},
        "attr.tags": {"__op": "AddUnique", "objects": ["a", "b"]},
    }

    updated = await update(tom, cid, changes)

    expected = {"name": "b", "attr": {"topic": "y", "n": 3, "tags": ["a", "b"], "deep": {"er": True}}}
    assert updated.cid == cid
    assert json.loads(updated.attr.data) == changes
    assert modified(updated) == expected
    found = await look_up(tom, cid)
    assert {key: found.get(key) for key in ("name", "gone", "attr", "other")} == {**expected, "gone": None, "other": 0}
    assert found["updatedAt"] == updated.udate > found["createdAt"]


async def test_everybody_but_the_acting_connection_is_told(signed_in: SignIn) -> None:
    """Checklist 41: with `attr` and `attrModified`; the actor's other device too."""
    tom, other, jerry, spike = [await signed_in(one) for one in ("tom", "tom", "jerry", "spike")]
    cid = await quietly_started(tom, "jerry")
    await heard(other), await heard(jerry)

    updated = await update(tom, cid, {"attr.topic": "y"})

    for client in (other, jerry):
        [notice] = await heard(client)
        assert (notice.cmd, notice.op) == (CommandType.conv, OpType.updated)
        body = notice.convMessage
        assert (body.cid, body.initBy, body.udate) == (cid, "tom", updated.udate)
        assert json.loads(body.attr.data) == {"attr.topic": "y"}
        assert modified(body) == {"attr": {"topic": "y"}}
    assert await heard(tom) == await heard(spike) == []


async def test_a_whole_object_replaces_and_a_dotted_key_merges(signed_in: SignIn) -> None:
    """Checklist 41; in the order of the request."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom, attributes={"attr": {"a": 1, "b": 2}})

    assert modified(await update(tom, cid, {"attr.a": 3})) == {"attr": {"a": 3, "b": 2}}
    assert modified(await update(tom, cid, {"attr": {"c": 4}})) == {"attr": {"c": 4}}
    both = await update(tom, cid, {"attr": {"d": 5}, "attr.e": 6})

    assert modified(both) == {"attr": {"d": 5, "e": 6}}
    assert json.loads(both.attr.data) == {"attr": {"d": 5}, "attr.e": 6}


async def test_keys_of_the_server_are_ignored(signed_in: SignIn) -> None:
    """Nor are they told to others: JavaScript would believe them (realtime-protocol 4.6.1)."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom, "jerry")
    await heard(jerry)
    before = await look_up(tom, cid)

    nothing = await update(tom, cid, {"m": ["spike"], "mu.x": 1, "objectId": {"__op": "Delete"}, "sys": True})
    something = await update(tom, cid, {"c": "spike", "name": "kept"})

    assert (nothing.udate, modified(nothing)) == (before["updatedAt"], {})
    assert modified(something) == {"name": "kept"}
    [notice] = await heard(jerry)
    assert json.loads(notice.convMessage.attr.data) == {"name": "kept"}
    after = await look_up(tom, cid)
    assert {**after, "updatedAt": before["updatedAt"]} == {**before, "name": "kept"}


async def test_each_update_is_later_and_its_version_follows_the_last(signed_in: SignIn) -> None:
    """Clients apply one only if it is newer; servers put them in order by the dense version."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom)

    dates = [(await update(tom, cid, {"n": number})).udate for number in range(5)]

    assert dates == sorted(set(dates))
    assert await attributes_of(cid) == ({"n": 4}, 6)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
async def test_the_first_updates_are_heard_in_order_whichever_node_tells_first(
    order: tuple[int, ...], application: Application, signed_in: SignIn
) -> None:
    """Checklist 41: the last that members hear is the truth. This node has seen no update here before."""
    tom = await signed_in("tom")
    jerry = await signed_in("jerry")
    cid = await quietly_started(tom, "jerry")
    await heard(jerry)
    row = await in_database(lambda: Conversation.objects.get(object_id=cid))
    events = []
    for number in range(3):
        change = await in_database(
            storage.update,
            conversation=row.pk,
            check=lambda roster: None,
            change=partial(changed_to, number),
            touched=("n",),
            requested={"n": number},
            by="tom",
            now_ms=now_ms(),
        )
        event = AttributesUpdated(
            conversation=row.pk,
            conversation_id=cid,
            kind=Kind.NORMAL,
            members=("tom", "jerry"),
            by="tom",
            at_ms=change.conversation.updated_ms,
            attributes_version=change.version,
            before_ms=change.before_ms,
            requested={"n": number},
            modified=change.modified,
            audience=("jerry",),
        )
        events.append(event)

    for number in order:
        router.publish(application.pk, events[number])

    told = [await jerry.notice(CommandType.conv, OpType.updated) for _ in events]
    assert [modified(notice.convMessage)["n"] for notice in told] == [0, 1, 2]


async def test_an_update_is_kept_for_those_who_are_away(signed_in: SignIn) -> None:
    """One notice for all members, in the transaction of the change (realtime-protocol 10.3)."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom, "jerry")

    updated = await update(tom, cid, {"attr.topic": "y"})

    [kept] = await kept_updates(cid)
    assert kept.client_id == ""
    assert kept.fields == {
        "initBy": "tom",
        "udate": updated.udate,
        "attr": {"attr.topic": "y"},
        "attrModified": {"attr": {"topic": "y"}},
    }


async def test_in_a_chat_room_those_who_are_there_are_told(signed_in: SignIn) -> None:
    """Checklist 41; realtime-protocol 4.6.1. Nothing is kept: who is away is not in it."""
    tom, jerry, spike = [await signed_in(one) for one in ("tom", "jerry", "spike")]
    cid = await quietly_started(tom, transient=True)
    await add(jerry, cid, "jerry")
    await heard(jerry)

    updated = await update(jerry, cid, {"name": "lounge"})

    assert modified(updated) == {"name": "lounge"}
    [notice] = await heard(tom)
    assert (notice.op, notice.convMessage.initBy) == (OpType.updated, "jerry")
    assert notice.convMessage.transient
    assert await heard(jerry) == await heard(spike) == []
    assert await kept_updates(cid) == []


@pytest.mark.parametrize("fields", [{}, {"transient": True}])
async def test_an_outsider_changes_nothing(signed_in: SignIn, fields: Json) -> None:
    """Checklist 42: 4309, whether what he sent makes sense or not."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    cid = await quietly_started(tom, attributes={"name": "a"}, **fields)

    for text in ('{"name": "b"}', "{", ""):
        refused = await refusal(spike, OpType.update, cid=cid, attr=attr(text))

        assert (refused.code, refused.reason) == (4309, "CONVERSATION_UPDATE_REJECTED")
    assert await attributes_of(cid) == ({"name": "a"}, 1)
    assert await heard(tom) == []


async def test_a_conversation_that_is_not_there_is_told_before_what_is_wrong_with_the_attributes(
    signed_in: SignIn,
) -> None:
    """4303, also without `attr` (realtime-protocol 11)."""
    tom = await signed_in("tom")

    for fields in ({}, {"attr": attr("{")}, {"attr": attr({"name": "x"})}):
        refused = await refusal(tom, OpType.update, cid="nothing", **fields)

        assert (refused.code, refused.reason) == (4303, "CONVERSATION_NOT_FOUND")


async def test_a_temporary_conversation_has_no_updates(signed_in: SignIn) -> None:
    """4308, also for those who are not in it."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    cid = await quietly_started(tom, "jerry", tempConv=True)

    for client in (tom, spike):
        refused = await refusal(client, OpType.update, cid=cid, attr=attr({"name": "x"}))

        assert (refused.code, refused.reason) == (4308, "CONVERSATION_NOT_ALLOWED")


async def test_a_system_conversation_is_not_for_its_subscribers_to_change(
    signed_in: SignIn, application: Application
) -> None:
    """4308; it is the developer's."""
    tom = await signed_in("tom")
    cid = await system_conversation(application)
    await add(tom, cid, "tom")

    refused = await refusal(tom, OpType.update, cid=cid, attr=attr({"name": "x"}))

    assert refused.code == 4308


async def system_conversation(application: Application) -> str:
    """Make a system conversation, as the developer would."""
    row = await in_database(
        lambda: Conversation.objects.create(
            application=application, object_id="s" * 24, kind=3, created_ms=1_000, updated_ms=1_000
        )
    )
    return row.object_id


BAD = {
    "nothing": "",
    "not JSON": "{",
    "not quite JSON": "{'name': 1}",
    "null": "null",
    "a list": "[]",
    "a string": '"name"',
    "NaN": '{"a": NaN}',
    "a number beyond floats": '{"a": 1e400}',
    "a lone surrogate": '{"a": "\\ud800"}',
    "NUL in a value": '{"a": "x\\u0000"}',
    "NUL in a dotted key": '{"a.\\u0000": 1}',
    "NUL in an operator": '{"list": {"__op": "Add", "objects": ["\\u0000"]}}',
    "an empty step": '{"attr..x": 1}',
    "a dot at the end": '{"attr.": 1}',
    "nothing but a dot": '{".": 1}',
    "a key of 70 steps": json.dumps({".".join("a" * 70): 1}),
    "a key of 100000 steps": json.dumps({".".join("a" * 60_000): 1}),
    "depth by value": '{"a": ' + "[" * 100 + "]" * 100 + "}",
    "depth bomb": '{"a": ' + "[" * 60_000 + "]" * 60_000 + "}",
    "depth by key and value together": json.dumps({".".join("a" * 40): json.loads("[" * 40 + "]" * 40)}),
    "depth by an operator": '{"list": {"__op": "Add", "objects": ' + "[" * 66 + "]" * 66 + "}}",
    "an unknown operator": '{"n": {"__op": "Divide", "amount": 2}}',
    "an operator in lower case": '{"n": {"__op": "increment", "amount": 2}}',
    "an operator that is no text": '{"n": {"__op": ["Increment"], "amount": 2}}',
    "an operator that is null": '{"n": {"__op": null}}',
    "Increment without amount": '{"n": {"__op": "Increment"}}',
    "Increment by text": '{"n": {"__op": "Increment", "amount": "1"}}',
    "Increment by a boolean": '{"n": {"__op": "Increment", "amount": true}}',
    "Increment of text": '{"name": {"__op": "Increment", "amount": 1}}',
    "Increment of null": '{"nothing": {"__op": "Increment", "amount": 1}}',
    "Increment beyond 64 bits": '{"n": {"__op": "Increment", "amount": 18446744073709551615}}',
    "Increment beyond floats": '{"big": {"__op": "Increment", "amount": 1.7e308}}',
    "Add to a number": '{"n": {"__op": "Add", "objects": [1]}}',
    "Add without objects": '{"list": {"__op": "Add"}}',
    "Add of no list": '{"list": {"__op": "Add", "objects": {"a": 1}}}',
    "AddUnique to an object": '{"attr": {"__op": "AddUnique", "objects": [1]}}',
    "Remove from text": '{"name": {"__op": "Remove", "objects": ["a"]}}',
    "BitOr of a float": '{"big": {"__op": "BitOr", "value": 1}}',
    "BitAnd with a float": '{"n": {"__op": "BitAnd", "value": 1.0}}',
    "BitXor without value": '{"n": {"__op": "BitXor"}}',
    "a step into text": '{"name.x": 1}',
    "a step into a list": '{"list.0": 1}',
    "a step into a number, to delete": '{"n.x": {"__op": "Delete"}}',
    "a good key beside a bad one": '{"name": "b", "n": {"__op": "Divide"}}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
async def test_a_bad_update_changes_nothing_and_notifies_nobody(signed_in: SignIn, text: str) -> None:
    """4306 CONVERSATION_UPDATE_FAILED. The connection goes on."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    before = {"name": "a", "n": 1, "big": 1.7e308, "nothing": None, "list": [], "attr": {"x": 1}}
    cid = await quietly_started(tom, "jerry", attributes=before)
    await heard(jerry)
    dated = (await look_up(tom, cid))["updatedAt"]

    refused = await refusal(tom, OpType.update, cid=cid, attr=attr(text))

    assert (refused.code, refused.reason) == (4306, "CONVERSATION_UPDATE_FAILED")
    found = await look_up(tom, cid)
    assert {key: found[key] for key in before} == before
    assert found["updatedAt"] == dated
    assert (await attributes_of(cid))[1] == 1
    assert await kept_updates(cid) == await heard(tom) == await heard(jerry) == []


async def test_attributes_have_a_size(signed_in: SignIn, obey_settings: ObeySettings) -> None:
    """`attributes_max_bytes`, of all together as JSON: 4306 when updating, 4301 when starting."""
    tom = await signed_in("tom")
    await obey_settings(ConversationSettings, attributes_max_bytes=100)
    fits, too_long = {"a": "é" * 46}, {"a": "é" * 47}
    assert len(json.dumps(fits, ensure_ascii=False, separators=(",", ":")).encode()) == 100

    refused = await refusal(tom, OpType.start, attr=attr(too_long))
    cid = (await start(tom, attributes=fits)).cid
    await update(tom, cid, {"a": "é" * 46})
    grown = await refusal(tom, OpType.update, cid=cid, attr=attr({"b": 1}))
    longer = await refusal(tom, OpType.update, cid=cid, attr=attr({"a": {"__op": "Delete", "x": "y" * 100}}))

    assert (refused.code, grown.code, longer.code) == (4301, 4306, 4306)
    assert await attributes_of(cid) == (fits, 2)
    assert modified(await update(tom, cid, {"a": {"__op": "Delete"}, "b": 1})) == {"b": 1}


async def test_a_number_that_one_engine_writes_digit_by_digit_survives_an_update_beside_it(signed_in: SignIn) -> None:
    """PostgreSQL's 1e300, which no JSON writer takes as an integer."""
    tom = await signed_in("tom")
    cid = await quietly_started(tom, attributes={"attr": {"big": 1e300, "n": 1}})

    updated = await update(tom, cid, {"attr.n": {"__op": "Increment", "amount": 0.5}})

    assert modified(updated) == {"attr": {"big": 1e300, "n": 1.5}}
    assert (await look_up(tom, cid))["attr"] == {"big": 1e300, "n": 1.5}


async def test_a_member_who_was_removed_meanwhile_changes_nothing(signed_in: SignIn) -> None:
    """4309 at once, on every connection."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await quietly_started(tom, "jerry")
    await update(jerry, cid, {"name": "a"})

    await answer(tom, OpType.remove, OpType.removed, cid=cid, m=["jerry"])
    refused = await refusal(jerry, OpType.update, cid=cid, attr=attr({"name": "b"}))

    assert refused.code == 4309
    assert (await attributes_of(cid))[0] == {"name": "a"}
