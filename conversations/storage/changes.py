"""The frame of every change to who stands how: lock, judge, change, raise the version, keep the notices.

    with transaction.atomic():
        row, roster = lock(pk)            # ConversationNotFound
        verdict = judge(roster)           # the service's rule, on the facts of this moment; raises to refuse all
        …                                 # write
        return changed(row, …)            # the conversation as it is now

Rules are the services' business and facts are storage's; a rule that is judged under the lock cannot be overtaken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import F

from conversations.models import Conversation
from conversations.policy import Roster
from conversations.storage import rosters
from conversations.storage.conversations import ConversationInfo, info
from imcore.errors import ConversationNotFound, ImError


class Verdict(NamedTuple):
    """Whom a change may concern, and the errors of the others, each with its `client_ids`."""

    allowed: tuple[str, ...]
    failed: tuple[ImError, ...] = ()


Judge = Callable[[Roster], Verdict]


@dataclass(frozen=True, slots=True)
class Change:
    """What a change did: the clients for whom something is different now, the verdict, the conversation after it.

    `removed`: which of the changed were members and are not any more, where that is not all of them.
    """

    changed: tuple[str, ...]
    verdict: Verdict
    conversation: ConversationInfo
    removed: tuple[str, ...] = ()


def lock(pk: int) -> tuple[Conversation, Roster]:
    """Lock a conversation until the caller's transaction ends; raise ConversationNotFound if it is gone."""
    row = Conversation.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        raise ConversationNotFound
    return row, rosters.of([row])[row.pk]


def lock_all(numbers: Sequence[int]) -> None:
    """Lock conversations until the caller's transaction ends; those that are gone are passed over."""
    rows = Conversation.objects.select_for_update().filter(pk__in=numbers).order_by("pk")
    list(rows.values_list("pk"))


def next_update_ms(row: Conversation, now_ms: int) -> int:
    """Return the time of a change. Never backwards: clients apply one only if it is not older than what they have."""
    return max(now_ms, row.updated_ms + 1)


def changed(row: Conversation, roster: Roster, at_ms: int, **columns: Any) -> ConversationInfo:
    """Write that who stands how has changed at `at_ms`; `roster` is how it is now, but for its version."""
    version = row.members_version + 1
    Conversation.objects.filter(pk=row.pk).update(members_version=F("members_version") + 1, updated_ms=at_ms, **columns)
    row.updated_ms = at_ms
    for name, value in columns.items():
        setattr(row, name, value)
    return info(row, roster._replace(members_version=version))


def unchanged(row: Conversation, roster: Roster) -> ConversationInfo:
    """Return the conversation as it was found."""
    return info(row, roster)
