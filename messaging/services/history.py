"""Reading what was said."""

from collections.abc import Mapping

from conversations.policy import Kind
from conversations.services import directory, permissions
from conversations.services.queries import LastMessage, last_messages_from
from imcore.bridge import in_database
from messaging.storage import history
from messaging.storage.history import Boundary, StoredMessage

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

    History belongs to the conversation: a member reads all of it, what was said before it joined included. Raises
    ConversationNotFound, HistoryRejected.
    """
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    await permissions.check_read(conversation=conversation, client_id=client_id)
    messages = await in_database(
        history.page,
        conversation=conversation.pk,
        older_end=older_end,
        newer_end=newer_end,
        newest=newest,
        limit=limit,
        message_type=message_type,
    )
    return conversation.kind, messages


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
