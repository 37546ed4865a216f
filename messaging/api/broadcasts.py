"""What service conversations say to every client of an application (rest-api 8.14; 9 for 1.1)."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import BOOLEAN, CLIENT_ID, INTEGER, PAGING, STRING, array, record
from imcore.rest.rates import BROADCASTS
from messaging.api.entries import ENTRY, entry
from messaging.api.saying import MESSAGE, PUSH_DATA, SENT, body_of, name_of, sent
from messaging.api.services import check_push
from messaging.models import MessagingSettings
from messaging.services import broadcasting
from messaging.services.broadcasting import Broadcast

BROADCAST = record(**ENTRY, **{"valid-till": INTEGER})


@endpoint(
    Who.MASTER,
    rate=BROADCASTS,
    needs={"conv_id": STRING, "message": MESSAGE},
    takes={
        "from_client": CLIENT_ID,
        "from_peer": CLIENT_ID,
        "valid_till": INTEGER,
        "push": PUSH_DATA,
        "push_data": PUSH_DATA,
        "transient": BOOLEAN,
    },
    answers=SENT,
)
def send(request: Request) -> Response:
    """Say something to every client of the application, through the service conversation `conv_id`.

    Who is away gets it at the next log-in until `valid_till`, in milliseconds: at most and by default in a month.
    """
    asked = parameters.of(request)
    check_push(asked)
    application = caller_of(request).application
    acknowledgement = in_async(
        broadcasting.send_to_everybody,
        application=application.pk,
        settings=application.of(MessagingSettings),
        conversation_id=asked.string("conv_id"),
        sender=asked.client_id(name_of(asked, "from_client", "from_peer")),
        body=body_of(asked),
        valid_till_ms=asked.integer("valid_till", None),
        is_transient=asked.boolean("transient", False),
        now_ms=now_ms(),
    )
    return Response(sent(acknowledgement))


@endpoint(Who.MASTER, needs={"conv_id": STRING}, takes=PAGING, answers=array(BROADCAST))
def find(request: Request) -> Response:
    """Answer what was said to everybody and who logs in still gets, newest first."""
    asked = parameters.of(request)
    conversation_id = asked.string("conv_id")
    found = in_async(
        broadcasting.valid_broadcasts,
        application=caller_of(request).application.pk,
        conversation_id=conversation_id,
        limit=asked.limit(),
        skip=asked.skip(),
        now_ms=now_ms(),
    )
    return Response([_broadcast(one, conversation_id) for one in found])


@endpoint(Who.MASTER)
def delete(request: Request, message_id: str) -> Response:
    """Delete what was said to everybody: who has not had it does not get it. Nobody is told."""
    return _delete(request, message_id)


@endpoint(Who.MASTER, needs={"mid": STRING})
def delete_named(request: Request) -> Response:
    """Delete what was said to everybody, the message `mid`."""
    return _delete(request, parameters.of(request).string("mid"))


def _delete(request: Request, message_id: str) -> Response:
    application = caller_of(request).application.pk
    in_async(broadcasting.delete_broadcast, application=application, message_id=message_id, now_ms=now_ms())
    return Response({})


def _broadcast(broadcast: Broadcast, conversation_id: str) -> dict[str, Any]:
    shown = entry(broadcast.message, log_id=conversation_id, conversation_id=conversation_id, is_room=False)
    return {**shown, "valid-till": broadcast.valid_till_ms}
