"""Handing what this server does not serve to another: IMCORE_UPSTREAM_URL, for apps whose storage lives elsewhere.

A team points its API domain here; requests below `/1.1/` that no endpoint is for go on to where they went before, with
the caller's own credentials, and their answers come back. Everything is bounded: bodies, time, and how many at a time.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.encoding import escape_uri_path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request

from imcore import limits
from imcore.bridge import in_async
from imcore.errors import ImError
from imcore.rest.exceptions import NotFound, UpstreamFailed, error_response

logger = logging.getLogger(__name__)

PREFIX = "/1.1/"
# How a server knows a request that has been here before, so that two of them do not hand it to each other for ever.
VIA = "imcore"
AT_A_TIME = 50
# With those that wait: each holds a thread that others need, for as long as the other server does not answer.
UNDER_WAY_MAX = 100

# RFC 9110, 7.6.1: about one connection only; and what the next request or answer says anew.
HOP_BY_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "host", "content-length", "expect"),
    )
)
# The dashboard's session is nobody else's business; an answer's cookies would be this domain's.
NOT_HANDED_ON: Final = HOP_BY_HOP | {"cookie", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
NOT_HANDED_BACK: Final = HOP_BY_HOP | {"set-cookie", "alt-svc", "strict-transport-security"}


class _UnderWay:
    """How many requests this process has handed on, or is about to."""

    number = 0


_under_way = _UnderWay()
_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient]" = WeakKeyDictionary()


def is_configured(request: HttpRequest) -> bool:
    """Return whether somebody else may serve a path that this server does not."""
    return bool(settings.UPSTREAM_URL) and request.path_info.startswith(PREFIX)


def unserved(request: Request) -> HttpResponseBase:
    """Answer, in an endpoint, what it turns out not to serve: by the upstream server, else by NotFound."""
    if not is_configured(request._request):
        raise NotFound
    return in_async(forward, request._request)


@csrf_exempt
async def unknown_path(request: HttpRequest, **path: str) -> HttpResponseBase:
    """Answer a path that no endpoint is at: by the upstream server, else 404 (rest-api 1.6)."""
    try:
        if not is_configured(request):
            raise NotFound
        return await forward(request)
    except ImError as error:
        return error_response(error)


async def forward(request: HttpRequest) -> HttpResponse:
    """Return what the upstream server answers. Raises UpstreamFailed, and NotFound for a path that leads elsewhere."""
    if not is_safe(request.path_info) or VIA in request.headers.get("Via", ""):
        raise NotFound
    base = httpx.URL(settings.UPSTREAM_URL)
    path = base.raw_path.rstrip(b"/") + escape_uri_path(request.path_info).encode()
    query = request.META["QUERY_STRING"].encode()
    url = base.copy_with(raw_path=path + b"?" + query if query else path)
    came: Any = request
    # As it came: an endpoint may have opened a tunnel before it found that the request is none of its own.
    scope = came.scope
    handed_on = httpx.Request(scope["method"], url, headers=_headers_for(request, scope), content=request.body)
    if _under_way.number >= UNDER_WAY_MAX:
        raise UpstreamFailed("Too many requests wait for it.")
    _under_way.number += 1
    try:
        async with asyncio.timeout(settings.UPSTREAM_SECONDS):
            return await _answer(handed_on)
    except (httpx.HTTPError, TimeoutError) as error:
        logger.warning("The upstream server failed: %s: %s", type(error).__name__, error)
        raise UpstreamFailed from error
    finally:
        _under_way.number -= 1


def is_safe(path: str) -> bool:
    """Return whether a path stays where it says it is."""
    return not any(segment in (".", "..") for segment in path.split("/"))


async def close() -> None:
    """Close the connections of the running loop."""
    found = _clients.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()


async def _answer(request: httpx.Request) -> HttpResponse:
    answer = await _client().send(request, stream=True)
    try:
        body = bytearray()
        # As it came, compressed if it was.
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > limits.REST_BODY_MAX_BYTES:
                raise UpstreamFailed("Its answer is too large.")
    finally:
        await answer.aclose()
    dropped = _dropped(NOT_HANDED_BACK, answer.headers.get("connection", ""))
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in dropped and not name.startswith("access-control-")
    }
    return HttpResponse(bytes(body), status=answer.status_code, headers=headers)


def _headers_for(request: HttpRequest, scope: Any) -> list[tuple[bytes, bytes]]:
    dropped = _dropped(NOT_HANDED_ON, request.headers.get("Connection", ""))
    via = b"1.1 " + VIA.encode()
    headers = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in dropped]
    headers += [(b"via", via), (b"x-forwarded-proto", (request.scheme or "").encode())]
    if address := request.META.get("REMOTE_ADDR"):
        headers.append((b"x-forwarded-for", address.encode()))
    return headers


def _dropped(names: Iterable[str], connection: str) -> frozenset[str]:
    """Return the names of headers that are not passed, with those that the sender says are for this hop only."""
    return frozenset(names) | {name.strip().lower() for name in connection.split(",")}


def _client() -> httpx.AsyncClient:
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(
            timeout=settings.UPSTREAM_SECONDS,
            limits=httpx.Limits(max_connections=AT_A_TIME),
            follow_redirects=False,
            trust_env=False,
        )
    return _clients[loop]
