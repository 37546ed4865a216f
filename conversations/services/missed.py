"""What a client missed while it was away (realtime-protocol 10.3).

*Permanent* notices are about the client itself and come in pages. *Droppable* ones are about its conversations: when
they are too many, the client fetches the conversations afresh instead.
"""

from typing import NamedTuple

from conversations.models import ConversationSettings
from conversations.storage import kept_notices
from conversations.storage.kept_notices import RECEIPT, MissedNotice, MissedPage
from imcore.bridge import in_database
from imcore.identifiers import DAY_MS

__all__ = ["RECEIPT", "MissedNotice", "MissedPage"]

PAGE = 50  # realtime-protocol 10.3
DROPPABLE_MAX = 200
# As many notices of attributes may be as long as the attributes.
DROPPABLE_MAX_BYTES = 1024 * 1024
FORGET_BATCH = 1000


class Missed(NamedTuple):
    """Both kinds. `droppable` is None where something is or may be missing from it."""

    permanent: MissedPage
    droppable: list[MissedNotice] | None


async def permanent(*, application: int, client_id: str, after_ms: int) -> MissedPage:
    """Return a page of what happened to a client after a time, itself excluded."""
    return await in_database(
        kept_notices.of_client, application=application, client_id=client_id, after_ms=after_ms, limit=PAGE
    )


async def everything(
    *, application: int, settings: ConversationSettings, client_id: str, after_ms: int, now_ms: int
) -> Missed:
    """Return a page of what happened to a client, and what happened in its conversations in the time of that page."""
    page = await permanent(application=application, client_id=client_id, after_ms=after_ms)
    if after_ms < now_ms - settings.notices_kept_days * DAY_MS:
        return Missed(page, None)
    droppable = await in_database(
        kept_notices.of_conversations,
        application=application,
        client_id=client_id,
        after_ms=after_ms,
        # What is later comes with the later pages.
        until_ms=page.notices[-1].at_ms if page.has_more else None,
        limit=DROPPABLE_MAX,
        bytes_max=DROPPABLE_MAX_BYTES,
    )
    return Missed(page, droppable)


async def forget(*, now_ms: int) -> int:
    """Delete notices older than their application keeps them, a bounded batch at a time; return how many there were."""
    total = 0
    for application, days in await in_database(kept_notices.kept_days):
        while deleted := await in_database(
            kept_notices.forget, application=application, before_ms=now_ms - days * DAY_MS, limit=FORGET_BATCH
        ):
            total += deleted
    return total
