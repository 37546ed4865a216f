"""What service conversations say to clients and to their subscribers (rest-api 8.7, 8.9, 8.11; 9 for 1.1)."""

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import SERVICES
from imcore import limits
from imcore.bridge import in_async
from imcore.delivery.encoding import Priority
from imcore.errors import InvalidLogin
from imcore.identifiers import now_ms
from imcore.rest import parameters, rates
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import CLIENT_ID, STRING, array
from imcore.rest.parameters import Parameters
from imcore.rest.rates import BROADCASTS, MESSAGES, SUBSCRIBER_MESSAGES
from messaging.api.saying import MESSAGE, NAMED, PUSH_DATA, SAYING, SENT, body_of, name_of, push_data_of, said_of, sent
from messaging.events import Body
from messaging.models import MessagingSettings
from messaging.services import broadcasting, on_behalf, service_patching

RECEIVERS = array(CLIENT_ID)


@endpoint(
    Who.MASTER,
    rate=MESSAGES,
    needs={"from_client": CLIENT_ID, "to_clients": RECEIVERS, "message": MESSAGE},
    takes=SAYING,
    answers=SENT,
)
def send(request: Request, conversation_id: str) -> Response:
    """Say something to 1 to 20 clients, whether they have subscribed or not."""
    asked = parameters.of(request)
    application = caller_of(request).application
    acknowledgement = in_async(
        on_behalf.send,
        application=application.pk,
        settings=application.of(MessagingSettings),
        conversation_id=conversation_id,
        kind=SERVICES.kind,
        client_ids=asked.client_ids("to_clients", at_most=limits.SERVICE_RECEIVERS_MAX),
        said=said_of(asked, "from_client", is_transient=False, priority=Priority.NORMAL),
        now_ms=now_ms(),
    )
    return Response(sent(acknowledgement))


@endpoint(
    Who.MASTER,
    rate=SUBSCRIBER_MESSAGES,
    needs={"from_client": CLIENT_ID, "message": MESSAGE},
    takes={"push": PUSH_DATA},
    answers=SENT,
)
def broadcast(request: Request, conversation_id: str) -> Response:
    """Say something to all subscribers."""
    return _to_subscribers(request, conversation_id, "from_client")


@endpoint(
    Who.MASTER,
    rate=SUBSCRIBER_MESSAGES,
    needs={"conv_id": STRING, "message": MESSAGE},
    takes={"from_peer": CLIENT_ID, "from_client": CLIENT_ID, "push": PUSH_DATA, "push_data": PUSH_DATA},
    answers=SENT,
)
def broadcast_anywhere(request: Request) -> Response:
    """Say something to all subscribers of `conv_id`, as `from_peer`."""
    asked = parameters.of(request)
    return _to_subscribers(request, asked.string("conv_id"), name_of(asked, "from_peer", "from_client"))


@endpoint(Who.MASTER, needs={**NAMED, "message": MESSAGE}, takes={"to_clients": RECEIVERS})
def edit(request: Request, conversation_id: str, message_id: str) -> Response:
    """Give what was said another body: to `to_clients`, or without them to all subscribers, or to everybody.

    It must be `from_client`'s, of the time `timestamp`. Who has had a message to everybody is not told.
    """
    return _patch(request, conversation_id, message_id, body_of(parameters.of(request)))


@endpoint(Who.MASTER, needs=NAMED, takes={"to_clients": RECEIVERS})
def recall(request: Request, conversation_id: str, message_id: str) -> Response:
    """Take back what was said: to `to_clients`, or without them to all subscribers, or to everybody."""
    return _patch(request, conversation_id, message_id, None)


@endpoint(Who.MASTER, needs=NAMED)
def delete(request: Request, conversation_id: str, client_id: str, message_id: str) -> Response:
    """Delete what was said to a client; of what was said to subscribers, for this one alone. Nobody is told."""
    asked = parameters.of(request)
    if not parameters.is_client_id(client_id):
        raise InvalidLogin
    in_async(
        service_patching.delete_for_subscriber,
        application=caller_of(request).application.pk,
        conversation_id=conversation_id,
        client_id=client_id,
        message_id=message_id,
        sender=asked.client_id("from_client"),
        timestamp_ms=asked.integer("timestamp"),
        now_ms=now_ms(),
    )
    return Response({})


def check_push(asked: Parameters) -> None:
    """Read what is to be pushed, `push`, or `push_data` as Python has it. Raises BadParameter for what cannot be."""
    push_data_of(asked, name_of(asked, "push", "push_data"))


def _to_subscribers(request: Request, conversation_id: str, from_name: str) -> Response:
    asked = parameters.of(request)
    check_push(asked)
    application = caller_of(request).application
    acknowledgement = in_async(
        broadcasting.send_to_subscribers,
        application=application.pk,
        settings=application.of(MessagingSettings),
        conversation_id=conversation_id,
        sender=asked.client_id(from_name),
        body=body_of(asked),
        is_transient=False,
        now_ms=now_ms(),
    )
    return Response(sent(acknowledgement))


def _patch(request: Request, conversation_id: str, message_id: str, body: Body | None) -> Response:
    asked = parameters.of(request)
    caller = caller_of(request)
    application = caller.application
    client_ids = asked.client_ids("to_clients", None, at_most=limits.SERVICE_RECEIVERS_MAX)
    if client_ids == []:  # whoever has named nobody does not mean everybody
        raise BadParameter(f"to_clients has 1 to {limits.SERVICE_RECEIVERS_MAX} clients.")
    if client_ids is not None:
        rates.count(MESSAGES, caller)
    elif in_async(service_patching.is_to_everybody, application=application.pk, message_id=message_id):
        rates.count(BROADCASTS, caller)
    else:
        rates.count(SUBSCRIBER_MESSAGES, caller)
    in_async(
        service_patching.patch,
        application=application.pk,
        settings=application.of(MessagingSettings),
        conversation_id=conversation_id,
        message_id=message_id,
        sender=asked.client_id("from_client"),
        timestamp_ms=asked.integer("timestamp"),
        client_ids=tuple(client_ids or ()),
        body=body,
        now_ms=now_ms(),
    )
    return Response({})
