"""Reading what was said."""

from collections.abc import Mapping
from typing import Any

from conversations.policy import Kind
from conversations.services import directory, permissions
from conversations.services.directory import ConversationInfo
from conversations.services.queries import LastMessage, last_messages_from
from imcore.bridge import in_database
from messaging.storage import history, service_history
from messaging.storage.history import Boundary, StoredMessage
from messaging.storage.service_history import Parts

__all__ = ["Boundary", "StoredMessage", "page"]


async def page(
    *,
    application: int,
    conversation_id: str,
    client_id: str,
    older_end: Boundary | None,
    newer_end: Boundary | None,
    newest: bool,
    limit: int,
    message_type: int | None,
    now_ms: int,
) -> tuple[Kind, list[StoredMessage]]:
    """Return the conversation's kind and a page of its messages, oldest first (realtime-protocol 4.11).

    History belongs to the conversation: a member reads all of it, what was said before it joined included. Of a system
    conversation a client reads what was said to it, to everybody and, while it is a subscriber, to these, and what it
    said itself. Raises ConversationNotFound, HistoryRejected.
    """
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    asked: dict[str, Any] = {
        "conversation": conversation.pk,
        "older_end": older_end,
        "newer_end": newer_end,
        "newest": newest,
        "limit": limit,
        "message_type": message_type,
    }
    if conversation.kind is Kind.SYSTEM:
        parts = Parts(to_subscribers=await _follows(conversation, client_id), to_everybody=True, own=True)
        messages = await in_database(service_history.page, client_id=client_id, parts=parts, **asked)
    else:
        await permissions.check_read(conversation=conversation, client_id=client_id)
        messages = await in_database(history.page, **asked)
    return conversation.kind, messages


async def _follows(conversation: ConversationInfo, client_id: str) -> bool:
    """Return whether a client is a subscriber; one that is none must have received something, to read history."""
    if await permissions.is_present(conversation, client_id, None):
        return True
    if not await in_database(service_history.has_received, conversation=conversation.pk, client_id=client_id):
        await permissions.check_read(conversation=conversation, client_id=client_id)
    return False


@last_messages_from
async def last_messages(last_seqs: Mapping[int, int]) -> Mapping[int, LastMessage]:
    """Return the newest message of each conversation, as a conversation query shows it."""
    newest = await in_database(history.newest, last_seqs=last_seqs)
    return {
        conversation: LastMessage(
            message_id=message.message_id,
            sender=message.sender,
            timestamp_ms=message.timestamp_ms,
            body=message.wire_text,
            is_binary=message.is_binary,
            mention_all=message.mention_all,
            mention_ids=message.mention_ids,
            patch_ms=message.patch_ms,
        )
        for conversation, message in newest.items()
    }
