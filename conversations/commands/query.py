"""`conv/query`."""

import orjson

from conversations.representation import conversation_object
from conversations.services import queries
from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, JsonObjectMessage, OpType

COMPACT = 1
WITH_LAST_MESSAGE = 2


@command(CommandType.conv, OpType.query)
async def query(context: Context, request: GenericCommand) -> GenericCommand:
    """Find conversations (realtime-protocol 4.4). Nothing found is an empty array, never an error."""
    conv = request.convMessage
    with_members = not conv.flag & COMPACT
    with_last_message = bool(conv.flag & WITH_LAST_MESSAGE)
    if conv.tempConvIds:
        results = await queries.temporary(
            application=context.application.pk,
            object_ids=conv.tempConvIds,
            with_members=with_members,
            with_last_message=with_last_message,
            now_ms=now_ms(),
        )
    else:
        results = await queries.query(
            application=context.application.pk,
            client_id=context.client_id,
            where_text=conv.where.data,
            sort_text=conv.sort,
            limit=conv.limit if conv.HasField("limit") else None,
            skip=conv.skip,
            with_members=with_members,
            with_last_message=with_last_message,
        )
    data = orjson.dumps([conversation_object(result, with_members=with_members) for result in results]).decode()
    body = ConvCommand(results=JsonObjectMessage(data=data))
    return GenericCommand(cmd=CommandType.conv, op=OpType.results, convMessage=body)
