"""`GET /1.1/classes/_ConversationMemberInfo`: who has which role (realtime-protocol 10.2, rest-api 9.3)."""

from typing import Any, NamedTuple

import orjson
from django.views.decorators.cache import cache_control
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.models import ConversationSettings
from conversations.services import member_infos
from conversations.services.member_infos import MemberInfo
from imcore import limits
from imcore.bridge import in_async
from imcore.identifiers import iso_date, now_ms
from imcore.rest.authentication import BySession, caller_of
from imcore.rest.exceptions import BadParameter, NotForClients

SKIP_MAX = 1_000_000


class Asked(NamedTuple):
    """Which conversation, and which of its members: all, if None."""

    conversation_id: str
    client_ids: list[str] | None


@cache_control(no_cache=True, no_store=True)
@api_view(["GET"])
@authentication_classes([BySession])
def find(request: Request) -> Response:
    """Answer the records of a conversation; who has none is a Member, the creator the Owner."""
    caller = caller_of(request)
    if not caller.application.of(ConversationSettings).roles_enabled:
        raise NotForClients
    asked = _asked(request)
    found = in_async(
        member_infos.find,
        application=caller.application.pk,
        conversation_id=asked.conversation_id,
        client_id=caller.client_id,
        client_ids=asked.client_ids,
        limit=_limit(request),
        skip=_number(request, "skip", SKIP_MAX) or 0,
        now_ms=now_ms(),
    )
    return Response({"results": [_record(record, asked.conversation_id) for record in found]})


def _asked(request: Request) -> Asked:
    """Read `where={"cid": …}`, or `cid=…` as C# and older SDKs ask."""
    text = request.query_params.get("where", "")
    where = _json(text) if text else {}
    # Java looks a single member up by `peerId`, though the column is `clientId`.
    conversation_id = where.pop("cid", None) or request.query_params.get("cid")
    members = where.pop("peerId", None), where.pop("clientId", None)
    if where:
        raise BadParameter("where has cid, clientId and peerId only.")
    if not isinstance(conversation_id, str) or not conversation_id:
        raise BadParameter("cid is the id of a conversation.")
    wanted = [_client_ids(condition) for condition in members if condition is not None]
    if not wanted:
        return Asked(conversation_id, None)
    return Asked(conversation_id, [one for one in wanted[0] if one in wanted[-1]])


def _json(text: str) -> dict[str, Any]:
    try:
        where = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadParameter("where is not JSON.") from error
    if not isinstance(where, dict):
        raise BadParameter("where is not a JSON object.")
    return where


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


def _limit(request: Request) -> int:
    """Return how many at most; what is out of bounds counts as nothing said (rest-api 15, 12)."""
    limit = _number(request, "limit", limits.REST_PAGE_MAX)
    return limits.REST_PAGE_DEFAULT if limit is None else limit


def _number(request: Request, name: str, largest: int) -> int | None:
    """Return a number from 0 to `largest`, or None."""
    text = request.query_params.get(name, "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(largest)):
        return None
    return number if (number := int(text)) <= largest else None


def _record(record: MemberInfo, conversation_id: str) -> dict[str, str]:
    return {
        "objectId": record.info_id,
        "cid": conversation_id,
        "clientId": record.client_id,
        "role": record.role,
        "createdAt": iso_date(record.created_ms),
        "updatedAt": iso_date(record.updated_ms),
    }
