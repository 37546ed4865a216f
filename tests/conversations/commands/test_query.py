"""`conv/query`: which conversations, in which order, as which JSON (realtime-protocol 4.4)."""

import re
from base64 import b64encode
from typing import Any

import pytest

from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.talking import Json, add, answer, query, remove, say, start
from tests.imclient import ImClient

ISO_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def names(found: list[Json]) -> list[Any]:
    """Return the names of conversations."""
    return [one.get("name") for one in found]


async def start_named(client: ImClient, *wanted: str, **fields: Any) -> dict[str, str]:
    """Start conversations with these names and return their ids by name, oldest first."""
    return {name: (await start(client, "jerry", attributes={"name": name, **fields})).cid for name in wanted}


async def test_without_a_condition_one_gets_ones_own_normal_conversations(signed_in: SignIn) -> None:
    """Checklist 34, first half. Any condition replaces the default."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    await start_named(tom, "toms")
    await start_named(spike, "spikes")
    await start(tom, "jerry", tempConv=True)

    for default in (None, "", "{}", " {} "):
        assert names(await query(tom, default)) == ["toms"]
    assert names(await query(tom, {"name": "spikes"})) == ["spikes"]


async def test_one_who_has_left_does_not_get_the_conversation_any_more(signed_in: SignIn) -> None:
    """The default goes by membership at the time."""
    tom = await signed_in("tom")
    cids = await start_named(tom, "left", "joined")
    await remove(tom, cids["left"], "tom")

    assert names(await query(tom)) == ["joined"]
    await add(tom, cids["left"], "tom")
    assert sorted(names(await query(tom))) == ["joined", "left"]


async def test_the_default_order_is_newest_activity_first_and_ten_at_most(signed_in: SignIn) -> None:
    """Checklist 34, second half: `-lm`, then `-createdAt`."""
    tom = await signed_in("tom")
    cids = await start_named(tom, *"abcdefghijkl")
    for name in "dbk":
        await say(tom, cids[name], "hi")

    found = await query(tom)

    assert "".join(names(found)) == "kbdljihgfe"


PAGES: list[tuple[dict[str, int], int]] = [
    ({}, 10),
    ({"limit": 3}, 3),
    ({"limit": 11}, 11),
    ({"limit": 100}, 100),
    ({"limit": 101}, 100),
    ({"limit": 2**31 - 1}, 100),
    ({"limit": -1}, 10),
    ({"limit": 0}, 0),
    ({"limit": 100, "skip": 95}, 10),
    ({"skip": 105}, 0),
]


async def test_a_page_is_10_by_default_and_100_at_most_but_999_ids_are_looked_up_at_once(signed_in: SignIn) -> None:
    """4.4: an explicit limit 0 means none. P31: JS looks up in bulk with limit 999 and relies on getting all."""
    tom = await signed_in("tom")
    for _ in range(105):
        await start(tom)

    sizes = [len(await query(tom, **fields)) for fields, _ in PAGES]
    known = [one["objectId"] for skip in (0, 100) for one in await query(tom, limit=100, skip=skip)]
    asked = known + [f"{number:024x}" for number in range(999 - len(known))]
    found = await query(tom, {"objectId": {"$in": asked}}, limit=999, flag=1)

    assert sizes == [expected for _, expected in PAGES]
    assert len(found) == 105
    assert {one["objectId"] for one in found} == set(known)


async def test_pages_follow_each_other(signed_in: SignIn) -> None:
    """The order is total, so that skip neither repeats nor loses one."""
    tom = await signed_in("tom")
    await start_named(tom, *"abcdefg", kind="same")

    pages = [names(await query(tom, sort="kind", limit=3, skip=skip)) for skip in (0, 3, 6, 9)]

    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sorted(name for page in pages for name in page) == list("abcdefg")


SORTS = {
    "name": "abcd",
    "-name": "dcba",
    "createdAt": "cadb",
    "-createdAt": "bdac",
    "updatedAt": "cdba",
    "-updatedAt": "abdc",
    "lm": "badc",
    "-lm": "cdba",
    "level,name": "bdac",
    "level,-name": "dbac",
    "-level,name": "cabd",
    " -level , name ,": "cabd",
    "attr.rank": "dcba",
    "-attr.rank": "abcd",
    "level": "bdac",
    "objectId,name": "cadb",
    "-objectId": "bdac",
    "nothing,name": "abcd",
    "nothing.deeper,-name": "dcba",
    "c,name": "abcd",
    "uniqueId,name": "abdc",
    "-uniqueId,name": "cabd",
    "attr.some,-name": "cabd",
    "-attr.some,name": "dbac",
}


async def test_results_are_sorted_as_asked(signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the server and of clients, ascending and descending; what has no value counts as least."""
    now = iter(range(1_800_000_000_000, 1_900_000_000_000, 1000))
    monkeypatch.setattr("conversations.commands.lifecycle.now_ms", lambda: next(now))
    monkeypatch.setattr("conversations.commands.membership.now_ms", lambda: next(now))
    tom = await signed_in("tom")
    cids = {}
    for name, level, rank in (("c", 10, 2), ("a", 9.5, 4), ("d", -1, 1), ("b", -1, 3)):
        some = {} if name in "ca" else {"some": name}
        attributes = {"name": name, "level": level, "attr": {"rank": rank, **some}}
        cids[name] = (await start(tom, "jerry", attributes=attributes, unique=name == "c")).cid
    await add(tom, cids["a"], "spike")
    for name in "dc":
        await say(tom, cids[name], "hi")

    found = {sort: "".join(names(await query(tom, sort=sort))) for sort in SORTS}

    assert found == SORTS


async def test_equality_under_and_finds_a_conversation_the_caller_is_not_in(signed_in: SignIn) -> None:
    """Checklist 35, P29, P37: lookups by objectId do not filter on membership."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    cid = (await start_named(tom, "toms"))["toms"]

    assert names(await query(spike, {"$and": [{"objectId": cid}]})) == ["toms"]
    assert names(await query(spike, {"objectId": cid})) == ["toms"]
    assert names(await query(spike, {"objectId": {"$in": [cid]}}, limit=999)) == ["toms"]


async def test_starts_with_is_literal_between_q_and_e(signed_in: SignIn) -> None:
    r"""Checklist 36 and P30: `startsWith("a.b")` arrives as `^\Q…\E`."""
    tom = await signed_in("tom")
    await start_named(tom, "a.bc", "axbc", "xa.b", r"a\Eb")

    assert names(await query(tom, {"name": {"$regex": r"^\Qa.b\E"}})) == ["a.bc"]
    assert names(await query(tom, {"name": {"$regex": r"^\Qa\E\\E\Qb\E"}})) == [r"a\Eb"]


async def test_conditions_on_members_and_attributes_find_across_the_application(signed_in: SignIn) -> None:
    """The `where` language itself is tested in tests/conversations/storage."""
    tom = await signed_in("tom")
    await start(tom, "jerry", attributes={"name": "one", "attr": {"type": "private"}})
    await start(tom, "jerry", "spike", attributes={"name": "two", "attr": {"type": "public"}})

    assert names(await query(tom, {"m": "spike"})) == ["two"]
    assert names(await query(tom, {"m": {"$size": 2}})) == ["one"]
    assert names(await query(tom, {"attr.type": "private"})) == ["one"]
    assert names(await query(tom, {"$or": [{"name": "one"}, {"m": {"$all": ["spike"]}}]}, sort="name")) == [
        "one",
        "two",
    ]


async def test_flags_leave_members_out_and_put_the_last_message_in(signed_in: SignIn) -> None:
    """Checklist 37."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    message = await say(tom, cid, "hi")

    plain, compact, with_message, both = [
        found for flag in (0, 1, 2, 3) for found in await query(tom, {"objectId": cid}, flag=flag)
    ]

    last = {"msg": "hi", "bin": False, "msg_mid": message.uid, "msg_from": "tom", "msg_timestamp": message.t}
    assert plain["m"] == ["jerry", "tom"]
    assert not plain.keys() & {"msg", "bin", "msg_mid", "msg_from", "msg_timestamp"}
    assert compact == {key: value for key, value in plain.items() if key != "m"}
    assert with_message == plain | last
    assert both == compact | last


async def test_the_last_message_is_the_newest_stored_one(signed_in: SignIn) -> None:
    """Transient messages are never last messages; a binary one comes as base64 with `bin`."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", attributes={"name": "lively"})).cid
    silent = (await start(tom, "spike", attributes={"name": "silent"})).cid
    await say(tom, cid, "first")
    last = await say(tom, cid, "", binaryMsg=b"\x00\xff", mentionPids=["jerry"])
    await say(tom, cid, "typing…", transient=True)

    found = {one["objectId"]: one for one in await query(tom, flag=2)}

    lively = found[cid]
    assert (lively["msg"], lively["bin"], lively["msg_mid"]) == (b64encode(b"\x00\xff").decode(), True, last.uid)
    assert lively["mention_pids"] == ["jerry"]
    assert "mention_all" not in lively
    assert not found[silent].keys() & {"msg", "bin", "msg_mid", "msg_from", "msg_timestamp", "lm"}


@pytest.mark.parametrize("fields", [{}, {"flag": 3}, {"limit": 5, "skip": 3}, {"sort": "name"}])
async def test_nothing_found_is_an_empty_array(signed_in: SignIn, fields: Json) -> None:
    """Checklist 39."""
    tom = await signed_in("tom")

    conditions: list[Any] = [None, {"objectId": "0123456789abcdef01234567"}, {"objectId": {"$in": []}}, {"c": "a\0b"}]
    for where in conditions:
        assert await query(tom, where, **fields) == []
    body = await answer(tom, OpType.query, OpType.results, tempConvIds=["_tmp:nothing"])
    assert body.results.data == "[]"


async def test_the_conversation_object_has_the_types_that_the_sdks_cast_to(signed_in: SignIn) -> None:
    """Checklist 40, P26, P27, P28."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry", unique=True, attributes={"name": "demo"})).cid
    message = await say(tom, cid, "hi")

    [found] = await query(tom, flag=2)

    assert found.pop("lm").keys() == {"__type", "iso"}
    for key in ("createdAt", "updatedAt"):
        assert ISO_DATE.fullmatch(found.pop(key))
    assert found == {
        "objectId": cid,
        "name": "demo",
        "c": "tom",
        "m": ["jerry", "tom"],
        "mu": [],
        "tr": False,
        "sys": False,
        "unique": True,
        "uniqueId": found["uniqueId"],
        "conv_type": 1,
        "msg": "hi",
        "bin": False,
        "msg_mid": message.uid,
        "msg_from": "tom",
        "msg_timestamp": message.t,
    }
    assert re.fullmatch("[0-9a-f]{32}", found["uniqueId"])


async def test_the_last_message_time_is_a_date_object(signed_in: SignIn) -> None:
    """Checklist 40: `lm` has `__type` Date, and is the time of the message."""
    tom = await signed_in("tom")
    cid = (await start(tom, "jerry")).cid
    [before] = await query(tom)
    message = await say(tom, cid, "hi")

    [after] = await query(tom, flag=2)

    assert "lm" not in before
    assert after["lm"]["__type"] == "Date"
    assert ISO_DATE.fullmatch(after["lm"]["iso"])
    assert after["lm"]["iso"].endswith(f".{message.t % 1000:03}Z")
