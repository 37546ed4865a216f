"""Deleting what an application does not keep: old messages, and conversations that are over with all of theirs.

    page of conversations ─┬─ over ──→ deleted, under a lock; their numbers noted ──→ their messages, in batches
                           └─ others ─→ their messages older than the retention, in batches

Every batch is a transaction of its own that leaves things true, so it may be interrupted anywhere and run again, also
twice at a time. What is sent meanwhile is newer than anything that is deleted; only a send to a conversation that has
just been deleted fails, with 4401.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conversations.services import retention as conversations
from imcore.appsettings import ApplicationSnapshot, stored_applications
from imcore.bridge import in_database
from imcore.identifiers import DAY_MS
from messaging.models import MessagingSettings
from messaging.storage import retention

BATCH = 1000


@dataclass(slots=True)
class Outcome:
    """What retention has deleted in an application, or would, and how many conversations it has looked at."""

    looked_at: int = 0
    conversations: int = 0
    messages: int = 0


Progress = Callable[[Outcome], None]


async def applications(app_id: str | None = None) -> list[ApplicationSnapshot]:
    """Return every application, or the one with an id if there is one, as it is now."""
    return await in_database(stored_applications, app_id)


async def apply(
    *, application: ApplicationSnapshot, now_ms: int, is_dry_run: bool = False, progress: Progress | None = None
) -> Outcome:
    """Delete what an application does not keep; a dry run only counts it. `progress` hears of every page."""
    outcome = Outcome()
    before_ms = _before_ms(application, now_ms)
    outcome.messages += await _of_deleted(application.pk, is_dry_run)
    after = ""
    while page := await conversations.page(application=application, after=after, now_ms=now_ms):
        after = page[-1].object_id
        over = [conversation for conversation in page if conversation.is_over]
        if is_dry_run:
            deleted = {conversation.number for conversation in over}
            outcome.messages += await _messages(list(deleted), retention.EVER, is_dry_run)
        else:
            deleted = await conversations.delete(application=application, conversations=over, now_ms=now_ms)
            outcome.messages += await _of_deleted(application.pk, is_dry_run)
        kept = [one.number for one in page if one.has_messages and one.number not in deleted]
        if before_ms is not None:
            outcome.messages += await _messages(kept, before_ms, is_dry_run)
        outcome.conversations += len(deleted)
        outcome.looked_at += len(page)
        if progress is not None:
            progress(outcome)
    if before_ms is not None:
        outcome.messages += await _of_services(application.pk, before_ms, is_dry_run)
    return outcome


async def delete_expired(*, now_ms: int) -> int:
    """Delete temporary conversations whose time is over, with their messages; return how many there were."""
    deleted = await conversations.delete_expired(now_ms=now_ms)
    await _of_deleted(None, is_dry_run=False)
    return deleted


async def _of_deleted(application: int | None, is_dry_run: bool) -> int:
    """Delete the messages of conversations that are deleted, those that an earlier run left behind included."""
    total = after = 0
    while numbers := await conversations.with_messages(application=application, after=after):
        total += await _messages(numbers, retention.EVER, is_dry_run)
        if not is_dry_run:
            await _of_gone_services(numbers)
            await conversations.emptied(numbers=numbers)
        after = numbers[-1]
    return total


async def _messages(numbers: Sequence[int], before_ms: int, is_dry_run: bool) -> int:
    if is_dry_run:
        return await in_database(retention.count, conversations=numbers, before_ms=before_ms)
    total = 0
    deleted = BATCH
    while numbers and deleted == BATCH:
        deleted = await in_database(retention.delete, conversations=numbers, before_ms=before_ms, limit=BATCH)
        total += deleted
    return total


async def _of_services(application: int, before_ms: int, is_dry_run: bool) -> int:
    """Delete, or count, what was said to system conversations and by them."""
    total = 0
    for delete, count in (
        (retention.delete_upstream, retention.count_upstream),
        (retention.delete_of_services, retention.count_of_services),
    ):
        if is_dry_run:
            total += await in_database(count, application=application, before_ms=before_ms)
            continue
        deleted = BATCH
        while deleted == BATCH:
            deleted = await in_database(delete, application=application, before_ms=before_ms, limit=BATCH)
            total += deleted
    return total


async def _of_gone_services(numbers: Sequence[int]) -> None:
    while await in_database(retention.delete_of_gone_services, conversations=numbers, limit=BATCH):
        pass


def _before_ms(application: ApplicationSnapshot, now_ms: int) -> int | None:
    days = application.of(MessagingSettings).message_retention_days
    return now_ms - days * DAY_MS if days else None
