"""Which clients were handed what system conversations said, of those that are told messages instead of counts.

They are told what they were not handed when they log in; so that nobody is told twice, it is noted when a message goes
to their sessions. Clients that count unread messages cost nothing here.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.delivery.encoding import Order
from imcore.delivery.node import handed_out
from imcore.errors import ImError
from messaging.events import conversation_of
from messaging.storage import service_marks
from messaging.storage.service_marks import Move

logger = logging.getLogger(__name__)

NOTES_AT_ONCE = 16  # each of at most the clients of one step (imcore/delivery/spreading.py)
BACKLOG = 10_000


class _Note(NamedTuple):
    application: int
    conversation: int
    client_ids: Sequence[str]
    at_ms: int


@handed_out
def note(application: int, order: Order, client_ids: Sequence[str]) -> None:
    """Note in the background that clients were handed the message at a place."""
    one = _Note(application, conversation_of(order.stream), client_ids, order.position)
    task = asyncio.create_task(_submit(one), name="note handed messages")
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def settled() -> None:
    """Wait until everything is noted that was handed out here so far."""
    if _tasks:
        await asyncio.wait(set(_tasks))


async def _submit(one: _Note) -> None:
    try:
        await _notes.submit(one)
    except ImError as error:
        # They are told again.
        logger.warning("It could not be noted that %d clients were handed a message: %s", len(one.client_ids), error)


async def _write(notes: Sequence[_Note]) -> list[None]:
    moves = [
        Move(one.application, client_id, one.conversation, ack_ms=one.at_ms)
        for one in notes
        for client_id in one.client_ids
    ]
    await in_database(service_marks.move, moves)
    return [None] * len(notes)


_tasks: set[asyncio.Task[None]] = set()
_notes: Batcher[_Note, None] = Batcher(_write, size=NOTES_AT_ONCE, backlog=BACKLOG, name="handed messages")
