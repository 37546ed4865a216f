"""`direct`: send a message, or leave a will."""

from imcore import identifiers
from imcore.delivery.encoding import Priority
from imcore.errors import ImError, InternalError
from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.protocol.message_pb2 import AckCommand, CommandType, DirectCommand, GenericCommand
from imcore.throttles import MESSAGES
from messaging.commands.bodies import body_of
from messaging.events import Mentions
from messaging.models import MessagingSettings
from messaging.services import sending, wills
from messaging.services.sending import Acknowledgement

_PRIORITIES = {int(priority): priority for priority in Priority}
_ACK = CommandType.ack  # looking an enum's value up by name is slow


def failed_ack(request: GenericCommand, error: ImError) -> GenericCommand:
    """Tell that a send failed: an ack with `code`, and with an id and a time, which Swift expects (P47)."""
    now_ms = identifiers.now_ms()
    body = AckCommand(code=error.code, reason=error.reason, uid=identifiers.message_id(now_ms), t=now_ms)
    if error.app_code is not None:
        body.appCode = error.app_code
        body.appMsg = error.app_message
    return GenericCommand(cmd=CommandType.ack, ackMessage=body)


@command(CommandType.direct, failure=failed_ack, throttle=MESSAGES)
async def direct(context: Context, request: GenericCommand) -> GenericCommand:
    """Send a message (realtime-protocol 4.9.1). With a `dt` it may be sent again: it is stored and delivered once.

    A will is acknowledged likewise, and sent when the client is lost.
    """
    message = request.directMessage
    if message.toPeerIds or message.roomId:
        raise InternalError("This server does not support messages without a conversation.")
    if message.will:
        return _ack(await _leave_will(context, message))
    sent = await sending.send(
        application=context.application.pk,
        settings=context.application.of(MessagingSettings),
        conversation_id=message.cid,
        sender=context.client_id,
        session=context.session,
        body=body_of(message, "msg", message.msg),
        push_data=message.pushData,
        mentions=Mentions(tuple(message.mentionPids), message.mentionAll),
        is_transient=message.transient,
        priority=_PRIORITIES.get(request.priority, Priority.NORMAL),
        wants_receipt=message.r,
        deduplication_token=message.dt,
        sender_address=context.connection.address,
        now_ms=identifiers.now_ms(),
    )
    return _ack(sent)


async def _leave_will(context: Context, message: DirectCommand) -> Acknowledgement:
    return await wills.leave(
        application=context.application.pk,
        settings=context.application.of(MessagingSettings),
        conversation_id=message.cid,
        session=context.session,
        body=body_of(message, "msg", message.msg),
        push_data=message.pushData,
        mentions=Mentions(tuple(message.mentionPids), message.mentionAll),
        now_ms=identifiers.now_ms(),
    )


def _ack(sent: Acknowledgement) -> GenericCommand:
    return GenericCommand(cmd=_ACK, ackMessage=AckCommand(uid=sent.message_id, t=sent.timestamp_ms))
