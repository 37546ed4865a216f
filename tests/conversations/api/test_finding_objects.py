"""The query language over HTTP, on conversations (rest-api 6)."""

import json
import time
from typing import Any

import pytest
from django.db import connection

from conversations.models import Conversation
from imcore import limits
from imcore.bridge import in_database
from imcore.models import Application
from tests.conversations.api.objects import CLASS, ask, made, names, refused, row
from tests.restclient import call, master_of

SCAN = "/1.1/scan/classes/_Conversation"


@pytest.fixture(scope="module")
async def crowded(database: None) -> Any:
    """An application with 2500 conversations."""

    def fill() -> Application:
        application = Application.objects.create(name="crowded")
        Conversation.objects.bulk_create(
            Conversation(
                application=application,
                object_id=f"{number:024x}",
                attributes={"name": str(number)},
                created_ms=number,
                updated_ms=number,
            )
            for number in range(2500)
        )
        return application

    return await in_database(fill)


@pytest.mark.parametrize(
    ("limit", "found"), [("0", 0), ("1", 1), ("1000", 1000), ("1001", 100), ("-1", 100), (None, 100)]
)
async def test_a_limit_out_of_bounds_counts_as_none(crowded: Application, limit: str | None, found: int) -> None:
    """Checklist 12, 15: whatever the limit, `count` counts all."""
    query = {} if limit is None else {"limit": limit}

    answer = await ask(crowded, "GET", CLASS, count="1", **query)

    assert (len(answer["results"]), answer["count"]) == (found, 2500)
    assert "count" not in await ask(crowded, "GET", CLASS, **query)


@pytest.mark.parametrize("scan_key", [None, "objectId", "-objectId"])
async def test_a_scan_has_every_row_once(crowded: Application, scan_key: str | None) -> None:
    """Checklist 18."""
    found: list[str] = []
    query: dict[str, Any] = {"limit": "1000"} | ({"scan_key": scan_key} if scan_key else {})
    while True:
        part = await ask(crowded, "GET", SCAN, **query)
        found += [one["objectId"] for one in part["results"]]
        if part["cursor"] is None:
            break
        query["cursor"] = part["cursor"]

    assert found == sorted(set(found), reverse=scan_key == "-objectId")
    assert len(found) == 2500


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"cursor": "W10="}, {"scan_key": "name"}, {"where": "{"}])
async def test_a_scan_that_cannot_be_read_is_refused(application: Application, query: dict[str, str]) -> None:
    assert await refused(application, "GET", SCAN, **query) == (400, 1)


async def test_arrays_match_by_their_elements(application: Application) -> None:
    """Checklist 13."""
    await made(application, name="1", m=["tom", "jerry"], tags=["a", "b"])
    await made(application, name="2", m=["tom"], tags=["a"])
    await made(application, name="3", m=["spike"], tags=[])

    async def found(**where: Any) -> list[str]:
        return sorted(await names(application, where=where))

    assert await found(m="tom") == ["1", "2"]
    assert await found(m={"$all": ["tom", "jerry"]}) == ["1"]
    assert await found(m={"$size": 1}) == ["2", "3"]
    assert await found(m={"$in": ["jerry", "spike"]}) == ["1", "3"]
    assert await found(m={"$nin": ["jerry", "spike"]}) == ["2"]
    assert await found(m={"$ne": "tom"}) == ["3"]
    assert await found(tags="a") == ["1", "2"]
    assert await found(tags={"$all": ["a", "b"]}) == ["1"]
    assert await found(tags={"$size": 0}) == ["3"]
    assert await found(tags={"$in": ["b"]}) == ["1"]
    assert await found(tags={"$nin": ["b"]}) == ["2", "3"]
    assert await found(tags={"$ne": "b"}) == ["2", "3"]


async def test_conditions_beside_each_other_all_hold(application: Application) -> None:
    """Checklist 14: an array of conditions, `$or` beside a field."""
    for name, level in (("1", 1), ("2", 2), ("3", 3)):
        await made(application, name=name, level=level)

    assert await names(application, where=[{"level": {"$gt": 1}}, {"level": {"$lt": 3}}]) == ["2"]
    assert await names(application, where=[], order="name") == ["1", "2", "3"]
    either = [{"name": "1"}, {"name": "2"}]
    assert await names(application, where={"$or": either, "level": {"$gt": 1}}) == ["2"]


async def test_an_order_and_a_skip_make_pages(application: Application) -> None:
    for name in "bca":
        await made(application, name=name)

    assert await names(application, order="-name", limit="2", skip="1") == ["b", "a"]
    assert (await refused(application, "GET", CLASS, order="$x")) == (400, 1)


async def test_keys_say_what_is_answered(application: Application) -> None:
    """Checklist 16."""
    object_id = await made(application, name="A", attr={"x": 1, "y": {"z": 2}}, ACL={"*": {"read": True}})

    async def keys(**query: Any) -> Any:
        [found] = (await ask(application, "GET", CLASS, **query))["results"]
        assert found == await row(application, object_id, **query)
        return found

    always = {"objectId", "createdAt", "updatedAt"}
    assert (await keys(keys="name")).keys() == {*always, "name"}
    assert (await keys(keys="name,-createdAt")).keys() == {"objectId", "updatedAt", "name"}
    whole = await keys()
    assert (await keys(keys="-name, -attr")).keys() == whole.keys() - {"name", "attr"}
    assert (await keys(keys="attr.y.z"))["attr"] == {"y": {"z": 2}}
    assert (await keys(keys="-attr.y.z"))["attr"] == {"x": 1, "y": {}}
    assert "ACL" not in whole
    assert (await keys(returnACL="true"))["ACL"] == {"*": {"read": True}}


async def test_pointers_are_followed(application: Application) -> None:
    """Checklist 16: `include` of two levels, and into lists; what leads nowhere stays."""

    def pointer(object_id: str, class_name: str = "_Conversation") -> dict[str, str]:
        return {"__type": "Pointer", "className": class_name, "objectId": object_id}

    grandparent = await made(application, name="3")
    parent = await made(application, name="2", parent=pointer(grandparent))
    lost = [pointer("0" * 24), pointer("x", "Unknown"), 5]
    child = await made(application, name="1", attr={"of": [pointer(parent), *lost]})

    assert (await row(application, child))["attr"]["of"][0] == pointer(parent)
    found = await row(application, child, include="attr.of.parent", keys="attr")
    assert found.keys() == {"objectId", "createdAt", "updatedAt", "attr"}
    first, *others = found["attr"]["of"]
    assert first.items() >= {**pointer(parent), "name": "2"}.items()
    assert first["parent"].items() >= {**pointer(grandparent), "name": "3"}.items()
    assert others == lost
    assert (await row(application, parent, include="parent", keys="parent.name"))["parent"] == {
        **pointer(grandparent),
        "name": "3",
    }
    assert (await refused(application, "GET", CLASS, include="a.b.c.d")) == (400, 1)


@pytest.mark.parametrize(
    ("pattern", "options", "found"),
    [
        ("lunch", "", False),
        ("lunch", "i", True),
        ("^time$", "", False),
        ("^time$", "m", True),
        ("Lunch.time", "", False),
        ("Lunch.time", "s", True),
        ("L u n c h", "x", True),
        ("l u n c h . t i m e $", "ixsm", True),
        ("^(?!.*beer)", "", True),
        (r"\QLunch\E", "", True),
    ],
)
async def test_patterns_and_their_options(application: Application, pattern: str, options: str, found: bool) -> None:
    """Checklist 17: one by one and combined."""
    await made(application, name="Lunch\ntime")

    where = {"name": {"$regex": pattern, "$options": options}}

    assert await names(application, where=where) == (["Lunch\ntime"] if found else [])


async def test_a_catastrophic_pattern_ends_with_124(application: Application) -> None:
    """Checklist 17: quickly. PostgreSQL's automaton does not explode: it has an answer."""
    await made(application, name="a" * 60 + "!")
    started = time.monotonic()
    where = json.dumps({"name": {"$regex": "^((a|aa)+)+$"}})

    if connection.vendor == "sqlite":
        assert await refused(application, "GET", CLASS, where=where) == (400, 124)
    else:
        assert (await ask(application, "GET", CLASS, where=where))["results"] == []

    assert time.monotonic() - started < 10


async def test_a_condition_that_takes_too_long_ends_with_124(crowded: Application, settings: Any) -> None:
    """rest-api 6.2, on either engine."""
    settings.QUERY_SECONDS = 0.001
    where = json.dumps({"name": {"$regex": "(?=.*1)(?=.*2)(?=.*3)x"}})

    assert await refused(crowded, "GET", CLASS, where=where, count="1") == (400, 124)


@pytest.mark.parametrize(
    "where",
    [
        *("{", "5", '"x"', '{"$where": 1}', '{"a": {"$inQuery": {}}}', '{"a": {"$gt": []}}', "[1]", "[" * 999),
        *("x" * 20_000, "[" * 600 + "]" * 600),
    ],
)
async def test_a_condition_that_cannot_be_read_is_refused(application: Application, where: str) -> None:
    """rest-api 6.2: code 1, and the text names an operator that is not known."""
    assert await refused(application, "GET", CLASS, where=where) == (400, 1)
    assert await refused(application, "GET", SCAN, where=where) == (400, 1)


async def test_an_unknown_operator_is_named(application: Application) -> None:
    answer = await call("GET", CLASS, master_of(application), where='{"a": {"$near": 1}}')

    assert "$near" in answer.json()["error"]


def pointer(object_id: str) -> dict[str, str]:
    """Return a pointer to a conversation."""
    return {"__type": "Pointer", "className": "_Conversation", "objectId": object_id}


async def test_what_is_included_is_bounded(application: Application) -> None:
    """A conversation holds more pointers to another, which is large, than can be answered."""
    large = await made(application, x="x" * 100_000)
    small = await made(application, x="x")
    object_id = await made(application, few=[pointer(large)] * 2, many=[pointer(large)] * 1000, small=[pointer(small)])

    found = await row(application, object_id, include="few,small", keys="few,small")
    assert [len(one["x"]) for one in (*found["few"], *found["small"])] == [100_000, 100_000, 1]
    assert await refused(application, "GET", f"{CLASS}/{object_id}", include="many") == (400, 1)
    assert await refused(application, "GET", CLASS, include="few,many") == (400, 1)


async def test_pointers_in_lists_of_lists_stay(application: Application) -> None:
    """Else an answer might nest deeper than JSON is written."""
    inner = await made(application, x=1)
    object_id = await made(application, a=[[pointer(inner)], pointer(inner)])

    nested, direct = (await row(application, object_id, include="a"))["a"]

    assert nested == [pointer(inner)]
    assert direct["x"] == 1


async def test_keys_are_few(application: Application) -> None:
    """Each is looked for in every object; a batch has no bound on a text."""
    params = {"keys": ",".join(["name"] * (limits.REST_KEYS_MAX + 1))}
    requests = [{"method": "GET", "path": CLASS, "params": params}]

    [answer] = await ask(application, "POST", "/1.1/batch", {"requests": requests})

    assert answer["error"]["code"] == 1
