"""Random documents and random queries: the database finds what the model in Python says.

Each key has values of its kind mostly, and any value now and then; so do the operands of its conditions. Otherwise
hardly a query would tell one conversation from another.
"""

import os
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imcore.models import Application
from tests.conversations.storage.where_support import Document, found, matching, store

# `IMCORE_WHERE_EXAMPLES=5000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_WHERE_EXAMPLES", "60"))

Strategy = st.SearchStrategy[Any]

texts: Strategy = st.sampled_from(["a", "A", "ab", "a.b", "b", "", "a\nb", "中", "中文", "😀", "\uffff", "%s", "10"])
numbers: Strategy = st.sampled_from([1, 2, 10, 0, -1, 1.0, 1.5])
odd_numbers: Strategy = st.sampled_from(
    [10**23, 1e23, 2**53 + 1, 9007199254740992.0, 2**63, -(2**70), -0.0, 1e300, 10**400]
)
scalars: Strategy = st.one_of(texts, numbers, odd_numbers, st.booleans(), st.none())
dates: Strategy = st.sampled_from(["2020-01-21T14:22:40.000Z", "2020-01-21T14:22:41.000Z", "2021-01-01"]).map(
    lambda iso: {"__type": "Date", "iso": iso}
)
points: Strategy = st.builds(
    lambda latitude, longitude: {"__type": "GeoPoint", "latitude": latitude, "longitude": longitude},
    st.sampled_from([0, 39.9, -33.5, 90]),
    st.sampled_from([0, 116.4, -180, 179.5]),
)
odd_objects: Strategy = st.sampled_from(
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
names: Strategy = st.sampled_from(["a", "b", "type", "", "0", "a'b", "中", '"'])
anything: Strategy = st.recursive(
    st.one_of(scalars, dates, points, odd_objects),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
client_ids: Strategy = st.sampled_from(["tom", "jerry", "a", "ab", "中文", "Tom's"])
# Around a whole hour too, in which queries look `lm` up.
instants: Strategy = st.sampled_from([0, 10, 11, 3_599_999, 3_600_000, 1579616560000, 1579616561000])
kinds: Strategy = st.integers(1, 4)
unstorable: Strategy = st.sampled_from(["nul\0", "half\ud800", {"a": "\0"}, ["\udfff"]])


def mostly(usual: Strategy, otherwise: Strategy = anything) -> Strategy:
    return st.integers(0, 4).flatmap(lambda choice: otherwise if choice == 4 else usual)


ATTRIBUTES: dict[str, Strategy] = {
    "name": mostly(texts),
    "level": mostly(st.one_of(numbers, numbers, odd_numbers)),
    "tags": mostly(st.lists(st.one_of(texts, numbers), max_size=3)),
    "due": mostly(st.one_of(dates, st.lists(dates, max_size=2))),
    "place": mostly(st.one_of(points, points, st.lists(points, max_size=2))),
    "attr": mostly(st.fixed_dictionaries({}, optional={"a": texts, "b": st.lists(numbers), "": anything})),
    "a'b": anything,
}
MISSING = object()


@st.composite
def conversations(draw: st.DrawFn) -> list[Document]:
    documents = []
    for number in range(draw(st.integers(3, 8))):
        members = draw(st.lists(client_ids, unique=True, max_size=4))
        document = {
            "objectId": f"id{number}",
            "c": draw(client_ids),
            "m": members,
            "mu": members[: draw(st.integers(0, len(members)))],
            "createdAt": draw(instants),
            "updatedAt": draw(instants),
            "conv_type": draw(kinds),
            "unique": draw(st.booleans()),
            "lm": draw(mostly(instants, st.just(MISSING))),
            "uniqueId": draw(mostly(client_ids, st.just(MISSING))),
        }
        for key, values in ATTRIBUTES.items():
            document[key] = draw(mostly(values, st.just(MISSING)))
        documents.append({key: value for key, value in document.items() if value is not MISSING})
    return documents


iso_texts = st.sampled_from(["2020-01-21T14:22:40.000Z", "2020-01-21T22:22:41+08:00", "1970-01-01"])
instant_bounds = st.one_of(
    dates, iso_texts, instants, odd_numbers, instants.map(lambda milliseconds: milliseconds + 0.5)
)
bounds = st.one_of(numbers, texts, dates, odd_numbers, client_ids, st.just("\0"))
any_operand = mostly(anything, unstorable)
# Of each key: what to compare it with for equality, and for order.
OPERANDS: dict[str, tuple[Strategy, Strategy]] = {
    **{key: (mostly(values, any_operand), bounds) for key, values in ATTRIBUTES.items()},
    "tags": (mostly(st.one_of(texts, numbers), any_operand), bounds),
    "attr.a": (mostly(texts, any_operand), bounds),
    "attr.b": (mostly(numbers, any_operand), bounds),
    "attr.": (any_operand, bounds),
    "a'b.a": (any_operand, bounds),
    "tags.0": (any_operand, bounds),
    "m.0": (any_operand, bounds),
    ".": (any_operand, bounds),
    "nul\0": (any_operand, bounds),
    "objectId": (mostly(kinds.map("id{}".format), any_operand), st.just("id3")),
    "c": (mostly(client_ids, any_operand), bounds),
    "uniqueId": (mostly(client_ids, any_operand), bounds),
    "m": (mostly(st.one_of(client_ids, client_ids, st.lists(client_ids)), any_operand), bounds),
    "mu": (mostly(st.one_of(client_ids, client_ids, st.lists(client_ids)), any_operand), bounds),
    "lm": (mostly(instant_bounds, st.one_of(st.none(), st.booleans(), points)), instant_bounds),
    "createdAt": (instant_bounds, instant_bounds),
    "updatedAt": (instant_bounds, instant_bounds),
    "conv_type": (mostly(kinds, any_operand), bounds),
    "tr": (mostly(st.booleans(), any_operand), bounds),
    "sys": (mostly(st.booleans(), any_operand), bounds),
    "temp": (mostly(st.booleans(), any_operand), bounds),
    "unique": (mostly(st.booleans(), any_operand), bounds),
}
# Some kinds of test are for some keys, and now and then for any.
GEOGRAPHY = ["place"]
STRINGS = ["name", "tags", "attr.a", "objectId", "c", "m", "mu", "uniqueId"]
patterns = st.sampled_from(
    [
        ("", ""),
        ("a", ""),
        ("^A$", "i"),
        ("^b", "m"),
        ("a.b", ""),
        ("a.b", "s"),
        (r"\Qa.b\E", ""),
        (r"^\Qa\E", ""),
        ("^((?!a).)*$", ""),
        (r"[\u4e00-\u9fa5]", ""),
        (r"\bb\b", ""),
        ("t o m #", "x"),
        ("^.$", ""),
        ("(?i)(A|B)$", ""),
    ]
)
distances = st.dictionaries(
    st.sampled_from(["$maxDistance", "$maxDistanceInRadians", "$maxDistanceInMiles", "$minDistanceInKilometers"]),
    st.sampled_from([0, 0.1, 1, 1.7, 3000, 10**400]),
    max_size=2,
)


@st.composite
def conditions(draw: st.DrawFn) -> Document:
    kind = draw(st.integers(0, 12))
    usual_keys = {8: STRINGS, 9: GEOGRAPHY, 10: GEOGRAPHY, 11: ["tags", "m", "mu", "attr.b"]}.get(kind)
    key = draw(
        st.sampled_from(usual_keys) if usual_keys and draw(st.integers(0, 4)) else st.sampled_from(list(OPERANDS))
    )
    equal_to, ordered_by = OPERANDS[key]
    match kind:
        case 0 | 1:
            return {key: draw(equal_to)}
        case 2:
            return {key: {"$ne": draw(equal_to)}}
        case 3 | 4:
            return {key: {draw(st.sampled_from(["$in", "$nin"])): draw(st.lists(equal_to, max_size=3))}}
        case 5:
            return {key: {"$all": draw(st.lists(equal_to, max_size=2))}}
        case 6 | 7:
            orders = st.sampled_from(["$lt", "$lte", "$gt", "$gte"])
            return {key: draw(st.dictionaries(orders, ordered_by, min_size=1, max_size=2))}
        case 8:
            pattern, options = draw(patterns)
            return {key: {"$regex": pattern, "$options": options}}
        case 9:
            return {key: {"$nearSphere": draw(points), **draw(distances)}}
        case 10:
            return {key: {"$within": {"$box": [draw(points), draw(points)]}}}
        case 11:
            return {key: {"$size": draw(st.integers(0, 3))}}
    return {key: {"$exists": draw(st.booleans())}}


@st.composite
def queries(draw: st.DrawFn, depth: int = 0) -> Document:
    if depth == 3 or draw(st.integers(0, 2)):
        query: Document = draw(conditions())
    else:
        operator = draw(st.sampled_from(["$and", "$or", "$nor"]))
        query = {operator: draw(st.lists(queries(depth=depth + 1), min_size=1, max_size=3))}
    return query | draw(conditions()) if draw(st.integers(0, 5)) == 0 else query


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(conversations(), st.lists(queries(), min_size=4, max_size=12))
def test_the_database_finds_what_the_model_says(documents: list[Document], wheres: list[Document]) -> None:
    with transaction.atomic():
        application = Application.objects.create(name="one example")
        store(application, documents)

        for query in wheres:
            assert sorted(found(application, query)) == sorted(matching(documents, query)), query
        transaction.set_rollback(True)
