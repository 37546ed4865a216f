"""`/classes/_SysMessage`: what clients have said to system conversations, for back ends (rest-api 9.1, 10.1)."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from imcore.bridge import in_async
from imcore.identifiers import iso_date
from imcore.objects import UnfitQuery
from imcore.rest import objects
from imcore.rest.authentication import Who, caller_of
from imcore.rest.endpoints import endpoint
from imcore.rest.objects import FOUND, LIST, PROJECTION, SCAN, SCANNED
from messaging.services import sys_messages
from messaging.services.sys_messages import Found


@endpoint(Who.MASTER, takes=LIST, answers=FOUND)
def find(request: Request) -> Response:
    """List messages to system conversations."""
    return objects.listed(request, sys_messages.page, _row)


@endpoint(Who.MASTER, takes=SCAN, answers=SCANNED)
def scan(request: Request) -> Response:
    """List all messages to system conversations, part by part, the oldest first."""
    asked = objects.scan_of(request)
    found = in_async(
        sys_messages.scan,
        application=caller_of(request).application.pk,
        where_text=asked.where,
        after=None if asked.after is None else _read_place(asked.after),
        is_descending=asked.is_descending,
        limit=asked.limit,
    )
    last = _place(found[-1]) if found else ""
    return objects.scanned(request, asked, [_row(one) for one in found], last=last)


@endpoint(Who.MASTER, takes=PROJECTION)
def read(request: Request, object_id: str) -> Response:
    """Answer a message, or an empty object if there is none."""
    return objects.read(request, "_SysMessage", object_id)


@objects.readable("_SysMessage")
async def read_by_ids(request: Request, object_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Return messages as rows, by id."""
    caller = caller_of(request)
    if not caller.is_master:
        return {}
    found = await sys_messages.with_ids(application=caller.application.pk, message_ids=object_ids)
    return {one.message.message_id: _row(one) for one in found}


def _row(found: Found) -> dict[str, Any]:
    """Write a message. Both times are numbers: Python divides them (rest-api 9.1)."""
    message = found.message
    at = iso_date(message.timestamp_ms)
    row: dict[str, Any] = {
        "objectId": message.message_id,
        "msgId": message.message_id,
        "bin": message.is_binary,
        "from": message.sender,
        "fromIp": message.sender_address or "",
        "data": b64encode(message.data or b"").decode() if message.is_binary else message.text or "",
        "timestamp": message.timestamp_ms,
        # It was for the service, which has it since then.
        "ackAt": message.timestamp_ms,
        "createdAt": at,
        "updatedAt": at,
    }
    if found.conversation_id:
        row["conv"] = {"__type": "Pointer", "className": "_Conversation", "objectId": found.conversation_id}
    return row


def _place(found: Found) -> str:
    return f"{found.message.timestamp_ms}:{found.message.message_id}"


def _read_place(text: str) -> tuple[int, str]:
    at_ms, _, message_id = text.partition(":")
    if not at_ms.isdecimal() or len(at_ms) > 15:
        raise UnfitQuery("cursor is none of a scan of this class.")
    return int(at_ms), message_id
