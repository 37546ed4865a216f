"""What clients have not read: the counts, and the newest message of each conversation, as they are told of it."""

from collections.abc import Sequence

from conversations.storage.marks import Count
from messaging.events import Newest, UnreadConversation
from messaging.storage import history

__all__ = ["describe"]


def describe(counts: Sequence[Count]) -> list[UnreadConversation]:
    """Return counts with the newest message of each conversation, in their order: one query for all of them."""
    newest = history.newest(last_seqs={count.conversation: count.last_seq for count in counts if count.last_seq})
    return [
        UnreadConversation(*count, newest=None if message is None else _shown(message))
        for count in counts
        for message in [newest.get(count.conversation)]
    ]


def _shown(message: history.StoredMessage) -> Newest:
    return Newest(message.message_id, message.timestamp_ms, message.sender, message.body, message.patch_ms)
