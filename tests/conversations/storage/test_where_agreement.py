"""Random documents and random queries: the database finds what the model in Python says."""

import os
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcore.models import Application
from tests.conversations.storage.where_support import Document, found, matching, store

# `IMCORE_WHERE_EXAMPLES=5000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_WHERE_EXAMPLES", "60"))

texts = st.sampled_from(
    ["", "a", "A", "ab", "a.b", "b", "B", "a\nb", "a\n", "中", "中文", "😀", "\uffff", "'", "%s", "10"]
)
numbers = st.sampled_from(
    [0, 1, -1, 2, 10, 10**23, 2**53 + 1, 2**63, -(2**70), -0.0, 0.5, 1.0, 1.5, 1e23, 9007199254740992.0, 1e300]
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
dates = st.builds(
    lambda iso: {"__type": "Date", "iso": iso},
    st.sampled_from(["2020-01-21T14:22:40.000Z", "2020-01-21T14:22:41.000Z", "1970-01-01T00:00:00.010Z"]),
)
points = st.builds(
    lambda latitude, longitude: {"__type": "GeoPoint", "latitude": latitude, "longitude": longitude},
    st.sampled_from([0, 39.9, -33.5, 90]),
    st.sampled_from([0, 116.4, -180, 179.5]),
)
odd_objects: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"__type": "Date", "iso": 5},
        {"__type": "Date"},
        {"__type": "GeoPoint", "latitude": 1000, "longitude": "x"},
        {"__type": "GeoPoint", "latitude": True, "longitude": 0},
        {"__type": "GeoPoint"},
        {"__type": "Pointer", "className": "_User", "objectId": "a"},
        {"__type": "Bytes", "base64": "YQ=="},
    ]
)
names = st.sampled_from(["a", "b", "type", "", "0", "a'b", "中", '"', "length"])
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, scalars, dates, points, odd_objects),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
client_ids = st.sampled_from(["tom", "jerry", "a", "ab", "中文", "Tom's", "10"])
instants = st.sampled_from([0, 10, 11, 1579616560000, 1579616561000])

TOP = ["name", "attr", "tags", "place", "a'b", "0"]


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    found_documents = []
    for number in range(draw(st.integers(1, 6))):
        members = draw(st.lists(client_ids, unique=True, max_size=4))
        document = {
            "objectId": f"id{number}",
            "c": draw(client_ids),
            "m": members,
            "mu": [client_id for client_id in members if draw(st.booleans())],
            "createdAt": draw(instants),
            "updatedAt": draw(instants),
            "conv_type": draw(st.integers(1, 4)),
            "unique": draw(st.booleans()),
            **draw(st.dictionaries(st.sampled_from(TOP), values, max_size=4)),
        }
        if draw(st.booleans()):
            document["lm"] = draw(instants)
        if draw(st.booleans()):
            document["uniqueId"] = draw(client_ids)
        found_documents.append(document)
    return found_documents


keys = st.one_of(
    st.sampled_from(TOP),
    st.sampled_from(TOP),
    st.builds("{}.{}".format, st.sampled_from(TOP), names),
    st.builds("{}.{}.{}".format, st.sampled_from(TOP), names, names),
    st.sampled_from(["", ".", "a..b", "nowhere", "m.0", "lm.iso", "nul\0", "half\ud800"]),
)
columns = st.sampled_from(["objectId", "c", "uniqueId", "conv_type", "tr", "sys", "temp", "unique", "m", "mu"])
unstorable = st.sampled_from(["nul\0", "half\ud800", {"a": "\0"}, ["\udfff"]])
operands = st.one_of(values, values, values, client_ids, st.integers(1, 4), unstorable)
comparable = st.one_of(numbers, texts, client_ids, dates, st.just("\0"))
instant_operands = st.one_of(
    dates,
    numbers,
    instants,
    instants.map(lambda ms: ms + 0.5),
    st.none(),
    st.booleans(),
    st.sampled_from(["2020-01-21T14:22:40.000Z", "2020-01-21T22:22:41+08:00", "1970-01-01"]),
)
instant_bounds = instant_operands.filter(lambda value: value is not None and not isinstance(value, bool))
patterns = st.sampled_from(
    [
        ("", ""),
        ("a", ""),
        ("^A$", "i"),
        ("^b", "m"),
        ("a.b", ""),
        ("a.b", "s"),
        (r"\Qa.b\E", ""),
        (r"^\Qa.\E", ""),
        ("^((?!a).)*$", ""),
        (r"[\u4e00-\u9fa5]", ""),
        (r"\bb\b", ""),
        ("t o m #", "x"),
        (r"^.$", ""),
        ("(a|b)$", "i"),
    ]
)
distances = st.dictionaries(
    st.sampled_from(["$maxDistance", "$maxDistanceInRadians", "$maxDistanceInMiles", "$minDistanceInKilometers"]),
    st.sampled_from([0, 0.1, 1, 1.7, 3000, 10**400]),
    max_size=2,
)


def _operators(plain: st.SearchStrategy[Any], bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(plain, max_size=3)
    return st.one_of(
        plain,
        plain,
        st.fixed_dictionaries({"$ne": plain}),
        st.fixed_dictionaries({"$in": lists}),
        st.fixed_dictionaries({"$nin": lists}),
        st.fixed_dictionaries({"$all": lists}),
        st.dictionaries(st.sampled_from(["$lt", "$lte", "$gt", "$gte"]), bounds, min_size=1, max_size=2),
        st.fixed_dictionaries({"$size": st.integers(0, 3)}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
        patterns.map(lambda pattern: {"$regex": pattern[0], "$options": pattern[1]}),
        st.builds(lambda point, more: {"$nearSphere": point, **more}, points, distances),
        st.fixed_dictionaries({"$within": st.fixed_dictionaries({"$box": st.tuples(points, points)})}),
    )


_ATTRIBUTE_TESTS = _operators(operands, comparable)
_INSTANT_TESTS = _operators(instant_operands, instant_bounds)


# Composites, because Hypothesis prints the whole of other strategies wherever one is named.
@st.composite
def field_conditions(draw: st.DrawFn) -> tuple[str, Any]:
    match draw(st.integers(0, 5)):
        case 0:
            return draw(st.sampled_from(["lm", "createdAt", "updatedAt"])), draw(_INSTANT_TESTS)
        case 1 | 2:
            return draw(columns), draw(_ATTRIBUTE_TESTS)
    return draw(keys), draw(_ATTRIBUTE_TESTS)


fields = field_conditions()
queries = st.recursive(
    st.lists(fields, min_size=1, max_size=2).map(dict),
    lambda inner: st.builds(
        lambda operator, parts, beside: {operator: parts, **beside},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=3),
        st.one_of(st.just({}), st.lists(fields, max_size=1).map(dict)),
    ),
    max_leaves=5,
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(documents(), st.lists(queries, min_size=1, max_size=8))
def test_the_database_finds_what_the_model_says(conversations: list[Document], wheres: list[Document]) -> None:
    with transaction.atomic():
        application = Application.objects.create(name="one example")
        store(application, conversations)

        for query in wheres:
            assert sorted(found(application, query)) == sorted(matching(conversations, query)), query
        transaction.set_rollback(True)
