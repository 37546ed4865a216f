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
from conversations.storage.changes import changed, lock, next_update_ms
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
def write(
    *, conversation: int, where: Where, change: Callable[[Columns], Columns], now_ms: int
) -> tuple[ConversationInfo, Columns]:
    """Make of a conversation what `change` says, under its lock; return it, and its columns after that.

    Raises ConversationNotFound, ConditionUnmet unless `where` holds, and what `change` raises.
    """
    row, roster = lock(conversation)
    if not where.is_empty and not matches(row, where):
        raise ConditionUnmet
    before = _columns(row, roster)
    after = change(before)
    at_ms = next_update_ms(row, now_ms)
    roster = _write_members(row, roster, after, at_ms)
    if set(before.muted) != set(after.muted):
        rows = Member.objects.filter(conversation=row)
        rows.filter(is_muted=True).exclude(client_id__in=after.muted).update(is_muted=False)
        rows.filter(client_id__in=after.muted).update(is_muted=True)
    info = changed(
        row,
        roster._replace(creator=after.creator),
        at_ms,
        creator=after.creator,
        attributes=after.attributes,
    )
    return info, after


def _write_members(row: Conversation, roster: Roster, after: Columns, at_ms: int) -> Roster:
    """Let in and take out whom the new list says; return the roster after it, with the version it has then."""
    before, wanted = set(roster.members), set(after.members)
    added = tuple(one for one in after.members if one not in before)
    removed = tuple(one for one in roster.members if one not in wanted)
    if added:
        members.enter(row, added, at_ms)
        roster = members.with_members(row, roster, (*roster.members, *added), at_ms).roster
        row.members_version = roster.members_version
    if removed:
        roster = members.without(row, roster, removed, at_ms).roster
        row.members_version = roster.members_version
    return roster


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
