"""The routers, which tell an SDK where its WebSocket and its other services are, and the two health checks."""

import asyncio
from collections.abc import Awaitable
from typing import Final
from urllib.parse import urlsplit

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.request import Request
from rest_framework.response import Response

from imcore import redis
from imcore.appsettings import applications
from imcore.bridge import in_async, in_database
from imcore.errors import ImError
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import INTEGER, STRING, record
from imcore.rest.origin import origin_of

# Clients ask again after this; a planned move does not wait for it but sends `goaway`.
ROUTE_TTL_SECONDS = 3600
READY_SECONDS = 3.0
# What the app router tells the host of (rest-api 11.2): here, one server is all of them.
SERVERS: Final = (
    "api_server",
    "engine_server",
    "push_server",
    "rtm_router_server",
    "stats_server",
    "play_server",
)


class RouteUnknown(ImError):
    """The router does not know the application. 404 makes the Apple SDKs stop asking (realtime-protocol 1.3)."""

    code = 404
    reason = "No application has this App ID."
    http_status = 404


@endpoint(
    Who.ANYBODY,
    takes={"appId": STRING, "secure": STRING},
    answers=record(groupId=STRING, server=STRING, secondary=STRING, ttl=INTEGER),
)
def route(request: Request) -> Response:
    """Answer `GET /v1/route?appId=…` with the WebSocket URL (realtime-protocol 1.3).

    The scheme follows the request: an SDK that came by TLS gets `wss`, one that came without gets `ws`, whatever
    `secure` says, because JavaScript asks for `secure=true` by default and this is the only port there is. Unknown
    parameters are ignored. `secondary` repeats `server`: Java and C# break without it.
    """
    app_id = request.query_params.get("appId")
    if app_id:
        application = in_async(applications.get, app_id)
        if application is None or not application.is_active:
            raise RouteUnknown
    server = f"ws{origin_of(request).removeprefix('http')}/"
    return Response({"groupId": "g0", "server": server, "secondary": server, "ttl": ROUTE_TTL_SECONDS})


@endpoint(Who.ANYBODY, takes={"appId": STRING}, answers=record(ttl=INTEGER, **dict.fromkeys(SERVERS, STRING)))
def app_route(request: Request) -> Response:
    """Answer `GET /2/route?appId=…` with the host of each service, without scheme: SDKs put `https://` before it.

    They ask a fixed host, so they come here only where its name leads here (rest-api 11.2).
    """
    return Response({"ttl": ROUTE_TTL_SECONDS, **dict.fromkeys(SERVERS, urlsplit(origin_of(request)).netloc)})


async def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process is alive, whatever it depends on."""
    return JsonResponse({"status": "ok"})


async def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether the process can serve: 200 if the database and Redis (where configured) answer, else 503."""
    database, redis_ = await asyncio.gather(_soon(in_database(_check_database)), _soon(asyncio.to_thread(redis.check)))
    is_ready = all(check in ("ok", "not configured") for check in (database, redis_))
    return JsonResponse(
        {"status": "ok" if is_ready else "unavailable", "database": database, "redis": redis_},
        status=200 if is_ready else 503,
    )


async def _soon(check: Awaitable[str]) -> str:
    """Wait no longer than whoever asks would: a pool without a database keeps its callers for much longer."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await check
    except TimeoutError:
        return "failed: TimeoutError"


def _check_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001 - any failure means the same here; its text may hold a password
        return f"failed: {type(error).__name__}"
    return "ok"
