"""What a body says, and requests inside the body of another (rest-api 2.6, 3)."""

import json
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings as DjangoSettings
from rest_framework.request import Request

from imcore.models import Application
from imcore.rest.bodies import body_of, open_tunnel
from imcore.rest.exceptions import BadParameter, InvalidJson
from tests.restclient import app_of, call, master_of

pytestmark = pytest.mark.usefixtures("served")

ECHO = "/1.1/test/echo"
TEXT = "text/plain"
UNAUTHORIZED = {"code": 401, "error": "Unauthorized."}
NOT_JSON = {"code": 107, "error": "The body is not a JSON object."}

Json = dict[str, Any]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", ["null", "", " ", "{}", " null\n"])
async def test_nothing_and_null_are_no_fields(application: Application, method: str, body: str) -> None:
    """Checklist 9: Python and JavaScript send `null`."""
    answer = await call(method, ECHO, app_of(application), body)

    assert (answer.status_code, answer.json()["body"]) == (200, {})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/x-www-form-urlencoded",
        "",
    ],
)
async def test_a_body_is_json_whatever_it_is_called(application: Application, method: str, content_type: str) -> None:
    """Checklist 9; rest-api 3.1: DELETE has one too, and curl calls it a form."""
    fields = {"name": "午餐", "_private": 1, "m": ["tom"]}

    answer = await call(method, ECHO, app_of(application), fields, content_type=content_type)

    assert answer.json() == {"method": method, "body": fields, "query": {}}


@pytest.mark.parametrize("body", ["{", "[]", "5", '"x"', "name=Lunch", "nul", b"\xff", "[" * 100_000])
@pytest.mark.parametrize("content_type", ["application/json", TEXT])
async def test_a_body_that_is_no_object_is_refused(
    application: Application, body: str | bytes, content_type: str
) -> None:
    """rest-api 4.1: 400 with code 107."""
    answer = await call("POST", ECHO, app_of(application), body, content_type=content_type)

    assert (answer.status_code, answer.json()) == (400, NOT_JSON)


async def test_a_body_that_is_too_large_is_refused(application: Application, settings: DjangoSettings) -> None:
    """rest-api 3.8: also under a server that has let it through."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

    answer = await call("POST", ECHO, app_of(application), {"name": "more than that"})

    assert (answer.status_code, answer.json()) == (413, {"code": 413, "error": "The body is too large."})


async def test_a_get_request_has_no_body(application: Application) -> None:
    """JavaScript 4 sends `{}` with some, others anything."""
    for body in ("{", "null", "[]"):
        assert (await call("GET", ECHO, app_of(application), body)).status_code == 200


async def tunnel(application: Application, fields: Json, content_type: str = TEXT, **query: Any) -> Any:
    """Send a request inside of another, which has no headers."""
    keys = {"_ApplicationId": application.app_id, "_ApplicationKey": application.app_key}
    return await call("POST", ECHO, None, {**keys, **fields}, content_type=content_type, **query)


FIELDS: Json = {
    "name": "Lunch",
    "where": {"cid": "x"},
    "skip": 5,
    "reversed": True,
    "likes": {"__op": "Increment", "amount": 1},
    "__internalId": "y",
    "_InstallationId": "z",
    "_ClientVersion": "js4",
}
KEPT = {name: value for name, value in FIELDS.items() if name not in ("_InstallationId", "_ClientVersion")}
AS_QUERY = {
    "name": "Lunch",
    "where": '{"cid":"x"}',
    "skip": "5",
    "reversed": "true",
    "likes": '{"__op":"Increment","amount":1}',
    "__internalId": "y",
}


@pytest.mark.parametrize("content_type", [TEXT, "text/plain;charset=UTF-8", "Text/Plain ; charset=gbk"])
@pytest.mark.parametrize(
    ("method", "body", "query"),
    [
        ("GET", {}, AS_QUERY),
        ("PUT", KEPT, {}),
        ("DELETE", KEPT, AS_QUERY),
        ("POST", KEPT, {}),
        (None, KEPT, {}),
        ("put", KEPT, {}),
    ],
)
async def test_a_request_travels_inside_another(
    application: Application, method: str | None, body: Json, query: Json, content_type: str
) -> None:
    """Checklist 6: keys with one underscore are stripped, `__op` and its like stay."""
    answer = await tunnel(application, {"_method": method, **FIELDS}, content_type, count=1)

    assert answer.status_code == 200
    assert answer.json() == {"method": (method or "POST").upper(), "body": body, "query": {"count": "1", **query}}


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "CONNECT", "", 5, ["GET"]])
async def test_no_other_method_travels(application: Application, method: Any) -> None:
    """An empty one is none, as if nothing had been said."""
    answer = await tunnel(application, {"_method": method})

    assert answer.status_code == (200 if method == "" else 400)


async def test_what_nests_too_deep_does_not_travel(application: Application) -> None:
    """Deeper than JSON is written, though it was read: a query has it as text."""
    deep = json.loads("[" * 500 + "]" * 500)

    answer = await tunnel(application, {"_method": "GET", "where": deep})

    assert (answer.status_code, answer.json()) == (400, {"code": 1, "error": "where nests too deep."})


async def test_whoever_travels_says_who_he_is(application: Application) -> None:
    """rest-api 2.6: keys and the master key in the body."""
    by_master = {"_ApplicationId": application.app_id, "_MasterKey": application.master_key, "_method": "GET"}
    by_app = {"_ApplicationId": application.app_id, "_ApplicationKey": application.app_key, "_method": "GET"}
    wrong = {**by_app, "_ApplicationKey": "wrong"}

    answers = [
        await call("POST", "/1.1/test/master", None, fields, content_type=TEXT) for fields in (by_master, by_app, wrong)
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 401]
    assert answers[2].json() == UNAUTHORIZED


async def test_headers_count_before_the_body(application: Application) -> None:
    """rest-api 2.6: keys are taken from the body only if no header names the application."""
    fields = {"_ApplicationId": application.app_id, "_MasterKey": application.master_key, "_method": "GET"}

    refused = await call("POST", "/1.1/test/master", app_of(application), fields, content_type=TEXT)
    unknown = await call("POST", "/1.1/test/master", {"X-LC-Id": "unknown"}, fields, content_type=TEXT)
    served = await call("POST", "/1.1/test/master", master_of(application), {"_method": "GET"}, content_type=TEXT)

    assert [answer.status_code for answer in (refused, unknown, served)] == [403, 401, 200]


async def test_only_plain_text_is_a_tunnel(application: Application) -> None:
    """Else anybody's field `_method` would be one."""
    answer = await call("POST", ECHO, app_of(application), {"_method": "DELETE"})

    assert answer.json() == {"method": "POST", "body": {"_method": "DELETE"}, "query": {}}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)


@given(
    fields=st.dictionaries(st.text(), JSON_VALUES, max_size=6),
    method=st.sampled_from(["GET", "PUT", "DELETE", "POST"]),
    private=st.dictionaries(st.from_regex(r"_[A-Za-z]{0,9}", fullmatch=True), JSON_VALUES, max_size=4),
)
def test_any_request_travels_whole(fields: Json, method: str, private: Json) -> None:
    """Checklist 6: what arrives is what a request without a tunnel says."""
    kept = {name: value for name, value in fields.items() if name.startswith("__") or not name.startswith("_")}
    body = json.dumps({**kept, **private, "_method": method})

    request = Request(RequestFactory().post("/", body, content_type=TEXT))
    open_tunnel(request)

    assert request.method == method
    assert body_of(request) == kept
    if method in ("GET", "DELETE"):
        queried = {name: value for name, value in kept.items() if value is not None}
        assert request.query_params.keys() == queried.keys()
        for name, value in queried.items():
            text = request.query_params[name]
            assert (text if isinstance(value, str) else json.loads(text)) == value


@given(body=st.binary() | st.text().map(str.encode) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_the_tunnel_fail(body: bytes) -> None:
    """Bad input gets the documented error."""
    request = Request(RequestFactory().post("/", body, content_type=TEXT))
    try:
        open_tunnel(request)
    except (InvalidJson, BadParameter):
        return
    assert isinstance(body_of(request), dict)
