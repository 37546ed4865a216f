"""`/classes/_Conversation`: conversations as rows of a class, for back ends (rest-api 9, 10.1).

Writes here tell nobody. So do they in the hosted service, whose guide has its other routes for what should be told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.access import allowed, may
from conversations.models import ConversationSettings
from conversations.representation import class_row
from conversations.services import objects as conversations
from conversations.services import queries
from conversations.services.directory import ConversationInfo
from imcore import limits
from imcore.bridge import in_async
from imcore.identifiers import iso_date, now_ms
from imcore.rest import objects, saving
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.objects import FOUND, LIST, PROJECTION, SCAN, SCANNED
from imcore.rest.openapi import BOOLEAN, DATE, OBJECT, STRING, array, record
from imcore.rest.saving import Item, Saving
from imcore.writes import stored_alone

COLUMNS = {"name": STRING, "m": array(STRING), "c": STRING, "attr": OBJECT}
NEW = {**COLUMNS, "tr": BOOLEAN, "sys": BOOLEAN, "unique": BOOLEAN}
CREATED = record(objectId=STRING, createdAt=DATE)
WRITTEN = record(objectId=STRING, updatedAt=DATE)


@endpoint(Who.APPLICATION, takes=NEW, answers=CREATED, status=201)
def create(request: Request) -> Response:
    """Make a conversation, or with `unique` find the one of exactly these members."""
    caller = allowed(request, "create")
    creation = conversations.creation(
        application=caller.application.pk,
        settings=caller.application.of(ConversationSettings),
        columns=body_of(request),
        now_ms=now_ms(),
    )
    made = in_async(stored_alone, creation).conversation
    location = request.build_absolute_uri(f"/1.1/classes/_Conversation/{made.object_id}")
    body = _created(made)
    if objects.fetches(request):
        body = objects.fetched(request, "_Conversation", made.object_id) or body
    return Response(body, status=201, headers={"Location": location})


@endpoint(Who.APPLICATION, takes=LIST, answers=FOUND)
def find(request: Request) -> Response:
    """List conversations of all kinds."""
    allowed(request, "find")
    return objects.listed(request, queries.page, class_row, order="objectId", kind=None)


@endpoint(Who.MASTER, takes=SCAN, answers=SCANNED)
def scan(request: Request) -> Response:
    """List all conversations, part by part, in the order of their ids."""
    return objects.scan(request, conversations.scan, class_row)


@endpoint(Who.APPLICATION, takes=PROJECTION)
def read(request: Request, object_id: str) -> Response:
    """Answer a conversation, or an empty object if there is none."""
    allowed(request, "find")
    return objects.read(request, "_Conversation", object_id)


@endpoint(Who.APPLICATION, takes=COLUMNS, answers=WRITTEN)
def update(request: Request, object_id: str) -> Response:
    """Change columns of a conversation, its members among them; with `where`, only if that holds."""
    caller, asked = allowed(request, "update"), body_of(request)
    writing = in_async(
        conversations.writing,
        application=caller.application.pk,
        settings=caller.application.of(ConversationSettings),
        conversation_id=object_id,
        columns=asked,
        where_text=objects.where_of(request),
        now_ms=now_ms(),
    )
    body = _written(in_async(stored_alone, writing))
    if objects.fetches(request):
        row = objects.fetched(request, "_Conversation", object_id)
        touched = {key.partition(".")[0] for key in asked}
        body |= {key: value for key, value in row.items() if key in touched and key != "updatedAt"}
    return Response(body)


@endpoint(Who.APPLICATION)
def delete(request: Request, object_id: str) -> Response:
    """Delete a conversation, or several: ids with commas between them. With `where`, only if that holds."""
    in_async(
        conversations.delete,
        application=allowed(request, "delete").application.pk,
        conversation_ids=objects.ids_of(object_id),
        where_text=objects.where_of(request),
        now_ms=now_ms(),
    )
    return Response({})


@saving.savable("_Conversation", heeds_conditions=True)
async def save(request: Request, item: Item) -> Saving:
    """Prepare a conversation that is saved together with others."""
    caller = allowed(request, "create" if item.object_id is None else "update")
    whose: Any = {
        "application": caller.application.pk,
        "settings": caller.application.of(ConversationSettings),
        "columns": item.columns,
        "now_ms": now_ms(),
    }
    if item.object_id is None:
        return Saving(conversations.creation(**whose), lambda created: _created(created.conversation))
    writing = await conversations.writing(**whose, conversation_id=item.object_id, where_text=item.where)
    return Saving(writing, _written)


@objects.readable("_Conversation")
async def read_by_ids(request: Request, object_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Return conversations as rows, by id."""
    caller = caller_of(request)
    if not may(caller, "find"):
        return {}
    wanted = [one for one in object_ids if len(one) <= limits.CONVERSATION_ID_MAX_CHARACTERS]
    found = await conversations.with_ids(application=caller.application.pk, conversation_ids=wanted)
    return {one.object_id: class_row(one) for one in found}


def _created(conversation: ConversationInfo) -> dict[str, Any]:
    return {"objectId": conversation.object_id, "createdAt": iso_date(conversation.created_ms)}


def _written(conversation: ConversationInfo) -> dict[str, Any]:
    return {"objectId": conversation.object_id, "updatedAt": iso_date(conversation.updated_ms)}
