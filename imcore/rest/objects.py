"""Lists of objects as storage SDKs ask for them, whatever the class (rest-api 6.1, 6.3).

    return objects.listed(request, service.page, _row)     where, limit, skip, order, count, keys, include
    return objects.read(request, "_Class", object_id)      one of them, as `readable` says

    return objects.scan(request, service.scan, _row)       the same by objectId, however many there are

`include` follows pointers into other classes; each class says how its objects are read:

    @readable("_Conversation")
    async def read(request, object_ids): …
"""

import copy
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from imcore import limits
from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.objects import UnfitQuery
from imcore.rest import references
from imcore.rest.authentication import caller_of
from imcore.rest.openapi import BOOLEAN, INTEGER, OBJECT, PAGING, STRING, Schema, array, one_of, record
from imcore.rest.parameters import Parameters

Json = dict[str, Any]
# The objects of a class with these ids that the caller may see, by id.
Reader = Callable[[Request, Sequence[str]], Coroutine[Any, Any, Mapping[str, Json]]]
FoundT = TypeVar("FoundT")
# What of a class matches, a page of it, and how many there are in all.
Page = Callable[..., Coroutine[Any, Any, tuple[Sequence[FoundT], int]]]
# What of a class matches, behind an id.
Part = Callable[..., Coroutine[Any, Any, Sequence[FoundT]]]

PROJECTION: Final[Mapping[str, Schema]] = {"keys": STRING, "include": STRING, "returnACL": BOOLEAN}
LIST: Final[Mapping[str, Schema]] = {"where": STRING, "order": STRING, "count": BOOLEAN, **PAGING, **PROJECTION}
FOUND: Final = record(results=array(OBJECT))
SCAN: Final[Mapping[str, Schema]] = {
    "where": STRING,
    "limit": INTEGER,
    "scan_key": STRING,
    "cursor": STRING,
    **PROJECTION,
}
SCANNED: Final = record(results=array(OBJECT), cursor=one_of(STRING, {"type": "null"}))

ALWAYS_THERE: Final = ("objectId", "createdAt", "updatedAt")
POINTERS: Final = ("Pointer", "Object")

_readers: dict[str, Reader] = {}


def readable(class_name: str) -> Callable[[Reader], Reader]:
    """Register how the objects of a class are read where another object points to them."""

    def register(reader: Reader) -> Reader:
        _readers[class_name] = reader
        return reader

    return register


async def read_one(request: Request, class_name: str, object_id: str) -> Json:
    """Return an object of a class that is readable; an empty one if there is none, or not for the caller."""
    reader = _readers.get(class_name)
    return dict((await reader(request, [object_id])).get(object_id, {})) if reader else {}


@dataclass(frozen=True, slots=True)
class Projection:
    """What of an object is answered: its columns, and which pointers are followed."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]
    include: tuple[tuple[str, ...], ...]
    with_acl: bool


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for. `where` is the text of one JSON object, empty if there is no condition."""

    where: str
    order: str
    limit: int
    skip: int
    counts: bool
    projection: Projection


def query_of(request: Request) -> Query:
    """Return what a list is asked for. Raises BadParameter, UnfitQuery."""
    asked = Parameters({}, request.query_params)
    return Query(
        where=where_of(request),
        order=asked.string("order", ""),
        limit=asked.limit(),
        skip=asked.skip(),
        counts=asked.boolean("count", False),
        projection=projection_of(request),
    )


def where_of(request: Request) -> str:
    """Return the condition of a request. Raises UnfitQuery."""
    return condition_of(request.query_params.get("where", ""))


def condition_of(text: str) -> str:
    """Return a condition as the JSON text of an object. An array means that all of its elements hold.

    Raises UnfitQuery.
    """
    if len(text.encode()) > limits.REST_WHERE_MAX_BYTES:
        raise UnfitQuery(f"where has at most {limits.REST_WHERE_MAX_BYTES} bytes.")
    if not text.lstrip().startswith("["):
        return text
    # No condition in it is no condition.
    return "" if text.replace(" ", "") == "[]" else f'{{"$and":{text}}}'


def projection_of(request: Request) -> Projection:
    """Return what of an object is asked for. Raises BadParameter, UnfitQuery."""
    asked = Parameters({}, request.query_params)
    keys = _names(asked.string("keys", ""))
    include = tuple(tuple(name.split(".")) for name in _names(asked.string("include", "")))
    if any(len(path) > limits.REST_INCLUDE_DEPTH for path in include):
        raise UnfitQuery(f"include goes {limits.REST_INCLUDE_DEPTH} levels deep.")
    if len(include) > limits.REST_INCLUDES_MAX:
        raise UnfitQuery(f"include has at most {limits.REST_INCLUDES_MAX} columns.")
    if len(keys) > limits.REST_KEYS_MAX:
        raise UnfitQuery(f"keys has at most {limits.REST_KEYS_MAX} columns.")
    return Projection(
        wanted=tuple(name for name in keys if not name.startswith("-")),
        unwanted=tuple(name.removeprefix("-") for name in keys if name.startswith("-")),
        include=include,
        with_acl=asked.boolean("returnACL", False),
    )


def ids_of(text: str) -> list[str]:
    """Return the ids that a path names: JavaScript's `destroyAll` deletes several at a time. Raises UnfitQuery."""
    found = _names(text)
    if not 0 < len(found) <= limits.REST_PAGE_MAX:
        raise UnfitQuery(f"A path names 1 to {limits.REST_PAGE_MAX} objects.")
    return found


def fetches(request: Request) -> bool:
    """Return whether a write is to answer what it has written."""
    return Parameters({}, request.query_params).boolean("fetchWhenSave", False)


def listed(
    request: Request, page: Page[FoundT], row: Callable[[FoundT], Json], *, order: str = "", **more: Any
) -> Response:
    """Answer a list: what `page` of a service finds, each written by `row`; in `order` if no other is asked for.

    Raises BadParameter, UnfitQuery, and what `page` raises.
    """
    asked = query_of(request)
    found, count = in_async(
        page,
        application=caller_of(request).application.pk,
        where_text=asked.where,
        order_text=asked.order or order,
        limit=asked.limit,
        skip=asked.skip,
        counts=asked.counts,
        **more,
    )
    results = projected(request, asked.projection, [row(one) for one in found])
    return Response({"results": results, "count": count} if asked.counts else {"results": results})


def read(request: Request, class_name: str, object_id: str) -> Response:
    """Answer an object of a class that is readable; an empty one if there is none, or not for the caller."""
    return Response(one_projected(request, in_async(read_one, request, class_name, object_id)))


def fetched(request: Request, class_name: str, object_id: str) -> Json:
    """Return an object that was just written, for `fetchWhenSave`; an empty one if the caller may not see it."""
    return filled(request, in_async(read_one, request, class_name, object_id))


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan is asked for: the next `limit` objects behind the one with the id `after`, or before it."""

    where: str
    limit: int
    after: str | None
    is_descending: bool
    projection: Projection


def scan_of(request: Request) -> Scan:
    """Return what a scan is asked for. Raises BadParameter, UnfitQuery."""
    asked = Parameters({}, request.query_params)
    scan_key, cursor = asked.string("scan_key", "objectId"), asked.string("cursor", "")
    if scan_key.removeprefix("-") != "objectId":
        raise UnfitQuery("scan_key is objectId or -objectId.")
    return Scan(
        where=where_of(request),
        limit=asked.limit() or limits.REST_PAGE_DEFAULT,
        after=_read_cursor(cursor) if cursor else None,
        is_descending=scan_key.startswith("-"),
        projection=projection_of(request),
    )


def scan(request: Request, part: Part[FoundT], row: Callable[[FoundT], Json]) -> Response:
    """Answer a part of a scan: what `part` of a service finds, each written by `row`. Raises as `listed`."""
    asked = scan_of(request)
    found = in_async(
        part,
        application=caller_of(request).application.pk,
        where_text=asked.where,
        after=asked.after,
        is_descending=asked.is_descending,
        limit=asked.limit,
    )
    return scanned(request, asked, [row(one) for one in found])


def scanned(request: Request, asked: Scan, results: Sequence[Json], *, last: str = "") -> Response:
    """Return the answer that is a part of a scan; its cursor is null when nothing more is to come.

    `last`: what the next part is to come behind, where that is not the id of the last object.
    """
    is_full = len(results) == asked.limit
    cursor = _cursor(last or results[-1]["objectId"]) if is_full else None
    return Response({"results": projected(request, asked.projection, results), "cursor": cursor})


def _cursor(object_id: str) -> str:
    return urlsafe_b64encode(orjson.dumps([now_ms() + limits.REST_SCAN_SECONDS * 1000, object_id])).decode()


def _read_cursor(text: str) -> str:
    try:
        expires_ms, object_id = orjson.loads(urlsafe_b64decode(text))
    except (ValueError, TypeError):
        raise UnfitQuery("cursor is none of a scan.") from None
    if not isinstance(expires_ms, int) or not isinstance(object_id, str) or "\0" in object_id:
        raise UnfitQuery("cursor is none of a scan.")
    if expires_ms < now_ms():
        raise UnfitQuery("cursor is over; scan anew.")
    return object_id


def projected(request: Request, projection: Projection, results: Sequence[Json]) -> list[Json]:
    """Return of each object what is asked for, with its files in full."""
    followed = included(request, projection.include, results) if projection.include else results
    return [_kept(one, projection) for one in _with_files(request, followed)]


def one_projected(request: Request, one: Json) -> Json:
    """Return of an object what a request asks for. Raises BadParameter, UnfitQuery."""
    return projected(request, projection_of(request), [one])[0]


def filled(request: Request, one: Json) -> Json:
    """Return an object with the files that are values of it told in full, where nothing else is asked for."""
    return _with_files(request, [one])[0]


def _with_files(request: Request, results: Sequence[Json]) -> list[Json]:
    return references.with_files(results, lambda object_ids: in_async(_readers["_File"], request, object_ids))


def included(request: Request, include: Sequence[tuple[str, ...]], results: Sequence[Json]) -> list[Json]:
    """Return objects with the pointers at these paths expanded; a pointer that leads nowhere stays as it is.

    One read for each class and level, however many objects there are. Raises UnfitQuery for more than
    REST_INCLUDED_MAX_BYTES: many pointers may lead to one large object, and those in it to others.
    """
    expanded, left = copy.deepcopy(list(results)), limits.REST_INCLUDED_MAX_BYTES
    prefixes = {path[:depth] for path in include for depth in range(1, len(path) + 1)}
    for path in sorted(prefixes, key=len):
        pointers = [pointer for one in expanded for pointer in _pointers(one, path)]
        for class_name in {pointer["className"] for pointer in pointers}:
            left -= _expand(request, class_name, [one for one in pointers if one["className"] == class_name], left)
    return expanded


def _expand(request: Request, class_name: str, pointers: Sequence[Json], at_most: int) -> int:
    """Put objects in the place of pointers to them, and return how many bytes these are as JSON."""
    reader = _readers.get(class_name)
    if reader is None:
        return 0
    wanted = list(dict.fromkeys(pointer["objectId"] for pointer in pointers))[: limits.REST_PAGE_MAX]
    found = in_async(reader, request, wanted)
    sizes = {object_id: len(orjson.dumps(one)) for object_id, one in found.items()}
    size = sum(sizes.get(pointer["objectId"], 0) for pointer in pointers)
    if size > at_most:
        raise UnfitQuery(f"What is included has more than {limits.REST_INCLUDED_MAX_BYTES} bytes; ask for fewer.")
    for pointer in pointers:
        if pointer["objectId"] in found:
            pointer.update(copy.deepcopy(found[pointer["objectId"]]))
    return size


def _pointers(value: Any, path: Sequence[str]) -> Iterator[Json]:
    """Yield the pointers at a path, those in a list too."""
    if isinstance(value, list):
        # Not those of lists in lists, with which an answer could nest deeper than JSON is written.
        for one in value:
            if isinstance(one, dict):
                yield from _pointers(one, path)
    elif isinstance(value, dict) and path:
        yield from _pointers(value.get(path[0]), path[1:])
    elif isinstance(value, dict) and value.get("__type") in POINTERS and _is_pointer(value):
        yield value


def _is_pointer(value: Json) -> bool:
    return all(isinstance(value.get(key), str) and "\0" not in value[key] for key in ("className", "objectId"))


def _kept(one: Json, projection: Projection) -> Json:
    kept = one
    if projection.wanted:
        kept = {key: one[key] for key in ALWAYS_THERE if key in one}
        columns = {name.partition(".")[0] for name in projection.wanted}
        followed = (path[0] for path in projection.include if path[0] not in columns)
        for name in (*projection.wanted, *followed):
            _copy_path(one, kept, name.split("."))
    dropped = projection.unwanted if projection.with_acl else (*projection.unwanted, "ACL")
    for name in dropped:
        kept = _without(kept, name.split("."))
    return kept


def _copy_path(source: Json, target: Json, path: Sequence[str]) -> None:
    key, *rest = path
    if key not in source:
        return
    if not rest or not isinstance(source[key], dict):
        target[key] = source[key]
        return
    # Another path may have brought the whole of it.
    if target.get(key) is source[key]:
        return
    whole = source[key]
    # What an object is, and which, stays with it.
    inner = target.setdefault(key, {name: whole[name] for name in ("__type", "className", "objectId") if name in whole})
    _copy_path(whole, inner, rest)


def _without(one: Json, path: Sequence[str]) -> Json:
    key, *rest = path
    if key not in one:
        return one
    if not rest:
        return {name: value for name, value in one.items() if name != key}
    inner = one[key]
    return {**one, key: _without(inner, rest)} if isinstance(inner, dict) else one


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]
