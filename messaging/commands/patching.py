"""`patch`: edit a message, or recall it."""

from imcore import identifiers
from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, PatchCommand, PatchItem
from messaging.commands.bodies import body_of
from messaging.events import Body, Mentions
from messaging.message_types import message_type
from messaging.models import MessagingSettings
from messaging.services import patching
from messaging.services.patching import Patch


@command(CommandType.patch, OpType.modify)
async def modify(context: Context, request: GenericCommand) -> GenericCommand:
    """Edit or recall messages, all or none of them (realtime-protocol 4.12). Swift fails without `lastPatchTime`."""
    patched_ms = await patching.patch(
        application=context.application.pk,
        settings=context.application.of(MessagingSettings),
        client_id=context.client_id,
        session=context.session,
        wanted=[_patch(item) for item in request.patchMessage.patches],
        now_ms=identifiers.now_ms(),
    )
    return GenericCommand(
        cmd=CommandType.patch, op=OpType.modified, patchMessage=PatchCommand(lastPatchTime=patched_ms)
    )


@command(CommandType.patch, OpType.modified, throttle=None)
async def modified(context: Context, request: GenericCommand) -> None:
    """Ignore what old clients confirm: which patches a client has, it says when it opens its session."""


def _patch(item: PatchItem) -> Patch:
    mentions = Mentions(tuple(item.mentionPids), item.mentionAll)
    body = None if item.recall else _body(item)
    return Patch(item.cid, item.mid, body, mentions, may_be_binary=body is not None and _may_be_binary(body))


def _body(item: PatchItem) -> Body:
    """Read the new body. Java puts the bytes of a binary message where the text of others is (P50)."""
    try:
        text = item.data.decode()
    except UnicodeDecodeError:
        return Body(text=None, binary=item.binaryMsg or item.data)
    return body_of(item, "data", text)


def _may_be_binary(body: Body) -> bool:
    """Return whether a text may be Java's bytes that happen to be one. What SDKs make of a text has a type."""
    return body.text is not None and message_type(body.text) is None
