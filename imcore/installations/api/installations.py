"""`/installations`, and the same as `/classes/_Installation` (rest-api 10.3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from imcore import limits
from imcore.bridge import in_async
from imcore.identifiers import iso_date, now_ms
from imcore.installations import services
from imcore.installations.storage import InstallationInfo
from imcore.rest import objects, saving
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.objects import FOUND, LIST, PROJECTION, SCAN, SCANNED
from imcore.rest.openapi import BOOLEAN, DATE, STRING, array, record
from imcore.rest.saving import Item, Saving
from imcore.writes import stored_alone

COLUMNS = {
    **dict.fromkeys(services.TEXTS, STRING),
    "channels": array(STRING),
    "valid": BOOLEAN,
}


@endpoint(Who.APPLICATION, takes=COLUMNS, answers=record(objectId=STRING, createdAt=DATE), status=201)
def create(request: Request) -> Response:
    """Say what a device is: of one that is known already, the same again. Answers 200 then."""
    saved = _save(request, None)
    location = request.build_absolute_uri(f"/1.1/installations/{saved.object_id}")
    body = objects.filled(request, _row(saved)) if objects.fetches(request) else _answer(saved)
    return Response(body, status=201 if saved.is_new else 200, headers={"Location": location})


@endpoint(Who.APPLICATION, takes=COLUMNS, answers=record(objectId=STRING, updatedAt=DATE))
def update(request: Request, object_id: str) -> Response:
    """Change what a device says of itself."""
    saved = _save(request, object_id)
    body = {"objectId": saved.object_id, "updatedAt": iso_date(saved.updated_ms)}
    if objects.fetches(request):
        row = objects.filled(request, _row(saved))
        touched = {key.partition(".")[0] for key in body_of(request)}
        body |= {key: value for key, value in row.items() if key in touched and key not in body}
    return Response(body)


@endpoint(Who.APPLICATION, takes=PROJECTION)
def read(request: Request, object_id: str) -> Response:
    """Answer an installation, or an empty object if there is none."""
    return objects.read(request, "_Installation", object_id)


@endpoint(Who.MASTER, takes=LIST, answers=FOUND)
def find(request: Request) -> Response:
    """List installations."""
    return objects.listed(request, services.page, _row)


@endpoint(Who.MASTER, takes=SCAN, answers=SCANNED)
def scan(request: Request) -> Response:
    """List all installations, part by part, in the order of their ids."""
    return objects.scan(request, services.scan, _row)


@endpoint(Who.MASTER)
def delete(request: Request, object_id: str) -> Response:
    """Delete an installation, or several: ids with commas between them."""
    _refuse_condition(request)
    object_ids = objects.ids_of(object_id)
    in_async(services.delete, application=caller_of(request).application.pk, object_ids=object_ids)
    return Response({})


@saving.savable("_Installation")
async def save(request: Request, item: Item) -> Saving:
    """Prepare an installation that is saved together with others: how Swift and Objective-C register a device."""
    write = services.saving(
        application=caller_of(request).application.pk,
        object_id=item.object_id,
        columns=item.columns,
        now_ms=now_ms(),
    )
    return Saving(write, _answer)


@objects.readable("_Installation")
async def read_by_ids(request: Request, object_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Return installations by id."""
    wanted = [one for one in object_ids if len(one) <= limits.OBJECT_ID_MAX_CHARACTERS]
    found = await services.with_ids(application=caller_of(request).application.pk, object_ids=wanted)
    return {one.object_id: _row(one) for one in found}


def _save(request: Request, object_id: str | None) -> InstallationInfo:
    _refuse_condition(request)
    write = services.saving(
        application=caller_of(request).application.pk,
        object_id=object_id,
        columns=body_of(request),
        now_ms=now_ms(),
    )
    return in_async(stored_alone, write)


def _refuse_condition(request: Request) -> None:
    if request.query_params.get("where"):
        raise BadParameter("Conditional writes of installations are not supported.")


def _answer(saved: InstallationInfo) -> dict[str, Any]:
    times = {"createdAt": saved.created_ms} | ({} if saved.is_new else {"updatedAt": saved.updated_ms})
    return {"objectId": saved.object_id, **{name: iso_date(at_ms) for name, at_ms in times.items()}}


def _row(installation: InstallationInfo) -> dict[str, Any]:
    return {
        **services.wire_columns(installation.device),
        "objectId": installation.object_id,
        "createdAt": iso_date(installation.created_ms),
        "updatedAt": iso_date(installation.updated_ms),
    }
