"""What clients have not read: the counts, and the newest message of each conversation, as they are told of it."""

from collections.abc import Sequence

from conversations.storage import waiting
from conversations.storage.marks import Count
from messaging.events import Newest, UnreadConversation
from messaging.storage import history, service_waiting

__all__ = ["describe", "total"]


def describe(counts: Sequence[Count]) -> list[UnreadConversation]:
    """Return counts with the newest message of each conversation, in their order: one query for all of them."""
    newest = history.newest(last_seqs={count.conversation: count.last_seq for count in counts if count.last_seq})
    return [
        UnreadConversation(*count, newest=None if message is None else _shown(message))
        for count in counts
        for message in [newest.get(count.conversation)]
    ]


def total(*, application: int, client_id: str, conversation: int | None, now_ms: int) -> int:
    """Return how much a client has not read: of one conversation, or of all together."""
    of_members = waiting.total(application=application, client_id=client_id, conversation=conversation, now_ms=now_ms)
    of_services = service_waiting.total(
        application=application, client_id=client_id, conversation=conversation, now_ms=now_ms
    )
    return of_members + of_services


def _shown(message: history.StoredMessage) -> Newest:
    return Newest(message.message_id, message.timestamp_ms, message.sender, message.body, message.patch_ms)
