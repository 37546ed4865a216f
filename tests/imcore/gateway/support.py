"""What tests of the gateway share: commands served by a test's own handler, and errors told apart."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from imcore.gateway import registry
from imcore.gateway.connection import Context
from imcore.gateway.registry import Registration
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, RoomCommand
from tests.imclient import InProcess, Wire

Connect = Callable[..., Awaitable[InProcess]]
ObeySettings = Callable[..., Awaitable[None]]

ROOM = (CommandType.room, OpType.join)


@contextmanager
def room_served_by(handler: Callable[[Context, GenericCommand], Awaitable[GenericCommand | None]]) -> Iterator[None]:
    """Serve `room/join`, which has no handler of ours, by one of the test's."""
    registration = Registration(handler, True, registry.failed_with_error, False)
    with mock.patch.object(registry, "_commands", {**registry.registered(), ROOM: registration}):
        yield


async def ask_room(wire: Wire, client_id: str, serial: int, **room: Any) -> None:
    """Send a `room/join`."""
    body = RoomCommand(**room)
    await wire.send(GenericCommand(cmd=ROOM[0], op=ROOM[1], i=serial, peerId=client_id, roomMessage=body))


def assert_error(frame: GenericCommand, code: int, reason: str) -> None:
    """Assert that a frame is an `error` with this code, and nothing else besides."""
    assert frame.cmd == CommandType.error, frame
    assert not frame.HasField("op")
    assert (frame.errorMessage.code, frame.errorMessage.reason) == (code, reason)
    assert frame.service == 2
    assert not frame.HasField("serverTs")
