"""Chat rooms: who is there now, and who may come back.

Being in a room is a session's, lives in the presence table and ends with the session. What is kept is the device's
seat, so that a client whose connection was lost is put back when it returns in time (realtime-protocol 4.13), to
whichever process. A seat that could not be written costs no more than that comfort.
"""

import asyncio
import logging
from collections.abc import Sequence

from django.conf import settings as operator

from conversations.models import ConversationSettings
from conversations.services import directory
from conversations.services.permissions import Seated
from conversations.storage import seats
from conversations.storage.conversations import ConversationInfo
from conversations.storage.seats import Seat
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.delivery.node import node
from imcore.delivery.presence import Occupancy, conversation_of, room
from imcore.errors import ConversationNotAllowed, ConversationNotFound, ImError

logger = logging.getLogger(__name__)

FORGET_BATCH = 1000
DAY_MS = 86_400_000
# Seats of servers that died without a word.
ABANDONED_MS = 30 * DAY_MS

_departures: set[asyncio.Task[None]] = set()


async def join(*, conversation: ConversationInfo, session: Seated | None, now_ms: int) -> None:
    """Put a session into a chat room, out of the one it was in. When this returns, it is counted everywhere.

    Without a session, as on behalf of a client over HTTP, there is nobody to put anywhere.
    """
    if session is None:
        raise ConversationNotAllowed("Only a client that is connected can enter a chat room.")
    await _seats.submit(Seat(session.device, conversation.pk, None, now_ms))
    await node.presence.enter(conversation.application, room(conversation.pk), session)


async def leave(*, conversation: ConversationInfo, session: Seated | None, now_ms: int) -> None:
    """Take a session out of a chat room for good; nothing happens if it is not there."""
    name = room(conversation.pk)
    if session is not None and session.room == name:
        node.presence.leave(conversation.application, name, session)
        await _seats.submit(Seat(session.device, None, None, now_ms))


async def sign_out(*, application: int, session: Seated, now_ms: int) -> None:
    """Take a session that is about to be closed out of its room, for good."""
    if session.room is not None:
        node.presence.leave(application, session.room, session)
        await _seats.submit(Seat(session.device, None, None, now_ms))


def depart(*, settings: ConversationSettings, session: Seated, now_ms: int) -> None:
    """Note until when a session whose connection was lost may come back into its room. Never waits."""
    if session.room is None:
        return
    until_ms = now_ms + settings.chat_room_rejoin_minutes * 60_000
    task = asyncio.create_task(
        _note_departure(Seat(session.device, conversation_of(session.room), until_ms, now_ms)), name="room seat"
    )
    _departures.add(task)
    task.add_done_callback(_departures.discard)


async def come_back(*, application: int, client_id: str, session: Seated, is_return: bool, now_ms: int) -> None:
    """Put the session of a device that has returned in time back into its room; one that logs in anew has none."""
    if not is_return:
        await _seats.submit(Seat(session.device, None, None, now_ms))
        return
    found = await in_database(seats.find, device=session.device, now_ms=now_ms)
    if found is None:
        return
    _, conversation_id = found
    try:
        conversation = await directory.find(
            application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
        )
    except ConversationNotFound:
        return
    if client_id not in conversation.roster.blocked:
        await join(conversation=conversation, session=session, now_ms=now_ms)


async def occupancy(conversation: ConversationInfo) -> Occupancy:
    """Return how many clients are in a chat room on all nodes, and who some of them are."""
    return await node.presence.occupancy(conversation.application, room(conversation.pk))


async def forget_seats(*, now_ms: int) -> int:
    """Delete seats nobody can come back to, a bounded batch at a time; return how many there were."""
    total = 0
    while deleted := await in_database(
        seats.forget, before_ms=now_ms, taken_before_ms=now_ms - ABANDONED_MS, limit=FORGET_BATCH
    ):
        total += deleted
    return total


async def _note_departure(seat: Seat) -> None:
    try:
        await _seats.submit(seat)
    except ImError as error:
        logger.info("A seat in a chat room was not written: %s", error)


async def _write(batch: Sequence[Seat]) -> list[None]:
    return await in_database(seats.write, batch)


_seats: Batcher[Seat, None] = Batcher(
    _write,
    size=operator.STORE_BATCH,
    backlog=operator.STORE_BACKLOG,
    name="room seats",
)
