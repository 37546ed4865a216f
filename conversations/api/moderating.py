"""What silences, roles and block lists have in common over HTTP: the application acts, and lists come in pages."""

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations import paging
from conversations.api.families import Family
from conversations.models import ConversationSettings
from conversations.policy import THE_APPLICATION
from conversations.services import requests
from conversations.services.moderation import Page
from imcore import limits
from imcore.identifiers import now_ms
from imcore.rest.authentication import caller_of
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import CLIENT_ID, INTEGER, STRING, Schema, array
from imcore.rest.parameters import Parameters

PAGING: Final = {"limit": INTEGER, "next": STRING}
CLIENT_IDS: Final = {"client_ids": array(CLIENT_ID)}


def page_schema(name: str) -> Schema:
    """Describe a page; `next` is not there on the last one."""
    return {"type": "object", "required": [name], "properties": {name: array(STRING), "next": STRING}}


def by_the_application(request: Request, conversation_id: str, family: Family | None = None) -> requests.Request:
    """Return what services are asked with when the application itself acts, in a family or anywhere."""
    application = caller_of(request).application
    return requests.Request(
        application=application.pk,
        settings=application.of(ConversationSettings),
        conversation_id=conversation_id,
        client_id=THE_APPLICATION,
        kind=None if family is None else family.kind,
        now_ms=now_ms(),
    )


def client_ids_of(asked: Parameters) -> list[str]:
    """Return whom a change of a list names: no more than the longest list has."""
    return asked.client_ids("client_ids", at_most=limits.LISTED_IN_ROOM_MAX)


def bounds_of(asked: Parameters) -> dict[str, int]:
    """Return where a page begins, and how many it has; a limit that is none says nothing (rest-api 6.1)."""
    try:
        limit = asked.integer("limit", 0)
    except BadParameter:
        limit = 0
    return {"after": paging.place_of(asked.string("next", "")), "limit": paging.page_size(limit)}


def answer(page: Page, name: str) -> Response:
    """Answer a page, its items under a name."""
    body: dict[str, Any] = {name: page.names, **paging.next_of(page)}
    return Response(body)
