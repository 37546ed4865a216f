"""Other work of the process gets its turn while much is delivered."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from imcore.delivery.encoding import Notice, encoder
from imcore.delivery.node import Node
from imcore.delivery.presence import room
from imcore.delivery.router import TURN, Router
from imcore.protocol.message_pb2 import GenericCommand
from tests.imcore.delivery.test_presence import Session

ROOM = room(1)


@dataclass(frozen=True)
class Announced:
    """Something that a room hears."""


@encoder(Announced)
def _announced(event: Announced) -> Iterator[Notice]:
    yield Notice(to=[ROOM], command=GenericCommand())


async def test_a_message_to_a_full_room_is_as_much_work_as_its_listeners() -> None:
    node = Node()
    listeners = [Session(f"client-{number}") for number in range(TURN)]
    for listener in listeners:
        await node.presence.attach(1, listener)
        await node.presence.enter(1, ROOM, listener)
    router = Router(node)

    for _ in range(3):
        router.publish(1, Announced())
    heard_by_turn = []
    while len(listeners[-1].got) < 3:
        await asyncio.sleep(0)
        heard_by_turn.append(len(listeners[-1].got))

    assert heard_by_turn == [1, 2, 3]
