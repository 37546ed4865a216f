"""`conv/member_info_update`, `conv/…_shutup`, `blacklist/…` (realtime-protocol 4.7, 4.8)."""

from conversations.commands import signing
from conversations.models import ConversationSettings
from conversations.paging import next_of, page_size, place_of
from conversations.services import moderation, roles
from conversations.services.moderation import Request, Verdict
from imcore.capabilities import PARTIAL_FAILURE
from imcore.gateway.connection import Context
from imcore.gateway.registry import command, error_command
from imcore.identifiers import now_ms
from imcore.protocol.message_pb2 import (
    BlacklistCommand,
    CommandType,
    ConvCommand,
    ConvMemberInfo,
    ErrorCommand,
    GenericCommand,
    OpType,
)
from imcore.signatures import BLOCKING, UNBLOCKING


@command(CommandType.conv, OpType.member_info_update)
async def member_info_update(context: Context, request: GenericCommand) -> GenericCommand:
    """Change the role of a member. Swift and Java wait for just this reply (P34). Repeating it changes nothing."""
    conv = request.convMessage
    target = conv.targetClientId or conv.info.pid
    record = await roles.change(_request(context, conv.cid), target=target, role_name=conv.info.role)
    info = ConvMemberInfo(pid=target, role=conv.info.role, infoId=record.info_id)
    return _conv(OpType.member_info_updated, cid=conv.cid, info=info)


@command(CommandType.conv, OpType.add_shutup)
async def add_shutup(context: Context, request: GenericCommand) -> GenericCommand:
    """Silence members. Repeating it changes nothing."""
    conv = request.convMessage
    verdict = await moderation.silence(
        _request(context, conv.cid), client_ids=conv.m, all_or_nothing=_all_or_nothing(context)
    )
    return _conv(OpType.shutup_added, cid=conv.cid, allowedPids=verdict.allowed, failedPids=_failures(verdict))


@command(CommandType.conv, OpType.remove_shutup)
async def remove_shutup(context: Context, request: GenericCommand) -> GenericCommand:
    """Let silenced members speak. Repeating it changes nothing."""
    conv = request.convMessage
    verdict = await moderation.unsilence(
        _request(context, conv.cid), client_ids=conv.m, all_or_nothing=_all_or_nothing(context)
    )
    return _conv(OpType.shutup_removed, cid=conv.cid, allowedPids=verdict.allowed, failedPids=_failures(verdict))


@command(CommandType.conv, OpType.query_shutup)
async def query_shutup(context: Context, request: GenericCommand) -> GenericCommand:
    """List the silenced, a page at a time; `next` is absent on the last (3.4)."""
    conv = request.convMessage
    page = await moderation.list_silenced(
        _request(context, conv.cid), after=place_of(conv.next), limit=page_size(conv.limit)
    )
    return _conv(OpType.shutup_result, cid=conv.cid, m=page.names, **next_of(page))


@command(CommandType.conv, OpType.check_shutup)
async def check_shutup(context: Context, request: GenericCommand) -> GenericCommand:
    """Tell which of the asked are silenced."""
    conv = request.convMessage
    silenced = await moderation.silenced_among(_request(context, conv.cid), client_ids=conv.m)
    return _conv(OpType.check_result, cid=conv.cid, m=silenced)


@command(CommandType.blacklist, OpType.block)
async def block(context: Context, request: GenericCommand) -> GenericCommand:
    """Block clients in a conversation; with `toCids`, invitations of the caller into conversations."""
    asked = request.blacklistMessage
    if asked.toCids:
        verdict = await moderation.refuse_invitations(_request(context, ""), conversation_ids=asked.toCids)
        return _refusals(OpType.blocked, context, verdict)
    signing.check_block_list(context, asked, BLOCKING)
    verdict = await moderation.block(
        _request(context, asked.srcCid), client_ids=asked.toPids, all_or_nothing=_all_or_nothing(context)
    )
    return _blacklist(OpType.blocked, srcCid=asked.srcCid, allowedPids=verdict.allowed, failedPids=_failures(verdict))


@command(CommandType.blacklist, OpType.unblock)
async def unblock(context: Context, request: GenericCommand) -> GenericCommand:
    """Undo `block`. Repeating it changes nothing."""
    asked = request.blacklistMessage
    if asked.toCids:
        verdict = await moderation.accept_invitations(_request(context, ""), conversation_ids=asked.toCids)
        return _refusals(OpType.unblocked, context, verdict)
    signing.check_block_list(context, asked, UNBLOCKING)
    verdict = await moderation.unblock(
        _request(context, asked.srcCid), client_ids=asked.toPids, all_or_nothing=_all_or_nothing(context)
    )
    return _blacklist(OpType.unblocked, srcCid=asked.srcCid, allowedPids=verdict.allowed, failedPids=_failures(verdict))


@command(CommandType.blacklist, OpType.query)
async def query(context: Context, request: GenericCommand) -> GenericCommand:
    """List whom a conversation has blocked; without `srcCid`, which conversations the caller has."""
    asked = request.blacklistMessage
    after, limit = place_of(asked.next), page_size(asked.limit)
    if not asked.srcCid:
        page = await moderation.list_refused(_request(context, ""), after=after, limit=limit)
        return _blacklist(OpType.query_result, srcPid=context.client_id, blockedCids=page.names, **next_of(page))
    page = await moderation.list_blocked(_request(context, asked.srcCid), after=after, limit=limit)
    return _blacklist(OpType.query_result, srcCid=asked.srcCid, blockedPids=page.names, **next_of(page))


@command(CommandType.blacklist, OpType.check_block)
async def check_block(context: Context, request: GenericCommand) -> GenericCommand:
    """Tell which of the asked are blocked."""
    asked = request.blacklistMessage
    blocked = await moderation.blocked_among(_request(context, asked.srcCid), client_ids=asked.toPids)
    return _blacklist(OpType.check_result, srcCid=asked.srcCid, blockedPids=blocked)


def _request(context: Context, conversation_id: str) -> Request:
    return Request(
        application=context.application.pk,
        settings=context.application.of(ConversationSettings),
        conversation_id=conversation_id,
        client_id=context.client_id,
        session=context.session,
        now_ms=now_ms(),
    )


def _all_or_nothing(context: Context) -> bool:
    return not context.session.config_bitmap & PARTIAL_FAILURE


def _failures(verdict: Verdict) -> list[ErrorCommand]:
    return [error_command(error) for error in verdict.failed]


def _refusals(op: OpType, context: Context, verdict: Verdict) -> GenericCommand:
    return _blacklist(op, srcPid=context.client_id, blockedCids=verdict.allowed, failedPids=_failures(verdict))


def _conv(op: OpType, **fields: object) -> GenericCommand:
    return GenericCommand(cmd=CommandType.conv, op=op, convMessage=ConvCommand(**fields))  # type: ignore[arg-type]


def _blacklist(op: OpType, **fields: object) -> GenericCommand:
    body = BlacklistCommand(**fields)  # type: ignore[arg-type]
    return GenericCommand(cmd=CommandType.blacklist, op=op, blacklistMessage=body)
