"""The largest body of a request, and the longest it may take to come.

Django reads a body to its end before anybody is asked, so this stands before it.
"""

import asyncio
from typing import Any

import orjson
from django.conf import settings

from imcore import limits
from imcore.errors import ImError
from imcore.rest.exceptions import BodyTooLarge, BodyTooSlow, body_of_error


def bounded(application: Any, most: int = limits.REST_BODY_MAX_BYTES) -> Any:
    """Return an ASGI application that answers 413 for larger bodies (rest-api 3.8) and keeps nothing of them.

    One whose length is announced is not read at all, of one without a length no more than the bound. 408 for one that
    is not here within BODY_SECONDS: who sends a byte now and then would keep what has come for as long as he likes.
    Once it is here, who waits for the caller to leave may wait as long as the answer takes.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if _announced(scope) > most:
            await _refuse(send, BodyTooLarge())
            return
        received, ends = 0, asyncio.get_running_loop().time() + settings.BODY_SECONDS
        refusal: ImError | None = None
        is_complete = False

        async def receive_within_bounds() -> Any:
            nonlocal received, refusal, is_complete
            try:
                async with asyncio.timeout_at(None if is_complete else ends):
                    message = await receive()
            except TimeoutError:
                refusal = BodyTooSlow()
            else:
                received += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
                if received <= most:
                    return message
                refusal = BodyTooLarge()
            # To Django, the client has left; it drops what it has and answers nothing.
            return {"type": "http.disconnect"}

        await application(scope, receive_within_bounds, send)
        if refusal is not None:
            await _refuse(send, refusal)

    return answer


def _announced(scope: Any) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _refuse(send: Any, error: ImError) -> None:
    body = orjson.dumps(body_of_error(error))
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-cache,no-store"),
        (b"access-control-allow-origin", b"*"),
    ]
    if isinstance(error, BodyTooSlow):
        # What is still to come would be waited for on this connection.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
