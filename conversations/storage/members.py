"""Changing who is in a conversation, and the unique conversation a member set leads to."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q

from conversations.models import Conversation, Member, MemberInfo, Subscription
from conversations.policy import Roster
from conversations.storage.changes import Change, Judge, changed, lock, next_update_ms, unchanged
from conversations.storage.conversations import ConversationInfo, unique_id, unique_key
from conversations.storage.kept_notices import joining, keep, leaving


@transaction.atomic
def add(*, conversation: int, judge: Judge, by: str, now_ms: int) -> Change:
    """Add those the judge allows who are not members yet. Raises ConversationNotFound and what the judge raises."""
    row, roster = lock(conversation)
    verdict = judge(roster)
    members = set(roster.members)
    added = tuple(client_id for client_id in verdict.allowed if client_id not in members)
    if not added:
        return Change((), verdict, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    enter(row, added, at_ms)
    keep(row, at_ms, joining(added, added, by, at_ms))
    return Change(added, verdict, with_members(row, roster, (*roster.members, *added), at_ms))


@transaction.atomic
def remove(*, conversation: int, judge: Judge, by: str, now_ms: int) -> Change:
    """Remove those the judge allows who are members. Raises ConversationNotFound and what the judge raises."""
    row, roster = lock(conversation)
    verdict = judge(roster)
    members = set(roster.members)
    removed = tuple(client_id for client_id in verdict.allowed if client_id in members)
    if not removed:
        return Change((), verdict, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    keep(row, at_ms, leaving(removed, by, at_ms))
    return Change(removed, verdict, without(row, roster, removed, at_ms))


def enter(row: Conversation, added: Sequence[str], at_ms: int) -> None:
    """Write the rows of new members. Inside a transaction only, before `with_members`."""
    Member.objects.bulk_create(
        Member(
            conversation=row,
            application_id=row.application_id,
            client_id=client_id,
            joined_ms=at_ms,
            # What was said before one joined is history, not unread.
            read_seq=row.last_seq,
            ack_seq=row.last_seq,
            # To its devices that were away while it left and came again, this is news.
            unread_changed_ms=at_ms,
        )
        for client_id in added
    )


def leave(row: Conversation, roster: Roster, removed: Sequence[str]) -> Roster:
    """Delete the rows of members, and their roles with them; return the roster without these.

    Inside a transaction only, before `with_members`.
    """
    Member.objects.filter(conversation=row, client_id__in=removed).delete()
    if not row.has_roles:
        return roster
    MemberInfo.objects.filter(conversation=row, client_id__in=removed).delete()
    return roster._replace(managers=roster.managers.difference(removed))


def without(row: Conversation, roster: Roster, removed: Sequence[str], at_ms: int) -> ConversationInfo:
    """Take members out; return the conversation after it. Inside a transaction only."""
    gone = set(removed)
    left = tuple(one for one in roster.members if one not in gone)
    return with_members(row, leave(row, roster, removed), left, at_ms)


def with_members(
    row: Conversation, roster: Roster, members: tuple[str, ...], at_ms: int, **columns: Any
) -> ConversationInfo:
    """Write down what follows from another member set, and other columns; return the conversation after it."""
    if row.is_unique and members != roster.members:
        _move_unique(row, members)
    return changed(row, roster._replace(members=members), at_ms, member_count=len(members), **columns)


def _move_unique(row: Conversation, members: Sequence[str]) -> None:
    """Make the conversation the unique one of its new member set, unless another one is that already."""
    row.unique_id = unique_id(members)
    mine = Conversation.objects.filter(pk=row.pk)
    try:
        with transaction.atomic():
            mine.update(unique_id=row.unique_id, unique_key=unique_key(members))
    except IntegrityError:
        mine.update(unique_id=row.unique_id, unique_key=None)


@transaction.atomic
def mute(*, conversation: int, client_ids: Collection[str], is_muted: bool, now_ms: int) -> int | None:
    """Note whether members want offline push from here; return when, or None if none of the clients is a member."""
    row, _ = lock(conversation)
    if not Member.objects.filter(conversation=row, client_id__in=client_ids).update(is_muted=is_muted):
        return None
    at_ms = next_update_ms(row, now_ms)
    Conversation.objects.filter(pk=row.pk).update(updated_ms=at_ms)
    return at_ms


def muted(*, conversation: int) -> tuple[str, ...]:
    """Return the members who want no offline push from here, in the order they joined."""
    rows = Member.objects.filter(conversation=conversation, is_muted=True).order_by("id")
    return tuple(rows.values_list("client_id", flat=True))


class Place(NamedTuple):
    """A conversation that exists, and whether a client is a member of it, or a subscriber."""

    conversation: int
    conversation_id: str
    is_member: bool


def places(*, application: int, client_id: str, conversation_ids: Collection[str], now_ms: int) -> list[Place]:
    """Return those of the conversations that exist and whose time is not over, and which of them a client is in."""
    alive = Conversation.objects.filter(
        Q(expires_ms=None) | Q(expires_ms__gt=now_ms), application=application, object_id__in=conversation_ids
    )
    found = dict(alive.values_list("pk", "object_id"))
    mine = {
        conversation
        for model in (Member, Subscription)
        for conversation in model._default_manager.filter(
            application=application, client_id=client_id, conversation_id__in=found
        ).values_list("conversation_id", flat=True)
    }
    return [Place(pk, object_id, pk in mine) for pk, object_id in found.items()]
