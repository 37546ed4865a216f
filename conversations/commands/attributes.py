"""`conv/update`, `conv/mute`, `conv/unmute` (realtime-protocol 4.6)."""

from typing import Any

import orjson

from conversations.models import ConversationSettings
from conversations.services import attributes, muting
from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.identifiers import iso_date, now_ms
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, JsonObjectMessage, OpType


@command(CommandType.conv, OpType.update)
async def update(context: Context, request: GenericCommand) -> GenericCommand:
    """Change attributes. Swift and Objective-C look each key they sent up in `attrModified`; C# crashes without it."""
    conv = request.convMessage
    updated = await attributes.update(
        application=context.application.pk,
        settings=context.application.of(ConversationSettings),
        conversation_id=conv.cid,
        client_id=context.client_id,
        session=context.session,
        requested_text=conv.attr.data,
        now_ms=now_ms(),
    )
    return _updated(conv.cid, updated.updated_ms, attr=_json(updated.requested), attrModified=_json(updated.modified))


@command(CommandType.conv, OpType.mute)
async def mute(context: Context, request: GenericCommand) -> GenericCommand:
    """Stop offline push from a conversation for the caller. Repeating it changes nothing."""
    return await _mute(context, request.convMessage.cid, is_muted=True)


@command(CommandType.conv, OpType.unmute)
async def unmute(context: Context, request: GenericCommand) -> GenericCommand:
    """Undo `mute`. Repeating it changes nothing."""
    return await _mute(context, request.convMessage.cid, is_muted=False)


async def _mute(context: Context, conversation_id: str, *, is_muted: bool) -> GenericCommand:
    updated_ms = await muting.mute(
        application=context.application.pk,
        settings=context.application.of(ConversationSettings),
        conversation_id=conversation_id,
        client_id=context.client_id,
        is_muted=is_muted,
        now_ms=now_ms(),
    )
    return _updated(conversation_id, updated_ms)


def _updated(conversation_id: str, updated_ms: int, **fields: Any) -> GenericCommand:
    body = ConvCommand(cid=conversation_id, udate=iso_date(updated_ms), **fields)
    return GenericCommand(cmd=CommandType.conv, op=OpType.updated, convMessage=body)


def _json(value: dict[str, Any]) -> JsonObjectMessage:
    return JsonObjectMessage(data=orjson.dumps(value).decode())
