"""`logs`: history."""

from conversations.policy import Kind
from imcore import identifiers, limits
from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.protocol.message_pb2 import CommandType, GenericCommand, LogItem, LogsCommand
from imcore.throttles import HISTORY
from messaging.services import history
from messaging.services.history import Boundary, StoredMessage


@command(CommandType.logs, throttle=HISTORY)
async def logs(context: Context, request: GenericCommand) -> GenericCommand:
    """Page through history (realtime-protocol 4.11); always ascending, whichever the direction."""
    asked = request.logsMessage
    is_backward = asked.direction == LogsCommand.QueryDirection.OLD
    start = _boundary(asked.t, asked.mid, asked.tIncluded)
    end = _boundary(asked.tt, asked.tmid, asked.ttIncluded)
    limit = _limit(asked, context.connection.subprotocol.pushes_offline_messages)
    kind, messages = await history.page(
        application=context.application.pk,
        conversation_id=asked.cid,
        client_id=context.client_id,
        older_end=end if is_backward else start,
        newer_end=start if is_backward else end,
        newest=is_backward,
        limit=limit,
        message_type=asked.lctype if asked.HasField("lctype") else None,
        now_ms=identifiers.now_ms(),
    )
    body = LogsCommand(cid=asked.cid, logs=[_item(message, kind) for message in messages])
    return GenericCommand(cmd=CommandType.logs, logsMessage=body)


def _boundary(timestamp_ms: int, message_id: str, is_included: bool) -> Boundary | None:
    """Read one end; 0 or absence means there is none. Objective-C asks for the year 4001 to mean "latest"."""
    if timestamp_ms <= 0 and not message_id:
        return None
    return Boundary(timestamp_ms, message_id, is_included)


def _limit(asked: LogsCommand, pushes_offline_messages: bool) -> int:
    """Read the page size: `l` from JavaScript and Objective-C, `limit` from the others (P42)."""
    if asked.HasField("l") and asked.l == 0:
        return 0  # JavaScript means it
    wanted = (asked.l if asked.HasField("l") else asked.limit) or limits.HISTORY_PAGE_DEFAULT
    page_max = limits.HISTORY_PAGE_MAX_PUSH_MODE if pushes_offline_messages else limits.HISTORY_PAGE_MAX
    return max(1, min(wanted, page_max))


def _item(message: StoredMessage, kind: Kind) -> LogItem:
    item = LogItem(
        msgId=message.message_id,
        timestamp=message.timestamp_ms,
        data=message.wire_text,
        convType=kind,
        mentionPids=message.mention_ids,
    )
    setattr(item, "from", message.sender)  # a keyword of Python
    if message.is_binary:
        item.bin = True
    if message.mention_all:
        item.mentionAll = True
    # Absent, not 0, where there is none: JavaScript takes 0 for a date in 1970.
    if message.ack_ms is not None:
        item.ackAt = message.ack_ms
    if message.read_ms is not None:
        item.readAt = message.read_ms
    if message.patch_ms is not None:
        item.patchTimestamp = message.patch_ms
    return item
