"""The largest body of a request. Django reads a body to its end before anybody is asked, so this stands before it."""

from typing import Any

import orjson

from imcore import limits
from imcore.rest.exceptions import BodyTooLarge, body_of_error

_REFUSAL = orjson.dumps(body_of_error(BodyTooLarge()))


def bounded(application: Any, most: int = limits.REST_BODY_MAX_BYTES) -> Any:
    """Return an ASGI application that answers 413 for larger bodies (rest-api 3.8) and keeps nothing of them.

    One whose length is announced is not read at all, of one without a length no more than the bound.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if _announced(scope) > most:
            await _refuse(send)
            return
        received = 0

        async def receive_within_bound() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            # To Django, the client has left; it drops what it has and answers nothing.
            return message if received <= most else {"type": "http.disconnect"}

        await application(scope, receive_within_bound, send)
        if received > most:
            await _refuse(send)

    return answer


def _announced(scope: Any) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _refuse(send: Any) -> None:
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(_REFUSAL)).encode()),
        (b"cache-control", b"no-cache,no-store"),
        (b"access-control-allow-origin", b"*"),
    ]
    await send({"type": "http.response.start", "status": BodyTooLarge.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL})
