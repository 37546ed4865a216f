"""`POST /batch/save`: objects that are saved together, all of them or none (rest-api 10.1).

Swift saves everything by it, Objective-C and Java what points to other unsaved objects:

    {"requests": [{"method": "POST", "path": "/1.1/classes/_Conversation", "body": {"__internalId": "x", …}}, …]}
    {"x": {"objectId": …, "createdAt": …}, …}

`__children` of a body are others of the same batch, which it is to point to once they are saved. Each class says how
its objects are saved:

    @savable("_Conversation")
    async def save(request, item): …
"""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from rest_framework.request import Request
from rest_framework.response import Response

from imcore import limits
from imcore.bridge import in_async
from imcore.errors import ImError
from imcore.objects import ClassUnknown, UnfitQuery
from imcore.rest import batches, objects
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter, body_of_error
from imcore.rest.objects import Json
from imcore.rest.openapi import OBJECT, array
from imcore.writes import Step, Write, stored_together

_PATH: Final = re.compile(
    r"/1\.[12]/(?:classes/(?P<name>[^/]+)|(?P<alias>users|installations|files))(?:/(?P<id>[^/]+))?"
)
_ALIASES: Final = {"users": "_User", "installations": "_Installation", "files": "_File"}
# Told to clients as they are: what is wrong is not in what they have sent.
_NOT_THEIRS: Final = (429, 502, 503)


@dataclass(frozen=True, slots=True)
class Item:
    """An object to be saved: a new one, or the one with an id, and that only if `where` holds, unless it is empty."""

    key: str
    class_name: str
    object_id: str | None
    columns: Json
    children: Mapping[str, str]
    fetches: bool
    where: str


@dataclass(frozen=True, slots=True)
class Saving:
    """An object that can be stored, and what is answered of it then: its `objectId` at least."""

    write: Write[Any]
    answer: Callable[[Any], Json]


Saver = Callable[[Request, Item], Coroutine[Any, Any, Saving]]

_savers: dict[str, Saver] = {}
_heeds_conditions: set[str] = set()


def savable(class_name: str, *, heeds_conditions: bool = False) -> Callable[[Saver], Saver]:
    """Register how the objects of a class are saved. An item with a condition is refused where none is heeded."""

    def register(saver: Saver) -> Saver:
        _savers[class_name] = saver
        if heeds_conditions:
            _heeds_conditions.add(class_name)
        return saver

    return register


@endpoint(Who.APPLICATION, needs={"requests": array(batches.REQUEST)}, answers=OBJECT)
def save(request: Request) -> Response:
    """Save several objects, all or none; the answer names them by `__internalId`, or by their ids."""
    try:
        items = [_read(one) for one in batches.requests_of(request)]
        return Response(objects.filled(request, in_async(_save, request, _children_first(items))))
    except ImError as error:
        if error.http_status in _NOT_THEIRS:
            raise
        return Response(body_of_error(error), status=400)
    except UnfitQuery as unfit:
        raise BadParameter(str(unfit)) from unfit


async def _save(request: Request, items: Sequence[Item]) -> dict[str, Json]:
    savings = [await _prepared(request, item) for item in items]
    steps = [Step(saving.write, _pointing(item, items, savings)) for item, saving in zip(items, savings, strict=True)]
    stored = await stored_together(steps)
    answered: dict[str, Json] = {}
    for item, saving, one in zip(items, savings, stored, strict=True):
        answer = saving.answer(one)
        if item.fetches:
            answer = {**await _fetched(request, item, answer["objectId"]), **answer}
        # An object may be saved twice in a batch.
        answered[item.key] = answered.get(item.key, {}) | answer
    return answered


async def _prepared(request: Request, item: Item) -> Saving:
    saver = _savers.get(item.class_name)
    if saver is None:
        raise ClassUnknown(item.class_name[:100])
    if item.where and item.class_name not in _heeds_conditions:
        raise BadParameter(f"Conditional writes of {item.class_name} are not supported.")
    return await saver(request, item)


def _pointing(
    item: Item, items: Sequence[Item], savings: Sequence[Saving]
) -> Callable[[Sequence[Any]], Mapping[str, Any]]:
    """Return what makes the pointers of an object to its children, which have been stored before it."""
    place = {one.key: number for number, one in enumerate(items)}

    def pointers(before: Sequence[Any]) -> Mapping[str, Any]:
        found = {}
        for column, cid in item.children.items():
            number = place[cid]
            object_id = savings[number].answer(before[number])["objectId"]
            found[column] = {"__type": "Pointer", "className": items[number].class_name, "objectId": object_id}
        return found

    return pointers


async def _fetched(request: Request, item: Item, object_id: str) -> Json:
    found = await objects.read_one(request, item.class_name, object_id)
    if item.object_id is None:
        return found
    touched = {key.partition(".")[0] for key in (*item.columns, *item.children)}
    return {key: value for key, value in found.items() if key in touched}


def _read(one: object) -> Item:
    asked = batches.read(one)
    path = _PATH.fullmatch(asked.path)
    if path is None or asked.method != ("PUT" if path["id"] else "POST"):
        raise BadParameter("An item is a POST to /1.1/classes/{C}, or a PUT to /1.1/classes/{C}/{id}.")
    assert isinstance(one, dict)
    body = one.get("body") or {}
    internal_id, children = body.get("__internalId"), body.get("__children")
    key = internal_id or path["id"]
    if not isinstance(key, str):
        raise BadParameter("__internalId is a text.")
    params = dict(parse_qsl(asked.query))
    return Item(
        key=key,
        class_name=path["name"] or _ALIASES[path["alias"]],
        object_id=path["id"],
        columns={name: value for name, value in body.items() if not name.startswith("__")},
        children=_children(children or []),
        fetches=params.get("fetchWhenSave", "").lower() in ("true", "1"),
        where=objects.condition_of(params.get("where", "")),
    )


def _children(value: object) -> dict[str, str]:
    if not isinstance(value, list) or len(value) > limits.REST_BATCH_MAX:
        raise BadParameter(f"__children is a list of at most {limits.REST_BATCH_MAX} items.")
    found = {}
    for child in value:
        column, cid = (child.get("key"), child.get("cid")) if isinstance(child, dict) else (None, None)
        if not isinstance(column, str) or not isinstance(cid, str):
            raise BadParameter("A child has a key and a cid.")
        found[column] = cid
    return found


def _children_first(items: Sequence[Item]) -> list[Item]:
    """Return the items in an order in which each comes behind its children. Raises BadParameter if there is none."""
    keys = {item.key for item in items}
    if any(cid not in keys for item in items for cid in item.children.values()):
        raise BadParameter("A child is an item of the same batch.")
    left, done, ordered = list(items), set[str](), list[Item]()
    while left:
        ready = [item for item in left if done.issuperset(item.children.values())]
        if not ready:
            raise BadParameter("Children point to each other in a circle.")
        ordered += ready
        left = [item for item in left if item not in ready]
        done = keys - {item.key for item in left}
    return ordered
