"""`report/upload`."""

from imcore.gateway.connection import Context
from imcore.gateway.registry import command
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType


@command(CommandType.report, OpType.upload)
async def upload(context: Context, request: GenericCommand) -> GenericCommand:
    """Take note of an Apple push token, which its device registers over HTTP as well (realtime-protocol 4.16)."""
    return GenericCommand(cmd=CommandType.report, op=OpType.uploaded)
