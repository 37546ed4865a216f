"""What a client has received and read: noted for many at once, then told to the senders and its other devices.

Of both only the last word counts, so they go through batchers: a crowd that receives a message, or a client that opens
fifty conversations, costs a few transactions. What was noted is told, whether or not the client is still there.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings as operator

from conversations.policy import Action, Features
from conversations.services import directory, permissions
from imcore import identifiers, limits
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.delivery import router
from messaging.models import MessagingSettings
from messaging.storage import receipts
from messaging.storage.receipts import Ack, MemberTimes, Place, Read

__all__ = ["MaxRead", "MemberTimes", "Position", "acknowledge", "max_read", "read"]

# Nobody can send to the conversations of a batch of reads while it lasts.
READ_BATCH = 64
# Of one command: all of many commands would be more than may wait, and those of others would be refused for it.
READS_AT_ONCE = 8


class Position(NamedTuple):
    """Up to where a client has read: a message, else the end of a millisecond; without either, everything."""

    conversation_id: str
    message_id: str
    timestamp_ms: int | None


class MaxRead(NamedTuple):
    """Up to which times others have received and read; None while nobody has. `members`: each of them."""

    ack_ms: int | None
    read_ms: int | None
    members: list[MemberTimes]


async def acknowledge(
    *,
    application: int,
    settings: MessagingSettings,
    client_id: str,
    conversation_id: str,
    message_ids: Sequence[str],
    from_ms: int | None,
    to_ms: int,
    means_read: bool,
) -> None:
    """Note that a client has received messages: those named, else those of a time (realtime-protocol 4.9.3).

    Without `from_ms`, all since its last acknowledgement. What it cannot have received is passed over. `means_read`:
    what it receives is not unread any more, though no sender is told that it was read.
    """
    named = tuple(one for one in message_ids if _can_be_an_id(one))[: limits.ACK_IDS_MAX]
    if message_ids and not named:
        return
    conversation_ids = [conversation_id]
    if named and not conversation_id:
        conversation_ids = await in_database(receipts.conversations_of, application=application, message_ids=named)
    await asyncio.gather(
        *(
            _acknowledge(
                Ack(Place(application, one, client_id), named, from_ms, to_ms, settings.receipts_members_max),
                means_read,
            )
            for one in conversation_ids
            if _can_be_an_id(one)
        )
    )


async def read(*, application: int, settings: MessagingSettings, client_id: str, positions: Sequence[Position]) -> None:
    """Note up to where a client has read conversations, of which more than a hundred are ignored (4.9.5)."""
    reads = [
        Read(
            Place(application, position.conversation_id, client_id),
            position.message_id if _can_be_an_id(position.message_id) else "",
            position.timestamp_ms,
            is_shown=True,
            receipts_members_max=settings.receipts_members_max,
        )
        for position in positions[: limits.READ_CONVERSATIONS_MAX]
        if _can_be_an_id(position.conversation_id)
    ]
    for start in range(0, len(reads), READS_AT_ONCE):
        await asyncio.gather(*map(_reads.submit, reads[start : start + READS_AT_ONCE]))


async def max_read(*, application: int, conversation_id: str, client_id: str, now_ms: int) -> MaxRead:
    """Return up to when the other members have received and read (4.5).

    Raises ConversationNotFound, ConversationNotAllowed where there are no such marks, HistoryRejected.
    """
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    await permissions.check_of(Action.READ_MARKS, conversation, client_id, Features())
    members = await in_database(receipts.of_members, conversation=conversation.pk)
    others = [one for one in members if one.client_id != client_id]
    return MaxRead(
        ack_ms=max((one.ack_ms for one in others if one.ack_ms is not None), default=None),
        read_ms=max((one.read_ms for one in others if one.read_ms is not None), default=None),
        members=others,
    )


async def _acknowledge(ack: Ack, means_read: bool) -> None:
    newest_ms = await _acks.submit(ack)
    if means_read and newest_ms is not None:
        await _reads.submit(
            Read(ack.place, "", newest_ms, is_shown=False, receipts_members_max=ack.receipts_members_max)
        )


def _can_be_an_id(text: str) -> bool:
    return 0 < len(text) <= limits.CONVERSATION_ID_MAX_CHARACTERS and "\0" not in text


async def _note_acks(acks: Sequence[Ack]) -> list[int | None]:
    outcome = await in_database(receipts.acknowledge, acks, now_ms=identifiers.now_ms())
    for application, event in outcome.told:
        router.publish(application, event)
    left = outcome.left
    while left:
        left = await in_database(receipts.move_marks, left)
    return outcome.newest_ms


async def _note_reads(reads: Sequence[Read]) -> list[None]:
    for application, event in await in_database(receipts.read, reads, now_ms=identifiers.now_ms()):
        router.publish(application, event)
    return [None] * len(reads)


_acks: Batcher[Ack, int | None] = Batcher(
    _note_acks, size=operator.STORE_BATCH, backlog=operator.STORE_BACKLOG, name="acknowledgements"
)
_reads: Batcher[Read, None] = Batcher(_note_reads, size=READ_BATCH, backlog=operator.STORE_BACKLOG, name="reads")
