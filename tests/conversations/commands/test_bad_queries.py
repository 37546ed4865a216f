"""Queries that cannot be answered: 4310, in bounded time, and everything else goes on (realtime-protocol 4.4)."""

import asyncio
import json
import time

import pytest
from pytest_django import Settings

from conversations.storage import queries
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.talking import Json, attr, count, query, refusal, start

QUERY_FAILED = (4310, "CONVERSATION_QUERY_FAILED")

BAD_WHERE = {
    "not JSON": "{",
    "a list": "[]",
    "a string": '"m"',
    "an unknown operator": '{"m": {"$where": "1"}}',
    "an operator for storage only": '{"m": {"$inQuery": {"where": {}, "className": "x"}}}',
    "a top-level operator": '{"$relatedTo": {}}',
    "beyond floats": '{"a": 1e400}',
    "a broken pattern": '{"name": {"$regex": "("}}',
    "deep nesting": '{"$and":[' * 5_000 + "{}" + "]}" * 5_000,
}

BAD_SORTS = [
    "name;DROP TABLE",
    "name asc",
    "--name",
    "a..b",
    ".",
    "a.",
    "$a",
    "a'b",
    'a"b',
    "a\0b",
    "a-b",
    "(1)",
    ",".join("abcdefghijk"),
]


@pytest.mark.parametrize("where", BAD_WHERE.values(), ids=BAD_WHERE.keys())
async def test_a_bad_condition_is_refused_and_the_connection_goes_on(signed_in: SignIn, where: str) -> None:
    """4310, with a detail for the developer."""
    tom = await signed_in("tom")

    refused = await refusal(tom, OpType.query, where=attr(where))

    assert (refused.code, refused.reason) == QUERY_FAILED
    assert refused.detail
    assert await query(tom) == []


@pytest.mark.parametrize("sort", BAD_SORTS)
async def test_a_bad_sort_is_refused(signed_in: SignIn, sort: str) -> None:
    """Nothing of it reaches the database as SQL."""
    tom = await signed_in("tom")

    refused = await refusal(tom, OpType.query, sort=sort)

    assert (refused.code, refused.reason) == QUERY_FAILED
    assert await query(tom) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"sort": ".".join("a" * 5_000)},
        {"sort": "a" * 100_000},
        {"sort": "名字,attr.类型"},
        {"sort": ",,, ,"},
        {"sort": "0,1.2,attr.0"},
        {"sort": "m,mu,tr"},
        {"where": attr({"m": "x" * 10_000})},
        {"where": attr({"objectId": "x" * 10_000})},
        {"where": attr({"x" * 10_000: "\0"})},
        {"skip": 1_000_000},
        {"flag": -1},
        {"flag": 2**31 - 1},
    ],
    ids=range(12),
)
async def test_an_odd_query_is_answered(signed_in: SignIn, fields: Json) -> None:
    """Found or refused as a bad query, but never as a fault of the server."""
    tom = await signed_in("tom")
    await start(tom, "jerry", attributes={"name": "a"})

    reply = await tom.request(1, OpType.query, convMessage={"limit": 5, **fields})

    assert reply.op == OpType.results or (reply.errorMessage.code, reply.errorMessage.reason) == QUERY_FAILED
    assert len(await query(tom)) == 1


@pytest.mark.parametrize("skip", [-1, -(2**31), 2**31 - 1])
async def test_skip_has_bounds(signed_in: SignIn, skip: int) -> None:
    """Skipping costs the database what it skips."""
    tom = await signed_in("tom")

    refused = await refusal(tom, OpType.query, skip=skip)

    assert (refused.code, refused.reason) == QUERY_FAILED


@pytest.mark.parametrize("pattern", [r"^(\w+\s?)*$", r"(.*a){20}b\1"])
async def test_an_exploding_pattern_ends_in_time_and_holds_nobody_up(
    signed_in: SignIn, settings: Settings, pattern: str
) -> None:
    """ "Bound evaluation time": an answer or 4310 within the limit, while other clients are served."""
    settings.QUERY_SECONDS = 1.0
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = ""
    for number in range(3):
        cid = (await start(tom, "jerry", attributes={"name": "a" * 2_000 + "!" * number})).cid
    bomb = {"name": {"$regex": pattern}, "objectId": {"$exists": True}}

    began = time.monotonic()
    exploding = asyncio.create_task(tom.request(1, OpType.query, convMessage={"where": attr(json.dumps(bomb))}))
    longest = 0.0
    while not exploding.done():
        before = time.monotonic()
        assert await count(jerry, cid) == 2
        longest = max(longest, time.monotonic() - before)
    reply = await exploding

    assert reply.op == OpType.results or (reply.errorMessage.code, reply.errorMessage.reason) == QUERY_FAILED
    assert time.monotonic() - began < 4
    assert longest < 0.8
    assert len(await query(tom)) == 3


async def test_a_lookup_of_more_than_fits_is_refused(signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes may be large, and a lookup names a thousand conversations: they would be in memory all at once."""
    tom = await signed_in("tom")
    fields: list[Json] = [{}, {"tempConv": True, "tempConvTTL": 600}]
    large, temporary = [(await start(tom, attributes={"x": "y" * 600}, **one)).cid for one in fields]
    small = (await start(tom, "jerry", attributes={"x": "y"})).cid
    monkeypatch.setattr(queries, "RESULT_MAX_BYTES", 500)

    lookup = attr({"objectId": {"$in": [large, small]}})
    for refused in (
        await refusal(tom, OpType.query, where=lookup, limit=999),
        await refusal(tom, OpType.query, tempConvIds=[temporary]),
    ):
        assert (refused.code, refused.reason) == QUERY_FAILED
        assert refused.detail

    assert [one["x"] for one in await query(tom, {"objectId": {"$in": [small]}}, limit=999)] == ["y"]
    assert len(await query(tom, {"objectId": {"$in": [large, small]}}, limit=100)) == 2
