"""`GET /1.1/rtm/notifications`: what a client missed (realtime-protocol 10.3, rest-api 9.2)."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from conversations.models import ConversationSettings
from conversations.policy import Kind
from conversations.services import missed as service
from conversations.services.missed import RECEIPT, MissedNotice, MissedPage
from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.limits import NOTIFICATION_DROPPABLE, NOTIFICATION_PERMANENT
from imcore.rest import parameters
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.exceptions import BadParameter
from imcore.rest.openapi import BOOLEAN, OBJECT, STRING, array, one_of, record
from imcore.rest.parameters import Parameters

PAGE = record(hasMore=BOOLEAN, notifications=array(OBJECT))
BOTH = record(permanent=PAGE, droppable=record(invalidLocalConvCache=BOOLEAN, notifications=array(OBJECT)))


@endpoint(Who.CLIENT, takes={"start_ts": STRING, "notification_type": STRING}, answers=one_of(PAGE, BOTH))
def missed(request: Request) -> Response:
    """Answer in the flat shape JavaScript asks for by `notification_type=permanent`, else in the one Swift knows.

    A `start_ts` that is not one is answered as if everything since were lost: an error would help no SDK.
    """
    caller = caller_of(request)
    asked = parameters.of(request)
    after_ms = _start(asked)
    whose: dict[str, Any] = {"application": caller.application.pk, "client_id": caller.client_id}
    if asked.string("notification_type", "") == "permanent":
        page = MissedPage([], False) if after_ms is None else in_async(service.permanent, **whose, after_ms=after_ms)
        return Response(_page(page, is_flat=True))
    if after_ms is None:
        found = service.Missed(MissedPage([], False), None)
    else:
        settings = caller.application.of(ConversationSettings)
        found = in_async(service.everything, **whose, settings=settings, after_ms=after_ms, now_ms=now_ms())
    droppable = found.droppable or []
    return Response(
        {
            "permanent": _page(found.permanent, is_flat=False),
            "droppable": {
                "invalidLocalConvCache": found.droppable is None,
                "notifications": [_item(notice, NOTIFICATION_DROPPABLE, is_flat=False) for notice in droppable],
            },
        }
    )


def _start(asked: Parameters) -> int | None:
    """Return the time from which on the client asks, in milliseconds, or None if it says none."""
    try:
        return asked.integer("start_ts", None)
    except BadParameter:
        return None


def _page(page: MissedPage, *, is_flat: bool) -> dict[str, Any]:
    items = [_item(notice, NOTIFICATION_PERMANENT, is_flat=is_flat) for notice in page.notices]
    return {"hasMore": page.has_more, "notifications": items}


def _item(notice: MissedNotice, notification_type: int, *, is_flat: bool) -> dict[str, Any]:
    item = {
        **notice.fields,
        "cmd": "conv",
        "cid": notice.conversation_id,
        "serverTs": notice.at_ms,
        "notificationType": notification_type,
    }
    if notice.op == RECEIPT:
        return item | {"cmd": RECEIPT}
    # JavaScript looks it up in its enum, Swift knows the hyphened names only.
    item["op"] = notice.op if is_flat else notice.op.replace("_", "-")
    if notice.kind is Kind.TEMPORARY:
        item |= {"tempConv": True, "tempConvTTL": notice.ttl_seconds}
    elif notice.kind is Kind.CHAT_ROOM:
        item["transient"] = True
    return item
