"""Attributes that a conversation is started with (realtime-protocol 4.2, rule 6)."""

import json
from typing import Any

import pytest

from imcore.models import Application
from imcore.protocol.message_pb2 import OpType
from tests.conftest import SignIn
from tests.conversations.talking import attr, look_up, query, refusal, start, stored

REQUEST_INVALID = 4301


async def test_attributes_become_top_level_keys_of_the_conversation(signed_in: SignIn) -> None:
    """JS and C# put their own keys beside `name`; Java, Objective-C and Swift put them under `attr`."""
    tom = await signed_in("tom")
    attributes = {
        "name": "T & J 猫和老鼠 😀",
        "attr": {"type": "private", "since": {"__type": "Date", "iso": "2020-01-21T14:22:40.000Z"}},
        "level": -3,
        "ratio": 0.5,
        "tags": ["a", 1, None, True, {"deep": []}],
        "nothing": None,
        "": "the empty key",
    }

    started = await start(tom, "jerry", attributes=attributes)

    found = await look_up(tom, started.cid)
    assert {key: found[key] for key in attributes} == attributes


async def test_keys_of_the_server_are_ignored(signed_in: SignIn) -> None:
    """A client cannot forge what the conversation object says about itself."""
    tom = await signed_in("tom")
    plain = await look_up(tom, (await start(tom, "jerry")).cid)
    forged = {
        **dict.fromkeys(["objectId", "c", "uniqueId", "createdAt", "updatedAt", "msg", "msg_mid", "msg_from"], "x"),
        **dict.fromkeys(["tr", "sys", "unique", "temp", "tempConv", "joined", "muted", "bin"], True),
        **dict.fromkeys(["conv_type", "ttl", "tempConvTTL", "msg_timestamp"], 3),
        "m": ["spike"],
        "mu": None,
        "lm": {"__type": "Date", "iso": "2020-01-21T14:22:40.000Z"},
    }

    started = await start(tom, "jerry", attributes={**forged, "name": "kept"})

    found = await look_up(tom, started.cid)
    assert found.keys() - plain.keys() == {"name"}
    assert (found["m"], found["c"], found["conv_type"], found["mu"]) == (["jerry", "tom"], "tom", 1, [])
    assert (found["tr"], found["sys"], found["unique"]) == (False, False, False)


@pytest.mark.parametrize("text", ["", "null", "{}", "  {} "])
async def test_no_attributes_can_be_said_in_several_ways(signed_in: SignIn, text: str) -> None:
    """None of them is an error."""
    tom = await signed_in("tom")

    started = await start(tom, "jerry", attributes=text)

    assert (await look_up(tom, started.cid))["objectId"] == started.cid


BAD = {
    "not JSON": "{",
    "not quite JSON": "{'name': 1}",
    "NaN": '{"a": NaN}',
    "two objects": "{} {}",
    "a list": "[]",
    "a string": '"name"',
    "a number": "1",
    "beyond floats": '{"a": 1e400}',
    "a lone high surrogate": '{"a": "\\ud800"}',
    "a lone low surrogate": '{"a": "\\udc00x"}',
    "a lone surrogate in a key": '{"\\ud83d": 1}',
    "NUL in a value": '{"a": "x\\u0000"}',
    "NUL in a key": '{"a": {"\\u0000": 1}}',
    "NUL far inside": json.dumps({"a": [[{"b": ["\0"]}]]}),
    "nesting of 100 levels": '{"a": ' + "[" * 100 + "]" * 100 + "}",
    "nesting of 300 levels": '{"a": ' + "[" * 300 + "]" * 300 + "}",
    "nesting of 1000 levels": '{"a":' * 1000 + "1" + "}" * 1000,
    "nesting of 100000 levels": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
async def test_bad_attributes_are_refused_and_nothing_is_stored(
    signed_in: SignIn, application: Application, text: str
) -> None:
    """4301 CONVERSATION_API_FAILED: bad arguments of a conversation command. The connection goes on."""
    tom = await signed_in("tom")

    refused = await refusal(tom, OpType.start, m=["jerry"], attr=attr(text))

    assert (refused.code, refused.reason) == (REQUEST_INVALID, "CONVERSATION_API_FAILED")
    assert await stored(application) == []
    assert await query(tom) == []


@pytest.mark.parametrize("is_temporary", [False, True])
async def test_any_number_that_is_taken_comes_back(signed_in: SignIn, is_temporary: bool) -> None:
    """A number must not make the conversation, and every page it is on, unreadable."""
    tom = await signed_in("tom")

    numbers: list[float] = [1e300, -1.7e308, 1e22, 2**53 + 1, 2**63, 2**64, 10**40, 1e-300, -0.0, 0.1]

    started = await start(tom, "jerry", attributes={"n": numbers}, tempConv=is_temporary)

    assert (await look_up(tom, started.cid))["n"] == pytest.approx(numbers, rel=1e-15, abs=0)


async def test_attributes_may_nest_as_deep_as_anyone_needs(signed_in: SignIn) -> None:
    """Sixty levels are more than an SDK's user writes by hand."""
    tom = await signed_in("tom")
    deep: Any = "bottom"
    for _ in range(30):
        deep = {"a": [deep]}

    for fields in ({}, {"tempConv": True}):
        started = await start(tom, "jerry", attributes={"deep": deep}, **fields)

        assert (await look_up(tom, started.cid))["deep"] == deep
