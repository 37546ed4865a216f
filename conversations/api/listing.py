"""Lists as storage SDKs ask for them: condition, order, page, and which columns (rest-api 6.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from imcore import limits
from imcore.rest import parameters
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import BOOLEAN, OBJECT, PAGING, STRING, Schema, array, record

Json = dict[str, Any]

LIST: Final[Mapping[str, Schema]] = {"where": STRING, "order": STRING, "count": BOOLEAN, "keys": STRING, **PAGING}
FOUND: Final = record(results=array(OBJECT))

ALWAYS_THERE: Final = ("objectId", "createdAt", "updatedAt")


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for. `where` is the text of one JSON object, empty if there is no condition."""

    where: str
    order: str
    limit: int
    skip: int
    counts: bool
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]


def query_of(request: Request) -> Query:
    """Return what a list is asked for. Raises BadParameter."""
    asked = parameters.of(request)
    keys = [name for part in asked.string("keys", "").split(",") if (name := part.strip())]
    return Query(
        where=_where(request.query_params.get("where", "")),
        order=asked.string("order", ""),
        limit=asked.limit(),
        skip=asked.skip(),
        counts=asked.boolean("count", False),
        wanted=tuple(name for name in keys if not name.startswith("-")),
        unwanted=tuple(name.removeprefix("-") for name in keys if name.startswith("-")),
    )


def answer(asked: Query, results: Sequence[Json], count: int) -> Response:
    """Return the answer that is a list; `count` is how many match in all."""
    kept = [_kept(one, asked) for one in results]
    return Response({"results": kept, "count": count} if asked.counts else {"results": kept})


def _where(text: str) -> str:
    """Return a condition as JSON text of an object. An array means that all of its elements hold."""
    if len(text.encode()) > limits.REST_WHERE_MAX_BYTES:
        raise BadParameter(f"where has at most {limits.REST_WHERE_MAX_BYTES} bytes.")
    if not text.lstrip().startswith("["):
        return text
    try:
        parts = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadParameter("where is not JSON.") from error
    return orjson.dumps({"$and": parts}).decode() if parts else ""


def _kept(one: Json, asked: Query) -> Json:
    kept = one
    if asked.wanted:
        kept = {key: one[key] for key in ALWAYS_THERE if key in one}
        for name in asked.wanted:
            _copy_path(one, kept, name.split("."))
    for name in asked.unwanted:
        kept = _without(kept, name.split("."))
    return kept


def _copy_path(source: Json, target: Json, path: Sequence[str]) -> None:
    key, *rest = path
    if key not in source:
        return
    # Another path may have brought the whole of it.
    if target.get(key) is source[key]:
        return
    if not rest or not isinstance(source[key], dict):
        target[key] = source[key]
        return
    _copy_path(source[key], target.setdefault(key, {}), rest)


def _without(one: Json, path: Sequence[str]) -> Json:
    key, *rest = path
    if key not in one:
        return one
    if not rest:
        return {name: value for name, value in one.items() if name != key}
    inner = one[key]
    return {**one, key: _without(inner, rest)} if isinstance(inner, dict) else one
