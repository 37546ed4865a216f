"""A server that is told to stop says what it must before it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imcore.protocol.message_pb2 import CommandType, ConvCommand, OpType
from tests.faults.talking import client_on, own
from tests.processes import Server, engine

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SEATS = "from conversations.models import RoomSeat; print([seat.until_ms is None for seat in RoomSeat.objects.all()])"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on the engine of this run that the test stops."""
    with engine() as environment:
        running = Server(tmp_path, environment={**environment, "IMCORE_DRAIN_SECONDS": "1"})
        try:
            running.start()
            yield running
        finally:
            running.kill()


async def test_a_stopping_server_notes_until_when_those_in_chat_rooms_may_come_back(server: Server) -> None:
    """Checklist 49: else they might for as long as if it had died."""
    for name in ("tom", "jerry", "mary"):
        client = await client_on(server, own(name))
        await client.request(CommandType.conv, OpType.start, convMessage=ConvCommand(transient=True))
    assert "[True, True, True]" in server.manage("shell", "--verbosity", "0", "-c", SEATS)

    assert server.stop() == 0

    assert "[False, False, False]" in server.manage("shell", "--verbosity", "0", "-c", SEATS)
