"""Writing `_Conversation` as a row of a class, all of its columns in one go (rest-api 9).

Nobody is told, not even those who are away; but servers that remember who is here look again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from conversations.models import Conversation, Member
from conversations.policy import Kind, Roster
from conversations.storage import attributes, members
from conversations.storage.changes import lock, next_update_ms
from conversations.storage.conversations import ConversationInfo
from conversations.storage.queries import matches
from conversations.storage.where import Where
from imcore.objects import ConditionUnmet


@dataclass(frozen=True, slots=True)
class Columns:
    """What of a conversation a write may change; the rest of its facts are there to be compared with."""

    kind: Kind
    creator: str
    roster: Roster
    members: tuple[str, ...]
    muted: tuple[str, ...]
    is_unique: bool
    unique_id: str | None
    attributes: dict[str, Any]


@transaction.atomic
def write(*, conversation: int, where: Where, change: Callable[[Columns], Columns], now_ms: int) -> ConversationInfo:
    """Make of a conversation what `change` says, under its lock, and return it.

    Raises ConversationNotFound, ConditionUnmet unless `where` holds, and what `change` raises.
    """
    row, roster = lock(conversation)
    if not where.is_empty and not matches(row, where):
        raise ConditionUnmet
    before = _columns(row, roster)
    after = change(before)
    at_ms = next_update_ms(row, now_ms)
    present, wanted = set(before.members), set(after.members)
    added = tuple(one for one in after.members if one not in present)
    removed = tuple(one for one in before.members if one not in wanted)
    if added:
        members.enter(row, added, at_ms)
    if removed:
        roster = members.leave(row, roster, removed)
    if set(before.muted) != set(after.muted):
        rows = Member.objects.filter(conversation=row)
        rows.filter(is_muted=True).exclude(client_id__in=after.muted).update(is_muted=False)
        rows.filter(client_id__in=after.muted).update(is_muted=True)
    # One step of `members_version`, whatever is written: those who hear of the next change wait for each.
    return members.with_members(
        row,
        roster._replace(creator=after.creator),
        (*(one for one in before.members if one in wanted), *added),
        at_ms,
        creator=after.creator,
        attributes=after.attributes,
    )


def _columns(row: Conversation, roster: Roster) -> Columns:
    muted = Member.objects.filter(conversation=row, is_muted=True).order_by("id")
    return Columns(
        kind=Kind(row.kind),
        creator=row.creator,
        roster=roster,
        members=roster.members,
        muted=tuple(muted.values_list("client_id", flat=True)),
        is_unique=row.is_unique,
        unique_id=row.unique_id,
        attributes=attributes.read(row),
    )
