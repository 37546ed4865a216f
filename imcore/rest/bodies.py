"""What a request's body says, and requests that travel inside the body of another (rest-api 2.6, 3).

Old browsers and Unity send `POST` with `text/plain`, and in its JSON which method is meant and who asks:

    {"_method": "PUT", "_ApplicationId": …, "_ApplicationKey": …, "name": "Lunch"}

`open_tunnel` turns such a request into the one that is meant, before anybody asks who calls.
"""

from typing import Any, Final

import orjson
from rest_framework.request import Request

from imcore.rest.authentication import APP_ID, USER_SESSION, first_of
from imcore.rest.exceptions import BadParameter, InvalidJson

TUNNELLED = "text/plain"
METHODS: Final = ("GET", "PUT", "DELETE", "POST")
# Keys of a tunnelled body, and the headers they stand for.
CREDENTIALS: Final = {
    "_ApplicationId": "HTTP_X_LC_ID",
    "_ApplicationKey": "HTTP_X_LC_KEY",
    "_MasterKey": "HTTP_X_AVOSCLOUD_MASTER_KEY",
}
SESSION: Final = {"_SessionToken": "HTTP_X_LC_SESSION"}
ENVIRONMENT: Final = {"_ApplicationProduction": "HTTP_X_LC_PROD"}


def body_of(request: Request) -> dict[str, Any]:
    """Return the fields of the body, whatever its content type says. None, and `null`, are no fields (rest-api 3).

    Raises InvalidJson if it is anything else but a JSON object.
    """
    fields = _fields(request.body)
    return _without_control_keys(fields) if _is_plain_text(request) else fields


def as_text(value: object, name: str) -> str:
    """Return a value of a body as its JSON, or as it is if it is text. Raises BadParameter if it nests too deep."""
    try:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Whoever reads JSON takes deeper nesting than whoever writes it.
        raise BadParameter(f"{name} nests too deep.") from None


def open_tunnel(request: Request) -> None:
    """Turn a request that carries another in its body into that one. Raises InvalidJson, BadParameter."""
    if request.method != "POST" or not _is_plain_text(request):
        return
    fields = _fields(request.body)
    method = str(fields.get("_method") or "POST").upper()
    if method not in METHODS:
        raise BadParameter("_method is GET, PUT or DELETE.")
    _read_credentials(request, fields)
    # The Django request, which the other one reads through.
    inner = request._request
    inner.method = method
    if method in ("GET", "DELETE"):
        query = inner.GET.copy()
        for name, value in _without_control_keys(fields).items():
            if value is not None:
                query[name] = as_text(value, name)
        inner.GET = query  # type: ignore[assignment]


def _read_credentials(request: Request, fields: dict[str, Any]) -> None:
    """Take who asks from the body, where the headers do not say it."""
    named = dict(ENVIRONMENT)
    if not first_of(request.headers, APP_ID):
        named |= CREDENTIALS
    if not first_of(request.headers, USER_SESSION):
        named |= SESSION
    request.META.update({header: value for key, header in named.items() if isinstance(value := fields.get(key), str)})
    # Django reads the headers once.
    vars(request._request).pop("headers", None)


def _is_plain_text(request: Request) -> bool:
    content_type: str = request.META.get("CONTENT_TYPE", "")
    return content_type.partition(";")[0].strip().lower() == TUNNELLED


def _fields(text: bytes) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidJson from error
    # Python and JavaScript send `null` (rest-api 3.2).
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise InvalidJson
    return fields


def _without_control_keys(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without those that start with exactly one underscore: `__op` and its like stay."""
    return {key: value for key, value in fields.items() if key.startswith("__") or not key.startswith("_")}
