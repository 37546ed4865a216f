"""`/rtm/conversations/{id}/members`, `/mutes`, and who is in chat rooms (rest-api 8.5, 8.6)."""

import json
from typing import Any

import pytest

from conversations.models import Block, ConversationSettings
from imcore.bridge import in_database
from imcore.models import Application
from tests.conftest import SignIn
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask, made, refused
from tests.conversations.rooming import room_of
from tests.conversations.talking import add, look_up, stored, stored_members, told
from tests.messaging.signing_in import ObeySettings
from tests.restclient import app_of, call, master_of


async def members(application: Application, cid: str) -> list[str]:
    """Return the members as the back end is told."""
    body = await ask(application, "GET", f"{NORMAL}/{cid}/members")
    assert body.keys() == {"result"}
    found: list[str] = body["result"]
    return found


async def muted(application: Application, cid: str) -> list[str]:
    """Return those who are not pushed to, as the back end is told."""
    found: list[str] = (await ask(application, "GET", f"{NORMAL}/{cid}/mutes"))["result"]
    return found


async def test_members_are_added_and_removed(application: Application) -> None:
    """Checklist 23: the documented bodies; who is there, or not, is passed over; the creator can be removed."""
    created = await ask(application, "POST", NORMAL, {"m": ["tom"], "c": "tom"})
    cid = created["objectId"]

    added = await ask(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["jerry", "tom", "a/b", "jerry"]})
    assert added.keys() == {"objectId", "updatedAt"}
    assert (added["objectId"], added["updatedAt"] > created["updatedAt"]) == (cid, True)
    assert await members(application, cid) == ["tom", "jerry", "a/b"]

    removed = await ask(application, "DELETE", f"{NORMAL}/{cid}/members", {"client_ids": ["tom", "a/b", "nobody"]})
    assert removed["updatedAt"] > added["updatedAt"]
    assert await members(application, cid) == ["jerry"]

    again = await ask(application, "DELETE", f"{NORMAL}/{cid}/members", {"client_ids": ["tom"]})
    assert again == removed


async def test_a_list_to_delete_may_be_in_the_query(application: Application) -> None:
    """Rest-api 3.3: as JSON, or with its name once for each."""
    cid = await made(application, m=["tom", "jerry", "spike", "tyke"])

    await ask(application, "DELETE", f"{NORMAL}/{cid}/members", client_ids=json.dumps(["tom"]))
    await ask(application, "DELETE", f"{NORMAL}/{cid}/members", client_ids=["spike", "tyke"])

    assert await members(application, cid) == ["jerry"]


async def test_members_hear_who_comes_and_goes(application: Application, signed_in: SignIn) -> None:
    """Checklist 23: joined, members_joined, left, members_left at whom they concern, on all devices, by nobody."""
    tom, phone, jerry, spike = [await signed_in(name) for name in ("tom", "tom", "jerry", "spike")]
    cid = await made(application, m=["tom"])
    for client in (tom, phone, jerry, spike):
        await told(client)

    await ask(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["jerry", "away"]})

    everybody = ("members_joined", "", ["away", "jerry"])
    assert await told(tom) == await told(phone) == [everybody]
    assert await told(jerry) == [("joined", "", []), everybody]
    assert await told(spike) == []

    await ask(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["jerry"]})
    for client in (tom, phone, jerry, spike):
        assert await told(client) == []

    await ask(application, "DELETE", f"{NORMAL}/{cid}/members", {"client_ids": ["jerry", "nobody"]})

    assert await told(tom) == await told(phone) == [("members_left", "", ["jerry"])]
    assert await told(jerry) == [("left", "", [])]
    assert await told(spike) == []


async def test_who_was_told_and_who_asks_see_the_same(application: Application, signed_in: SignIn) -> None:
    """A member change over HTTP is one like any other: a client looks it up, and may speak, at once."""
    tom = await signed_in("tom")
    cid = await made(application, m=["jerry"])
    await ask(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["tom"]})

    assert (await look_up(tom, cid))["m"] == ["jerry", "tom"]
    assert list((await add(tom, cid, "spike")).allowedPids) == ["spike"]
    assert await members(application, cid) == ["jerry", "tom", "spike"]


async def test_more_members_than_fit_are_none(application: Application, obey_settings: ObeySettings) -> None:
    """Rest-api 8.5: 4304, and nothing changes."""
    await obey_settings(ConversationSettings, members_max=3)
    cid = await made(application, m=["a", "b"])

    assert await refused(application, "POST", f"{NORMAL}/{cid}/members", {"client_ids": ["c", "d"]}) == (400, 4304)

    assert await stored_members(cid) == ["a", "b"]


async def test_whoever_is_blocked_lets_nobody_in(application: Application) -> None:
    """Rest-api 8.5: 4548 for the whole call."""
    cid = await made(application, m=["tom"])
    [conversation] = await stored(application)

    def block() -> None:
        Block.objects.create(
            conversation=conversation, application=application, client_id="jerry", is_by_client=False, created_ms=1
        )
        conversation.has_blocked = True
        conversation.save()

    await in_database(block)

    answer = await call(
        "POST", f"/1.2/rtm/{NORMAL}/{cid}/members", master_of(application), {"client_ids": ["spike", "jerry"]}
    )

    assert answer.json()["code"] == 4548
    assert await stored_members(cid) == ["tom"]


async def test_a_chat_room_tells_who_is_in_it(application: Application, signed_in: SignIn) -> None:
    """Rest-api 8.5: clients, each once however many devices are there."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    path = f"{CHAT_ROOMS}/{cid}/members"
    await add(jerry, cid, "jerry")
    await add(await signed_in("jerry"), cid, "jerry")

    assert sorted((await ask(application, "GET", path))["result"]) == ["jerry", "tom"]
    assert await ask(application, "GET", f"{path}/online-count") == {"result": 2}
    for method in ("POST", "DELETE"):
        assert await refused(application, method, path, {"client_ids": ["spike"]}) == (405, 405)


async def test_a_full_chat_room_tells_fifty_of_those_in_it(application: Application, signed_in: SignIn) -> None:
    """Rest-api 8.5: some of them, and how many they are."""
    cid = await made(application, CHAT_ROOMS)
    crowd = [await signed_in(f"client {number}") for number in range(51)]
    for client in crowd:
        await add(client, cid, client.client_id)

    listed = (await ask(application, "GET", f"{CHAT_ROOMS}/{cid}/members"))["result"]

    assert len(set(listed)) == len(listed) == 50
    assert set(listed) < {client.client_id for client in crowd}
    assert await ask(application, "GET", f"{CHAT_ROOMS}/{cid}/members/online-count") == {"result": 51}


async def test_members_are_muted_several_at_once(application: Application, signed_in: SignIn) -> None:
    """Checklist 24: `mu` has them; strangers are passed over, nobody is told, and repeating it is harmless."""
    tom = await signed_in("tom")
    created = await ask(application, "POST", NORMAL, {"m": ["tom", "jerry", "a/b"]})
    cid = created["objectId"]
    await told(tom)
    assert await muted(application, cid) == []

    changed = await ask(application, "POST", f"{NORMAL}/{cid}/mutes", {"client_ids": ["a/b", "tom", "stranger"]})

    assert changed.keys() == {"objectId", "updatedAt"}
    assert changed["updatedAt"] > created["updatedAt"]
    assert await muted(application, cid) == ["tom", "a/b"] == (await look_up(tom, cid))["mu"]
    assert await told(tom) == []
    await ask(application, "POST", f"{NORMAL}/{cid}/mutes", {"client_ids": ["tom"]})
    await ask(application, "DELETE", f"{NORMAL}/{cid}/mutes", {"client_ids": ["tom", "jerry"]})
    assert await muted(application, cid) == ["a/b"]
    await ask(application, "DELETE", f"{NORMAL}/{cid}/mutes", client_ids="a/b")
    assert (await ask(application, "GET", f"{NORMAL}/{cid}"))["mu"] == []


async def test_muting_strangers_changes_nothing(application: Application) -> None:
    """Rest-api 8.6: as adding those who are there."""
    created = await ask(application, "POST", NORMAL, {"m": ["tom"]})
    path = f"{NORMAL}/{created['objectId']}/mutes"

    changed = await ask(application, "POST", path, {"client_ids": ["stranger"]})

    assert changed == {key: created[key] for key in ("objectId", "updatedAt")}
    assert await muted(application, created["objectId"]) == []


@pytest.mark.parametrize("list_", ["members", "mutes"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1),
        (None, 1),
        ({"client_ids": None}, 1),
        ({"client_ids": []}, 1),
        ({"client_ids": "tom"}, 1),
        ({"client_ids": [1]}, 1),
        ({"client_ids": {"tom": True}}, 1),
        ({"client_ids": ["jerry", ""]}, 4103),
        ({"client_ids": ["jerry", "x" * 65]}, 4103),
        ({"client_ids": ["jerry"] * 10_001}, 1),
        ("nothing", 107),
    ],
)
async def test_bad_lists_are_refused(
    application: Application, signed_in: SignIn, list_: str, method: str, body: Any, code: int
) -> None:
    """Nothing is stored, and nobody is told."""
    tom = await signed_in("tom")
    cid = await made(application, m=["tom"])
    before = await ask(application, "GET", f"{NORMAL}/{cid}")
    await told(tom)

    assert await refused(application, method, f"{NORMAL}/{cid}/{list_}", body) == (400, code)

    assert await ask(application, "GET", f"{NORMAL}/{cid}") == before
    assert await told(tom) == []


CALLS = [("GET", "members"), ("POST", "members"), ("DELETE", "members")]
CALLS += [("GET", "mutes"), ("POST", "mutes"), ("DELETE", "mutes")]


@pytest.mark.parametrize(("method", "list_"), CALLS)
async def test_only_normal_conversations_have_lists(application: Application, method: str, list_: str) -> None:
    """Rest-api 8: 4314 for another kind, 4303 for nothing."""
    body = {"client_ids": ["tom"]} if method != "GET" else None
    for family in (CHAT_ROOMS, SERVICES):
        cid = await made(application, family)
        assert await refused(application, method, f"{NORMAL}/{cid}/{list_}", body) == (400, 4314)
    assert await refused(application, method, f"{NORMAL}/nothing/{list_}", body) == (400, 4303)


async def test_only_a_chat_room_has_people_in_it(application: Application) -> None:
    """Rest-api 8: 4316 for another kind."""
    cid = await made(application, m=["tom"])

    for path in ("members", "members/online-count"):
        assert await refused(application, "GET", f"{CHAT_ROOMS}/{cid}/{path}") == (400, 4316)


@pytest.mark.parametrize(("method", "list_"), CALLS)
async def test_lists_of_people_always_need_the_master_key(
    application: Application, obey_settings: ObeySettings, method: str, list_: str
) -> None:
    """Rest-api 8: whatever is open to who knows the App Key."""
    switches = ("rest_open_create", "rest_open_find", "rest_open_update", "rest_open_delete")
    await obey_settings(ConversationSettings, **dict.fromkeys(switches, True))
    cid = await made(application, m=["tom"])

    answer = await call(method, f"/1.2/rtm/{NORMAL}/{cid}/{list_}", app_of(application), {"client_ids": ["tom"]})

    assert (answer.status_code, answer.json()["code"]) == (403, 403)
    assert await stored_members(cid) == ["tom"]
    assert await muted(application, cid) == []
