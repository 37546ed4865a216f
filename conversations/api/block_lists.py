"""Who may not be in conversations, and who does not want to be pulled into them: `blacklists` (rest-api 8.10)."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

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
from conversations.services.moderation import Verdict
from imcore.bridge import in_async
from imcore.errors import InvalidLogin
from imcore.rest import parameters
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import STRING


@endpoint(Who.MASTER, needs=CLIENT_IDS)
def block(request: Request, family: Family, conversation_id: str) -> Response:
    """Block clients, all of them or none: who is in the conversation is out, and none can come back. All are told."""
    asked = by_the_application(request, conversation_id, family)
    in_async(moderation.block, asked, client_ids=client_ids_of(parameters.of(request)), all_or_nothing=True)
    return Response({})


@endpoint(Who.MASTER, needs=CLIENT_IDS)
def unblock(request: Request, family: Family, conversation_id: str) -> Response:
    """Take clients off the block list. They are told; they are not in the conversation again for it."""
    asked = by_the_application(request, conversation_id, family)
    in_async(moderation.unblock, asked, client_ids=client_ids_of(parameters.of(request)), all_or_nothing=True)
    return Response({})


@endpoint(Who.MASTER, takes=PAGING, answers=page_schema("client_ids"))
def blocked(request: Request, family: Family, conversation_id: str) -> Response:
    """Answer who is blocked, 10 at a time or up to 100; `next` is where to go on."""
    asked = by_the_application(request, conversation_id, family)
    page = in_async(moderation.list_blocked, asked, **bounds_of(parameters.of(request)))
    return answer(page, "client_ids")


@endpoint(Who.MASTER, needs={"conv_id": STRING})
def refuse(request: Request, client_id: str) -> Response:
    """Note that a client cannot be pulled into a conversation. It can come by itself; nobody is told."""
    return _refusal(moderation.refuse_invitations, request, client_id)


@endpoint(Who.MASTER, needs={"conv_id": STRING})
def accept(request: Request, client_id: str) -> Response:
    """Note that a client can be pulled into a conversation again."""
    return _refusal(moderation.accept_invitations, request, client_id)


@endpoint(Who.MASTER, takes=PAGING, answers=page_schema("conv_ids"))
def refused(request: Request, client_id: str) -> Response:
    """Answer into which conversations a client cannot be pulled, 10 at a time or up to 100."""
    page = in_async(moderation.list_refused, _for(request, client_id), **bounds_of(parameters.of(request)))
    return answer(page, "conv_ids")


def _refusal(change: Callable[..., Coroutine[Any, Any, Verdict]], request: Request, client_id: str) -> Response:
    conversation_ids: Sequence[str] = [parameters.of(request).string("conv_id")]
    verdict = in_async(change, _for(request, client_id), conversation_ids=conversation_ids)
    for error in verdict.failed:
        raise error
    return Response({})


def _for(request: Request, client_id: str) -> requests.Request:
    if not parameters.is_client_id(client_id):
        raise InvalidLogin
    return replace(by_the_application(request, ""), client_id=client_id, for_client=True)
