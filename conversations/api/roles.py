"""Roles of members as the application gives and takes them: `member-infos` (rest-api 8.10)."""

from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.families import Family
from conversations.api.moderating import by_the_application
from conversations.policy import Role
from conversations.services import roles
from conversations.services.member_infos import MemberInfo
from imcore.bridge import in_async
from imcore.identifiers import iso_date
from imcore.rest import parameters
from imcore.rest.authentication import Who
from imcore.rest.endpoints import endpoint
from imcore.rest.openapi import CLIENT_ID, DATE, PAGING, STRING, array, record

ROLE: Final = {"type": "string", "enum": Role.values}
WRITTEN: Final = record(objectId=STRING, updatedAt=DATE)
RECORD: Final = record(objectId=STRING, clientId=STRING, role=STRING)


@endpoint(Who.MASTER, needs={"clientId": CLIENT_ID, "role": ROLE}, answers=WRITTEN)
def give(request: Request, family: Family, conversation_id: str) -> Response:
    """Make a member a Manager, or a Member again. All members are told."""
    asked = parameters.of(request)
    written = in_async(
        roles.change,
        by_the_application(request, conversation_id, family),
        target=asked.client_id("clientId"),
        role_name=asked.string("role"),
    )
    return _written(written)


@endpoint(Who.MASTER, needs={"role": ROLE}, takes={"clientId": CLIENT_ID}, answers=WRITTEN)
def change(request: Request, family: Family, conversation_id: str, info_id: str) -> Response:
    """Give the member of a record another role. All members are told. A `clientId`, if any, must be the record's."""
    asked = parameters.of(request)
    written = in_async(
        roles.change_record,
        by_the_application(request, conversation_id, family),
        info_id=info_id,
        client_id=asked.client_id("clientId", None),
        role_name=asked.string("role"),
    )
    return _written(written)


@endpoint(Who.MASTER)
def delete(request: Request, family: Family, conversation_id: str, info_id: str) -> Response:
    """Delete a record, whose client is a Member then, as all without one. All members are told if it was more."""
    in_async(roles.delete_record, by_the_application(request, conversation_id, family), info_id=info_id)
    return Response({})


@endpoint(Who.MASTER, takes={**PAGING, "role": ROLE}, answers=record(results=array(RECORD)))
def find(request: Request, family: Family, conversation_id: str) -> Response:
    """Answer the records of a conversation, all or those of a role. Who has none is a Member, the creator the Owner."""
    asked = parameters.of(request)
    found = in_async(
        roles.records,
        by_the_application(request, conversation_id, family),
        role_name=asked.string("role", None),
        limit=asked.limit(),
        skip=asked.skip(),
    )
    return Response(
        {"results": [{"clientId": one.client_id, "objectId": one.info_id, "role": one.role} for one in found]}
    )


def _written(written: MemberInfo) -> Response:
    return Response({"updatedAt": iso_date(written.updated_ms), "objectId": written.info_id})
