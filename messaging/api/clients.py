"""Clients: who is on line, what waits for them, sending them away, how many there are (rest-api 8.12, 8.14, 9)."""

from contextlib import suppress
from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from imcore import limits
from imcore.bridge import in_async
from imcore.errors import ConversationNotFound, InvalidLogin
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import CLIENT_ID, INTEGER, STRING, array, record
from imcore.rest.parameters import Parameters, is_client_id
from messaging.services import clients, sessions

ONLINE = record(results=array(STRING))
COUNT = record(count=INTEGER)
REASON = {"type": "string", "maxLength": limits.KICK_REASON_MAX_CHARACTERS}


@endpoint(Who.MASTER, needs={"client_ids": array(CLIENT_ID)}, answers=ONLINE)
def check_online(request: Request) -> Response:
    """Answer which of at most 20 clients are on line."""
    return _online(request, "client_ids")


@endpoint(Who.MASTER, needs={"peers": array(CLIENT_ID)}, answers=ONLINE)
def check_peers_online(request: Request) -> Response:
    """Answer which of at most 20 clients are on line, as 1.1 asks for it."""
    return _online(request, "peers")


@endpoint(Who.APPLICATION, takes={"conv_id": STRING}, answers=COUNT)
def unread_count(request: Request, client_id: str) -> Response:
    """Answer how many messages a client has not read, in `conv_id` or in all conversations together."""
    return Response({"count": _unread(request, client_id, parameters.of(request).string("conv_id", None))})


@endpoint(Who.APPLICATION, answers=COUNT)
def unread_count_named(request: Request, named: str) -> Response:
    """Answer how many messages a client has not read, as 1.1 asks for it: `client_id` or `client_id/conv_id`.

    A client's id may have slashes, too: what names no conversation is part of it.
    """
    client_id, slash, conversation_id = named.rpartition("/")
    if slash:
        with suppress(ConversationNotFound):
            return Response({"count": _unread(request, client_id, conversation_id)})
    return Response({"count": _unread(request, named, None)})


@endpoint(Who.MASTER, takes={"reason": REASON})
def kick(request: Request, client_id: str) -> Response:
    """Sign a client out everywhere, and tell it a reason. Its session tokens and login signatures are void."""
    if not is_client_id(client_id):
        raise InvalidLogin
    return _kick(request, client_id, parameters.of(request))


@endpoint(Who.MASTER, needs={"client_id": CLIENT_ID}, takes={"reason": REASON})
def kick_named(request: Request) -> Response:
    """Sign a client out everywhere, as 1.1 asks for it."""
    asked = parameters.of(request)
    return _kick(request, asked.client_id("client_id"), asked)


@endpoint(Who.MASTER, answers=record(result=record(online_user_count=INTEGER, user_count_today=INTEGER)))
def statistics(request: Request) -> Response:
    """Answer how many clients are on line, and how many were today (UTC)."""
    found = in_async(clients.statistics, application=caller_of(request).application.pk, now=datetime.now(UTC))
    return Response({"result": {"online_user_count": found.online, "user_count_today": found.today}})


def _online(request: Request, name: str) -> Response:
    wanted = parameters.of(request).client_ids(name, at_most=limits.ONLINE_QUERY_MAX_CLIENTS)
    found = in_async(clients.online, application=caller_of(request).application.pk, client_ids=wanted)
    return Response({"results": found})


def _unread(request: Request, client_id: str, conversation_id: str | None) -> int:
    return in_async(
        clients.unread_count,
        application=caller_of(request).application.pk,
        client_id=client_id,
        conversation_id=conversation_id,
        now_ms=now_ms(),
    )


def _kick(request: Request, client_id: str, asked: Parameters) -> Response:
    reason = asked.string("reason", "")
    if len(reason) > limits.KICK_REASON_MAX_CHARACTERS:
        raise BadParameter(f"reason has at most {limits.KICK_REASON_MAX_CHARACTERS} characters.")
    in_async(sessions.kick, application=caller_of(request).application.pk, client_id=client_id, reason=reason)
    return Response({})
