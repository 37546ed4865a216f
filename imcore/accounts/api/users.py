"""`/users`, and the same as `/classes/_User` (rest-api 10.1, 10.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.accounts.api import representation
from imcore.accounts.api.visitors import as_visitor, visitor_of
from imcore.accounts.records import Account
from imcore.accounts.services import managing, registering
from imcore.accounts.services.logging_in import LoggedIn
from imcore.accounts.services.managing import Updated
from imcore.bridge import in_async
from imcore.identifiers import iso_date, now_ms
from imcore.rest import objects, rates, saving
from imcore.rest.authentication import Who, caller_of
from imcore.rest.bodies import body_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.objects import FOUND, LIST, PROJECTION, SCAN, SCANNED
from imcore.rest.openapi import DATE, OBJECT, STRING, record
from imcore.rest.parameters import Parameters
from imcore.rest.rates import SIGN_UPS
from imcore.rest.saving import Item, Saving

# JavaScript asks by the first, Python by the second.
FETCHES = ("new", "fetchWhenSave")


@endpoint(
    Who.APPLICATION,
    takes={"username": STRING, "password": STRING, "authData": OBJECT},
    answers=record(objectId=STRING, createdAt=DATE, sessionToken=STRING),
    status=201,
    rate=SIGN_UPS,
)
def create(request: Request) -> Response:
    """Sign up. The session of somebody who was logged in before, which JavaScript sends along, says nothing here."""
    asked, caller = body_of(request), caller_of(request)
    whose: dict[str, Any] = {"application": caller.application, "by_master": caller.is_master, "now_ms": now_ms()}
    if asked.get("authData") and asked.get("password") is None:
        may_create = not says(request, "failOnNotExist")
        entered, is_new = in_async(registering.enter_by_account_elsewhere, **whose, asked=asked, may_create=may_create)
        whole = objects.filled(request, representation.session(entered))
        if not is_new:
            return Response(whole)
    else:
        entered = in_async(registering.sign_up, **whose, asked=asked)
        whole = objects.filled(request, representation.session(entered))
    answer = whole if says(request, *FETCHES) or asked.get("authData") else _entered(entered)
    location = request.build_absolute_uri(f"/1.1/users/{entered.account.object_id}")
    return Response(answer, status=201, headers={"Location": location})


@endpoint(Who.APPLICATION, takes=PROJECTION, answers=OBJECT)
def read(request: Request, object_id: str) -> Response:
    """Answer a user: all of him to himself and the developer, to others what is not private."""
    caller, visitor, projection = caller_of(request), visitor_of(request), objects.projection_of(request)
    account = in_async(managing.read, application=caller.application, object_id=object_id, visitor=visitor)
    sees_all = visitor.sees_all_of(account)
    [answer] = objects.projected(
        request, projection, [representation.user(account, with_private=sees_all, with_acl=sees_all)]
    )
    return Response(answer)


@endpoint(Who.APPLICATION, answers=record(objectId=STRING, updatedAt=DATE))
def update(request: Request, object_id: str) -> Response:
    """Change columns of a user, by himself or by the developer."""
    _refuse_condition(request)
    updated = in_async(
        managing.update,
        application=caller_of(request).application,
        object_id=object_id,
        asked=body_of(request),
        visitor=visitor_of(request),
        now_ms=now_ms(),
    )
    answer = _written(updated)
    if says(request, *FETCHES):
        whole = objects.filled(request, _row(updated.account))
        answer |= {key: whole[key] for key in updated.touched if key in whole}
    return Response(answer)


@endpoint(Who.APPLICATION)
def delete(request: Request, object_id: str) -> Response:
    """Delete a user, by himself or by the developer, or several: ids with commas between them."""
    _refuse_condition(request)
    in_async(
        managing.delete,
        application=caller_of(request).application,
        object_ids=objects.ids_of(object_id),
        visitor=visitor_of(request),
    )
    return Response({})


@endpoint(Who.MASTER, takes=LIST, answers=FOUND)
def find(request: Request) -> Response:
    """List users."""
    return objects.listed(request, managing.page, _row)


@endpoint(Who.MASTER, takes=SCAN, answers=SCANNED)
def scan(request: Request) -> Response:
    """List all users, part by part, in the order of their ids."""
    return objects.scan(request, managing.scan, _row)


@saving.savable("_User")
async def save(request: Request, item: Item) -> Saving:
    """Prepare a user who is saved together with other objects. A new one signs up: Swift has no other way."""
    caller = caller_of(request)
    whose: dict[str, Any] = {"application": caller.application, "asked": item.columns, "now_ms": now_ms()}
    if item.object_id is None:
        await rates.counted(SIGN_UPS, caller)
        return Saving(await registering.signing_up(**whose, by_master=caller.is_master), _entered)
    return Saving(await managing.updating(**whose, object_id=item.object_id, visitor=visitor_of(request)), _written)


@objects.readable("_User")
async def read_by_ids(request: Request, object_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Return users that others point to, by id: as `read` answers them."""
    caller = caller_of(request)
    found = await managing.with_ids(application=caller.application.pk, object_ids=object_ids)
    visitor = as_visitor(caller)
    return {
        account.object_id: representation.user(account, with_private=visitor.sees_all_of(account))
        for account in found
        if managing.may_read(account, visitor)
    }


def _refuse_condition(request: Request) -> None:
    if request.query_params.get("where"):
        raise BadParameter("Conditional writes of users are not supported.")


def _row(account: Account) -> dict[str, Any]:
    return representation.user(account, with_private=True, with_acl=True)


def _entered(entered: LoggedIn) -> dict[str, Any]:
    whole = representation.session(entered)
    return {key: whole[key] for key in ("objectId", "createdAt", "sessionToken")}


def _written(updated: Updated) -> dict[str, Any]:
    account = updated.account
    answer = {"objectId": account.object_id, "updatedAt": iso_date(account.updated_ms)}
    if updated.token is not None:
        # Without it the SDK that has just changed its password would be logged out by that.
        answer["sessionToken"] = updated.token
    return answer


def says(request: Request, *names: str) -> bool:
    """Return whether one of these switches is on, in the query alone: in a body they would be columns."""
    query = Parameters({}, request.query_params)
    return any(query.boolean(name, False) for name in names)
