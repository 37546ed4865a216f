"""What holds for every path of the API, whoever answers: one spelling of paths, one kind of answer (rest-api 1).

The outermost middleware, so that nothing gets past it: not Django's own error pages, not a preflight.
"""

import gzip
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import brotli
import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers

from imcore.rest.exceptions import CRASHED

API: Final = re.compile(r"/+(v1|1\.1|1\.2|2)(/|$)")
JSON = "application/json;charset=utf-8"
# Less is not worth the work, nor the header.
ENCODED_MIN_BYTES = 500
GZIP_LEVEL = 5
BROTLI_QUALITY = 4


def api(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Make the middleware."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not API.match(request.path_info):
            return get_response(request)
        named = _named(request)
        request.path_info = named or plain(request.path_info)
        request.path = named or plain(request.path)
        if request.method == "OPTIONS":
            # CorsMiddleware answers preflights, which have these headers; here every OPTIONS is one (rest-api 2.8).
            request.META.setdefault("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "GET")
            request.META.setdefault("HTTP_ORIGIN", "*")
        return finished(request, get_response(request))

    return answer


def plain(path: str) -> str:
    """Return a path without doubled slashes, nor one at its end (rest-api 1.4)."""
    return re.sub("//+", "/", path).rstrip("/")


def _named(request: HttpRequest) -> str | None:
    """Return the plain path of a request whose names have slashes of their own, written as %2F; None if none has.

    Doubled slashes within a name are the name's: the client `a//b` is not `a/b`.
    """
    raw: bytes = getattr(request, "scope", {}).get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return None
    # Not behind a prefix, or if a server in front has changed it.
    encoded = raw.decode("latin-1")
    return unquote(plain(encoded)) if unquote(encoded) == request.path_info else None


def finished(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Make an answer what all answers are: JSON, not to be kept, and compressed where that is asked for."""
    if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
        _write_as_json(response)
    if response.get("Content-Type", "").startswith("application/json"):
        response["Content-Type"] = JSON
    # CorsMiddleware says so to those who name their origin.
    response.setdefault("Access-Control-Allow-Origin", "*")
    response.setdefault("Cache-Control", "no-cache,no-store")
    response.setdefault("Pragma", "no-cache")
    if isinstance(response, HttpResponse) and not response.has_header("Content-Encoding"):
        _encode(request, response)
    return response


def _write_as_json(response: HttpResponse) -> None:
    """Say the same without HTML, which the Python SDK takes for a failure of its own (rest-api 1.7)."""
    if not response.content:
        del response["Content-Type"]
        return
    is_crash = response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    body = CRASHED if is_crash else {"code": response.status_code, "error": response.reason_phrase}
    response.content = orjson.dumps(body)
    response["Content-Type"] = JSON
    response["Content-Length"] = str(len(response.content))


def _encode(request: HttpRequest, response: HttpResponse) -> None:
    if len(response.content) < ENCODED_MIN_BYTES:
        return
    patch_vary_headers(response, ("Accept-Encoding",))
    accepted = _accepted(request.headers.get("Accept-Encoding", ""))
    if "br" in accepted:
        encoding, encoded = "br", brotli.compress(response.content, quality=BROTLI_QUALITY)
    elif "gzip" in accepted:
        encoding, encoded = "gzip", gzip.compress(response.content, GZIP_LEVEL, mtime=0)
    else:
        return
    response.content = encoded
    response["Content-Encoding"] = encoding
    response["Content-Length"] = str(len(encoded))


def _accepted(header: str) -> set[str]:
    """Return the encodings a client takes: those it names without a weight of zero."""
    named = (part.lower().replace(" ", "").partition(";q=") for part in header.split(","))
    return {name for name, _, weight in named if not re.fullmatch(r"0(\.0*)?", weight)}
