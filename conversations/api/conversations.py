"""`/rtm/conversations`, `/rtm/chatrooms`, `/rtm/service-conversations`: rest-api 8.1 to 8.4.

For the developer, unless a setting opens an operation to whoever knows the App Key.
"""

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.access import allowed
from conversations.api.families import NORMAL, Family, conversation_of
from conversations.models import ConversationSettings
from conversations.policy import THE_APPLICATION, Kind
from conversations.representation import class_row
from conversations.services import attributes, lifecycle, queries
from conversations.services import objects as rows
from conversations.services.directory import ConversationInfo
from imcore.bridge import in_async
from imcore.identifiers import iso_date, now_ms
from imcore.objects import ReadOnlyKey, check_answerable
from imcore.rest import objects, parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import as_text
from imcore.rest.endpoints import endpoint
from imcore.rest.objects import FOUND, LIST
from imcore.rest.openapi import BOOLEAN, CLIENT_ID, DATE, OBJECT, STRING, array, record
from imcore.rest.parameters import Parameters

# As many as the setting `members_max` may allow.
CLIENT_IDS_MAX: Final = 10_000
# What the server sets once and for all (rest-api 8.3).
PROTECTED: Final = frozenset({"objectId", "createdAt", "updatedAt", "tr", "sys", "unique", "uniqueId"})

COLUMNS: Final = {"name": STRING, "attr": OBJECT}
CONVERSATION: Final = record(objectId=STRING, createdAt=DATE, updatedAt=DATE)
CHANGED: Final = record(objectId=STRING, updatedAt=DATE)


@endpoint(
    Who.APPLICATION,
    takes={**COLUMNS, "c": CLIENT_ID, "m": array(CLIENT_ID), "unique": BOOLEAN},
    answers=CONVERSATION,
)
def create(request: Request, family: Family) -> Response:
    """Make a conversation of exactly the members `m`, or with `unique` find the one that there is; members hear of it.

    What is neither here nor the server's own is a column of the developer's.
    """
    caller = allowed(request, "create")
    asked = parameters.of(request)
    is_normal = family is NORMAL
    started = in_async(
        lifecycle.start,
        application=caller.application.pk,
        settings=caller.application.of(ConversationSettings),
        client_id=THE_APPLICATION,
        creator=asked.client_id("c", THE_APPLICATION),
        member_ids=asked.client_ids("m", [], at_most=CLIENT_IDS_MAX) if is_normal else [],
        attributes=_columns(asked),
        kind=family.kind,
        is_unique=is_normal and asked.boolean("unique", False),
        now_ms=now_ms(),
    )
    return _whole(request, started.conversation)


@endpoint(Who.APPLICATION, takes=LIST, answers=FOUND)
def find(request: Request, family: Family) -> Response:
    """List conversations, those that changed last first."""
    return _page(request, family.kind)


@endpoint(Who.APPLICATION, takes=LIST, answers=FOUND)
def find_all(request: Request) -> Response:
    """List conversations, chat rooms and service conversations, those that changed last first."""
    return _page(request, None)


@endpoint(Who.APPLICATION, answers=CONVERSATION)
def read(request: Request, family: Family, conversation_id: str) -> Response:
    """Answer a conversation."""
    allowed(request, "find")
    return _whole(request, conversation_of(request, conversation_id, family))


@endpoint(Who.APPLICATION, takes={**COLUMNS, "c": CLIENT_ID}, answers=CHANGED)
def update(request: Request, family: Family, conversation_id: str) -> Response:
    """Change columns, with operators and dotted keys; members, or those in the chat room, hear of it.

    `m` has calls of its own and is passed over here.
    """
    caller = allowed(request, "update")
    asked = parameters.of(request)
    columns = _columns(asked)
    for key in columns:
        if key.partition(".")[0] in PROTECTED:
            raise ReadOnlyKey(key)
    conversation_of(request, conversation_id, family)
    updated = in_async(
        attributes.update,
        application=caller.application.pk,
        settings=caller.application.of(ConversationSettings),
        conversation_id=conversation_id,
        client_id=THE_APPLICATION,
        creator=asked.client_id("c", None),
        requested_text=as_text(columns, "A column"),
        now_ms=now_ms(),
    )
    return changed(conversation_id, updated.updated_ms)


@endpoint(Who.APPLICATION)
def delete(request: Request, family: Family, conversation_id: str) -> Response:
    """Delete a conversation: nobody can send to it any more, or read what was said; clients are not told."""
    allowed(request, "delete")
    conversation_of(request, conversation_id, family)
    in_async(
        rows.delete,
        application=caller_of(request).application.pk,
        conversation_ids=[conversation_id],
        now_ms=now_ms(),
    )
    return Response({})


def changed(conversation_id: str, updated_ms: int) -> Response:
    """Return the answer to a change of a conversation (rest-api 8.3, 8.5)."""
    return Response({"objectId": conversation_id, "updatedAt": iso_date(updated_ms)})


def _page(request: Request, kind: Kind | None) -> Response:
    allowed(request, "find")
    return objects.listed(request, queries.page, class_row, order="-updatedAt", kind=kind)


def _whole(request: Request, conversation: ConversationInfo) -> Response:
    row = class_row(in_async(queries.read, conversation=conversation))
    return Response(objects.filled(request, row))


def _columns(asked: Parameters) -> dict[str, Any]:
    """Return the columns that the body of a request writes; null is as good as absent (rest-api 3.2)."""
    columns = {key: value for key, value in asked.body.items() if value is not None}
    for key in columns:
        check_answerable(key)
    return columns
