"""Reading what was said, and correcting the record, for the application, which need be no member (rest-api 8.8, 9)."""

import re
from typing import Final, NamedTuple

from conversations.policy import Kind
from conversations.services import directory, permissions
from conversations.services.directory import ConversationInfo
from imcore.bridge import in_database
from imcore.errors import MessageNotFound
from messaging.events import Body, Mentions
from messaging.message_types import message_type
from messaging.models import MessagingSettings
from messaging.services.sending import check_size, storable
from messaging.storage import logs
from messaging.storage.history import Boundary
from messaging.storage.logs import Entry
from messaging.storage.service_history import Range

__all__ = [
    "Asked",
    "Boundary",
    "Entry",
    "of_application",
    "of_client",
    "of_conversation",
    "of_log",
    "of_subscriber",
    "overwrite",
]

# An MD5, as `naming.log_id` makes them; imported conversations, too, may have such ids.
_LOG_ID: Final = re.compile(r"[0-9a-f]{32}")


class Asked(NamedTuple):
    """Which page: up to `limit` messages between two ends, the newest first if `newest`, else the oldest.

    An end that has an id is the place of (time, id), else its time.
    """

    older_end: Boundary | None
    newer_end: Boundary | None
    newest: bool
    limit: int


async def of_conversation(
    *, application: int, conversation_id: str, kind: Kind | None, asked: Asked, now_ms: int
) -> list[Entry]:
    """Return a page of what was said in a conversation of a kind; None: a normal one or a chat room.

    Raises ConversationNotFound, NormalConversationRequired, ChatRoomRequired.
    """
    conversation = await _find(application, conversation_id, now_ms)
    directory.check_kind(conversation, kind or (Kind.CHAT_ROOM if conversation.kind is Kind.CHAT_ROOM else Kind.NORMAL))
    return await _page(logs.of_conversation(conversation.pk), asked)


async def of_subscriber(
    *, application: int, conversation_id: str, client_id: str, asked: Asked, now_ms: int
) -> list[Entry]:
    """Return a page of what a system conversation said to a client, and to subscribers while the client is one.

    What was said to everybody is not in it. Raises ConversationNotFound, SystemConversationRequired.
    """
    conversation = await _find(application, conversation_id, now_ms)
    directory.check_kind(conversation, Kind.SYSTEM)
    is_subscriber = await permissions.is_present(conversation, client_id, None)
    entries = await _page(logs.of_subscriber(conversation.pk, client_id, is_subscriber=is_subscriber), asked)
    # What was said to all subscribers is filed in the log of each.
    return [entry._replace(client_id=client_id) for entry in entries]


async def of_log(*, application: int, log_id: str, reader: str | None, asked: Asked, now_ms: int) -> list[Entry]:
    """Return a page of a conversation or chat room, or of what a system conversation said to a client (rest-api 9).

    `log_id` is the conversation's id; of a system conversation and a client the MD5 that entries have, which is known
    once it has spoken to the client by name, or while it is a subscriber. `reader` is a client, which finds no such log
    but its own; None is the application. Raises ConversationNotFound, NormalConversationRequired.
    """
    log = await in_database(logs.find, application=application, log=log_id) if _LOG_ID.fullmatch(log_id) else None
    if log is None or reader not in (None, log.client_id):
        return await of_conversation(
            application=application, conversation_id=log_id, kind=None, asked=asked, now_ms=now_ms
        )
    return await of_subscriber(application=application, **log._asdict(), asked=asked, now_ms=now_ms)


async def of_client(*, application: int, client_id: str, asked: Asked) -> list[Entry]:
    """Return a page of what a client said in normal conversations and chat rooms."""
    return await _page(logs.of_client(application, client_id), asked)


async def of_application(*, application: int, asked: Asked) -> list[Entry]:
    """Return a page of what was said in normal conversations and chat rooms, and by system conversations.

    What was said to everybody is not in it, nor what clients said to system conversations.
    """
    return await _page(logs.of_application(application), asked)


async def overwrite(
    *,
    application: int,
    settings: MessagingSettings,
    message_id: str,
    timestamp_ms: int,
    log_id: str | None,
    body: Body,
) -> None:
    """Give a message another body, as if it had been sent with it. Nobody is told, now or later.

    One that a system conversation said to several clients is changed for the one whose log is named, or for all.
    Raises MessageNotFound, MessageTooLong.
    """
    check_size(settings, body, "", Mentions())
    text, data = storable(body)
    is_there = await in_database(
        logs.overwrite,
        application=application,
        message_id=message_id,
        timestamp_ms=timestamp_ms,
        log=log_id,
        text=text,
        data=data,
        is_binary=body.text is None,
        message_type=None if body.text is None else message_type(body.text),
    )
    if not is_there:
        raise MessageNotFound


async def _find(application: int, conversation_id: str, now_ms: int) -> ConversationInfo:
    return await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )


async def _page(ranges: list[Range], asked: Asked) -> list[Entry]:
    return await in_database(logs.page, ranges=ranges, **asked._asdict())
