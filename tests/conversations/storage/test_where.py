"""What each operator finds, by example, on the database at hand (realtime-protocol 4.4)."""

import json
import math
from typing import Any, cast

import pytest
from django.db import connection

from conversations.models import Conversation, Member
from conversations.storage import where
from conversations.storage.where_matching import great_circle
from imcore.models import Application
from tests.conversations.storage.where_support import Document, found, store

JAN_1 = 1577836800000
JAN_2 = JAN_1 + 86_400_000
JAN_1_ISO = "2020-01-01T00:00:00.000Z"
JAN_2_ISO = "2020-01-02T00:00:00.000Z"


def date(iso: str) -> Document:
    return {"__type": "Date", "iso": iso}


def point(latitude: float, longitude: float) -> Document:
    return {"__type": "GeoPoint", "latitude": latitude, "longitude": longitude}


BEIJING = point(39.9, 116.4)
TIANJIN = point(39.1, 117.2)  # 112 km from Beijing
SYDNEY = point(-33.9, 151.2)

CONVERSATIONS: list[Document] = [
    {
        "objectId": "cats",
        "c": "tom",
        "m": ["tom", "jerry"],
        "mu": ["jerry"],
        "name": "猫和老鼠",
        "attr": {"type": "private", "level": 3, "pinned": True, "topic": {"id": 7}},
        "tags": ["a", "b", 1],
        "lm": JAN_2,
        "createdAt": JAN_1,
        "updatedAt": JAN_2,
        "unique": True,
        "uniqueId": "u1",
        "place": BEIJING,
        "due": date(JAN_1_ISO),
    },
    {
        "objectId": "room",
        "c": "spike",
        "conv_type": 2,
        "name": "Room a.b",
        "attr": {"type": "public", "level": 1.0, "pinned": False},
        "tags": [],
        "createdAt": JAN_2,
        "updatedAt": JAN_2,
        "place": SYDNEY,
        "due": date(JAN_2_ISO),
        "nothing": None,
    },
    {
        "objectId": "news",
        "conv_type": 3,
        "m": ["tom"],
        "name": "News axb",
        "attr": {"level": "3", "tags": [{"a": 1}, [1, 2], None]},
        "tags": "a",
        "lm": JAN_1,
        "createdAt": JAN_1,
        "updatedAt": JAN_1,
        "place": [SYDNEY, TIANJIN],
        "due": JAN_1_ISO,
        "it's": {'a"b': {"": 1}},
    },
]
CATS, ROOM, NEWS = "cats", "room", "news"
ALL = {CATS, ROOM, NEWS}
NONE: set[str] = set()

EXAMPLES: list[tuple[Any, set[str]]] = [
    # Columns.
    ({"objectId": CATS}, {CATS}),
    ({"objectId": {"$in": [CATS, NEWS, 5, None, "gone"]}}, {CATS, NEWS}),
    ({"objectId": {"$nin": [CATS, NEWS]}}, {ROOM}),
    ({"objectId": {"$in": []}}, NONE),
    ({"objectId": {"$nin": []}}, ALL),
    ({"objectId": {"$gt": CATS, "$lte": "room"}}, {ROOM, NEWS}),
    ({"objectId": {"$regex": "^[cn]"}}, {CATS, NEWS}),
    ({"objectId": 5}, NONE),
    ({"objectId": {"$exists": True}}, ALL),
    ({"objectId": {"$all": [CATS]}}, {CATS}),
    ({"objectId": {"$all": [CATS, CATS]}}, {CATS}),
    ({"objectId": {"$all": [CATS, ROOM]}}, NONE),
    ({"objectId": {"$size": 1}}, NONE),
    ({"c": "tom"}, {CATS}),
    ({"c": {"$ne": "tom"}}, {ROOM, NEWS}),
    ({"tr": True}, {ROOM}),
    ({"tr": False}, {CATS, NEWS}),
    ({"tr": {"$ne": True}}, {CATS, NEWS}),
    ({"tr": {"$in": [True, False]}}, ALL),
    ({"tr": 1}, NONE),
    ({"tr": None}, NONE),
    ({"tr": {"$exists": True}}, ALL),
    ({"sys": True}, {NEWS}),
    ({"temp": True}, NONE),
    ({"conv_type": 1}, {CATS}),
    ({"conv_type": 1.0}, {CATS}),
    ({"conv_type": True}, NONE),
    ({"conv_type": {"$gte": 2}}, {ROOM, NEWS}),
    ({"conv_type": {"$in": [1, 3, "2"]}}, {CATS, NEWS}),
    ({"unique": True}, {CATS}),
    ({"unique": {"$ne": True}}, {ROOM, NEWS}),
    ({"uniqueId": "u1"}, {CATS}),
    ({"uniqueId": {"$ne": "u1"}}, {ROOM, NEWS}),
    ({"uniqueId": None}, {ROOM, NEWS}),
    ({"uniqueId": {"$in": ["u1", None]}}, ALL),
    ({"uniqueId": {"$exists": False}}, {ROOM, NEWS}),
    # Instants: Dates, ISO strings and milliseconds.
    ({"lm": {"$gt": date(JAN_1_ISO)}}, {CATS}),
    ({"lm": {"$gte": date("2020-01-01T08:00:00+08:00")}}, {CATS, NEWS}),
    ({"lm": {"$lt": JAN_2}}, {NEWS}),
    ({"lm": {"$lt": JAN_2 + 0.5}}, {CATS, NEWS}),
    ({"lm": {"$gt": -(10**30), "$lt": 1e300}}, {CATS, NEWS}),
    ({"lm": {"$gt": 10**30}}, NONE),
    ({"lm": date(JAN_1_ISO)}, {NEWS}),
    ({"lm": {"$ne": date(JAN_1_ISO)}}, {CATS, ROOM}),
    ({"lm": JAN_1 + 0.5}, NONE),
    ({"lm": None}, {ROOM}),
    ({"lm": {"$exists": True}}, {CATS, NEWS}),
    ({"lm": True}, NONE),
    ({"lm": {"$regex": "1"}}, NONE),
    ({"createdAt": {"$gt": JAN_1_ISO}}, {ROOM}),
    ({"createdAt": {"$lte": date(JAN_1_ISO)}}, {CATS, NEWS}),
    ({"createdAt": {"$in": [JAN_1_ISO, JAN_2]}}, ALL),
    ({"updatedAt": {"$gte": "2020-01-02"}}, {CATS, ROOM}),
    # Members.
    ({"m": "tom"}, {CATS, NEWS}),
    ({"m": "Tom"}, NONE),
    ({"m": {"$ne": "jerry"}}, {ROOM, NEWS}),
    ({"m": {"$in": ["jerry", "nobody"]}}, {CATS}),
    ({"m": {"$nin": ["jerry", "nobody"]}}, {ROOM, NEWS}),
    ({"m": {"$all": ["tom"]}}, {CATS, NEWS}),
    ({"m": {"$all": ["tom", "jerry"]}}, {CATS}),
    ({"m": {"$all": ["tom", "tom"]}}, {CATS, NEWS}),
    ({"m": {"$all": ["tom", "jerry"], "$size": 2}}, {CATS}),
    ({"m": {"$all": ["tom", 5]}}, NONE),
    ({"m": {"$all": []}}, NONE),
    ({"m": {"$size": 1}}, {NEWS}),
    ({"m": {"$size": 0}}, {ROOM}),
    ({"m": ["jerry", "tom"]}, {CATS}),
    ({"m": ["tom"]}, {NEWS}),
    ({"m": ["tom", "tom"]}, NONE),
    ({"m": []}, {ROOM}),
    ({"m": {"$regex": "^je"}}, {CATS}),
    ({"m": {"$lt": "k"}}, {CATS}),
    ({"m": 5}, NONE),
    ({"m": None}, NONE),
    ({"m": {"$exists": True}}, ALL),
    ({"mu": "jerry"}, {CATS}),
    ({"mu": "tom"}, NONE),
    ({"mu": {"$size": 1}}, {CATS}),
    ({"mu": {"$ne": "jerry"}}, {ROOM, NEWS}),
    # Attributes: equality.
    ({"name": "猫和老鼠"}, {CATS}),
    ({"attr.type": "private"}, {CATS}),
    ({"attr.topic.id": 7}, {CATS}),
    ({"attr.topic": {"id": 7.0}}, {CATS}),
    ({"attr.level": 1}, {ROOM}),
    ({"attr.level": 3}, {CATS}),
    ({"attr.level": "3"}, {NEWS}),
    ({"attr.pinned": True}, {CATS}),
    ({"attr.pinned": 1}, NONE),
    ({"attr.pinned": {"$ne": True}}, {ROOM, NEWS}),
    ({"attr.type": {"$ne": "private"}}, {ROOM, NEWS}),
    ({"attr.type": {"$nin": ["private", "public"]}}, {NEWS}),
    ({"attr.type": None}, {NEWS}),
    ({"attr.type": {"$in": [None, "public"]}}, {ROOM, NEWS}),
    ({"nothing": None}, ALL),
    ({"nothing": {"$exists": True}}, {ROOM}),
    ({"nothing": {"$ne": None}}, NONE),
    ({"nowhere.at.all": None}, ALL),
    ({"nowhere.at.all": {"$exists": False}}, ALL),
    ({"name.length": None}, ALL),
    ({"due": date(JAN_1_ISO)}, {CATS}),
    # Attributes: arrays.
    ({"tags": "a"}, {CATS, NEWS}),
    ({"tags": 1}, {CATS}),
    ({"tags": "1"}, NONE),
    ({"tags": ["a", "b", 1]}, {CATS}),
    ({"tags": ["a", "b"]}, NONE),
    ({"tags": []}, {ROOM}),
    ({"tags": {"$ne": "a"}}, {ROOM}),
    ({"tags": {"$in": ["b", "c"]}}, {CATS}),
    ({"tags": {"$nin": ["b", "c"]}}, {ROOM, NEWS}),
    ({"tags": {"$all": ["a", 1]}}, {CATS}),
    ({"tags": {"$all": ["a"]}}, {CATS, NEWS}),
    ({"tags": {"$all": [["a", "b", 1]]}}, {CATS}),
    ({"tags": {"$size": 3}}, {CATS}),
    ({"tags": {"$size": 0}}, {ROOM}),
    ({"tags": {"$size": 1}}, NONE),
    ({"tags": {"$gt": 0}}, {CATS}),
    ({"tags": {"$regex": "^b"}}, {CATS}),
    ({"attr.tags": {"a": 1}}, {NEWS}),
    ({"attr.tags": [1, 2]}, {NEWS}),
    ({"attr.tags": 1}, NONE),
    ({"attr.tags": {"$all": [{"a": 1}, [1, 2], None]}}, {NEWS}),
    ({"attr.tags.a": 1}, NONE),
    ({"tags.0": "a"}, NONE),
    # Attributes: order, only within a type.
    ({"attr.level": {"$gt": 0}}, {CATS, ROOM}),
    ({"attr.level": {"$gt": 1, "$lt": 3.5}}, {CATS}),
    ({"attr.level": {"$gte": "3"}}, {NEWS}),
    ({"name": {"$gte": "News axb", "$lt": "猫"}}, {ROOM, NEWS}),
    ({"attr.pinned": {"$lt": 1}}, NONE),
    ({"due": {"$gt": date(JAN_1_ISO)}}, {ROOM}),
    ({"due": {"$lte": date(JAN_2_ISO)}}, {CATS, ROOM}),
    ({"due": {"$lte": JAN_2_ISO}}, {NEWS}),
    # Patterns; more of them in test_where_regex.
    ({"name": {"$regex": r"\Qa.b\E"}}, {ROOM}),
    ({"name": {"$regex": r"^\Qroom\E", "$options": "i"}}, {ROOM}),
    ({"name": {"$regex": "^((?!News).)*$"}}, {CATS, ROOM}),
    ({"name": {"$regex": r"[\u4e00-\u9fa5]+"}}, {CATS}),
    ({"attr.level": {"$regex": "3"}}, {NEWS}),
    # Places.
    ({"place": BEIJING}, {CATS}),
    ({"place": {"$nearSphere": BEIJING, "$maxDistanceInKilometers": 1}}, {CATS}),
    ({"place": {"$nearSphere": BEIJING, "$maxDistanceInKilometers": 120}}, {CATS, NEWS}),
    ({"place": {"$nearSphere": BEIJING, "$maxDistanceInMiles": 71}}, {CATS, NEWS}),
    ({"place": {"$nearSphere": BEIJING, "$maxDistanceInMiles": 60}}, {CATS}),
    ({"place": {"$nearSphere": BEIJING, "$maxDistance": 0.02}}, {CATS, NEWS}),
    ({"place": {"$nearSphere": BEIJING, "$maxDistanceInRadians": 0.01}}, {CATS}),
    ({"place": {"$nearSphere": BEIJING, "$minDistanceInKilometers": 100}}, {ROOM, NEWS}),
    (
        {"place": {"$nearSphere": BEIJING, "$minDistanceInKilometers": 1, "$maxDistanceInKilometers": 200}},
        {NEWS},
    ),
    ({"name": {"$nearSphere": BEIJING}}, NONE),
    ({"place": {"$within": {"$box": [point(39, 116), point(40, 118)]}}}, {CATS, NEWS}),
    ({"place": {"$within": {"$box": [point(40, 118), point(39.5, 116)]}}}, {CATS}),
    # Logic.
    ({"$and": [{"objectId": CATS}]}, {CATS}),
    ({"$and": [{"$and": [{"m": "tom"}]}, {"sys": False}]}, {CATS}),
    ({"$or": [{"objectId": CATS}, {"tr": True}]}, {CATS, ROOM}),
    ({"$or": [{"m": "tom"}, {"tr": True}], "attr.level": {"$gt": 0}}, {CATS, ROOM}),
    ({"$nor": [{"objectId": CATS}, {"tr": True}]}, {NEWS}),
    ({"$or": [{}]}, ALL),
    ({"m": "tom", "name": {"$regex": "News"}}, {NEWS}),
    # Text that cannot be stored matches nothing.
    ({"name": "\0"}, NONE),
    ({"name": {"$ne": "\0"}}, ALL),
    ({"m": "tom\0"}, NONE),
    ({"m": {"$in": ["\0", "jerry"]}}, {CATS}),
    ({"objectId": {"$lt": "\ud800"}}, NONE),
    ({"a\0": None}, ALL),
    ({"attr.\ud800": {"$exists": True}}, NONE),
    ({"name": {"$regex": "\0|axb"}}, {NEWS}),
    # Keys are anything.
    ({"it's.a\"b.": 1}, {NEWS}),
    ({"it's": {"$exists": True}}, {NEWS}),
    ({"": {"$exists": False}}, ALL),
    ({"..": None}, ALL),
    ({"a' OR 1=1 --": 1}, NONE),
    ({"%s": "%s"}, NONE),
    ({"attr.$type": None}, ALL),
    ({"lm.iso": None}, ALL),
]


@pytest.fixture
def stored(application: Application) -> Application:
    store(application, CONVERSATIONS)
    return application


@pytest.mark.parametrize(("query", "expected"), EXAMPLES, ids=[ascii(query)[:60] for query, _ in EXAMPLES])
def test_a_query_finds_what_it_describes(stored: Application, query: Document, expected: set[str]) -> None:
    assert set(found(stored, query)) == expected


@pytest.mark.parametrize("text", ["", " \n", "{}", '{"$and": [{}]}'])
def test_a_where_without_conditions_is_empty_and_matches_all(stored: Application, text: str) -> None:
    assert where.parse(text).is_empty
    assert set(found(stored, text)) == ALL


def test_a_where_that_is_always_true_is_not_empty() -> None:
    assert not where.parse('{"\\u0000": null}').is_empty


def test_without_an_order_of_its_own_near_sphere_finds_the_nearest_first(stored: Application) -> None:
    assert found(stored, {"place": {"$nearSphere": BEIJING}}) == [CATS, NEWS, ROOM]
    assert found(stored, {"$and": [{"place": {"$nearSphere": SYDNEY}}]}) == [ROOM, NEWS, CATS]
    assert found(stored, {"place": {"$nearSphere": SYDNEY, "$minDistance": 0.1}}) == [NEWS, CATS]


def test_only_near_sphere_on_every_match_gives_an_order() -> None:
    for text in (
        '{"a": 1}',
        '{"$or": [{"a": {"$nearSphere": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}}}]}',
    ):
        assert where.distance_order(where.parse(text), vendor=connection.vendor) is None


@pytest.mark.parametrize(
    ("places", "radians"),
    [
        ((0, 0, 0, 0), 0),
        ((0, 0, 0, 90), math.pi / 2),
        ((0, 0, 0, 180), math.pi),
        ((90, 0, -90, 77), math.pi),
        ((0, -179.5, 0, 179.5), math.radians(1)),
        ((39.9, 116.4, 39.1, 117.2), 112.4 / 6371),
    ],
)
def test_distances_are_along_great_circles(places: tuple[float, float, float, float], radians: float) -> None:
    assert great_circle(*places) == pytest.approx(radians, rel=0.001)


@pytest.mark.parametrize("query", [{"m": "client 7"}, {"m": {"$all": ["client 7", "client 8"]}}, {"mu": "client 7"}])
def test_members_are_found_by_the_index_of_client_ids(stored: Application, query: Document) -> None:
    crowd = Conversation.objects.get(application=stored, object_id=NEWS)
    Member.objects.bulk_create(
        Member(conversation=crowd, application=stored, client_id=f"client {number}", joined_ms=0)
        for number in range(3000)
    )
    tree = where.parse(json.dumps(query))
    sql, params = where.compile_where(tree, vendor=connection.vendor, application_id=stored.pk)
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"

    with where.time_limit(connection, 10), connection.cursor() as cursor:
        cursor.execute("ANALYZE conversations_member")
        cursor.execute(f"{explain} SELECT c.id FROM conversations_conversation c WHERE {sql}", cast("Any", params))
        plan = " ".join(str(column) for row in cursor.fetchall() for column in row)

    assert "member_client" in plan


def test_an_application_does_not_find_the_members_of_another(stored: Application) -> None:
    other = Application.objects.create(name="another")
    store(other, [{"objectId": "theirs", "m": ["tom"]}])

    assert found(other, {"m": "tom"}) == ["theirs"]
    sql, params = where.compile_where(where.parse('{"m": "tom"}'), vendor=connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.object_id FROM conversations_conversation c WHERE c.application_id = %s AND ({sql})",
            cast("Any", [other.pk, *params]),
        )
        assert cursor.fetchall() == [("theirs",)]
