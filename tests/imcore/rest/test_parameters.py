"""How parameters are read (rest-api 3)."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from imcore.errors import InvalidLogin
from imcore.models import Application
from imcore.rest.exceptions import BadParameter
from imcore.rest.parameters import Parameters
from tests.restclient import app_of, call

READ = "/1.1/test/read"


def body(**fields: Any) -> Parameters:
    """Return parameters that are all in the body."""
    return Parameters(fields, QueryDict(""))


def query(text: str) -> Parameters:
    """Return parameters that are all in the query."""
    return Parameters({}, QueryDict(text))


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("text", "expected"),
    [("True", True), ("1", True), ("true", True), ("False", False), ("0", False), ("false", False), ("", False)],
)
async def test_switches_are_written_in_several_ways(text: str, expected: bool) -> None:
    """Checklist 10: Python's `requests` writes `True`."""
    assert (await call("GET", READ, reversed=text)).json()["reversed"] is expected


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("reversed", "maybe", "reversed is true or false."),
        ("reversed", "2", "reversed is true or false."),
        ("timestamp", "tomorrow", "timestamp is a number."),
        ("timestamp", "1e400", "timestamp is a number."),
        ("client_ids", '["a"', "client_ids is not JSON."),
        ("client_ids", "[1]", "client_ids is a list of texts."),
        ("client_ids", '["a","b","c","d"]', "client_ids has at most 3 items."),
    ],
)
async def test_what_cannot_be_read_is_named(
    application: Application, method: str, name: str, value: str, error: str
) -> None:
    """rest-api 4.1: 400 with code 1; what is read tells which one."""
    refused = await call(method, READ, app_of(application), **{name: value})

    assert (refused.status_code, refused.json()) == (400, {"code": 1, "error": error})


@pytest.mark.usefixtures("served")
async def test_too_many_parameters_are_refused(application: Application) -> None:
    """Django takes a thousand, and no failure of the server is it to ask with more; nor in a batch."""
    error = {"code": 1, "error": "There are too many parameters."}
    many = {str(number): "x" for number in range(1001)}
    requests = [{"method": "GET", "path": READ, "params": many}]

    refused = await call("GET", READ, **many)
    batched = await call("POST", "/1.1/batch", app_of(application), {"requests": requests})

    assert (refused.status_code, refused.json()) == (400, error)
    assert batched.json() == [{"error": error}]


@pytest.mark.usefixtures("served")
async def test_delete_reads_the_body_and_the_query() -> None:
    """Checklist 9; rest-api 3.3: a list in the query is JSON, or the name comes more than once."""
    answers = [
        await call("DELETE", READ, None, {"client_ids": ["tom", "jerry"]}),
        await call("DELETE", READ, client_ids='["tom","jerry"]'),
        await call("DELETE", READ, client_ids=["tom", "jerry"]),
        await call("DELETE", READ, None, {"client_ids": ["tom", "jerry"]}, client_ids="spike"),
        await call("DELETE", READ, None, {"client_ids": None}, client_ids=["tom", "jerry", "tom"]),
    ]

    assert [answer.json()["client_ids"] for answer in answers] == [["tom", "jerry"]] * len(answers)


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-5", -5), ("1453014943466.9", 1453014943466), (" 7. ", 7), ("0", 0), ("9" * 18, int("9" * 18))],
)
def test_numbers_are_cut_to_whole_ones(text: str, number: int) -> None:
    """rest-api 3.5."""
    assert query(f"t={text}").integer("t") == number
    assert body(t=text).integer("t") == number


def test_json_numbers_are_cut_too() -> None:
    """rest-api 3.5."""
    assert [body(t=value).integer("t") for value in (5, 5.9, -5.9, 1e12)] == [5, 5, -5, 10**12]


@pytest.mark.parametrize(("number", "is_read"), [(-1, False), (0, True), (10, True), (11, False)])
def test_a_number_may_have_bounds(number: int, is_read: bool) -> None:
    """The error says which."""
    if is_read:
        assert body(n=number).integer("n", least=0, most=10) == number
    else:
        with pytest.raises(BadParameter, match="n is a number from 0 to 10"):
            body(n=number).integer("n", least=0, most=10)


@pytest.mark.parametrize(
    ("text", "limit"), [("", 100), ("0", 0), ("1", 1), ("1000", 1000), ("1001", 100), ("-1", 100), ("all", 100)]
)
def test_a_page_out_of_bounds_is_the_default(text: str, limit: int) -> None:
    """rest-api 6.1."""
    assert query(f"limit={text}").limit() == limit


READERS: dict[str, Callable[[Parameters], Any]] = {
    "string": lambda asked: asked.string("x"),
    "boolean": lambda asked: asked.boolean("x"),
    "integer": lambda asked: asked.integer("x"),
    "client_id": lambda asked: asked.client_id("x"),
    "client_ids": lambda asked: asked.client_ids("x", at_most=5),
    "strings": lambda asked: asked.strings("x", at_most=5),
    "json_object": lambda asked: asked.json_object("x"),
}
DEFAULTS: dict[str, Callable[[Parameters, Any], Any]] = {
    "string": lambda asked, default: asked.string("x", default),
    "boolean": lambda asked, default: asked.boolean("x", default),
    "integer": lambda asked, default: asked.integer("x", default, least=5),
    "client_id": lambda asked, default: asked.client_id("x", default),
    "client_ids": lambda asked, default: asked.client_ids("x", default, at_most=5),
    "strings": lambda asked, default: asked.strings("x", default, at_most=5),
    "json_object": lambda asked, default: asked.json_object("x", default),
}


@pytest.mark.parametrize("reader", list(READERS))
@pytest.mark.parametrize("asked", [body(), body(x=None), query(""), query("x="), query("y=1")])
def test_what_is_not_there_is_missing_or_the_default(reader: str, asked: Parameters) -> None:
    """rest-api 3.2: `null` is as good as absent."""
    with pytest.raises(BadParameter, match=r"x is missing\."):
        READERS[reader](asked)
    default = object()
    assert DEFAULTS[reader](asked, default) is default
    assert DEFAULTS[reader](asked, None) is None


WRONG: dict[str, list[Any]] = {
    "string": [5, True, [], {}, "\0"],
    "boolean": ["yes", 2, -1, 0.0, [], {}],
    "integer": ["x", "1_000", "１", "0x10", True, [], {}, ""],
    "client_id": [5, ["tom"], {}],
    "client_ids": ["tom", '["tom"]', {}, [1], [None], ["a\0"], list("abcdef")],
    "json_object": ["x", "[]", "null", 5, []],
}


@pytest.mark.parametrize(("reader", "value"), [(reader, value) for reader, values in WRONG.items() for value in values])
def test_a_value_of_another_type_is_refused(reader: str, value: Any) -> None:
    """rest-api 4.1: code 1."""
    with pytest.raises(BadParameter, match="x "):
        READERS[reader](body(x=value))


@pytest.mark.parametrize("text", ["", "x" * 65, "\0"])
def test_what_can_be_no_client_id_is_refused(text: str) -> None:
    """rest-api 4.1: 4103, at and beyond 64 characters."""
    assert body(x="x" * 64).client_id("x") == "x" * 64

    with pytest.raises(InvalidLogin):
        body(x=text).client_id("x")


def test_one_client_of_many_can_be_none() -> None:
    """The same error."""
    with pytest.raises(InvalidLogin):
        body(x=["tom", "x" * 65]).client_ids("x", at_most=5)


def test_an_object_may_be_text() -> None:
    """As the query has it, and batches (rest-api 6.2)."""
    for asked in (query('x={"a":1}'), body(x='{"a":1}'), body(x={"a": 1})):
        assert asked.json_object("x") == {"a": 1}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)


@given(value=VALUES, reader=st.sampled_from(list(READERS)))
def test_any_value_is_read_or_refused(value: Any, reader: str) -> None:
    """Nothing else happens, wherever it stands."""
    for asked in (body(x=value), query(f"x={json.dumps(value)}"), query(f"x={value}")):
        with contextlib.suppress(BadParameter, InvalidLogin):
            READERS[reader](asked)
