"""Who follows a system conversation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from conversations.models import Conversation, Subscription
from imcore.errors import ConversationNotFound


class Following(NamedTuple):
    """One client's subscription: since when, and whether its push is off."""

    since_ms: int
    is_muted: bool


def subscribe(*, conversation: int, client_id: str, now_ms: int) -> None:
    """Make a client follow a system conversation; nothing happens if it does. Raises ConversationNotFound."""
    found = Conversation.objects.filter(pk=conversation).values_list("application_id", "last_message_ms").first()
    if found is None:
        raise ConversationNotFound
    application, last_message_ms = found
    row = Subscription(
        conversation_id=conversation,
        application_id=application,
        client_id=client_id,
        subscribed_ms=now_ms,
        # What is being sent meanwhile comes behind it.
        from_ms=last_message_ms or 0,
    )
    Subscription.objects.bulk_create([row], ignore_conflicts=True)


def unsubscribe(*, conversation: int, client_id: str) -> None:
    """Make a client no longer follow a system conversation."""
    Subscription.objects.filter(conversation=conversation, client_id=client_id).delete()


def mute(*, conversation: int, client_id: str, is_muted: bool) -> bool:
    """Note whether a subscriber wants offline push; return whether it is one."""
    rows = Subscription.objects.filter(conversation=conversation, client_id=client_id)
    return bool(rows.update(is_muted=is_muted))


def of_client(*, application: int, client_id: str, conversations: Sequence[int]) -> Mapping[int, Following]:
    """Return a client's subscriptions among some conversations, by number."""
    rows = Subscription.objects.filter(
        application=application, client_id=client_id, conversation_id__in=conversations
    ).values_list("conversation_id", "subscribed_ms", "is_muted")
    return {conversation: Following(since_ms, is_muted) for conversation, since_ms, is_muted in rows}


def count(*, conversation: int) -> int:
    """Return how many clients follow a system conversation."""
    return Subscription.objects.filter(conversation=conversation).count()
