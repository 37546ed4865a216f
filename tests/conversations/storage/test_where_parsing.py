"""What a `where` may say, and what is refused with 4310 before it reaches the database."""

import json
import time
from typing import Any

import pytest

from conversations.storage import where
from conversations.storage.where_parsing import (
    CONDITIONS_MAX,
    DEPTH_MAX,
    LIST_MAX,
    PATH_MAX,
    TEXT_MAX_CHARACTERS,
)
from imcore.errors import ConversationQueryFailed
from tests.conversations.storage.where_support import Document

POINT = {"__type": "GeoPoint", "latitude": 1, "longitude": 1}


def nested(depth: int) -> Document:
    query: Document = {"a": 1}
    for number in range(depth):
        query = {"$or" if number % 2 else "$and": [query]}
    return query


def a_list(length: int) -> list[int]:
    return list(range(length))


@pytest.mark.parametrize(
    "text",
    [
        "null", "[]", '"a"', "1", "true", "{", "{]", '{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}", "[" * 100_000, '{"a":' * 100_000, '{"$or":[' * 100_000, "\0",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ConversationQueryFailed):
        where.parse(text)


@pytest.mark.parametrize(
    "query",
    [
        {"$nothing": 1},
        {"$comment": "a"},
        {"$where": "1"},
        {"$not": {"a": 1}},
        {"a": {"$not": {"$gt": 1}}},
        {"a": {"$eq": 1}},
        {"a": {"$inQuery": {"className": "B", "where": {}}}},
        {"a": {"$notInQuery": {"className": "B", "where": {}}}},
        {"a": {"$select": {"query": {}, "key": "b"}}},
        {"a": {"$dontSelect": {"query": {}, "key": "b"}}},
        {"$relatedTo": {"object": {}, "key": "a"}},
        {"a": {"$": 1}},
        {"a": {"$gt": 1, "b": 2}},
    ],
)
def test_an_operator_that_is_unknown_or_unsupported_is_refused(query: Document) -> None:
    with pytest.raises(ConversationQueryFailed):
        where.parse(json.dumps(query))


@pytest.mark.parametrize(
    "query",
    [
        {"$and": {}}, {"$and": []}, {"$or": []}, {"$nor": []}, {"$or": [1]}, {"$or": [[]]}, {"$or": None},
        {"a": {"$in": 1}}, {"a": {"$nin": {}}}, {"a": {"$all": "a"}}, {"a": {"$in": None}},
        {"a": {"$gt": None}}, {"a": {"$gt": True}}, {"a": {"$lt": []}}, {"a": {"$lte": {}}}, {"a": {"$gte": POINT}},
        {"a": {"$gt": {"__type": "Date"}}}, {"a": {"$gt": {"__type": "Date", "iso": 5}}},
        {"a": {"$size": -1}}, {"a": {"$size": 1.5}}, {"a": {"$size": "1"}}, {"a": {"$size": True}},
        {"a": {"$exists": None}}, {"a": {"$exists": "true"}}, {"a": {"$exists": 2}},
        {"a": {"$regex": 1}}, {"a": {"$regex": "a", "$options": 1}}, {"a": {"$options": "i"}},
        {"a": {"$regex": "a", "$options": "g"}}, {"a": {"$regex": "("}}, {"a": {"$regex": "a" * 3000}},
        {"a": {"$nearSphere": 1}}, {"a": {"$nearSphere": [1, 2]}}, {"a": {"$maxDistance": 1}},
        {"a": {"$nearSphere": {**POINT, "latitude": 91}}}, {"a": {"$nearSphere": {**POINT, "longitude": True}}},
        {"a": {"$nearSphere": {**POINT, "longitude": 10**400}}},
        {"a": {"$nearSphere": POINT, "$maxDistance": -1}}, {"a": {"$nearSphere": POINT, "$maxDistance": "1"}},
        {"a": {"$within": {}}}, {"a": {"$within": {"$box": [POINT]}}}, {"a": {"$within": {"$box": [POINT, 1]}}},
        {"a": {"$within": {"$box": [POINT, POINT], "$more": 1}}}, {"a": {"$within": {"$polygon": [POINT, POINT]}}},
        {"createdAt": "yesterday"}, {"lm": {"$gt": {"__type": "Date", "iso": "2020-13-01T00:00:00Z"}}},
        {"updatedAt": {"$in": ["2020-01-01", ""]}},
    ],
    ids=lambda query: ascii(query)[:60],
)  # fmt: skip
def test_an_operand_that_does_not_fit_its_operator_is_refused(query: Document) -> None:
    with pytest.raises(ConversationQueryFailed) as refusal:
        where.parse(json.dumps(query))

    assert refusal.value.code == 4310
    assert refusal.value.detail


@pytest.mark.parametrize(
    ("allowed", "too_much"),
    [
        (nested(DEPTH_MAX), nested(DEPTH_MAX + 1)),
        ({f"k{n}": 1 for n in range(CONDITIONS_MAX)}, {f"k{n}": 1 for n in range(CONDITIONS_MAX + 1)}),
        ({"a": {"$in": a_list(LIST_MAX)}}, {"a": {"$in": a_list(LIST_MAX + 1)}}),
        ({"a": {"$all": a_list(LIST_MAX)}}, {"a": {"$all": a_list(LIST_MAX + 1)}}),
        ({"m": a_list(LIST_MAX)}, {"m": a_list(LIST_MAX + 1)}),
        ({".".join("a" * PATH_MAX): 1}, {".".join("a" * (PATH_MAX + 1)): 1}),
        ({"$or": [{"a": {"$regex": "x" * 2048}}] * 2}, {"$or": [{"a": {"$regex": "x" * 2000}}] * 3}),
        ({"a": json.loads("[" * 20 + "]" * 20)}, {"a": json.loads("[" * 30 + "]" * 30)}),
        ({"a": "x" * (TEXT_MAX_CHARACTERS - 9)}, {"a": "x" * TEXT_MAX_CHARACTERS}),
    ],
    ids=["depth", "conditions", "$in", "$all", "array", "path", "patterns", "value", "text"],
)
def test_bounds_are_kept(allowed: Document, too_much: Document) -> None:
    where.parse(json.dumps(allowed))

    with pytest.raises(ConversationQueryFailed):
        where.parse(json.dumps(too_much))


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"' + "x" * 10_000_000 + '"}',
        '{"a":{"$regex":"' + "(" * 2000 + '"}}',
        json.dumps({"$and": [{"a": {"$regex": "a.b|c[x-z]" * 200}} for _ in range(120)]}),
        json.dumps({"$or": [{"a": 1}] * 20_000}),
        json.dumps({"a": {"$in": ["x" * 10] * 15_000}}),
    ],
    ids=["10 MB", "groups", "patterns", "conditions", "list"],
)
def test_a_bomb_is_refused_at_once(text: str) -> None:
    started = time.monotonic()

    with pytest.raises(ConversationQueryFailed):
        where.parse(text)

    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, None),
        ({"m": "tom"}, None),
        ({"objectId": "a"}, ("a",)),
        ({"objectId": {"$in": ["b", "a", "b", 5]}}, ("b", "a")),
        ({"objectId": {"$in": ["a", "b", "c"]}, "$and": [{"objectId": {"$in": ["c", "b"]}}]}, ("c", "b")),
        ({"$and": [{"$and": [{"objectId": "a"}]}, {"m": "tom"}]}, ("a",)),
        ({"$and": [{"objectId": "a"}, {"objectId": "b"}]}, ()),
        ({"objectId": {"$ne": "a"}}, None),
        ({"objectId": {"$nin": ["a"]}}, None),
        ({"objectId": {"$regex": "a"}}, None),
        ({"$or": [{"objectId": "a"}, {"objectId": "b"}]}, None),
        ({"$nor": [{"objectId": "a"}]}, None),
        ({"attr.objectId": "a"}, None),
    ],
)  # fmt: skip
def test_object_ids_are_those_a_query_is_bound_to(query: Any, expected: tuple[str, ...] | None) -> None:
    assert where.parse(json.dumps(query)).object_ids == expected


def test_999_ids_can_be_looked_up_at_once() -> None:
    ids = [f"{number:024x}" for number in range(999)]

    assert where.parse(json.dumps({"objectId": {"$in": ids}})).object_ids == tuple(ids)
