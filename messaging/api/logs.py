"""Correcting the record (rest-api 9): other words for what was said, or none, and no client is told."""

from base64 import b64decode
from binascii import Error

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import BOOLEAN, CLIENT_ID, INTEGER, STRING
from imcore.rest.parameters import Parameters
from messaging.events import Body
from messaging.models import MessagingSettings
from messaging.services import logs, on_behalf
from messaging.services.on_behalf import Named


@endpoint(
    Who.MASTER,
    needs={"msg-id": STRING, "timestamp": INTEGER, "data": STRING},
    takes={"bin": BOOLEAN, "conv-id": STRING},
)
def overwrite(request: Request) -> Response:
    """Give a message, which history has shown, other `data`. Clients are not told; history shows it from now on."""
    asked = parameters.of(request)
    application = caller_of(request).application
    in_async(
        logs.overwrite,
        application=application.pk,
        settings=application.of(MessagingSettings),
        message_id=asked.string("msg-id"),
        timestamp_ms=asked.integer("timestamp"),
        log_id=asked.string("conv-id", None),
        body=_body_of(asked),
    )
    return Response({})


@endpoint(Who.MASTER, needs={"convid": STRING, "msgid": STRING, "timestamp": INTEGER}, takes={"from": CLIENT_ID})
def delete(request: Request) -> Response:
    """Delete a message from the server. Clients are not told."""
    asked = parameters.of(request)
    named = Named(
        conversation_id=asked.string("convid"),
        kind=None,
        message_id=asked.string("msgid"),
        sender=asked.client_id("from", None),
        timestamp_ms=asked.integer("timestamp"),
    )
    in_async(on_behalf.delete, application=caller_of(request).application.pk, named=named, now_ms=now_ms())
    return Response({})


def _body_of(asked: Parameters) -> Body:
    data = asked.string("data")
    if not asked.boolean("bin", False):
        return Body(data, None)
    try:
        return Body(None, b64decode(data, validate=True))
    except (Error, ValueError) as error:
        raise BadParameter("data is base64 where bin is true.") from error
