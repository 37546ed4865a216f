"""`GET /1.1/classes/_ConversationMemberInfo`: who has which role (realtime-protocol 10.2, rest-api 9.3)."""

from typing import NamedTuple

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.models import ConversationSettings
from conversations.services import member_infos
from conversations.services.member_infos import MemberInfo
from imcore import limits
from imcore.bridge import in_async
from imcore.identifiers import iso_date, now_ms
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter, NotForClients
from imcore.rest.openapi import DATE, PAGING, STRING, array, record
from imcore.rest.parameters import Parameters

RECORD = record(objectId=STRING, cid=STRING, clientId=STRING, role=STRING, createdAt=DATE, updatedAt=DATE)


class Asked(NamedTuple):
    """Which conversation, and which of its members: all, if None."""

    conversation_id: str
    client_ids: list[str] | None


@endpoint(Who.CLIENT, takes={"cid": STRING, "where": STRING, **PAGING}, answers=record(results=array(RECORD)))
def find(request: Request) -> Response:
    """Answer the records of a conversation; who has none is a Member, the creator the Owner."""
    caller = caller_of(request)
    if not caller.application.of(ConversationSettings).roles_enabled:
        raise NotForClients("Roles are not enabled.")
    query = parameters.of(request)
    asked = _asked(query)
    found = in_async(
        member_infos.find,
        application=caller.application.pk,
        conversation_id=asked.conversation_id,
        client_id=caller.client_id,
        client_ids=asked.client_ids,
        limit=query.limit(),
        skip=query.skip(),
        now_ms=now_ms(),
    )
    return Response({"results": [_record(record, asked.conversation_id) for record in found]})


def _asked(query: Parameters) -> Asked:
    """Read `where={"cid": …}`, or `cid=…` as C# and older SDKs ask."""
    where = dict(query.json_object("where", {}))
    # Java looks a single member up by `peerId`, though the column is `clientId`.
    conversation_id = where.pop("cid", None) or query.string("cid", None)
    members = where.pop("peerId", None), where.pop("clientId", None)
    if where:
        raise BadParameter("where has cid, clientId and peerId only.")
    if not isinstance(conversation_id, str) or not conversation_id:
        raise BadParameter("cid is the id of a conversation.")
    wanted = [_client_ids(condition) for condition in members if condition is not None]
    if not wanted:
        return Asked(conversation_id, None)
    return Asked(conversation_id, [one for one in wanted[0] if one in wanted[-1]])


def _client_ids(condition: object) -> list[str]:
    wanted = condition
    if isinstance(condition, dict) and condition.keys() == {"$in"}:
        wanted = condition["$in"]
    elif isinstance(condition, str):
        wanted = [condition]
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise BadParameter('clientId is a client id, or {"$in": [ids]}.')
    if len(wanted) > limits.REST_PAGE_MAX:
        raise BadParameter(f"$in has at most {limits.REST_PAGE_MAX} ids.")
    return [one for one in wanted if "\0" not in one]


def _record(record: MemberInfo, conversation_id: str) -> dict[str, str]:
    return {
        "objectId": record.info_id,
        "cid": conversation_id,
        "clientId": record.client_id,
        "role": record.role,
        "createdAt": iso_date(record.created_ms),
        "updatedAt": iso_date(record.updated_ms),
    }
