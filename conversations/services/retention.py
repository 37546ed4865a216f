"""Which conversations are over: temporary ones past their time, normal ones that nobody uses any more.

Deleting them is only half: their messages are deleted by messaging's retention, which calls this.
"""

from collections.abc import Sequence

from conversations.models import ConversationSettings
from conversations.services import directory
from conversations.storage import retention
from conversations.storage.retention import Aged
from imcore.appsettings import ApplicationSnapshot
from imcore.bridge import in_database
from imcore.identifiers import DAY_MS

__all__ = ["Aged", "delete", "delete_expired", "emptied", "page", "with_messages"]

PAGE = 500
# A conversation goes with its members, so this many are some ten thousand rows.
DELETE_BATCH = 50


async def page(*, application: ApplicationSnapshot, after: str, now_ms: int) -> list[Aged]:
    """Return the next conversations of an application, and of each whether its time is over."""
    return await in_database(
        retention.page,
        application=application.pk,
        after=after,
        inactive_since_ms=_inactive_since_ms(application, now_ms),
        now_ms=now_ms,
        limit=PAGE,
    )


async def delete(*, application: ApplicationSnapshot, conversations: Sequence[Aged], now_ms: int) -> set[int]:
    """Delete those conversations that are over still; return their numbers."""
    deleted: set[int] = set()
    for start in range(0, len(conversations), DELETE_BATCH):
        batch = conversations[start : start + DELETE_BATCH]
        deleted.update(
            await in_database(
                retention.delete,
                numbers=[conversation.number for conversation in batch],
                inactive_since_ms=_inactive_since_ms(application, now_ms),
                now_ms=now_ms,
            )
        )
    for conversation in conversations:
        directory.forget(application=application.pk, conversation_id=conversation.object_id)
    return deleted


async def delete_expired(*, now_ms: int) -> int:
    """Delete temporary conversations whose time is over, of all applications; return how many there were."""
    total = 0
    while numbers := await in_database(retention.expired, now_ms=now_ms, limit=PAGE):
        total += len(await in_database(retention.delete, numbers=numbers, inactive_since_ms=None, now_ms=now_ms))
    return total


async def with_messages(*, application: int | None, after: int = 0) -> list[int]:
    """Return the numbers of deleted conversations, of one application or all, whose messages may be there still."""
    return await in_database(retention.with_messages, application=application, after=after, limit=PAGE)


async def emptied(*, numbers: Sequence[int]) -> None:
    """Note that the messages of deleted conversations are gone."""
    await in_database(retention.emptied, numbers=numbers)


def _inactive_since_ms(application: ApplicationSnapshot, now_ms: int) -> int | None:
    days = application.of(ConversationSettings).inactive_conversation_days
    return now_ms - days * DAY_MS if days else None
