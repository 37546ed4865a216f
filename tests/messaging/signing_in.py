"""What tests of signing in share."""

from collections.abc import Awaitable, Callable
from typing import Any

from imcore.bridge import in_database
from imcore.delivery.node import node
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType
from messaging.models import Device
from tests.imclient import InProcess, assert_addressed

Connect = Callable[..., Awaitable[InProcess]]
ObeySettings = Callable[..., Awaitable[None]]

SESSION = CommandType.session


def local_sessions(application: Application, client_id: str) -> list[Any]:
    """Return the sessions a client has on this process."""
    return list(node.presence.local(application.pk, client_id))


def assert_opened(frame: GenericCommand) -> None:
    """Assert that a frame is a complete `opened`."""
    assert (frame.cmd, frame.op) == (SESSION, OpType.opened), frame
    assert frame.HasField("serverTs")
    assert frame.sessionMessage.st
    assert frame.sessionMessage.stTtl > 0
    assert not frame.sessionMessage.HasField("code")
    assert_addressed(frame, frame.peerId)


def assert_error(frame: GenericCommand, code: int, reason: str) -> None:
    """Assert that a frame is an `error` with this code."""
    assert frame.cmd == CommandType.error, frame
    assert (frame.errorMessage.code, frame.errorMessage.reason) == (code, reason)


async def device_of(application: Application, client_id: str) -> Device:
    """Return the only device of a client."""
    return await in_database(lambda: Device.objects.get(application=application, client_id=client_id))
