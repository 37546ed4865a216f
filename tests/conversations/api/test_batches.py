"""Several requests in one (`/batch`), and objects that are saved together (`/batch/save`); rest-api 6.2, 10.1."""

import asyncio
import json
from typing import Any

import pytest

from imcore import limits
from imcore.models import Application
from tests.conversations.api.objects import CLASS, ask, made, refused, row
from tests.restclient import app_of, call, master_of

# Deeper than what JSON is written to, and not as deep as what it is read from.
DEEP = json.loads("[" * 500 + "]" * 500)
BATCH, SAVE = "/1.1/batch", "/1.1/batch/save"


async def batch(application: Application, *requests: Any) -> Any:
    """Make a batch as the developer."""
    answer = await ask(application, "POST", BATCH, {"requests": list(requests)})
    assert len(answer) == len(requests)
    return answer


async def test_a_get_in_a_batch_equals_the_direct_one(application: Application) -> None:
    """Checklist 19: whether its parameters are text or JSON."""
    for name in "abc":
        await made(application, name=name, m=["amy"])
    where = {"m": "amy", "name": {"$ne": "b"}}
    direct = await ask(application, "GET", CLASS, where=json.dumps(where), count="1", limit="1", order="-name")

    params = {"where": where, "count": 1, "limit": 1, "order": "-name"}
    texts = {**params, "where": json.dumps(where), "count": "1", "limit": "1"}
    answers = await batch(
        application,
        {"method": "GET", "path": CLASS, "params": params},
        {"method": "GET", "path": CLASS, "params": texts},
        {"method": "get", "path": f"{CLASS}?limit=1", "params": {**params}},
    )

    assert answers == [{"success": direct}] * 3


async def test_a_batch_answers_each_in_its_place(application: Application) -> None:
    """rest-api 10.1: 200 whatever they come to; those after a failure are made all the same."""
    object_id = await made(application, name="A")

    answers = await batch(
        application,
        {"method": "PUT", "path": f"{CLASS}/{object_id}", "body": {"name": "B"}},
        {"method": "GET", "path": "/1.1/classes/Todo"},
        {"method": "PUT", "path": f"{CLASS}/{object_id}", "body": {"tr": True}},
        {"method": "GET", "path": "/1.1/date"},
        {"method": "GET", "path": "/1.1/nothing"},
        {"method": "PATCH", "path": "/1.1/date"},
        {"method": "POST", "path": f"{CLASS}?fetchWhenSave=true", "body": {"name": "C"}},
        {"method": "DELETE", "path": f"{CLASS}/{object_id}", "body": {}},
        {"method": "POST", "path": "/1.1/stats/open", "body": {}},
    )

    assert [one.get("error", {}).get("code") for one in answers] == [None, 101, 117, None, 404, 1, None, None, None]
    assert answers[0]["success"].keys() == {"objectId", "updatedAt"}
    assert answers[3]["success"]["__type"] == "Date"
    assert answers[6]["success"]["name"] == "C"
    assert await row(application, object_id) == {}


@pytest.mark.parametrize(
    "one",
    [
        5,
        None,
        {},
        {"method": "GET"},
        {"method": "GET", "path": "/healthz"},
        {"method": "GET", "path": "/1.1/../healthz"},
        {"method": "GET", "path": "/1.1/%2e%2e/healthz"},
        {"method": "GET", "path": "/admin/"},
        {"method": "GET", "path": "/1.1/date\0"},
        {"method": "GET", "path": "/1.1/date", "params": ["x"]},
        {"method": "GET", "path": "/1.1/date", "body": "x"},
        {"method": ["GET"], "path": "/1.1/date"},
        {"method": "POST", "path": CLASS, "body": {"x": DEEP}},
        {"method": "GET", "path": CLASS, "params": {"where": DEEP}},
        {"method": "POST", "path": BATCH, "body": {"requests": []}},
        {"method": "POST", "path": "/1.2//batch/", "body": {"requests": []}},
        {"method": "POST", "path": SAVE, "body": {"requests": []}},
        {"method": "POST", "path": "/1.1/%62atch", "body": {"requests": []}},
    ],
)
async def test_what_is_no_request_is_answered_so(application: Application, one: Any) -> None:
    """No batch in a batch, and nothing but the API."""
    [answer] = await batch(application, one)

    assert answer["error"]["code"] == 1


@pytest.mark.parametrize("path", ["/1.1/", "/1.1//", "/1.1/?x=1", "/1.1/x\ny", "/1.1/%0a"])
async def test_a_path_that_leads_nowhere_is_answered_in_its_place(application: Application, path: str) -> None:
    """The others are answered all the same."""
    nowhere, date = await batch(
        application, {"method": "GET", "path": path}, {"method": "GET", "path": "/1.1/date", "params": {"x": None}}
    )

    assert nowhere == {"error": {"code": 404, "error": "Not found."}}
    assert "success" in date


async def test_a_parameter_that_is_null_is_absent(application: Application) -> None:
    """rest-api 3.2."""
    params = {"where": None, "count": None, "limit": None, "keys": None}

    [answer] = await batch(application, {"method": "GET", "path": CLASS, "params": params})

    assert answer == {"success": {"results": []}}


@pytest.mark.parametrize("path", [BATCH, SAVE])
@pytest.mark.parametrize("requests", [None, 5, {}, "x", [{}] * (limits.REST_BATCH_MAX + 1)])
async def test_a_batch_is_a_list_and_bounded(application: Application, path: str, requests: Any) -> None:
    assert await refused(application, "POST", path, {"requests": requests}) == (400, 1)


async def test_each_request_shows_the_keys_of_the_batch(application: Application) -> None:
    """With the app key, nothing in it is the developer's; in a tunnel, neither."""
    requests = [{"method": "GET", "path": CLASS}, {"method": "GET", "path": "/1.1/date"}]
    keys = {"_ApplicationId": application.app_id, "_ApplicationKey": application.app_key}
    plain = await call("POST", BATCH, app_of(application), {"requests": requests})
    tunnelled = await call("POST", BATCH, {}, {**keys, "requests": requests}, content_type="text/plain")
    master = {**keys, "_MasterKey": application.master_key}
    as_master = await call("POST", BATCH, {}, {**master, "requests": requests}, content_type="text/plain")

    for answer in (plain, tunnelled):
        first, second = answer.json()
        assert first["error"]["code"] == 403
        assert "success" in second
    assert as_master.json()[0] == {"success": {"results": []}}
    assert (await call("POST", BATCH, {}, {"requests": requests})).status_code == 401


async def test_a_batch_does_no_more_once_its_answers_are_large(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists of a hundred times a thousand objects would be held in memory; what was not done says so."""
    monkeypatch.setattr(limits, "REST_BATCH_ANSWER_MAX_BYTES", 1000)
    object_id = await made(application, name="A", attr={"text": "x" * 1000})
    rename = {"method": "PUT", "path": f"{CLASS}/{object_id}", "body": {"name": "B"}}

    date, found, *others = await batch(
        application, {"method": "GET", "path": "/1.1/date"}, {"method": "GET", "path": CLASS}, rename, rename
    )

    assert ["success" in one for one in (date, found)] == [True, True]
    assert [one["error"]["code"] for one in others] == [1, 1]
    assert (await row(application, object_id))["name"] == "A"


async def test_a_batch_does_no_more_once_it_has_taken_long(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred slow queries would keep a thread for minutes; what was not done says so."""
    monkeypatch.setattr(limits, "REST_BATCH_SECONDS", 0)
    object_id = await made(application, name="A")
    rename = {"method": "PUT", "path": f"{CLASS}/{object_id}", "body": {"name": "B"}}

    first, second = await batch(application, {"method": "GET", "path": "/1.1/date"}, rename)

    assert "success" in first
    assert second["error"]["code"] == 124
    assert (await row(application, object_id))["name"] == "A"


async def save(application: Application, *requests: Any) -> Any:
    """Save objects together as the developer."""
    return await ask(application, "POST", SAVE, {"requests": list(requests)})


async def test_objects_are_saved_together(application: Application) -> None:
    """rest-api 10.1: a map by `__internalId`, or by id; children come first, wherever they are in the list."""
    old = await made(application, name="old")

    answer = await save(
        application,
        {
            "method": "POST",
            "path": CLASS,
            "body": {
                "__internalId": "parent",
                "name": "P",
                "__children": [{"className": "_Conversation", "cid": "child", "key": "kid"}],
            },
            "new": True,
        },
        {"method": "PUT", "path": f"{CLASS}/{old}", "body": {"__internalId": old, "name": "new"}},
        {"method": "PUT", "path": f"{CLASS}/{old}", "body": {"seen": {"__op": "Increment", "amount": 2}}},
        {
            "method": "POST",
            "path": CLASS,
            "body": {"__internalId": "child", "name": "C", "m": ["amy"]},
            "params": {"fetchWhenSave": True},
        },
    )

    assert answer.keys() == {"parent", "child", old}
    assert answer["parent"].keys() == {"objectId", "createdAt"}
    assert answer[old].keys() == {"objectId", "updatedAt"}
    assert (answer["child"]["name"], answer["child"]["m"]) == ("C", ["amy"])
    parent = await row(application, answer["parent"]["objectId"], include="kid")
    assert (parent["kid"]["objectId"], parent["kid"]["name"]) == (answer["child"]["objectId"], "C")
    assert "__internalId" not in parent
    found = await row(application, old)
    assert (found["name"], found["seen"]) == ("new", 2)


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({"method": "POST", "path": CLASS, "body": {"__internalId": "x", "m": 5}}, 111),
        ({"method": "PUT", "path": f"{CLASS}/{'0' * 24}", "body": {}}, 4303),
        ({"method": "POST", "path": "/1.1/classes/Todo", "body": {"__internalId": "x"}}, 101),
        ({"method": "POST", "path": CLASS, "body": {}}, 1),
        ({"method": "POST", "path": CLASS, "body": {"__internalId": 5}}, 1),
        ({"method": "DELETE", "path": CLASS}, 1),
        ({"method": "GET", "path": CLASS, "body": {"__internalId": "x"}}, 1),
        ({"method": "POST", "path": "/1.1/date", "body": {"__internalId": "x"}}, 1),
        ({"method": "POST", "path": CLASS, "body": {"__internalId": "x", "__children": 5}}, 1),
        ({"method": "POST", "path": CLASS, "body": {"__internalId": "x", "__children": [{"cid": "y", "key": "k"}]}}, 1),
        ({"method": "POST", "path": CLASS, "body": {"__internalId": "x", "__children": [{"cid": "x", "key": "k"}]}}, 1),
        ({"method": "POST", "path": "/1.1/users", "body": {"__internalId": "x", "username": "u"}}, 201),
        (5, 1),
    ],
)
async def test_if_one_cannot_be_saved_none_is(application: Application, last: Any, code: int) -> None:
    """rest-api 10.1: 400, the error, and nothing saved."""
    old = await made(application, name="old")
    before = await row(application, old)
    first = {"method": "POST", "path": CLASS, "body": {"__internalId": "a", "name": "A"}}
    second = {"method": "PUT", "path": f"{CLASS}/{old}", "body": {"name": "new"}}

    assert await refused(application, "POST", SAVE, {"requests": [first, second, last]}) == (400, code)

    assert await row(application, old) == before
    assert (await ask(application, "GET", CLASS, count="1", limit="0"))["count"] == 1


async def test_what_fails_only_when_stored_undoes_the_others(application: Application) -> None:
    """The kind is looked at under the lock, in the transaction of all of them."""
    old = await made(application, name="old")
    requests = [
        {"method": "POST", "path": CLASS, "body": {"__internalId": "a", "name": "A"}},
        {"method": "PUT", "path": f"{CLASS}/{old}", "body": {"tr": True}},
    ]

    assert await refused(application, "POST", SAVE, {"requests": requests}) == (400, 117)
    assert [one["name"] for one in (await ask(application, "GET", CLASS))["results"]] == ["old"]


@pytest.mark.parametrize("where", [{"name": "B"}, '{"name": "B"}', [{"name": "B"}]])
async def test_a_condition_of_one_is_one_of_all(application: Application, where: Any) -> None:
    """Rest-api 10.1: as Swift saves an object by a query; nothing is saved if it does not hold."""
    object_id = await made(application, name="A")
    first = {"method": "POST", "path": CLASS, "body": {"__internalId": "a", "name": "new"}}
    second = {"method": "PUT", "path": f"{CLASS}/{object_id}", "body": {"level": 1}, "params": {"where": where}}

    assert await refused(application, "POST", SAVE, {"requests": [first, second]}) == (400, 305)
    assert [one["name"] for one in (await ask(application, "GET", CLASS))["results"]] == ["A"]

    await ask(application, "PUT", f"{CLASS}/{object_id}", {"name": "B"})
    saved = await save(application, first, second)

    assert saved.keys() == {"a", object_id}
    assert (await row(application, object_id))["level"] == 1


@pytest.mark.parametrize("path", ["/1.1/users/", "/1.1/installations/"])
async def test_no_condition_is_passed_over(application: Application, path: str) -> None:
    """Where none is supported, it is refused here, too."""
    registered = {"username": "tom", "password": "secret"} if path == "/1.1/users/" else {}
    object_id = (await ask(application, "POST", path, registered))["objectId"]
    item = {"method": "PUT", "path": path + object_id, "body": {"x": 1}, "params": {"where": {"x": 2}}}

    assert await refused(application, "POST", SAVE, {"requests": [item]}) == (400, 1)
    assert "x" not in await ask(application, "GET", path + object_id)


async def test_a_user_is_saved_beside_others(application: Application) -> None:
    """Swift saves users by it: with their session, or the master key."""
    signed_up = await call("POST", "/1.1/users", app_of(application), {"username": "tom", "password": "x"})
    tom = signed_up.json()
    mine = app_of(application, **{"X-LC-Session": tom["sessionToken"]})
    item = {"method": "PUT", "path": f"/1.1/users/{tom['objectId']}", "body": {"__internalId": "u", "nick": "T"}}

    by_himself = await call("POST", SAVE, mine, {"requests": [item]})
    by_nobody = await call("POST", SAVE, app_of(application), {"requests": [item]})

    assert by_himself.json()["u"].keys() == {"objectId", "updatedAt"}
    assert (by_nobody.status_code, by_nobody.json()["code"]) == (400, 206)
    conversation = await made(application, owner=pointer(tom["objectId"]))
    owner = (await row(application, conversation, include="owner"))["owner"]
    assert (owner["nick"], owner["__type"]) == ("T", "Pointer")


def pointer(object_id: str) -> dict[str, str]:
    """Return a pointer to a user."""
    return {"__type": "Pointer", "className": "_User", "objectId": object_id}


async def test_conversations_are_saved_by_the_developer(application: Application) -> None:
    item = {"method": "POST", "path": CLASS, "body": {"__internalId": "a", "name": "A"}}

    answer = await call("POST", SAVE, app_of(application), {"requests": [item]})

    assert (answer.status_code, answer.json()["code"]) == (400, 403)


async def test_batches_that_cross_do_not_wait_for_each_other(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    """docs/adr/0008: PostgreSQL would end one of them after a second, and it would be done again."""
    paths = [f"{CLASS}/{await made(application, name=name)}" for name in "ab"]
    paths += [f"/1.1/installations/{await an_installation(application)}" for _ in "ab"]
    caplog.set_level("INFO", "imcore.bridge")

    async def save_in(order: list[str]) -> int:
        items = [{"method": "PUT", "path": path, "body": {"x": 1}} for path in order]
        answer = await call("POST", SAVE, master_of(application), {"requests": items})
        return int(answer.status_code)

    for _ in range(10):
        assert list(await asyncio.gather(save_in(paths), save_in(paths[::-1]))) == [200, 200]

    assert "deadlock" not in caplog.text


async def an_installation(application: Application) -> str:
    """Register a device and return its id."""
    answer = await call("POST", "/1.1/installations", app_of(application), {})
    return str(answer.json()["objectId"])
