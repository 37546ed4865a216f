"""`GET /1.1/classes/_ConversationMemberInfo`: roles over HTTP (realtime-protocol 10.2, rest-api 9.3)."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from conversations.models import ConversationSettings
from imcore.models import Application
from imcore.protocol.message_pb2 import ConvMemberInfo, OpType
from messaging.services import sessions
from tests.conftest import SignIn
from tests.conversations.api.asking import ask
from tests.conversations.talking import Json, answer, remove, start
from tests.imclient import ImClient
from tests.messaging.signing_in import ObeySettings

PATH = "/1.1/classes/_ConversationMemberInfo"


async def found(application: Application, client: ImClient, **query: Any) -> list[Json]:
    """Return the records a client is answered."""
    response = await ask(application, client, PATH, **query)
    assert response.status_code == 200, response.content
    body: Json = response.json()
    assert body.keys() == {"results"}
    results: list[Json] = body["results"]
    return results


async def give(client: ImClient, cid: str, target: str, role: str) -> None:
    """Give a member a role."""
    info = ConvMemberInfo(pid=target, role=role)
    await answer(
        client, OpType.member_info_update, OpType.member_info_updated, cid=cid, targetClientId=target, info=info
    )


@pytest.fixture(autouse=True)
async def roles(obey_settings: ObeySettings) -> None:
    """The application has roles."""
    await obey_settings(ConversationSettings, roles_enabled=True)


async def test_roles_that_were_given_are_listed(signed_in: SignIn, application: Application) -> None:
    """Checklist 44: empty at first, then one record for each; by `where` and by `cid`."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = (await start(tom, "jerry", "spike")).cid
    assert await found(application, jerry, where=json.dumps({"cid": cid})) == []

    await give(tom, cid, "jerry", "Manager")

    [record] = await found(application, jerry, where=json.dumps({"cid": cid}))
    assert {key: record[key] for key in ("cid", "clientId", "role")} == {
        "cid": cid,
        "clientId": "jerry",
        "role": "Manager",
    }
    assert len(record["objectId"]) == 24
    assert record["createdAt"] == record["updatedAt"]
    assert await found(application, tom, cid=cid) == [record]


async def test_a_role_that_changes_keeps_its_record(signed_in: SignIn, application: Application) -> None:
    """Checklist 44."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    await give(tom, cid, "jerry", "Manager")
    [before] = await found(application, tom, cid=cid)

    await give(tom, cid, "jerry", "Member")

    [after] = await found(application, tom, cid=cid)
    assert after == {**before, "role": "Member", "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > before["updatedAt"]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({"peerId": "jerry"}, ["jerry"]),
        ({"clientId": "spike"}, ["spike"]),
        ({"clientId": {"$in": ["spike", "tyke", "nobody", "\0"]}}, ["spike", "tyke"]),
        ({"clientId": "jerry", "peerId": "spike"}, []),
        ({"clientId": "tom"}, []),
        ({"clientId": "\0"}, []),
        ({}, ["jerry", "spike", "tyke"]),
    ],
)
async def test_single_members_are_looked_up(
    signed_in: SignIn, application: Application, condition: Json, names: list[str]
) -> None:
    """Checklist 44: Java asks by `peerId`, though the column is `clientId`."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", "spike", "tyke")).cid
    for name in ("jerry", "spike", "tyke"):
        await give(tom, cid, name, "Manager")

    records = await found(application, tom, where=json.dumps({"cid": cid, **condition}))

    assert [record["clientId"] for record in records] == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"limit": 500, "skip": 0}, ["a", "b", "c"]),
        ({"limit": 2}, ["a", "b"]),
        ({"limit": 2, "skip": 2}, ["c"]),
        ({"skip": 3}, []),
        ({"limit": 0}, []),
        ({"limit": -1}, ["a", "b", "c"]),
        ({"limit": 1001}, ["a", "b", "c"]),
        ({"limit": "all", "skip": "9" * 30}, ["a", "b", "c"]),
    ],
)
async def test_records_come_in_pages(
    signed_in: SignIn, application: Application, query: Json, names: list[str]
) -> None:
    """Swift asks for 500 at a time."""
    tom = await signed_in("tom")
    cid = (await start(tom, *names, "a", "b", "c")).cid
    for name in ("a", "b", "c"):
        await give(tom, cid, name, "Manager")

    records = await found(application, tom, cid=cid, **query)

    assert [record["clientId"] for record in records] == names


async def test_only_members_read_them(signed_in: SignIn, application: Application) -> None:
    """Checklist 44: 403 for outsiders, at once for who has left; 400 for a conversation that is not there."""
    tom, jerry, spike = [await signed_in(one) for one in ("tom", "jerry", "spike")]
    cid = (await start(tom, "jerry")).cid
    assert await found(application, jerry, cid=cid) == []
    await remove(tom, cid, "jerry")

    for client in (jerry, spike):
        refused = await ask(application, client, PATH, cid=cid)

        assert refused.status_code == 403
        assert refused.json() == {"code": 4317, "error": "CONVERSATION_MEMBERSHIP_REQUIRED"}
    missing = await ask(application, tom, PATH, cid="nothing")
    assert (missing.status_code, missing.json()["code"]) == (400, 4303)


async def test_without_roles_it_is_not_for_clients(
    signed_in: SignIn, application: Application, obey_settings: ObeySettings
) -> None:
    """Checklist 44: 119, on which LeanCloud's demo stops asking."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    await obey_settings(ConversationSettings, roles_enabled=False)

    refused = await ask(application, tom, PATH, cid=cid)

    assert refused.status_code == 400
    assert refused.json()["code"] == 119
    assert refused.json()["error"] == "That operation isn't allowed for clients: Roles are not enabled."


async def test_an_expired_token_is_told_as_such(
    signed_in: SignIn, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 74: 401 with code 4112, on which Objective-C asks for a new one and tries again."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    assert await found(application, tom, cid=cid) == []

    with monkeypatch.context() as later:
        later.setattr(sessions, "datetime", _AYearLater)
        refused = await ask(application, tom, PATH, cid=cid)

    assert refused.status_code == 401
    assert refused.json() == {"code": 4112, "error": "SESSION_TOKEN_EXPIRED"}


class _AYearLater(datetime):
    """The clock when every token issued now has expired."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return super().now(tz) + timedelta(days=366)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"cid": ""},
        {"where": "{"},
        {"where": "[]"},
        {"where": "null"},
        {"where": '"cid"'},
        {"where": "[" * 5000},
        {"where": '{"cid": 5}'},
        {"where": '{"cid": {"$ne": "x"}}'},
        {"where": '{"cid": "x", "role": "Manager"}'},
        {"where": '{"cid": "x", "clientId": 5}'},
        {"where": '{"cid": "x", "clientId": {"$regex": "."}}'},
        {"where": '{"cid": "x", "clientId": {"$in": [1]}}'},
        {"where": '{"cid": "x", "clientId": {"$in": "tom"}}'},
        {"where": json.dumps({"cid": "x", "clientId": {"$in": ["a"] * 1001}})},
    ],
)
async def test_what_cannot_be_read_is_refused(signed_in: SignIn, application: Application, query: Json) -> None:
    """400 with code 1 and the name of what is wrong (rest-api 4.1)."""
    tom = await signed_in("tom")

    refused = await ask(application, tom, PATH, **query)

    assert (refused.status_code, refused.json()["code"]) == (400, 1)
    assert refused.json()["error"].split()[0] in ("cid", "where", "clientId", "$in")
