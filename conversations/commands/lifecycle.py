"""`conv/start`."""

from typing import Any

import orjson

from conversations.commands import signing
from conversations.models import ConversationSettings
from conversations.policy import Kind
from conversations.services import lifecycle
from imcore.errors import ConversationRequestInvalid
from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.identifiers import iso_date, now_ms
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, OpType


@command(CommandType.conv, OpType.start)
async def start(context: Context, request: GenericCommand) -> GenericCommand:
    """Start a conversation (realtime-protocol 4.2). A repeated unique start finds the first one's conversation."""
    conv = request.convMessage
    signing.check_start(context, conv)
    kind = Kind.TEMPORARY if conv.tempConv else Kind.CHAT_ROOM if conv.transient else Kind.NORMAL
    started = await lifecycle.start(
        application=context.application.pk,
        settings=context.application.of(ConversationSettings),
        client_id=context.client_id,
        session=context.session,
        member_ids=conv.m,
        attributes=_attributes(conv),
        kind=kind,
        is_unique=conv.unique,
        ttl_seconds=conv.tempConvTTL if conv.HasField("tempConvTTL") else None,
        now_ms=now_ms(),
    )
    conversation = started.conversation
    reply = ConvCommand(cid=conversation.object_id, cdate=iso_date(conversation.created_ms))
    if started.is_existing:
        reply.existing = True
    if conversation.unique_id is not None and kind == Kind.NORMAL:
        reply.uniqueId = conversation.unique_id
    if conversation.ttl_seconds is not None:
        reply.tempConvTTL = conversation.ttl_seconds
    return GenericCommand(cmd=CommandType.conv, op=OpType.started, convMessage=reply)


def _attributes(conv: ConvCommand) -> dict[str, Any]:
    text = conv.attr.data
    if not text:
        return {}
    try:
        attributes = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConversationRequestInvalid("attr is not JSON.") from error
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise ConversationRequestInvalid("attr is not a JSON object.")
    return attributes
