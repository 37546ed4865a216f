"""`conv/add`, `conv/remove`, `conv/count`, `conv/members`, `conv/is_member`."""

import orjson

from conversations.commands import signing
from conversations.models import ConversationSettings
from conversations.services import membership
from conversations.services.membership import MembershipResult
from imcore import limits
from imcore.capabilities import PARTIAL_FAILURE
from imcore.gateway.connection import Context
from imcore.gateway.registry import command, error_command
from imcore.identifiers import iso_date, now_ms
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, JsonObjectMessage, OpType


@command(CommandType.conv, OpType.add)
async def add(context: Context, request: GenericCommand) -> GenericCommand:
    """Invite, join, enter or subscribe (realtime-protocol 4.3.1). Repeating it changes nothing."""
    conv = request.convMessage
    signing.check_add(context, conv)
    result = await membership.add(
        application=context.application.pk,
        settings=context.application.of(ConversationSettings),
        conversation_id=conv.cid,
        client_id=context.client_id,
        session=context.session,
        member_ids=conv.m,
        all_or_nothing=not context.session.config_bitmap & PARTIAL_FAILURE,
        now_ms=now_ms(),
    )
    return _result(OpType.added, conv.cid, result)


@command(CommandType.conv, OpType.remove)
async def remove(context: Context, request: GenericCommand) -> GenericCommand:
    """Remove, leave or unsubscribe (realtime-protocol 4.3.1). Repeating it changes nothing."""
    conv = request.convMessage
    signing.check_remove(context, conv)
    result = await membership.remove(
        application=context.application.pk,
        settings=context.application.of(ConversationSettings),
        conversation_id=conv.cid,
        client_id=context.client_id,
        session=context.session,
        member_ids=conv.m,
        all_or_nothing=not context.session.config_bitmap & PARTIAL_FAILURE,
        now_ms=now_ms(),
    )
    return _result(OpType.removed, conv.cid, result)


@command(CommandType.conv, OpType.count)
async def count(context: Context, request: GenericCommand) -> GenericCommand:
    """Count the members (realtime-protocol 4.5); an explicit 0 is there, since Swift fails without it."""
    counted = await membership.count(
        application=context.application.pk, conversation_id=request.convMessage.cid, now_ms=now_ms()
    )
    body = ConvCommand(cid=request.convMessage.cid, count=counted)
    return GenericCommand(cmd=CommandType.conv, op=OpType.result, convMessage=body)


@command(CommandType.conv, OpType.members)
async def members(context: Context, request: GenericCommand) -> GenericCommand:
    """List members, at most 50 (realtime-protocol 4.5)."""
    conv = request.convMessage
    limit = conv.limit if 0 < conv.limit <= limits.MEMBER_LIST_MAX else limits.MEMBER_LIST_MAX
    listed = await membership.list_members(
        application=context.application.pk, conversation_id=conv.cid, limit=limit, now_ms=now_ms()
    )
    body = ConvCommand(cid=conv.cid, m=listed)
    return GenericCommand(cmd=CommandType.conv, op=OpType.result, convMessage=body)


@command(CommandType.conv, OpType.is_member)
async def is_member(context: Context, request: GenericCommand) -> GenericCommand:
    """Tell for each conversation whether the caller is in it (realtime-protocol 4.5)."""
    answer = await membership.are_member(
        application=context.application.pk,
        conversation_ids=request.convMessage.cids or [request.convMessage.cid],
        client_id=context.client_id,
        session=context.session,
        now_ms=now_ms(),
    )
    body = ConvCommand(results=JsonObjectMessage(data=orjson.dumps(answer).decode()))
    return GenericCommand(cmd=CommandType.conv, op=OpType.result, convMessage=body)


def _result(op: OpType, conversation_id: str, result: MembershipResult) -> GenericCommand:
    body = ConvCommand(
        cid=conversation_id,
        allowedPids=result.allowed,
        failedPids=[error_command(error) for error in result.failed],
        udate=iso_date(result.updated_ms),
    )
    return GenericCommand(cmd=CommandType.conv, op=op, convMessage=body)
