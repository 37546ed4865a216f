"""System conversations as their subscribers see them."""

from collections.abc import Mapping, Sequence

from conversations.storage import following, subscriptions
from conversations.storage.conversations import ConversationInfo
from conversations.storage.subscriptions import After, Following, Subscribed
from imcore.bridge import in_database
from imcore.delivery.spreading import audience

__all__ = [
    "After",
    "Following",
    "Subscribed",
    "among",
    "count",
    "followers",
    "of_client",
    "page",
    "page_of_client",
    "subscribe",
    "unsubscribe",
]

_FOLLOWERS = "followers"


async def subscribe(*, conversation: ConversationInfo, client_id: str, now_ms: int) -> None:
    """Make a client follow a system conversation. Repeating it is harmless; nobody is told."""
    await in_database(subscriptions.subscribe, conversation=conversation.pk, client_id=client_id, now_ms=now_ms)


async def unsubscribe(*, conversation: ConversationInfo, client_id: str) -> None:
    """Make a client no longer follow a system conversation. Repeating it is harmless; nobody is told."""
    await in_database(subscriptions.unsubscribe, conversation=conversation.pk, client_id=client_id)


async def count(*, conversation: ConversationInfo) -> int:
    """Return how many clients follow a system conversation."""
    return await in_database(subscriptions.count, conversation=conversation.pk)


async def page(*, conversation: ConversationInfo, after: str | None, limit: int) -> list[Subscribed]:
    """Return who follows a system conversation, in the order in which they came to.

    Those who came `after` a client; from the beginning if that one does not follow it any more, so that nobody is left
    out (rest-api 8.11).
    """
    found = await in_database(subscriptions.page, conversation=conversation.pk, after=after, limit=limit)
    return [Subscribed(conversation.object_id, *row) for row in found]


async def page_of_client(
    *, application: int, client_id: str, after: After | None, newest_first: bool, limit: int
) -> list[Subscribed]:
    """Return what a client follows, the oldest subscription first or the newest (rest-api 8.12)."""
    return await in_database(
        subscriptions.page_of_client,
        application=application,
        client_id=client_id,
        after=after,
        newest_first=newest_first,
        limit=limit,
    )


async def of_client(*, application: int, client_id: str, conversations: Sequence[int]) -> Mapping[int, Following]:
    """Return a client's subscriptions among some conversations, by number."""
    return await in_database(
        subscriptions.of_client, application=application, client_id=client_id, conversations=conversations
    )


def followers(*, conversation: int) -> str:
    """Return to whom a notice is spread that goes to those who follow a system conversation."""
    return f"{_FOLLOWERS}/{conversation}"


@audience(_FOLLOWERS)
async def among(application: int, conversation: int, client_ids: Sequence[str]) -> set[str]:
    """Return which of some clients follow a system conversation."""
    return await in_database(following.among, conversation=conversation, client_ids=client_ids)
