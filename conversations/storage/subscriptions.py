"""Who follows a system conversation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from conversations.models import Block, Conversation, Subscription
from conversations.storage.naming import log_id
from imcore.errors import BlockedByConversation, ConversationNotFound


class Following(NamedTuple):
    """One client's subscription: since when, and whether its push is off."""

    since_ms: int
    is_muted: bool


class Subscribed(NamedTuple):
    """That a client follows a system conversation, and since when."""

    conversation_id: str
    client_id: str
    since_ms: int


class After(NamedTuple):
    """Where a page of a client's subscriptions begins: behind what it subscribed to at a time."""

    since_ms: int
    conversation_id: str


@transaction.atomic
def subscribe(*, conversation: int, client_id: str, now_ms: int) -> None:
    """Make a client follow a system conversation; nothing happens if it does.

    Raises ConversationNotFound, BlockedByConversation. The row is locked, so that a block at the same moment finds the
    subscription, or this the block.
    """
    rows = Conversation.objects.select_for_update().filter(pk=conversation)
    found = rows.values_list("application_id", "object_id", "last_message_ms", "has_blocked").first()
    if found is None:
        raise ConversationNotFound
    application, conversation_id, last_message_ms, has_blocked = found
    blocks = Block.objects.filter(conversation=conversation, client_id=client_id, is_by_client=False)
    if has_blocked and blocks.exists():
        raise BlockedByConversation
    row = Subscription(
        conversation_id=conversation,
        application_id=application,
        client_id=client_id,
        subscribed_ms=now_ms,
        # What is being sent meanwhile comes behind it.
        from_ms=last_message_ms or 0,
        log_id=log_id(conversation_id, client_id),
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


def page(*, conversation: int, after: str | None, limit: int) -> list[tuple[str, int]]:
    """Return subscribers and since when they are that, in the order in which they came.

    Those who came `after` one of them; if that one does not follow the conversation any more, from the beginning.
    """
    rows = Subscription.objects.filter(conversation=conversation)
    if after is not None:
        rows = rows.filter(pk__gt=rows.filter(client_id=after).values_list("pk", flat=True).first() or 0)
    return list(rows.order_by("pk").values_list("client_id", "subscribed_ms")[:limit])


def page_of_client(
    *, application: int, client_id: str, after: After | None, newest_first: bool, limit: int
) -> list[Subscribed]:
    """Return what a client follows, in the order of time and then of ids, or in the opposite one.

    Its subscriptions are all looked at, as they are at every log-in: nobody follows more than there are services.
    """
    rows = Subscription.objects.filter(application=application, client_id=client_id)
    sign, behind = ("-", "lt") if newest_first else ("", "gt")
    if after is not None:
        rows = rows.filter(
            Q(**{f"subscribed_ms__{behind}": after.since_ms})
            | Q(subscribed_ms=after.since_ms, **{f"conversation__object_id__{behind}": after.conversation_id})
        )
    in_order = rows.order_by(f"{sign}subscribed_ms", f"{sign}conversation__object_id")
    found = in_order.values_list("conversation__object_id", "client_id", "subscribed_ms")
    return [Subscribed(*row) for row in found[:limit]]
