"""What operators and dotted keys do to attributes: any request against a model of a few lines."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcore.attributes import UnfitAttributes, applied, path_of

Json = Any

names = st.sampled_from(["a", "b"])
keys = st.lists(names, min_size=1, max_size=3).map(".".join)
integers = st.integers(-4, 4)
leaves = st.none() | st.booleans() | integers | st.sampled_from(["", "x"])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2), max_leaves=6
)
operators = st.one_of(
    st.just({"__op": "Delete"}),
    st.builds(lambda amount: {"__op": "Increment", "amount": amount}, leaves),
    st.builds(
        lambda op, objects: {"__op": op, "objects": objects},
        st.sampled_from(["Add", "AddUnique", "Remove"]),
        st.lists(values, max_size=3) | leaves,
    ),
    st.builds(lambda op, value: {"__op": op, "value": value}, st.sampled_from(["BitAnd", "BitOr", "BitXor"]), leaves),
)
documents = st.dictionaries(names, values, max_size=2)
requests = st.dictionaries(keys, values | operators, min_size=1, max_size=3)

NOTHING = object()


class Refused(Exception):
    """The model cannot make a change."""


def same(one: Json, other: Json) -> bool:
    """Say whether two values are the same JSON."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def is_integer(value: Json) -> bool:
    """Say whether a value is a number of JSON; the test has no fractions."""
    return type(value) is int


def result(old: Json, wanted: Json) -> Json:
    """Return what one change makes of one value."""
    if not (isinstance(wanted, dict) and "__op" in wanted):
        return wanted
    op = wanted["__op"]
    if op == "Delete":
        return NOTHING
    if op in ("Increment", "BitAnd", "BitOr", "BitXor"):
        one: Json = 0 if old is NOTHING else old
        other: Json = wanted.get("amount", wanted.get("value"))
        if not is_integer(one) or not is_integer(other):
            raise Refused
        return {"Increment": one + other, "BitAnd": one & other, "BitOr": one | other, "BitXor": one ^ other}[op]
    items, objects = [] if old is NOTHING else old, wanted["objects"]
    if not isinstance(items, list) or not isinstance(objects, list):
        raise Refused
    if op == "Add":
        return items + objects
    if op == "Remove":
        return [one for one in items if not any(same(one, other) for other in objects)]
    for one in objects:
        items = items if any(same(one, other) for other in items) else [*items, one]
    return items


def changed(tree: Json, steps: list[str], wanted: Json) -> Json:
    """Return a tree with one change made in it."""
    if not steps:
        return result(tree, wanted)
    if tree is NOTHING:
        if wanted == {"__op": "Delete"}:
            return NOTHING
        tree = {}
    if not isinstance(tree, dict):
        raise Refused
    below = changed(tree.get(steps[0], NOTHING), steps[1:], wanted)
    rest = {key: value for key, value in tree.items() if key != steps[0]}
    return rest if below is NOTHING else {**rest, steps[0]: below}


@given(documents, requests)
def test_any_request_does_what_the_model_does(document: Json, request: Json) -> None:
    """Checklist 41: or is refused where the model refuses it; and neither argument is changed."""
    before = copy.deepcopy((document, request))
    expected: Json = document
    try:
        for key, wanted in request.items():
            expected = changed(expected, key.split("."), wanted)
    except Refused:
        with pytest.raises(UnfitAttributes):
            applied(document, changes(request))
        return

    after = applied(document, changes(request))

    assert same(after, expected)
    assert same([document, request], list(before))


def changes(request: Json) -> Json:
    """Write a request as its changes."""
    return {path_of(key): wanted for key, wanted in request.items()}


@pytest.mark.parametrize(
    ("old", "operator", "new"),
    [
        (1, {"__op": "Increment", "amount": 0.5}, 1.5),
        (2**63, {"__op": "Increment", "amount": 2**63 - 1}, 2**64 - 1),
        (-(2**63) + 1, {"__op": "Increment", "amount": -1}, -(2**63)),
        (1, {"__op": "Decrement", "amount": 3}, -2),
        (0b1100, {"__op": "BitAnd", "value": 0b1010}, 0b1000),
        (0b1100, {"__op": "BitOr", "value": 0b1010}, 0b1110),
        (0b1100, {"__op": "BitXor", "value": 0b1010}, 0b0110),
        ([1, True, 1.0], {"__op": "Remove", "objects": [1]}, [True]),
        ([1, [1]], {"__op": "AddUnique", "objects": [True, [1], [True]]}, [1, [1], True, [True]]),
        ([{"a": 1}], {"__op": "AddUnique", "objects": [{"a": 1}, {"a": True}]}, [{"a": 1}, {"a": True}]),
        ([1], {"__op": "Add", "objects": [1, [2]]}, [1, 1, [2]]),
        ([1], {"__op": "Batch", "ops": [{"__op": "Add", "objects": [2]}, {"__op": "Remove", "objects": [1]}]}, [2]),
        ("x", {"op": "Increment"}, {"op": "Increment"}),
    ],
)  # fmt: skip
def test_an_operator_makes_of_a_value(old: Json, operator: Json, new: Json) -> None:
    """Checklist 41."""
    assert json.dumps(applied({"k": old}, {("k",): operator})) == json.dumps({"k": new})


@pytest.mark.parametrize(
    "operator",
    [
        {"__op": "Batch"},
        {"__op": "Batch", "ops": [1]},
        {"__op": "Batch", "ops": [{"__op": "Add", "objects": []}] * 101},
        {"__op": "Batch", "ops": [{"__op": "Batch", "ops": []}]},
        {"__op": "Batch", "ops": [{"__op": "Add", "objects": [2]}, {"__op": "Increment", "amount": 1}]},
        {"__op": "AddRelation", "objects": []},
        {"__op": None},
    ],
)
def test_an_operator_that_is_none_is_refused(operator: Json) -> None:
    with pytest.raises(UnfitAttributes):
        applied({"k": [1]}, {("k",): operator})


def test_thousands_of_keys_cost_no_more_than_their_number() -> None:
    """One request may name each key of a big object by itself."""
    document = {"a": {str(number): number for number in range(20_000)}}
    request: Json = {("a", str(number)): {"__op": "Delete"} for number in range(20_000)}

    assert applied(document, request) == {"a": {}}
