"""`/fileTokens` and `/fileCallback`: before and after an upload (rest-api 10.4)."""

import re

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.bridge import in_async
from imcore.files.api.representation import bucket, url_of
from imcore.files.services import uploading
from imcore.identifiers import iso_date, now_ms
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import BOOLEAN, DATE, OBJECT, STRING, record
from imcore.rest.origin import origin_of
from imcore.rest.rates import UPLOADS

_JAVASCRIPT = re.compile(r"LeanCloud-JS-SDK/\S*(?: \(([^)]*)\))?")
# Where JavaScript can PUT; elsewhere it hands files to the platform, which sends forms.
_PUTTING = ("Browser", "Node.js")

GRANT = record(
    objectId=STRING,
    createdAt=DATE,
    name=STRING,
    mime_type=STRING,
    metaData=OBJECT,
    key=STRING,
    bucket=STRING,
    provider=STRING,
    token=STRING,
    upload_url=STRING,
    url=STRING,
)


@endpoint(
    Who.APPLICATION,
    takes={"name": STRING, "mime_type": STRING, "metaData": OBJECT},
    answers=GRANT,
    rate=UPLOADS,
)
def create(request: Request) -> Response:
    """Make a file, and tell where its bytes may be put within an hour."""
    caller = caller_of(request)
    granted = in_async(
        uploading.grant,
        application=caller.application,
        asked=body_of(request),
        needs_form=_needs_form(request),
        owner_id="" if caller.user is None else caller.user.object_id,
        now_ms=now_ms(),
    )
    file, origin = granted.file, origin_of(request)
    return Response(
        {
            "objectId": file.object_id,
            "createdAt": iso_date(file.created_ms),
            "name": file.name,
            "mime_type": file.mime_type,
            "metaData": file.metadata,
            "key": file.key,
            "bucket": bucket(),
            "provider": granted.provider,
            "token": granted.token,
            "upload_url": granted.bucket_url or f"{origin}/files/u/{granted.signed}",
            "url": url_of(file, origin),
        }
    )


@endpoint(Who.APPLICATION, takes={"token": STRING, "result": BOOLEAN})
def call_back(request: Request) -> Response:
    """Hear how an upload went. SDKs do not wait for the answer, and Java asks twice: it is always the same."""
    asked = body_of(request)
    in_async(
        uploading.call_back,
        application=caller_of(request).application,
        token=asked.get("token"),
        succeeded=str(asked.get("result", True)).lower() not in ("false", "0"),
        now_ms=now_ms(),
    )
    return Response({})


def _needs_form(request: Request) -> bool:
    """Return whether this is a JavaScript SDK whose platform can send files in forms only (rest-api 10.4)."""
    for agent in (request.headers.get("X-LC-UA", ""), request.headers.get("User-Agent", "")):
        if found := _JAVASCRIPT.match(agent):
            return bool(found[1]) and not found[1].startswith(_PUTTING)
    return False
