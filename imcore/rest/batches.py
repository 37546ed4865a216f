"""`POST /batch`: several requests in one, each answered in its place (rest-api 6.2, 10.1).

    {"requests": [{"method": "GET", "path": "/1.1/classes/_Conversation", "params": {…}}, …]}
    [{"success": {…}}, {"error": {"code": …, "error": …}}, …]

Each is resolved and answered as it would be by itself, with the credentials of the request that carries it; only what
`imcore/rest/middleware.py` does for a connection is not done. What counts against a rate counts one by one.
"""

import inspect
from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase
from django.urls import Resolver404, resolve
from rest_framework.request import Request
from rest_framework.response import Response

from imcore import limits
from imcore.bridge import in_async
from imcore.errors import ImError
from imcore.rest.authentication import Who
from imcore.rest.bodies import METHODS, as_text, body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter, NotFound, UpstreamFailed, body_of_error
from imcore.rest.middleware import plain
from imcore.rest.openapi import OBJECT, STRING, array, record
from imcore.rest.upstream import is_safe

REQUEST: Final = record(method=STRING, path=STRING)
VERSIONS: Final = ("/1.1/", "/1.2/")
BATCHES: Final = ("batch", "batch/save")
# Of the request that carries the others.
NOT_PASSED_ON: Final = frozenset({b"content-type", b"content-length", b"accept-encoding"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the requests: its path without the query, and its body as JSON."""

    method: str
    path: str
    query: str
    body: bytes


class BatchTooLong(ImError):
    """What a batch has asked already has taken so long that this is not asked any more."""

    code = 124
    reason = "The batch takes too long; this request was not made."


@endpoint(Who.APPLICATION, needs={"requests": array(REQUEST)}, answers=array(OBJECT))
def run(request: Request) -> Response:
    """Make several requests, and answer each: what one of them fails with is no failure of the others."""
    ends, left = monotonic() + limits.REST_BATCH_SECONDS, limits.REST_BATCH_ANSWER_MAX_BYTES
    answers: list[orjson.Fragment] = []
    for number, one in enumerate(requests_of(request)):
        if left < 0:
            answer = _refused(BadParameter("The batch has too much to answer; this request was not made."))
        elif number and monotonic() > ends:
            answer = _refused(BatchTooLong())
        else:
            answer = _answered(request, one)
        # Written once, to know how long it is, and not again.
        answers.append(orjson.Fragment(written := orjson.dumps(answer)))
        left -= len(written)
    return Response(answers)


def requests_of(request: Request) -> list[Any]:
    """Return the requests that a body carries. Raises BadParameter."""
    found = body_of(request).get("requests")
    if not isinstance(found, list):
        raise BadParameter("requests is a list.")
    if len(found) > limits.REST_BATCH_MAX:
        raise BadParameter(f"requests has at most {limits.REST_BATCH_MAX} items.")
    return found


def read(one: object) -> Asked:
    """Read one of the requests. Raises BadParameter."""
    if not isinstance(one, dict):
        raise BadParameter("A request is an object with method, path, body and params.")
    method, path, body, params = (one.get(name) for name in ("method", "path", "body", "params"))
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise BadParameter(f"method is one of {', '.join(METHODS)}.")
    if not isinstance(path, str) or not path.startswith(VERSIONS) or not is_safe(unquote(path)) or "\0" in path:
        raise BadParameter("path begins with /1.1/.")
    if not isinstance(body or {}, dict) or not isinstance(params or {}, dict):
        raise BadParameter("body and params are objects.")
    bare, _, query = path.partition("?")
    named = parse_qsl(query, keep_blank_values=True)
    named += [(key, as_text(value, "params")) for key, value in (params or {}).items() if value is not None]
    return Asked(method.upper(), unquote(plain(bare)), urlencode(named), as_text(body or {}, "body").encode())


def _answered(request: Request, one: object) -> dict[str, Any]:
    try:
        asked = read(one)
        if asked.path[len(VERSIONS[0]) :] in BATCHES:
            raise BadParameter("A batch has no batches in it.")
        response = _response(request, asked)
        body = _body(response)
    except ImError as error:
        return _refused(error)
    return {"success" if response.status_code < HTTPStatus.BAD_REQUEST else "error": body}


def _refused(error: ImError) -> dict[str, Any]:
    return {"error": body_of_error(error)}


def _response(request: Request, asked: Asked) -> HttpResponseBase:
    try:
        found = resolve(asked.path)
    except Resolver404:
        raise NotFound from None
    response = found.func(_inner(request, asked), *found.args, **found.kwargs)
    if inspect.isawaitable(response):
        response = in_async(_awaited, response)
    answered: HttpResponseBase = response
    return answered


async def _awaited(response: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    return await response


def _inner(request: Request, asked: Asked) -> ASGIRequest:
    """Return the request that is carried, as Django makes one of what comes over a connection."""
    came: Any = request._request
    headers = [(name, value) for name, value in came.scope["headers"] if name.lower() not in NOT_PASSED_ON]
    scope = {
        **came.scope,
        "method": asked.method,
        "path": asked.path,
        "query_string": asked.query.encode(),
        "headers": [
            *headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(asked.body)).encode()),
        ],
    }
    inner = ASGIRequest(scope, BytesIO(asked.body))
    # Who asks may have come in a tunnel (bodies.py), which writes it here.
    inner.META.update({name: came.META[name] for name in came.META if name.startswith(("HTTP_X_", "REMOTE_"))})
    return inner


def _body(response: HttpResponseBase) -> Any:
    if isinstance(response, Response):
        return response.data
    try:
        return orjson.loads(getattr(response, "content", b""))
    except orjson.JSONDecodeError:
        raise UpstreamFailed("It answered what is no JSON.") from None
