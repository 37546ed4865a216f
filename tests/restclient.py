"""HTTP requests into this process, as back ends and SDKs make them.

answer = await call("POST", "/1.2/rtm/conversations", master_of(application), {"name": "Lunch"})
answer = await call("GET", "/1.1/date")
"""

import json
from collections.abc import Mapping
from typing import Any

from django.test.client import AsyncClient, AsyncClientHandler

from imcore.http import OneThread
from imcore.models import Application

Headers = dict[str, str]
JSON = "application/json"


class _Handler(OneThread, AsyncClientHandler):
    """Django's handler for tests, working as the server's does."""


# It keeps no cookies, since the API sets none.
_client = AsyncClient(raise_request_exception=False)
_client.handler = _Handler()


def app_of(application: Application, **more: str) -> Headers:
    """Return the headers of a caller who knows the app key."""
    return {"X-LC-Id": application.app_id, "X-LC-Key": application.app_key, **more}


def master_of(application: Application, **more: str) -> Headers:
    """Return the headers of the developer."""
    return {"X-LC-Id": application.app_id, "X-LC-Key": f"{application.master_key},master", **more}


async def call(
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    /,
    *,
    content_type: str = JSON,
    **query: Any,
) -> Any:
    """Make a request. A body that is text or bytes is sent as it is, any other as JSON, None not at all."""
    sent = body if isinstance(body, str | bytes) else b"" if body is None else json.dumps(body)
    # With the host, else the client would take the first word of `//1.1/date` for one. It raises nothing: a crash is
    # an answer here, as it is for callers.
    return await _client.generic(
        method,
        f"http://testserver{path}",
        sent,
        content_type=content_type,
        headers=dict(headers or {}),
        query_params=query or None,
    )
