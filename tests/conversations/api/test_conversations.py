"""`/rtm/<family>`: conversations that a back end makes, changes and deletes (rest-api 8.1 to 8.4)."""

import hashlib
from typing import Any

import pytest

from conversations.models import ConversationSettings
from conversations.services import directory
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, LogsCommand, OpType
from messaging.models import Message
from tests.conftest import SignIn
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask, made, refused
from tests.conversations.rooming import room_of, sending_code
from tests.conversations.talking import answer, heard, look_up, refusal, say, start, stored, told
from tests.messaging.signing_in import ObeySettings
from tests.restclient import app_of, call, master_of

FAMILIES = [NORMAL, CHAT_ROOMS, SERVICES]
KIND_REQUIRED = {NORMAL: 4314, CHAT_ROOMS: 4316, SERVICES: 4313}


async def test_a_conversation_has_exactly_the_members_and_columns_it_is_given(
    application: Application, signed_in: SignIn
) -> None:
    """Checklist 20: the whole object is answered, and clients find the same; the creator is no member for it."""
    tom = await signed_in("tom")

    created = await ask(
        application,
        "POST",
        NORMAL,
        {"name": "Lunch", "m": ["tom", "a/b"], "c": "boss", "attr": {"at": 1}, "topic": [2]},
    )

    assert created.pop("createdAt") == created["updatedAt"]
    found = await look_up(tom, created["objectId"])
    assert {key: found[key] for key in created} == created
    del created["objectId"], created["updatedAt"]
    assert created == {
        "name": "Lunch",
        "m": ["tom", "a/b"],
        "mu": [],
        "c": "boss",
        "attr": {"at": 1},
        "topic": [2],
        "tr": False,
        "sys": False,
        "unique": False,
    }


async def test_members_who_are_on_line_hear_of_a_new_conversation_which_nobody_started(
    application: Application, signed_in: SignIn
) -> None:
    """Rest-api 8.1: `joined` and `members_joined`, with an empty `initBy`; others hear nothing, the creator neither."""
    tom, jerry, boss = await signed_in("tom"), await signed_in("jerry"), await signed_in("boss")

    await made(application, m=["jerry", "tom"], c="boss")

    for client in (tom, jerry):
        assert await told(client) == [("joined", "", []), ("members_joined", "", ["jerry", "tom"])]
    assert await told(boss) == []


async def test_a_unique_conversation_is_the_one_of_its_members(application: Application, signed_in: SignIn) -> None:
    """Checklist 20: unique twice returns the same id, whoever asks, and tells nobody; the id's vector."""
    steve = await signed_in("SteveJobs")
    first = await ask(application, "POST", NORMAL, {"m": ["BillGates", "SteveJobs"], "unique": True, "name": "x"})
    await heard(steve)

    again = await ask(application, "POST", NORMAL, {"m": ["SteveJobs", "BillGates"], "unique": True, "name": "y"})
    by_client = await start(steve, "BillGates", unique=True)

    assert again == first
    assert by_client.cid == first["objectId"]
    assert first["name"] == "x"
    assert first["uniqueId"] == hashlib.md5(b"BillGatesSteveJobs", usedforsecurity=False).hexdigest()
    assert first["uniqueId"] == "6c7b0e5afcae9aa1139a0afa25833dec"
    assert await told(steve) == []


async def test_conversations_without_members_are_not_the_same(application: Application) -> None:
    """Nobody is in either, but they are not each other."""
    assert await made(application, unique=True, m=[]) != await made(application, unique=True)


async def test_a_chat_room_and_a_service_have_no_members(application: Application, signed_in: SignIn) -> None:
    """Checklist 20: `m` and `unique` mean nothing to them, and nobody is told."""
    tom = await signed_in("tom")

    room = await ask(application, "POST", CHAT_ROOMS, {"name": "room", "m": ["tom"], "unique": True, "c": "tom"})
    service = await ask(application, "POST", SERVICES, {"name": "news", "m": ["tom"], "color": "red"})

    assert (room["tr"], room["sys"], room["unique"], room["name"], room["c"]) == (True, False, False, "room", "tom")
    assert (service["tr"], service["sys"], service["name"], service["color"]) == (False, True, "news", "red")
    assert "m" not in room
    assert "m" not in service
    assert await told(tom) == []


async def test_what_is_created_may_be_said_by_operators_and_null_says_nothing(application: Application) -> None:
    """Rest-api 5.1: they act on what is absent; the server's own columns are passed over."""
    created = await ask(
        application,
        "POST",
        NORMAL,
        {
            "n": {"__op": "Increment", "amount": 2},
            "attr.deep.x": 1,
            "name": None,
            "m": None,
            "c": None,
            "unique": None,
            "objectId": "mine",
            "tr": True,
            "lm": 5,
        },
    )

    assert (created["n"], created["attr"], created["m"], created["tr"]) == (2, {"deep": {"x": 1}}, [], False)
    assert created["objectId"] != "mine"
    assert not created.keys() & {"name", "c", "lm", "uniqueId"}


async def test_a_conversation_has_500_members(application: Application) -> None:
    """Checklist 21: 501 are refused with 4304, and nothing is stored."""
    crowd = [f"client {number}" for number in range(501)]

    assert await refused(application, "POST", NORMAL, {"m": crowd}) == (400, 4304)
    assert await stored(application) == []
    assert len((await ask(application, "POST", NORMAL, {"m": crowd[:500]}))["m"]) == 500


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"m": "tom"}, 1),
        ({"m": [1]}, 1),
        ({"m": {"tom": 1}}, 1),
        ({"m": ["x" * 65]}, 4103),
        ({"m": [""]}, 4103),
        ({"m": ["a\0b"]}, 1),
        ({"c": 1}, 1),
        ({"c": "x" * 65}, 4103),
        ({"unique": "perhaps"}, 1),
        ({"unique": [True]}, 1),
        ({"a..b": 1}, 1),
        ({"n": {"__op": "Explode"}}, 1),
        ({"text": "\0"}, 1),
        ({"big": "x" * 200_000}, 1),
        ({"error": 1}, 105),
        (["m"], 107),
        ("not JSON", 107),
    ],
)
async def test_what_cannot_be_created_is_refused(application: Application, columns: Any, code: int) -> None:
    """Rest-api 8.1: with the documented codes, and nothing is stored."""
    assert await refused(application, "POST", NORMAL, columns) == (400, code)

    assert await stored(application) == []


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_family_reads_its_own_only(application: Application, family: str) -> None:
    """Rest-api 8: of another's it says which kind there should be; of nothing, 4303; so for all methods."""
    own = await ask(application, "POST", family, {"name": "x", "m": ["tom"]})
    other = await made(application, FAMILIES[FAMILIES.index(family) - 1], name="other")

    assert await ask(application, "GET", f"{family}/{own['objectId']}") == own
    for method in ("GET", "PUT", "DELETE"):
        body = {"name": "y"} if method == "PUT" else None
        assert await refused(application, method, f"{family}/{other}", body) == (400, KIND_REQUIRED[family])
        for missing in ("nothing", "x" * 300):
            assert await refused(application, method, f"{family}/{missing}", body) == (400, 4303)
    assert [one.attributes["name"] for one in await stored(application)] == ["x", "other"]


async def test_a_temporary_conversation_is_of_no_family(application: Application, signed_in: SignIn) -> None:
    """Rest-api 8: not reachable here."""
    cid = (await start(await signed_in("tom"), "jerry", tempConv=True)).cid

    for family in FAMILIES:
        assert await refused(application, "GET", f"{family}/{cid}") == (400, KIND_REQUIRED[family])


async def test_a_change_is_told_to_members_on_line(application: Application, signed_in: SignIn) -> None:
    """Checklist 22: `conv/updated`, by nobody, with what was asked for and what came of it."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    created = await ask(application, "POST", NORMAL, {"m": ["tom"], "name": "old", "attr": {"a": 1}, "n": 1})
    cid = created["objectId"]
    await heard(tom)
    asked = {"name": "new", "attr.b": 2, "n": {"__op": "Increment", "amount": 2}, "nothing": None}

    changed = await ask(application, "PUT", f"{NORMAL}/{cid}", asked)

    assert changed.keys() == {"objectId", "updatedAt"}
    assert changed["updatedAt"] > created["updatedAt"]
    [notice] = await heard(tom)
    assert (notice.cmd, notice.op) == (CommandType.conv, OpType.updated)
    assert (notice.convMessage.cid, notice.convMessage.initBy) == (cid, "")
    assert notice.convMessage.udate == changed["updatedAt"]
    assert '"name":"new"' in notice.convMessage.attr.data
    assert '"n":3' in notice.convMessage.attrModified.data
    assert await heard(spike) == []
    found = await ask(application, "GET", f"{NORMAL}/{cid}")
    assert (found["name"], found["attr"], found["n"]) == ("new", {"a": 1, "b": 2}, 3)


async def test_members_are_not_changed_like_a_column(application: Application, signed_in: SignIn) -> None:
    """Checklist 22: `m` is passed over, alone or with others."""
    tom = await signed_in("tom")
    cid = await made(application, m=["tom"], name="x")
    before = await ask(application, "GET", f"{NORMAL}/{cid}")
    await heard(tom)

    answered = await ask(application, "PUT", f"{NORMAL}/{cid}", {"m": ["jerry"]})
    assert answered == {"objectId": cid, "updatedAt": before["updatedAt"]}
    assert await heard(tom) == []
    await ask(application, "PUT", f"{NORMAL}/{cid}", {"m": {"__op": "Add", "objects": ["jerry"]}, "name": "y"})

    assert (await ask(application, "GET", f"{NORMAL}/{cid}"))["m"] == ["tom"]


async def test_a_conversation_can_be_given_to_somebody_else(
    application: Application, signed_in: SignIn, obey_settings: ObeySettings
) -> None:
    """Rest-api 8.3: `c` is a column like others; who was told, who asks and who acts afterwards agree."""
    await obey_settings(ConversationSettings, roles_enabled=True)
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry", "spike")).cid
    await heard(jerry)
    assert (await refusal(jerry, OpType.add_shutup, cid=cid, m=["spike"])).code == 4320

    await ask(application, "PUT", f"{NORMAL}/{cid}", {"c": "jerry"})

    [notice] = await heard(jerry)
    assert notice.convMessage.attr.data == notice.convMessage.attrModified.data == '{"c":"jerry"}'
    assert (await look_up(tom, cid))["c"] == "jerry"
    await answer(jerry, OpType.add_shutup, OpType.shutup_added, cid=cid, m=["spike"])


async def test_what_is_told_after_that_does_not_wait(application: Application, signed_in: SignIn) -> None:
    """Another creator has its place among the changes of who stands how, though no notice of its own there."""
    tom = await signed_in("tom")
    cid = await made(application, m=["tom"])
    await heard(tom)

    await ask(application, "PUT", f"{NORMAL}/{cid}", {"c": "tom"})
    await ask(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["jerry"]})

    assert [operation for operation, *_ in await told(tom)] == ["updated", "members_joined"]


async def test_those_in_a_chat_room_hear_of_its_change(application: Application, signed_in: SignIn) -> None:
    """Rest-api 8.3, as when somebody in it changes it."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)

    await ask(application, "PUT", f"{CHAT_ROOMS}/{cid}", {"name": "new"})

    [notice] = await heard(tom)
    assert (notice.op, notice.convMessage.transient, notice.convMessage.initBy) == (OpType.updated, True, "")
    assert await heard(jerry) == []


async def test_a_service_can_be_renamed_by_the_developer(application: Application, signed_in: SignIn) -> None:
    """No client may; nobody is told, its subscribers neither."""
    tom = await signed_in("tom")
    cid = await made(application, SERVICES, name="old")
    await answer(tom, OpType.add, OpType.added, cid=cid, m=["tom"])

    await ask(application, "PUT", f"{SERVICES}/{cid}", {"name": "new"})

    assert (await look_up(tom, cid))["name"] == "new"
    assert await heard(tom) == []


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        *[({key: "x"}, 117) for key in ("objectId", "createdAt", "updatedAt", "tr", "sys", "unique", "uniqueId")],
        ({"name": "y", "tr": True}, 117),
        ({"unique.x": {"__op": "Delete"}}, 117),
        ({"c": "x" * 65}, 4103),
        ({"c": {"__op": "Delete"}, "name": "y"}, 1),
        ({"error.x": 1}, 105),
        ({"name.x": 1}, 4306),
        ({"name": {"__op": "Increment", "amount": 1}}, 4306),
        ({"name": {"__op": []}}, 4306),
        ({".": 1}, 4306),
        ({"big": "x" * 200_000}, 4306),
        ({"text": "\0"}, 4306),
        ('{"name": ' + "[" * 500 + "]" * 500 + "}", 1),
        ("[]", 107),
    ],
)
async def test_what_cannot_be_changed_is_refused(
    application: Application, signed_in: SignIn, columns: Any, code: int
) -> None:
    """Rest-api 8.3: nothing is stored, and nobody is told."""
    tom = await signed_in("tom")
    cid = await made(application, m=["tom"], name="x")
    before = await ask(application, "GET", f"{NORMAL}/{cid}")
    await heard(tom)

    assert await refused(application, "PUT", f"{NORMAL}/{cid}", columns) == (400, code)

    assert await ask(application, "GET", f"{NORMAL}/{cid}") == before
    assert await heard(tom) == []


async def test_nothing_can_be_said_or_read_in_a_deleted_conversation(
    application: Application, signed_in: SignIn
) -> None:
    """Rest-api 8.4: sends get 4401, all else 4303; clients are not told, and the messages wait for retention."""
    tom = await signed_in("tom")
    cid = await made(application, m=["tom"])
    await say(tom, cid, "hello")
    await heard(tom)

    assert await ask(application, "DELETE", f"{NORMAL}/{cid}") == {}

    assert await heard(tom) == []
    assert await sending_code(tom, cid) == 4401
    assert await sending_code(tom, cid, transient=True) == 4401
    history = await tom.request(CommandType.logs, logsMessage=LogsCommand(cid=cid, limit=10))
    assert history.errorMessage.code == 4303
    for method in ("GET", "PUT", "DELETE"):
        assert await refused(application, method, f"{NORMAL}/{cid}", {}) == (400, 4303)
    assert await refused(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["x"]}) == (400, 4303)
    assert (await ask(application, "GET", NORMAL))["results"] == []
    assert await in_database(Message.objects.filter(application_id=application.pk).count) == 1


async def test_a_server_that_remembers_a_conversation_finds_out_that_it_is_gone(
    application: Application, signed_in: SignIn
) -> None:
    """As another node would, which has not deleted it itself."""
    tom = await signed_in("tom")
    cid = await made(application, m=["tom"])
    await say(tom, cid, "hello")
    remembered = await directory.find(application=application.pk, conversation_id=cid, now_ms=0)
    await ask(application, "DELETE", f"{NORMAL}/{cid}")
    directory.remember(remembered)

    assert await sending_code(tom, cid) == 4401


@pytest.mark.parametrize("family", [CHAT_ROOMS, SERVICES])
async def test_rooms_and_services_are_deleted_too(application: Application, signed_in: SignIn, family: str) -> None:
    """Rest-api 8.4: whoever is there, or follows it."""
    tom = await signed_in("tom")
    cid = await made(application, family)
    await answer(tom, OpType.add, OpType.added, cid=cid, m=["tom"])

    assert await ask(application, "DELETE", f"{family}/{cid}") == {}

    assert await heard(tom) == []
    assert await sending_code(tom, cid) == 4401


async def test_a_deleted_unique_conversation_is_made_anew(application: Application) -> None:
    """What is gone is not found."""
    first = await made(application, m=["tom"], unique=True)
    await ask(application, "DELETE", f"{NORMAL}/{first}")

    assert await made(application, m=["tom"], unique=True) != first


REQUESTS: list[tuple[str, str, Any, str]] = [
    ("POST", "{family}", {"name": "new"}, "rest_open_create"),
    ("GET", "{family}", None, "rest_open_find"),
    ("GET", "{family}/{id}", None, "rest_open_find"),
    ("GET", "all-conversations", None, "rest_open_find"),
    ("PUT", "{family}/{id}", {"name": "new"}, "rest_open_update"),
    ("DELETE", "{family}/{id}", None, "rest_open_delete"),
]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize(("method", "path", "body", "setting"), REQUESTS)
async def test_the_app_key_opens_what_a_setting_says(
    application: Application,
    obey_settings: ObeySettings,
    version: str,
    method: str,
    path: str,
    body: Any,
    setting: str,
) -> None:
    """Rest-api 8: by default the developer only; each operation is opened by itself."""
    cid = await made(application, name="old")
    url = f"/{version}/rtm/{path.format(family=NORMAL, id=cid)}"
    others = {name: True for *_, name in REQUESTS if name != setting}
    await obey_settings(ConversationSettings, **others)

    refusal = await call(method, url, app_of(application), body)

    assert (refusal.status_code, refusal.json()["code"]) == (403, 403)
    assert [one.attributes["name"] for one in await stored(application)] == ["old"]
    await obey_settings(ConversationSettings, **{setting: True})
    assert (await call(method, url, app_of(application), body)).status_code == 200


async def test_conversations_are_those_of_the_application(application: Application) -> None:
    """Another developer's key reaches none of them."""
    cid = await made(application, name="mine")
    other = await in_database(lambda: Application.objects.create(name="other"))

    for method in ("GET", "PUT", "DELETE"):
        answered = await call(method, f"/1.2/rtm/conversations/{cid}", master_of(other), {})
        assert answered.json()["code"] == 4303
    assert [one.object_id for one in await stored(application)] == [cid]
