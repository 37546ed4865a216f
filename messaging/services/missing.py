"""Messages that a node looks up because they did not come to it: a node died, or Redis was away (delivery/ordering.py).

The row is the message; what delivery carries is a hint.
"""

import asyncio
from collections.abc import Sequence

from conversations.policy import Kind
from imcore.bridge import in_database
from imcore.delivery import presence
from imcore.delivery.encoding import Delivery, Priority, encode
from imcore.delivery.node import Reached
from imcore.delivery.ordering import Found, Late, Missing
from imcore.delivery.presence import room
from messaging.events import MessageSent, conversation_of, stream
from messaging.services import sending
from messaging.storage import missing as storage
from messaging.storage.history import StoredMessage
from messaging.storage.missing import MissingMessages

# Messages looked up at a time, and of how many conversations: after a fault all may be asked for at once, and those who
# send must get at the database, too.
MESSAGES_AT_ONCE = 100
CONVERSATIONS_AT_ONCE = 4

_turns = asyncio.Semaphore(CONVERSATIONS_AT_ONCE)


async def find(missing: Missing) -> Found:
    """Return the next of what is missing of a conversation's messages, as they read now. Raises StorageUnavailable."""
    async with _turns:
        found = await in_database(
            storage.find,
            conversation=conversation_of(missing.stream),
            first=missing.first,
            last=missing.last,
            since_ms=missing.since_ms,
            limit=MESSAGES_AT_ONCE,
        )
    if found is None:
        return Found([], missing.last)
    late = [
        Late(_delivery(missing, found, message, wants_receipt), message.seq, message.timestamp_ms)
        for message, wants_receipt in found.messages
    ]
    return Found(late, late[-1].position if len(late) == MESSAGES_AT_ONCE else missing.last)


async def reached(application: int, names: Sequence[str], since_ms: int) -> list[Reached]:
    """Return how far conversations of these clients, and rooms, have got since a time. Raises StorageUnavailable."""
    rooms = {conversation: name for name in names if (conversation := presence.conversation_of(name)) is not None}
    async with _turns:
        latest = await in_database(
            storage.latest,
            application=application,
            client_ids=[name for name in names if presence.conversation_of(name) is None],
            rooms=list(rooms),
            since_ms=since_ms,
        )
    return [
        Reached(stream(conversation), last_seq, last_ms, client_ids or (rooms[conversation],))
        for conversation, last_seq, last_ms, client_ids in latest
    ]


def _delivery(missing: Missing, found: MissingMessages, message: StoredMessage, wants_receipt: bool) -> Delivery:
    conversation_id, kind, joined_ms = found.audience
    conversation = conversation_of(missing.stream)
    members = tuple(client_id for client_id, at_ms in joined_ms.items() if at_ms <= message.timestamp_ms)
    event = MessageSent(
        conversation=conversation,
        conversation_id=conversation_id,
        kind=kind,
        message_id=message.message_id,
        seq=message.seq,
        timestamp_ms=message.timestamp_ms,
        sender=message.sender,
        body=message.body,
        mentions=message.mentions,
        wants_receipt=wants_receipt,
        priority=Priority.HIGH,
        to=(room(conversation),) if kind is Kind.CHAT_ROOM else members,
        is_transient=False,
    )
    delivery = encode(missing.application, event)
    if sending.is_untold(message.message_id):
        return delivery._replace(frames=[frame._replace(but=message.sender) for frame in delivery.frames])
    return delivery
