"""Chat rooms: who is there now, and who may come back.

Being in a room is a session's, lives in the presence table and ends with the session. What is kept is the device's
seat, so that a client whose connection was lost is put back when it returns in time (realtime-protocol 4.13), to
whichever process. A seat belongs to one stay (`seated_ms`): a connection that is found dead late says nothing about
where its device has sat down since.
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
from conversations.storage.seats import Departure, Return, Seat
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.delivery.node import node
from imcore.delivery.presence import Occupancy, room
from imcore.errors import ConversationNotAllowed, ImError
from imcore.identifiers import DAY_MS

logger = logging.getLogger(__name__)

FORGET_BATCH = 1000
# Seats of servers that died without a word.
ABANDONED_MS = 30 * DAY_MS
DEPARTURES = 200  # noted in one statement, which names each of them

_departing: set[asyncio.Task[None]] = set()


async def join(*, conversation: ConversationInfo, session: Seated | None, now_ms: int) -> None:
    """Put a session into a chat room, out of the one it was in. When this returns, it is counted everywhere.

    Without a session, as on behalf of a client over HTTP, there is nobody to put anywhere. Raises
    ConversationNotAllowed then, and BlockedByConversation or ConversationNotFound for what has happened meanwhile.
    """
    if session is None:
        raise ConversationNotAllowed("Only a client that is connected can enter a chat room.")
    application, name = conversation.application, room(conversation.pk)
    await node.presence.enter(application, name, session)
    if session.room != name:
        # Its connection was lost, or it was blocked.
        return
    taken_ms = session.seated_ms = now_ms
    try:
        refusal = await _seats.submit(Seat(session.device, session.client_id, conversation.pk, taken_ms))
    except BaseException:
        node.presence.leave(application, name, session)
        raise
    if refusal is not None:
        node.presence.leave(application, name, session)
        raise refusal
    if session.room != name:
        # As above: whoever noted that may have come before the seat was there.
        await in_database(seats.give_up, device=session.device, taken_ms=taken_ms)


async def leave(*, conversation: ConversationInfo, session: Seated | None) -> None:
    """Take a session out of a chat room for good; nothing happens if it is not there."""
    if session is not None and session.room == room(conversation.pk):
        await sign_out(application=conversation.application, session=session)


async def sign_out(*, application: int, session: Seated) -> None:
    """Take a session out of its room, if it is in one, for good."""
    if session.room is not None:
        # The seat first: should that fail, the session is still there to try again.
        await _seats.submit(Seat(session.device, session.client_id, None, 0))
        session.seated_ms = None
        node.presence.leave(application, session.room, session)


def depart(*, settings: ConversationSettings, session: Seated, now_ms: int) -> None:
    """Note until when a session whose connection was lost may come back into its room. Never waits.

    Who is not in it any more, because of being blocked, may not.
    """
    if session.seated_ms is None:
        return
    until_ms = 0 if session.room is None else now_ms + settings.chat_room_rejoin_minutes * 60_000
    departure = Departure(session.device, session.seated_ms, until_ms)
    task = asyncio.create_task(_note(departure), name="room seat")
    _departing.add(task)
    task.add_done_callback(_departing.discard)


async def come_back(*, application: int, session: Seated, is_return: bool, now_ms: int) -> None:
    """Put the session of a device that has returned in time back into its room; one that logs in anew has none.

    It is a comfort, and signing in does not fail for want of it.
    """
    try:
        if is_return:
            await _come_back(application, session, now_ms)
        else:
            await _seats.submit(Seat(session.device, session.client_id, None, 0))
    except ImError as error:
        logger.info("A client did not come back into its chat room: %s", error)


async def _come_back(application: int, session: Seated, now_ms: int) -> None:
    conversation_id = await _returns.submit(Return(session.device, now_ms))
    if conversation_id is None:
        return
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
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


async def settle() -> None:
    """Wait until every departure so far has been noted."""
    while _departing:
        await asyncio.wait(_departing)


async def _note(departure: Departure) -> None:
    try:
        await _departures.submit(departure)
    except ImError as error:
        logger.info("A departure from a chat room was not noted: %s", error)


async def _write(batch: Sequence[Seat]) -> list[type[ImError] | None]:
    return await in_database(seats.write, batch)


async def _depart(batch: Sequence[Departure]) -> list[None]:
    return await in_database(seats.depart, batch)


async def _find(batch: Sequence[Return]) -> list[str | None]:
    return await in_database(seats.find, batch)


_seats: Batcher[Seat, type[ImError] | None] = Batcher(
    _write, size=operator.STORE_BATCH, backlog=operator.STORE_BACKLOG, name="room seats"
)
_returns: Batcher[Return, str | None] = Batcher(
    _find, size=operator.STORE_BATCH, backlog=operator.STORE_BACKLOG, name="room returns"
)
_departures: Batcher[Departure, None] = Batcher(
    _depart, size=DEPARTURES, backlog=operator.STORE_BACKLOG, name="room departures"
)
