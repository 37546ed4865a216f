"""`GET /rtm/<family>` and `/rtm/all-conversations`: lists for back ends (rest-api 6.1, 8.2)."""

import json
from typing import Any

import pytest

from conversations.models import Conversation
from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.identifiers import object_id
from imcore.models import Application
from tests.conftest import SignIn
from tests.conversations.api.backend import CHAT_ROOMS, NORMAL, SERVICES, ask, made, names, refused
from tests.conversations.talking import look_up, start
from tests.restclient import call, master_of


async def fill(application: Application, number: int) -> None:
    """Make many conversations at once, named by when they changed last."""
    await in_database(
        lambda: Conversation.objects.bulk_create(
            Conversation(
                application=application,
                object_id=object_id(1),
                kind=Kind.NORMAL,
                attributes={"name": str(when)},
                created_ms=1,
                updated_ms=when,
            )
            for when in range(number)
        )
    )


async def test_a_page_has_as_many_as_it_is_asked_for(application: Application) -> None:
    """Checklist 12: what is not 0 to 1000 is as good as nothing said, which is 100; 0 is none."""
    await fill(application, 1100)

    sizes = {
        limit: len(await names(application, **({} if limit is None else {"limit": limit})))
        for limit in (0, 1, 1000, 1001, -1, None, "many")
    }

    assert sizes == {0: 0, 1: 1, 1000: 1000, 1001: 100, -1: 100, None: 100, "many": 100}


async def test_how_many_match_can_be_asked_alone(application: Application) -> None:
    """Checklist 15: `count=1&limit=0` gives no results; with a page, all that match are counted."""
    await fill(application, 3)
    where = json.dumps({"name": {"$ne": "1"}})

    assert await ask(application, "GET", NORMAL, count=1, limit=0) == {"results": [], "count": 3}
    page = await ask(application, "GET", NORMAL, count="True", limit=1, skip=1, where=where)
    assert ([one["name"] for one in page["results"]], page["count"]) == (["0"], 2)
    assert (await ask(application, "GET", NORMAL, count=0)).keys() == {"results"}


async def test_those_that_changed_last_come_first_unless_another_order_is_asked(application: Application) -> None:
    """Rest-api 6.1, 8.2."""
    await fill(application, 4)

    assert await names(application) == ["3", "2", "1", "0"]
    assert await names(application, order="name", skip=1, limit=2) == ["1", "2"]
    assert await names(application, order="-c,updatedAt") == ["0", "1", "2", "3"]


async def test_a_list_has_one_family_and_another_all_of_them(application: Application, signed_in: SignIn) -> None:
    """Rest-api 8.2: temporary conversations are in none; `where` cannot reach beyond the family."""
    for family in (NORMAL, CHAT_ROOMS, SERVICES):
        await made(application, family, name=family)
    await start(await signed_in("tom"), "jerry", tempConv=True)

    for family in (NORMAL, CHAT_ROOMS, SERVICES):
        assert await names(application, family) == [family]
        assert await names(application, family, {"name": {"$exists": True}}, count=1) == [family]
    assert await names(application, NORMAL, {"$or": [{"tr": True}, {"sys": True}]}) == []
    assert sorted(await names(application, "all-conversations")) == [CHAT_ROOMS, NORMAL, SERVICES]
    assert await names(application, "all-conversations", {"sys": True}) == [SERVICES]
    assert (await ask(application, "GET", "all-conversations", count=1, limit=0))["count"] == 3


async def test_conditions_in_an_array_must_all_hold(application: Application) -> None:
    """Checklist 14: so must what stands beside an `$or`; the members are an array, too."""
    await made(application, name="one", m=["tom", "jerry"], n=1)
    await made(application, name="two", m=["tom"], n=2)
    await made(application, name="three", m=["jerry"], n=3)

    assert await names(application, where=[{"m": "tom"}, {"n": {"$gt": 1}}]) == ["two"]
    assert await names(application, where=[]) == ["three", "two", "one"]
    assert await names(application, where={"$or": [{"n": 1}, {"n": 3}], "m": "jerry"}) == ["three", "one"]
    assert await names(application, where={"$or": [{"n": 1}, {"n": 3}], "m": "tom"}) == ["one"]


async def test_a_conversation_that_nobody_created_is_found_so(application: Application) -> None:
    """Rest-api 6.2: a creator that is not answered is not there for conditions either, nor an empty text."""
    await made(application, name="tom's", c="tom")
    await made(application, name="nobody's")

    for nobody in (None, {"$exists": False}, {"$ne": "tom"}, {"$in": [None, "jerry"]}):
        assert await names(application, where={"c": nobody}) == ["nobody's"]
    for somebody in ("tom", {"$exists": True}, {"$ne": None}, {"$in": ["", "tom"]}, {"$gt": ""}, {"$regex": "^"}):
        assert await names(application, where={"c": somebody}) == ["tom's"]
    assert await names(application, where={"c": ""}) == await names(application, where={"c": {"$lt": "a"}}) == []


async def test_what_is_listed_is_what_is_read(application: Application) -> None:
    """Rest-api 8: the same object, with members and who muted."""
    cid = await made(application, name="x", m=["tom", "jerry"])
    await ask(application, "POST", f"{NORMAL}/{cid}/mutes", {"client_ids": ["jerry"]})

    [listed] = (await ask(application, "GET", NORMAL))["results"]

    assert listed == await ask(application, "GET", f"{NORMAL}/{cid}")
    assert (listed["m"], listed["mu"]) == (["tom", "jerry"], ["jerry"])


async def test_no_answer_looks_like_an_error(application: Application, signed_in: SignIn) -> None:
    """Rest-api 4: Python raises for an `error` in what it reads, which any client may write on its conversation."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", attributes={"error": "boo", "name": "x"})).cid
    row = f"/1.1/classes/_Conversation/{cid}"

    [listed] = (await ask(application, "GET", NORMAL))["results"]
    read = await ask(application, "GET", f"{NORMAL}/{cid}")
    of_class = (await call("GET", row, master_of(application))).json()

    assert listed == read == of_class
    assert "error" not in read
    assert read["name"] == "x"
    assert (await look_up(tom, cid))["error"] == "boo"


async def test_columns_can_be_chosen_and_left_out(application: Application) -> None:
    """Rest-api 6.1: ids and dates stay unless they are left out themselves."""
    await made(application, name="x", attr={"a": 1, "b": {"c": 2, "d": 3}}, n=5)

    async def columns(keys: str) -> Any:
        [one] = (await ask(application, "GET", NORMAL, keys=keys))["results"]
        return one

    always = {"objectId", "createdAt", "updatedAt"}
    assert (await columns("name, n")).keys() == {*always, "name", "n"}
    assert (await columns("attr.b.c"))["attr"] == {"b": {"c": 2}}
    assert (await columns("attr.b.c,attr.b"))["attr"] == {"b": {"c": 2, "d": 3}}
    assert (await columns("attr,attr.a"))["attr"] == {"a": 1, "b": {"c": 2, "d": 3}}
    assert (await columns("-attr.b"))["attr"] == {"a": 1}
    assert (await columns("name,-createdAt")).keys() == {"objectId", "updatedAt", "name"}
    assert (await columns("nothing.here,name.x")).keys() == {*always, "name"}


@pytest.mark.parametrize(
    "query",
    [
        {"where": "{"},
        {"where": "[1"},
        {"where": "[1]"},
        {"where": "5"},
        {"where": '{"n": {"$explode": 1}}'},
        {"where": json.dumps({"name": "x" * 17_000})},
        {"order": "name desc"},
        {"count": "perhaps"},
    ],
)
async def test_a_list_that_cannot_be_made_is_refused(application: Application, query: dict[str, str]) -> None:
    """Rest-api 6: code 1, which says what is wrong."""
    assert await refused(application, "GET", NORMAL, **query) == (400, 1)
