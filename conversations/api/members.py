"""Who is in a conversation or a chat room, and who is not pushed to: for back ends (rest-api 8.5, 8.6)."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.conversations import CHANGED, CLIENT_IDS_MAX, changed
from conversations.api.families import CHAT_ROOMS, NORMAL, Family, conversation_of
from conversations.models import ConversationSettings
from conversations.policy import THE_APPLICATION
from conversations.services import membership, muting
from conversations.services.membership import MembershipResult
from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import CLIENT_ID, INTEGER, array, record

CLIENTS: Final = {"client_ids": array(CLIENT_ID)}
NAMES: Final = record(result=array(CLIENT_ID))
NUMBER: Final = record(result=INTEGER)

Change = Callable[..., Coroutine[Any, Any, MembershipResult]]


@endpoint(Who.MASTER, needs=CLIENTS, answers=CHANGED)
def add(request: Request, conversation_id: str) -> Response:
    """Make clients members, all of them or none; they and the members hear of it."""
    return _change(request, conversation_id, membership.add)


@endpoint(Who.MASTER, needs=CLIENTS, answers=CHANGED)
def remove(request: Request, conversation_id: str) -> Response:
    """Put clients out of a conversation, its creator too; they and those who stay hear of it."""
    return _change(request, conversation_id, membership.remove)


@endpoint(Who.MASTER, answers=NAMES)
def find(request: Request, conversation_id: str) -> Response:
    """Answer the members, in the order they joined."""
    return _names(request, conversation_id, NORMAL)


@endpoint(Who.MASTER, answers=NAMES)
def online(request: Request, conversation_id: str) -> Response:
    """Answer at most 50 of the clients who are in a chat room now."""
    return _names(request, conversation_id, CHAT_ROOMS)


@endpoint(Who.MASTER, answers=NUMBER)
def online_count(request: Request, conversation_id: str) -> Response:
    """Answer how many clients are in a chat room now."""
    conversation_of(request, conversation_id, CHAT_ROOMS)
    number = in_async(
        membership.count,
        application=caller_of(request).application.pk,
        conversation_id=conversation_id,
        now_ms=now_ms(),
    )
    return Response({"result": number})


@endpoint(Who.MASTER, needs=CLIENTS, answers=CHANGED)
def mute(request: Request, conversation_id: str) -> Response:
    """Stop offline push from a conversation for members; who is none is passed over."""
    return _mute(request, conversation_id, is_muted=True)


@endpoint(Who.MASTER, needs=CLIENTS, answers=CHANGED)
def unmute(request: Request, conversation_id: str) -> Response:
    """Undo muting for members; who is none is passed over."""
    return _mute(request, conversation_id, is_muted=False)


@endpoint(Who.MASTER, answers=NAMES)
def muted(request: Request, conversation_id: str) -> Response:
    """Answer the members who get no offline push from a conversation."""
    conversation = conversation_of(request, conversation_id, NORMAL)
    return Response({"result": in_async(muting.muted_members, conversation=conversation)})


def _names(request: Request, conversation_id: str, family: Family) -> Response:
    conversation_of(request, conversation_id, family)
    found = in_async(
        membership.list_members,
        application=caller_of(request).application.pk,
        conversation_id=conversation_id,
        limit=CLIENT_IDS_MAX,
        now_ms=now_ms(),
    )
    return Response({"result": found})


def _change(request: Request, conversation_id: str, change: Change) -> Response:
    client_ids = parameters.of(request).client_ids("client_ids", at_most=CLIENT_IDS_MAX)
    conversation_of(request, conversation_id, NORMAL)
    application = caller_of(request).application
    result = in_async(
        change,
        application=application.pk,
        settings=application.of(ConversationSettings),
        conversation_id=conversation_id,
        client_id=THE_APPLICATION,
        member_ids=client_ids,
        all_or_nothing=True,
        now_ms=now_ms(),
    )
    return changed(conversation_id, result.updated_ms)


def _mute(request: Request, conversation_id: str, *, is_muted: bool) -> Response:
    updated_ms = in_async(
        muting.mute_members,
        client_ids=parameters.of(request).client_ids("client_ids", at_most=CLIENT_IDS_MAX),
        conversation=conversation_of(request, conversation_id, NORMAL),
        is_muted=is_muted,
        now_ms=now_ms(),
    )
    return changed(conversation_id, updated_ms)
