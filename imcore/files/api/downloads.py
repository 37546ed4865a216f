"""Downloads: `GET /files/…`, for anybody who knows where, streamed (rest-api 10.4).

Nobody can guess a key, and what it leads to does not change; so browsers and proxies may keep it for a year. What a
browser might run is told to be saved instead of shown, and would run in a sandbox: these answers come from the origin
of the dashboard.
"""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    JsonResponse,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header, parse_etags
from django.views.decorators.csrf import csrf_exempt

from imcore import limits
from imcore.bridge import in_store
from imcore.errors import ImError
from imcore.files import bytestore
from imcore.files.records import StoredFile
from imcore.files.services import images, showing
from imcore.identifiers import now_ms
from imcore.rest.exceptions import error_response

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})", re.ASCII | re.IGNORECASE)
_HEADERS: Final = {
    "Cache-Control": f"public, max-age={limits.FILE_CACHE_SECONDS}, immutable",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # Browsers style and play what they are shown by itself.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'",
    "X-Content-Type-Options": "nosniff",
}


@csrf_exempt
async def download(request: HttpRequest, folder: str, name: str) -> HttpResponseBase:
    """Answer a file, a part of one, a smaller image of one, or what one is."""
    answer = await _answer_or_refusal(request, f"{folder}/{name}")
    for header, value in _HEADERS.items():
        answer.headers.setdefault(header, value)
    return answer


async def _answer_or_refusal(request: HttpRequest, key: str) -> HttpResponseBase:
    if request.method not in ("GET", "HEAD"):
        told = {"code": 405, "error": "The methods are GET and HEAD."}
        return JsonResponse(told, status=405, headers={"Allow": "GET, HEAD", "Cache-Control": "no-store"})
    try:
        return await _answer(request, await showing.shown(key, now_ms=now_ms()))
    except ImError as error:
        refusal = error_response(error)
        # The bytes may come a moment later.
        refusal["Cache-Control"] = "no-store"
        return refusal


async def _answer(request: HttpRequest, file: StoredFile) -> HttpResponseBase:
    # Clients append these to a URL that they do not take apart, so they are not `name=value`.
    query = request.META["QUERY_STRING"]
    if query == "imageInfo":
        return JsonResponse(await showing.image_info(file))
    if query == "avinfo":
        return JsonResponse(await showing.media_info(file))
    wish = images.wish_of(query)
    etag = f'"{file.digest}"' if wish is None else f'"{file.digest}-{query.partition("&")[0]}"'
    if _has(request, etag):
        return HttpResponseNotModified(headers={"ETag": etag})
    if wish is not None and (made := await showing.smaller(file, wish)) is not None:
        return HttpResponse(made.content, content_type=made.mime_type, headers={"ETag": etag})
    answer = await _whole_or_part(request, file, f'"{file.digest}"')
    if wish is not None:
        # It may be had once nobody else is worked for.
        answer["Cache-Control"] = "no-cache"
    return answer


async def _whole_or_part(request: HttpRequest, file: StoredFile, etag: str) -> HttpResponseBase:
    size = file.size or 0
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition(file),
    }
    if not _is_meant(request, etag):
        outdated = {"ETag": etag, "Cache-Control": "no-store"}
        return JsonResponse({"code": 412, "error": "The file is another."}, status=412, headers=outdated)
    asked = _range_of(request, etag, size) if request.method == "GET" else None
    if asked is not None and len(asked) == 0:
        outside = {"ETag": etag, "Content-Range": f"bytes */{size}", "Cache-Control": "no-store"}
        return JsonResponse({"code": 416, "error": "The range is not in the file."}, status=416, headers=outside)
    part = range(size) if asked is None else asked
    headers["Content-Length"] = str(len(part))
    if asked is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    status = 200 if asked is None else 206
    assert file.key is not None
    if request.method == "HEAD" or not part:
        return HttpResponse(b"", status=status, content_type=file.mime_type, headers=headers)
    source = await in_store(bytestore.opened, file.key, start=part.start, length=len(part))
    return StreamingHttpResponse(
        _blocks(source, len(part)), status=status, content_type=file.mime_type, headers=headers
    )


async def _blocks(source: bytestore.Readable, length: int) -> AsyncIterator[bytes]:
    left = length
    try:
        while left and (block := await in_store(source.read, min(left, bytestore.BLOCK_BYTES))):
            left -= len(block)
            yield block
    finally:
        source.close()


def _range_of(request: HttpRequest, etag: str, size: int) -> range | None:
    """Return the one part that is asked for, an empty one if it is none of the file's; None for all of it.

    Several parts, and what cannot be read, are answered with the whole, as RFC 9110 (14.2) allows.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def _has(request: HttpRequest, etag: str) -> bool:
    """Return whether the client has just this."""
    named = request.headers.get("If-None-Match", "")
    return bool(named) and (named.strip() == "*" or etag in [one.removeprefix("W/") for one in parse_etags(named)])


def _is_meant(request: HttpRequest, etag: str) -> bool:
    """Return whether this is what the client wants to go on with (RFC 9110, 13.1.1): no weak tag says so."""
    named = request.headers.get("If-Match", "*").strip()
    return named == "*" or etag in parse_etags(named)


def _disposition(file: StoredFile) -> str:
    header: Any = content_disposition_header(not showing.is_safe_inline(file), file.name)
    return str(header or "inline")
