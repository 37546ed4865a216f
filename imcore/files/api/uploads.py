"""Uploads: `PUT` and `POST /files/u/…`, before Django, which would read a body to its end before it asks anybody.

    url judged ──► bytes into a file that nobody sees, block by block ──► complete ──► moved to where it is found

What is not complete, or more than announced, leaves nothing. No key is needed but the URL itself.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final

import orjson
from django.conf import settings

from imcore.bridge import in_store
from imcore.errors import ImError
from imcore.files.api import forms
from imcore.files.bytestore import Incoming
from imcore.files.errors import TooManyUploads, UploadIncomplete, UploadTooLarge
from imcore.files.services import uploading
from imcore.files.services.uploading import Admission
from imcore.identifiers import now_ms
from imcore.rest.exceptions import CRASHED, body_of_error, headers_of_error

logger = logging.getLogger(__name__)

_PATH: Final = re.compile(r"/+files/u/([^/]+)/?")
Headers = list[tuple[bytes, bytes]]
METHODS: Final = "PUT, POST, OPTIONS"
# Of a form, around the file in it.
FORM_BYTES: Final = 64 * 1024

# How many uploads this process is receiving, by application.
_under_way: Counter[int] = Counter()


def before(application: Any) -> Any:
    """Return an ASGI application that takes uploads, and leaves everything else to another one."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        found = _PATH.fullmatch(scope["path"])
        if found is None:
            await application(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] == "OPTIONS":
            allowed = headers.get("access-control-request-headers", "content-type, cache-control")
            await _preflight(send, allowed)
            return
        status, body, more = await _answer(found[1], scope["method"], headers, receive)
        await _respond(send, status, body, more)

    return answer


async def _answer(signed: str, method: str, headers: dict[str, str], receive: Any) -> tuple[int, Any, Headers]:
    try:
        if method not in ("PUT", "POST"):
            return 405, {"code": 405, "error": f"The methods are {METHODS}."}, [(b"allow", METHODS.encode())]
        return 200, await _take(signed, method, headers, receive), []
    except ImError as error:
        more = [(name.lower().encode(), value.encode()) for name, value in headers_of_error(error).items()]
        return error.http_status, body_of_error(error), more
    except Exception:
        logger.exception("An upload failed")
        return 500, CRASHED, []


async def _take(signed: str, method: str, headers: dict[str, str], receive: Any) -> dict[str, Any]:
    """Take an upload and return what is told of it: what Qiniu tells, since mini programs read it as JSON."""
    content_type = headers.get("content-type", "")
    is_form = method == "POST" and content_type.lower().startswith("multipart/form-data")
    length = headers.get("content-length", "")
    announced = int(length) if length.isascii() and length.isdecimal() else 0
    admission = await uploading.admit(
        signed=signed,
        content_type="" if is_form else content_type,
        announced_bytes=max(announced - FORM_BYTES, 0) if is_form else announced,
    )
    with _place_for(admission.application.pk):
        digest = await (_form if is_form else _raw)(admission, headers, _blocks(receive))
    return {"key": admission.file.key, "hash": digest}


@contextmanager
def _place_for(application: int) -> Iterator[None]:
    """Hold one of the places of this process for an upload of an application. Raises TooManyUploads.

    It has as many as are still free, at most: half of all if it is alone, and what is left is for others.
    """
    if _under_way[application] >= settings.UPLOADS_AT_A_TIME - _under_way.total():
        raise TooManyUploads
    _under_way[application] += 1
    try:
        yield
    finally:
        _under_way[application] -= 1
        if not _under_way[application]:
            del _under_way[application]


async def _raw(admission: Admission, headers: dict[str, str], blocks: AsyncIterator[bytes]) -> str:
    incoming = await in_store(Incoming)
    try:
        await _fill(incoming, blocks, most=admission.most_bytes)
        return await uploading.arrive(admission=admission, incoming=incoming, now_ms=now_ms())
    finally:
        await in_store(incoming.close)


async def _form(admission: Admission, headers: dict[str, str], blocks: AsyncIterator[bytes]) -> str:
    """Take the file out of a form, which has to be here to its end: other fields come after the file."""
    whole = await in_store(Incoming)
    try:
        await _fill(whole, blocks, most=admission.most_bytes + FORM_BYTES)
        incoming = await in_store(forms.file_in, whole, headers)
    finally:
        await in_store(whole.close)
    try:
        if incoming.size > admission.most_bytes:
            raise UploadTooLarge
        return await uploading.arrive(admission=admission, incoming=incoming, now_ms=now_ms())
    finally:
        await in_store(incoming.close)


async def _fill(incoming: Incoming, blocks: AsyncIterator[bytes], *, most: int) -> None:
    """Write what comes. Raises UploadTooLarge, UploadIncomplete."""
    async with aclosing(blocks) as coming:  # type: ignore[type-var]
        async for block in coming:
            if incoming.size + len(block) > most:
                raise UploadTooLarge
            await in_store(incoming.write, block)


async def _blocks(receive: Any) -> AsyncIterator[bytes]:
    now = asyncio.get_running_loop().time
    # Who sends a byte now and then would take one of few places for as long as he likes.
    ends = now() + settings.UPLOAD_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(min(now() + settings.UPLOAD_IDLE_SECONDS, ends)):
                message = await receive()
        except TimeoutError as error:
            raise UploadIncomplete("The bytes come too slowly.") from error
        if message["type"] != "http.request":
            raise UploadIncomplete("The client has left.")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def _preflight(send: Any, allowed_headers: str) -> None:
    more = [
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", allowed_headers.encode("latin-1")),
        (b"access-control-max-age", b"86400"),
    ]
    await _respond(send, 200, None, more)


async def _respond(send: Any, status: int, body: Any, more: Headers) -> None:
    text = b"" if body is None else orjson.dumps(body)
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"cache-control", b"no-cache,no-store"),
        (b"access-control-allow-origin", b"*"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
