"""Silencing clients, for good or for a time (rest-api 8.10, and 9 for 1.1)."""

from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import Family
from conversations.api.moderating import (
    CLIENT_IDS,
    PAGING,
    answer,
    bounds_of,
    by_the_application,
    client_ids_of,
    page_schema,
)
from conversations.services import moderation, requests
from imcore import limits
from imcore.bridge import in_async
from imcore.rest import parameters
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import CLIENT_ID, STRING
from imcore.rest.parameters import Parameters

CLIENT: Final = {"client_id": CLIENT_ID}
TIMED: Final = {**CLIENT, "ttl": {"type": "integer", "minimum": 1, "maximum": limits.SILENCE_MAX_SECONDS}}
CONVERSATION: Final = {"conv_id": STRING}


@endpoint(Who.MASTER, needs=TIMED)
def silence_for(request: Request, family: Family, conversation_id: str) -> Response:
    """Silence a client for `ttl` seconds, a day at most. Nobody is told; sending fails with 4315 meanwhile."""
    return _silence_for(by_the_application(request, conversation_id, family), parameters.of(request))


@endpoint(Who.MASTER, needs=CLIENT)
def end_silence(request: Request, family: Family, conversation_id: str) -> Response:
    """End a client's silence for a time. Nobody is told; one for good goes on."""
    return _end_silence(by_the_application(request, conversation_id, family), parameters.of(request))


@endpoint(Who.MASTER, needs={**TIMED, **CONVERSATION})
def silence_for_anywhere(request: Request) -> Response:
    """Silence a client for `ttl` seconds in a conversation of any kind. It is no block list, despite its name."""
    asked = parameters.of(request)
    return _silence_for(by_the_application(request, asked.string("conv_id")), asked)


@endpoint(Who.MASTER, needs={**CLIENT, **CONVERSATION})
def end_silence_anywhere(request: Request) -> Response:
    """End a client's silence for a time in a conversation of any kind."""
    asked = parameters.of(request)
    return _end_silence(by_the_application(request, asked.string("conv_id")), asked)


@endpoint(Who.MASTER, needs=CLIENT_IDS)
def silence(request: Request, family: Family, conversation_id: str) -> Response:
    """Silence members for good, all of them or none. They are told, and the other members."""
    asked = by_the_application(request, conversation_id, family)
    in_async(moderation.silence, asked, client_ids=client_ids_of(parameters.of(request)), all_or_nothing=True)
    return Response({})


@endpoint(Who.MASTER, needs=CLIENT_IDS)
def unsilence(request: Request, family: Family, conversation_id: str) -> Response:
    """Let silenced clients send again, in whichever way they are silenced. They are told, and the other members."""
    asked = by_the_application(request, conversation_id, family)
    in_async(moderation.unsilence, asked, client_ids=client_ids_of(parameters.of(request)), all_or_nothing=True)
    return Response({})


@endpoint(Who.MASTER, takes=PAGING, answers=page_schema("client_ids"))
def silenced(request: Request, family: Family, conversation_id: str) -> Response:
    """Answer who is silenced for good, 10 at a time or up to 100; `next` is where to go on."""
    asked = by_the_application(request, conversation_id, family)
    page = in_async(moderation.list_silenced, asked, **bounds_of(parameters.of(request)))
    return answer(page, "client_ids")


def _silence_for(request: requests.Request, asked: Parameters) -> Response:
    in_async(
        moderation.silence_for,
        request,
        client_id=asked.client_id("client_id"),
        seconds=asked.integer("ttl", least=1, most=limits.SILENCE_MAX_SECONDS),
    )
    return Response({})


def _end_silence(request: requests.Request, asked: Parameters) -> Response:
    in_async(moderation.end_silence, request, client_id=asked.client_id("client_id"))
    return Response({})
