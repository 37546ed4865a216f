"""HTTP through all of the ASGI application, as uploads need it: they never get to Django.

granted = await grant(application, name="cat.png", metaData={"size": 4})
answer = await ask("PUT", granted["upload_url"], content=b"meow")
"""

from collections.abc import AsyncIterable, Mapping
from typing import Any

import httpx

from imcore.asgi import application as channels_application
from imcore.models import Application
from tests.restclient import app_of

Json = dict[str, Any]
SERVER = "http://testserver"
# Channels and httpx have other types for the same.
asgi: Any = channels_application


async def ask(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    content: bytes | AsyncIterable[bytes] | None = None,
    json: Any = None,
    files: Any = None,
    data: Any = None,
) -> httpx.Response:
    """Make a request to a path, or to a URL of this server."""
    transport = httpx.ASGITransport(app=asgi, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=SERVER) as client:
        return await client.request(
            method, url, headers=dict(headers or {}), content=content, json=json, files=files, data=data
        )


async def grant(application: Application, headers: Mapping[str, str] | None = None, **asked: Any) -> Json:
    """Ask for a place to upload to."""
    answer = await ask("POST", "/1.1/fileTokens", {**app_of(application), **(headers or {})}, json=asked)
    assert answer.status_code == 200, answer.text
    granted: Json = answer.json()
    return granted


async def uploaded(application: Application, content: bytes, **asked: Any) -> Json:
    """Upload a file, and return what was told before."""
    granted = await grant(application, **asked)
    headers = {"Content-Type": granted["mime_type"], "Cache-Control": "public, max-age=31536000"}
    answer = await ask("PUT", granted["upload_url"], headers, content=content)
    assert answer.status_code == 200, answer.text
    return granted


def code_of(answer: httpx.Response) -> tuple[int, int]:
    """Return the status and the code of a refusal."""
    body = answer.json()
    assert {"code", "error"} <= body.keys() <= {"code", "error", "detail"}, body
    return answer.status_code, body["code"]
