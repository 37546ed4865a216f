"""Saying, editing, recalling and deleting messages in clients' names (rest-api 8.7, 8.9, and 9 for 1.1).

The paths of 1.2 are those of a family of conversations; in 1.1, the id alone decides.
"""

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import Family
from imcore import limits
from imcore.bridge import in_async
from imcore.delivery.encoding import Priority
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import BOOLEAN, CLIENT_ID, INTEGER, STRING, array
from imcore.rest.parameters import Parameters
from imcore.rest.rates import MESSAGES
from messaging.api.saying import MENTIONING, MESSAGE, NAMED, SAYING, SENT, body_of, name_of, said_of, sent
from messaging.events import Body
from messaging.models import MessagingSettings
from messaging.services import on_behalf
from messaging.services.on_behalf import Named, Said


@endpoint(
    Who.MASTER,
    rate=MESSAGES,
    needs={"from_client": CLIENT_ID, "message": MESSAGE},
    takes={**SAYING, **MENTIONING},
    answers=SENT,
)
def send(request: Request, family: Family, conversation_id: str) -> Response:
    """Send a message as any client, a member or not.

    It is stored unless it is `transient`; who is on line gets it at once, the sender's own devices included unless
    `no_sync`, or in a chat room.
    """
    asked = parameters.of(request)
    said = said_of(asked, "from_client", is_transient=False, priority=Priority.NORMAL)
    return _send(request, conversation_id, family, [], said)


@endpoint(
    Who.MASTER,
    rate=MESSAGES,
    needs={"conv_id": STRING, "message": MESSAGE},
    takes={
        **SAYING,
        **MENTIONING,
        "from_peer": CLIENT_ID,
        "from_client": CLIENT_ID,
        "to_peers": array(CLIENT_ID),
        "to_clients": array(CLIENT_ID),
    },
    answers=SENT,
)
def send_anywhere(request: Request) -> Response:
    """Send a message as `from_peer`, whatever the kind of the conversation, transient unless it says otherwise.

    To a service conversation it is for `to_peers`, 1 to 20 clients, which mean nothing elsewhere.
    """
    asked = parameters.of(request)
    receivers = name_of(asked, "to_peers", "to_clients")
    client_ids = asked.client_ids(receivers, [], at_most=limits.SERVICE_RECEIVERS_MAX)
    said = said_of(asked, name_of(asked, "from_peer", "from_client"), is_transient=True, priority=Priority.HIGH)
    return _send(request, asked.string("conv_id"), None, client_ids, said)


@endpoint(Who.MASTER, rate=MESSAGES, needs={**NAMED, "message": MESSAGE})
def edit(request: Request, family: Family, conversation_id: str, message_id: str) -> Response:
    """Give a message another body, and tell the members. It must be `from_client`'s, of the time `timestamp`."""
    asked = parameters.of(request)
    return _patch(request, _named(asked, conversation_id, family, message_id), body_of(asked))


@endpoint(Who.MASTER, rate=MESSAGES, needs=NAMED)
def recall(request: Request, family: Family, conversation_id: str, message_id: str) -> Response:
    """Take a message back, and tell the members. It must be `from_client`'s, of the time `timestamp`."""
    return _patch(request, _named(parameters.of(request), conversation_id, family, message_id), None)


@endpoint(
    Who.MASTER,
    rate=MESSAGES,
    needs={"conv_id": STRING, "timestamp": INTEGER},
    takes={
        "from_peer": CLIENT_ID,
        "from_client": CLIENT_ID,
        "message_id": STRING,
        "mid": STRING,
        "msg-id": STRING,
        "message": MESSAGE,
        "recall": BOOLEAN,
    },
)
def patch_anywhere(request: Request) -> Response:
    """Edit a message of a conversation or chat room; recall it with `recall`, or without a `message`."""
    asked = parameters.of(request)
    says_nothing = asked.body.get("message") is None and not asked.query.get("message")
    named = Named(
        conversation_id=asked.string("conv_id"),
        kind=None,
        message_id=asked.string(name_of(asked, "message_id", "mid", "msg-id")),
        sender=asked.client_id(name_of(asked, "from_peer", "from_client")),
        timestamp_ms=asked.integer("timestamp"),
    )
    return _patch(request, named, None if asked.boolean("recall", False) or says_nothing else body_of(asked))


@endpoint(Who.MASTER, needs=NAMED)
def delete(request: Request, family: Family, conversation_id: str, message_id: str) -> Response:
    """Delete a message from the server. Clients are not told."""
    in_async(
        on_behalf.delete,
        application=caller_of(request).application.pk,
        named=_named(parameters.of(request), conversation_id, family, message_id),
        now_ms=now_ms(),
    )
    return Response({})


def _send(request: Request, conversation_id: str, family: Family | None, client_ids: list[str], said: Said) -> Response:
    application = caller_of(request).application
    acknowledgement = in_async(
        on_behalf.send,
        application=application.pk,
        settings=application.of(MessagingSettings),
        conversation_id=conversation_id,
        kind=None if family is None else family.kind,
        client_ids=client_ids,
        said=said,
        now_ms=now_ms(),
    )
    return Response(sent(acknowledgement))


def _named(asked: Parameters, conversation_id: str, family: Family, message_id: str) -> Named:
    return Named(conversation_id, family.kind, message_id, asked.client_id("from_client"), asked.integer("timestamp"))


def _patch(request: Request, named: Named, body: Body | None) -> Response:
    application = caller_of(request).application
    in_async(
        on_behalf.patch,
        application=application.pk,
        settings=application.of(MessagingSettings),
        named=named,
        body=body,
        now_ms=now_ms(),
    )
    return Response({})
