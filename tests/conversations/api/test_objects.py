"""`/classes/_Conversation`: conversations written as rows (rest-api 9, 10.1)."""

import json
from typing import Any

import pytest

from conversations.models import ConversationSettings
from imcore.models import Application
from imcore.protocol.message_pb2 import BlacklistCommand, CommandType, ConvCommand, DirectCommand, OpType
from tests.conftest import SignIn
from tests.conversations.api.objects import CLASS, ask, made, refused, row
from tests.conversations.talking import start, told
from tests.messaging.signing_in import ObeySettings
from tests.messaging.support import another_application, heard, say
from tests.restclient import app_of, call, master_of

# Deeper than anything may nest that is stored.
DEEP = json.loads("[" * 500 + "]" * 500)
NOWHERE = "0" * 24


async def test_a_conversation_is_made_with_its_columns_and_read(application: Application) -> None:
    """rest-api 10.1: 201 with a Location."""
    columns = {"name": "Lunch", "m": ["amy", "bob", "amy"], "mu": ["bob"], "c": "amy", "attr": {"x": 1}, "level": 3}

    answer = await call("POST", CLASS, master_of(application), {**columns, "objectId": "x", "className": "y"})

    assert answer.status_code == 201
    created = answer.json()
    assert created.keys() == {"objectId", "createdAt"}
    assert answer["Location"].endswith(f"{CLASS}/{created['objectId']}")
    assert await row(application, created["objectId"]) == {
        **columns,
        **created,
        "m": ["amy", "bob"],
        "tr": False,
        "sys": False,
        "unique": False,
        "updatedAt": created["createdAt"],
    }


@pytest.mark.parametrize("columns", [{"tr": True}, {"sys": True}])
async def test_chat_rooms_and_system_conversations_have_no_members(application: Application, columns: Any) -> None:
    """rest-api 8: `m` is ignored there."""
    object_id = await made(application, m=["amy"], **columns)

    found = await row(application, object_id)
    assert "m" not in found
    assert found.items() >= columns.items()
    await ask(application, "PUT", f"{CLASS}/{object_id}", {"m": ["amy"], "name": "x"})
    assert "m" not in await row(application, object_id)


async def test_a_repeated_unique_create_finds_the_first(application: Application, signed_in: SignIn) -> None:
    """Checklist 20: through the class, and it is what `conv/start` finds as well; absent means false."""
    first = await made(application, m=["SteveJobs", "BillGates"], unique=True, name="1")

    assert await made(application, m=["BillGates", "SteveJobs"], unique=True, name="2") == first
    assert await made(application, m=["BillGates", "SteveJobs"]) != first
    found = await row(application, first)
    assert (found["name"], found["uniqueId"]) == ("1", "6c7b0e5afcae9aa1139a0afa25833dec")
    bill = await signed_in("BillGates")
    reply = await bill.request(CommandType.conv, OpType.start, convMessage=ConvCommand(m=["SteveJobs"], unique=True))
    assert reply.convMessage.cid == first


async def test_of_too_many_members_the_first_count(application: Application) -> None:
    """rest-api 9: of more than 500 ids written to `m` only the first 500."""
    crowd = [f"c{number}" for number in range(501)]
    object_id = await made(application, m=crowd)
    path = f"{CLASS}/{object_id}"

    assert (await row(application, object_id))["m"] == crowd[:500]
    await ask(application, "PUT", path, {"m": {"__op": "Remove", "objects": ["c0"]}})
    await ask(application, "PUT", path, {"m": {"__op": "AddUnique", "objects": ["x", "y"]}})
    assert (await row(application, object_id))["m"] == [*crowd[1:500], "x"]


async def test_columns_change_by_operators_and_dotted_keys(application: Application) -> None:
    """rest-api 5.1."""
    object_id = await made(application, name="A", attr={"topic": "a", "kept": 1}, seen=1, gone=2)

    written = await ask(
        application,
        "PUT",
        f"{CLASS}/{object_id}",
        {
            "attr.topic": "b",
            "seen": {"__op": "Increment", "amount": 4},
            "gone": {"__op": "Delete"},
            "tags": {"__op": "Add", "objects": ["x"]},
        },
    )

    assert written.keys() == {"objectId", "updatedAt"}
    found = await row(application, object_id)
    assert (found["attr"], found["seen"], found["tags"]) == ({"topic": "b", "kept": 1}, 5, ["x"])
    assert "gone" not in found
    assert found["updatedAt"] == written["updatedAt"]


async def test_members_that_are_written_can_talk_and_nobody_is_told(
    application: Application, signed_in: SignIn
) -> None:
    """rest-api 9: such writes notify nobody, but servers do not go on believing what was before."""
    amy, bob, eve = [await signed_in(name) for name in ("amy", "bob", "eve")]
    object_id = await made(application, m=["amy", "eve"], name="A")
    path = f"{CLASS}/{object_id}"

    async def can_say(client: Any) -> bool:
        reply = await client.request(CommandType.direct, directMessage=DirectCommand(cid=object_id, msg="hi"))
        return not reply.ackMessage.HasField("code")

    assert [await can_say(client) for client in (amy, bob, eve)] == [True, False, True]
    await eve.notice(CommandType.direct)
    await amy.notice(CommandType.direct)

    await ask(application, "PUT", path, {"m": {"__op": "AddUnique", "objects": ["bob"]}, "name": "B"})
    await ask(application, "PUT", path, {"m": {"__op": "Remove", "objects": ["eve"]}})
    # As Python's add_member does it.
    await ask(application, "PUT", path, {"m": {"__op": "Add", "objects": ["bob"]}})

    assert (await row(application, object_id))["m"] == ["amy", "bob"]
    for client in (amy, bob, eve):
        await client.nothing_more()
    assert [await can_say(client) for client in (amy, bob, eve)] == [True, True, False]


async def test_what_is_told_after_an_untold_write_does_not_wait(application: Application, signed_in: SignIn) -> None:
    """A write has its places among the changes of members and of attributes, whatever it writes."""
    amy = await signed_in("amy")
    object_id = await made(application, m=["amy", "bob"])
    path, members = f"{CLASS}/{object_id}", f"/1.2/rtm/conversations/{object_id}/members"
    await ask(application, "POST", members, {"client_ids": ["carl"]})
    await ask(application, "PUT", f"/1.2/rtm/conversations/{object_id}", {"name": "one"})
    await told(amy)

    await ask(application, "PUT", path, {"m": ["amy", "dora", "eve"], "c": "amy", "name": "two"})
    await ask(application, "PUT", path, {"mu": ["eve"]})
    await ask(application, "POST", members, {"client_ids": ["bob"]})
    await ask(application, "PUT", f"/1.2/rtm/conversations/{object_id}", {"name": "three"})

    assert await told(amy) == [("members_joined", "", ["bob"]), ("updated", "", [])]
    assert (await row(application, object_id))["m"] == ["amy", "dora", "eve", "bob"]


async def test_a_unique_conversation_moves_with_its_members(application: Application) -> None:
    """The look-up compares the members of today."""
    object_id = await made(application, m=["amy", "bob"], unique=True)

    await ask(application, "PUT", f"{CLASS}/{object_id}", {"m": ["amy", "eve"]})

    assert await made(application, m=["amy", "bob"], unique=True) != object_id
    assert await made(application, m=["amy", "eve"], unique=True) == object_id


async def test_whom_a_conversation_blocks_cannot_be_written_into_it(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    await obey_settings(ConversationSettings, block_lists_enabled=True)
    amy = await signed_in("amy")
    object_id = await made(application, m=["amy"], c="amy")
    await block(amy, object_id, "eve")

    assert await refused(application, "PUT", f"{CLASS}/{object_id}", {"m": ["amy", "eve"]}) == (403, 4548)
    assert (await row(application, object_id))["m"] == ["amy"]


async def block(client: Any, object_id: str, whom: str) -> None:
    """Put somebody on a conversation's block list."""
    body = BlacklistCommand(srcCid=object_id, toPids=[whom])
    await client.request(CommandType.blacklist, OpType.block, blacklistMessage=body)


async def test_a_deleted_conversation_is_gone(application: Application, signed_in: SignIn) -> None:
    """rest-api 8.4, 10.1: one or several at a time; later sends fail with 4401."""
    amy = await signed_in("amy")
    first, second, third = [await made(application, m=["amy"], name=name) for name in "abc"]

    assert await ask(application, "DELETE", f"{CLASS}/{first}", {}) == {}
    assert await ask(application, "DELETE", f"{CLASS}/{second},{third},{NOWHERE}") == {}

    assert await row(application, first) == {}
    reply = await amy.request(CommandType.direct, directMessage=DirectCommand(cid=third, msg="hi"))
    assert reply.ackMessage.code == 4401
    assert await refused(application, "PUT", f"{CLASS}/{first}", {"name": "x"}) == (400, 4303)


async def test_a_write_may_depend_on_a_condition(application: Application) -> None:
    """rest-api 10.1: 305, and nothing is written."""
    object_id = await made(application, m=["amy"], name="A", level=1)
    path = f"{CLASS}/{object_id}"

    assert await refused(application, "PUT", path, {"name": "B"}, where='{"level":2}') == (400, 305)
    assert await refused(application, "DELETE", path, where='{"m":"bob"}') == (400, 305)
    assert (await row(application, object_id))["name"] == "A"
    await ask(application, "PUT", path, {"name": "B"}, where='{"level":1}')
    await ask(application, "DELETE", path, where='{"name":"B"}')
    assert await row(application, object_id) == {}


async def test_a_write_answers_what_it_wrote_if_asked(application: Application) -> None:
    """rest-api 6.1: the whole object when it is new, the changed columns later."""
    created = await ask(application, "POST", CLASS, {"name": "A", "m": ["amy"]}, fetchWhenSave="true")
    written = await ask(
        application,
        "PUT",
        f"{CLASS}/{created['objectId']}",
        {"seen": {"__op": "Increment", "amount": 1}},
        fetchWhenSave="True",
    )

    assert (created["name"], created["m"]) == ("A", ["amy"])
    assert written.keys() == {"objectId", "updatedAt", "seen"}


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"m": "amy"}, 111),
        ({"m": [1]}, 111),
        ({"m": ["x" * 65]}, 1),
        ({"m": [""]}, 1),
        ({"mu": {"a": 1}}, 111),
        ({"c": 5}, 111),
        ({"c": "x" * 65}, 1),
        ({"name": "\0"}, 111),
        ({"attr": "x" * 200_000}, 116),
        ({"a..b": 1}, 111),
        ({"error": 1}, 105),
        ({"error.x": 1}, 105),
        ({"x": {"__op": "Nothing"}}, 111),
        ({"m": {"__op": "Increment", "amount": 1}}, 111),
        ({"x": DEEP}, 111),
        ({"m": DEEP}, 111),
    ],
)
async def test_what_cannot_be_written_is_refused(application: Application, columns: Any, code: int) -> None:
    """The same on create and update, and nothing changes."""
    object_id = await made(application, m=["amy"], name="A")
    before = await row(application, object_id)

    assert await refused(application, "POST", CLASS, columns) == (400, code)
    assert await refused(application, "PUT", f"{CLASS}/{object_id}", {"name": "B", **columns}) == (400, code)
    assert await row(application, object_id) == before
    assert (await ask(application, "GET", CLASS, count="1", limit="0")) == {"results": [], "count": 1}


@pytest.mark.parametrize("columns", [{"tr": 1}, {"sys": "x"}, {"unique": []}])
async def test_switches_of_a_new_conversation_are_true_or_false(application: Application, columns: Any) -> None:
    assert await refused(application, "POST", CLASS, columns) == (400, 111)


@pytest.mark.parametrize("columns", [{"tr": True}, {"sys": True}, {"unique": True}, {"uniqueId": "x"}])
async def test_the_kind_of_a_conversation_does_not_change(application: Application, columns: Any) -> None:
    """rest-api 8.3: 117; but an SDK may send what it has read."""
    object_id = await made(application, m=["amy"])
    path = f"{CLASS}/{object_id}"

    assert await refused(application, "PUT", path, columns) == (400, 117)
    read = await row(application, object_id)
    await ask(application, "PUT", path, {**read, "name": "B"})
    assert (await row(application, object_id))["name"] == "B"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", CLASS),
        ("POST", CLASS),
        ("GET", f"{CLASS}/{NOWHERE}"),
        ("PUT", f"{CLASS}/{NOWHERE}"),
        ("DELETE", f"{CLASS}/{NOWHERE}"),
        ("GET", "/1.1/scan/classes/_Conversation"),
    ],
)
async def test_the_class_is_the_developers(application: Application, method: str, path: str) -> None:
    """rest-api 10.1: all of it, by default."""
    assert (await call(method, path, app_of(application), {})).status_code == 403


async def test_settings_open_operations_to_clients(application: Application, obey_settings: ObeySettings) -> None:
    """rest-api 8: each by itself, as for the routes that tell of it."""
    object_id = await made(application, name="A")
    path = f"{CLASS}/{object_id}"
    asks = {
        "rest_open_create": ("POST", CLASS, {"name": "B"}),
        "rest_open_find": ("GET", path, None),
        "rest_open_update": ("PUT", path, {"name": "C"}),
        "rest_open_delete": ("DELETE", path, None),
    }

    for opened in asks:
        await obey_settings(ConversationSettings, **{setting: setting == opened for setting in asks})
        for setting, (method, at, body) in asks.items():
            if setting != opened:
                assert (await call(method, at, app_of(application), body)).status_code == 403
        method, at, body = asks[opened]
        assert (await call(method, at, app_of(application), body)).status_code in (200, 201)


async def test_another_application_sees_and_changes_nothing(application: Application) -> None:
    other = await another_application()
    object_id = await made(application, m=["amy"], name="A")
    path = f"{CLASS}/{object_id}"

    assert await row(other, object_id) == {}
    assert (await ask(other, "GET", CLASS))["results"] == []
    assert await refused(other, "PUT", path, {"name": "B"}) == (400, 4303)
    await ask(other, "DELETE", path)
    assert (await row(application, object_id))["name"] == "A"


async def test_a_temporary_conversation_is_no_row(application: Application, signed_in: SignIn) -> None:
    """rest-api 8: it is not in the class, and a write would be to one without members."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", tempConv=True)).cid
    jerry = await signed_in("jerry")
    item = {"method": "PUT", "path": f"{CLASS}/{cid}", "body": {"name": "x"}}

    assert await refused(application, "PUT", f"{CLASS}/{cid}", {"name": "x"}) == (400, 4303)
    assert await refused(application, "POST", "/1.1/batch/save", {"requests": [item]}) == (400, 4303)

    await say(tom, cid, "hello")
    assert (await heard(jerry)).msg == "hello"


async def test_a_list_is_changed_in_few_steps(application: Application) -> None:
    """Each goes through the whole of it, while the conversation is locked."""
    object_id = await made(application, m=["amy"])
    steps = [{"__op": "AddUnique", "objects": [str(number)]} for number in range(101)]

    for key in ("m", "x"):
        path, change = f"{CLASS}/{object_id}", {key: {"__op": "Batch", "ops": steps}}
        assert await refused(application, "PUT", path, change) == (400, 111)
    assert (await row(application, object_id))["m"] == ["amy"]
