"""`/files`, and the same as `/classes/_File` (rest-api 10.1, 10.4)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from imcore.bridge import in_async
from imcore.files.api import representation
from imcore.files.api.representation import FILE
from imcore.files.records import StoredFile
from imcore.files.services import managing, uploading
from imcore.identifiers import iso_date, now_ms
from imcore.objects import ReadOnlyKey
from imcore.rest import objects, saving
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.objects import FOUND, LIST, SCAN, SCANNED
from imcore.rest.openapi import DATE, OBJECT, STRING, record
from imcore.rest.origin import origin_of
from imcore.rest.saving import Item, Saving
from imcore.writes import Write, stored_alone


@endpoint(
    Who.APPLICATION,
    needs={"url": STRING},
    takes={"name": STRING, "mime_type": STRING, "metaData": OBJECT},
    answers=record(objectId=STRING, createdAt=DATE, url=STRING, name=STRING),
    status=201,
)
def create(request: Request) -> Response:
    """Make a file of an address elsewhere."""
    made = in_async(stored_alone, _registration(request, body_of(request)))
    answer = _made(made)
    location = f"{origin_of(request)}/1.1/files/{made.object_id}"
    return Response(answer, status=201, headers={"Location": location})


@saving.savable("_File")
async def save(request: Request, item: Item) -> Saving:
    """Prepare a file of an address elsewhere that is saved together with other objects. None changes later."""
    if item.object_id is not None:
        raise ReadOnlyKey("_File")
    return Saving(_registration(request, item.columns), _made)


def _registration(request: Request, asked: Mapping[str, Any]) -> Write[StoredFile]:
    caller = caller_of(request)
    return managing.registration(
        application=caller.application,
        asked=asked,
        owner_id="" if caller.user is None else caller.user.object_id,
        now_ms=now_ms(),
    )


def _made(made: StoredFile) -> dict[str, Any]:
    return {"objectId": made.object_id, "createdAt": iso_date(made.created_ms), "url": made.url, "name": made.name}


@endpoint(Who.APPLICATION, answers=FILE)
def read(request: Request, object_id: str) -> Response:
    """Answer a file whose bytes are here."""
    application = caller_of(request).application
    found = in_async(uploading.found, application=application, object_id=object_id, now_ms=now_ms())
    return Response(representation.file(found, origin_of(request)))


@endpoint(Who.APPLICATION)
def delete(request: Request, object_id: str) -> Response:
    """Delete a file and its bytes, or several: ids with commas between them. The developer, or the user who made it."""
    caller = caller_of(request)
    in_async(
        managing.delete,
        application=caller.application,
        object_ids=objects.ids_of(object_id),
        is_master=caller.is_master,
        user_id="" if caller.user is None else caller.user.object_id,
        now_ms=now_ms(),
    )
    return Response({})


@endpoint(Who.MASTER, takes=LIST, answers=FOUND)
def find(request: Request) -> Response:
    """List files."""
    return objects.listed(request, managing.page, _writer(request))


@endpoint(Who.MASTER, takes=SCAN, answers=SCANNED)
def scan(request: Request) -> Response:
    """List all files, part by part, in the order of their ids."""
    return objects.scan(request, managing.scan, _writer(request))


@objects.readable("_File")
async def read_by_ids(request: Request, object_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Return files by id."""
    found = await managing.with_ids(application=caller_of(request).application.pk, object_ids=object_ids)
    write = _writer(request)
    return {file.object_id: write(file) for file in found}


def _writer(request: Request) -> Callable[[StoredFile], dict[str, Any]]:
    return partial(representation.file, origin=origin_of(request))


@csrf_exempt
def otherwise_spelled(request: HttpRequest, rest: str = "") -> HttpResponseBase:
    """Answer for the class by its other names: `classes/files`, and whatever the capitals (rest-api 10.1)."""
    match = resolve(f"/1.1/files{rest}")
    answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return answer
