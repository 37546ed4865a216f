"""Who follows which system conversations (rest-api 8.11, 8.12; in 1.1: section 9)."""

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import SERVICES, conversation_of
from conversations.models import ConversationSettings
from conversations.services import membership, subscriptions
from conversations.services.subscriptions import After, Subscribed
from imcore import limits
from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import CLIENT_ID, INTEGER, STRING, array, record
from imcore.rest.parameters import Parameters

SUBSCRIPTION: Final = record(timestamp=INTEGER, subscriber=STRING, conv_id=STRING)
NAMED: Final = {"conv_id": STRING, "client_id": CLIENT_ID}
# The path of the number of subscribers is that of the subscriber with this id, too.
COUNT: Final = "count"


@endpoint(Who.MASTER, needs={"client_id": CLIENT_ID})
def subscribe(request: Request, conversation_id: str) -> Response:
    """Make a client follow a service conversation. Repeating it is harmless; nobody is told."""
    return _subscribe(request, conversation_id, parameters.of(request).client_id("client_id"))


@endpoint(Who.MASTER)
def unsubscribe(request: Request, conversation_id: str, client_id: str = COUNT) -> Response:
    """Make a client no longer follow a service conversation. Repeating it is harmless; nobody is told."""
    return _unsubscribe(request, conversation_id, client_id)


@endpoint(Who.MASTER, needs=NAMED)
def subscribe_named(request: Request) -> Response:
    """Make a client follow a service conversation, as 1.1 asks for it."""
    asked = parameters.of(request)
    return _subscribe(request, asked.string("conv_id"), asked.client_id("client_id"))


@endpoint(Who.MASTER, needs=NAMED)
def unsubscribe_named(request: Request) -> Response:
    """Make a client no longer follow a service conversation, as 1.1 asks for it."""
    asked = parameters.of(request)
    return _unsubscribe(request, asked.string("conv_id"), asked.client_id("client_id"))


@endpoint(Who.MASTER, takes={"limit": INTEGER, "client_id": CLIENT_ID}, answers=array(SUBSCRIPTION))
def page(request: Request, conversation_id: str) -> Response:
    """Answer who follows a service conversation, in the order in which they came to, behind `client_id` if it is given.

    If that one does not follow it any more, from the beginning.
    """
    asked = parameters.of(request)
    found = in_async(
        subscriptions.page,
        conversation=conversation_of(request, conversation_id, SERVICES),
        after=asked.client_id("client_id", None),
        limit=_limit(asked),
    )
    return Response([_subscription(one) for one in found])


@endpoint(Who.MASTER, answers=record(count=INTEGER))
def count(request: Request, conversation_id: str) -> Response:
    """Answer how many clients follow a service conversation."""
    conversation = conversation_of(request, conversation_id, SERVICES)
    return Response({"count": in_async(subscriptions.count, conversation=conversation)})


@endpoint(
    Who.MASTER,
    takes={"conv_id": STRING, "timestamp": INTEGER, "limit": INTEGER, "direction": STRING},
    answers=array(SUBSCRIPTION),
)
def of_client(request: Request, client_id: str) -> Response:
    """Answer which service conversations a client follows, the oldest subscription first, or with `old` the newest.

    Those behind the one that `conv_id` and `timestamp` say, if these are given.
    """
    asked = parameters.of(request)
    found = in_async(
        subscriptions.page_of_client,
        application=caller_of(request).application.pk,
        client_id=client_id,
        after=_after(asked),
        newest_first=_is_newest_first(asked),
        limit=_limit(asked),
    )
    return Response([_subscription(one) for one in found])


def _subscribe(request: Request, conversation_id: str, client_id: str) -> Response:
    application = caller_of(request).application
    in_async(
        membership.add,
        application=application.pk,
        settings=application.of(ConversationSettings),
        conversation_id=conversation_of(request, conversation_id, SERVICES).object_id,
        # As by the client itself, since nobody can subscribe another: who is blocked is refused.
        client_id=client_id,
        member_ids=[client_id],
        all_or_nothing=True,
        now_ms=now_ms(),
    )
    return Response({})


def _unsubscribe(request: Request, conversation_id: str, client_id: str) -> Response:
    conversation = conversation_of(request, conversation_id, SERVICES)
    in_async(subscriptions.unsubscribe, conversation=conversation, client_id=client_id)
    return Response({})


def _after(asked: Parameters) -> After | None:
    conversation_id, since_ms = asked.string("conv_id", None), asked.integer("timestamp", None)
    if conversation_id is None and since_ms is None:
        return None
    if conversation_id is None or since_ms is None:
        raise BadParameter("conv_id and timestamp come together.")
    return After(since_ms, conversation_id)


def _is_newest_first(asked: Parameters) -> bool:
    direction = asked.string("direction", "new")
    if direction not in ("new", "old"):
        raise BadParameter("direction is new or old.")
    return direction == "old"


def _limit(asked: Parameters) -> int:
    """Return how many a page has at most; what is out of bounds counts as nothing said, as elsewhere."""
    try:
        return asked.integer("limit", limits.SUBSCRIBER_PAGE, least=1, most=limits.SUBSCRIBER_PAGE)
    except BadParameter:
        return limits.SUBSCRIBER_PAGE


def _subscription(one: Subscribed) -> dict[str, Any]:
    return {"timestamp": one.since_ms, "subscriber": one.client_id, "conv_id": one.conversation_id}
