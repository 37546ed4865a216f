"""Changing who is in a conversation. Every change locks the conversation's row and raises its `members_version`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction
from django.db.models import F

from conversations.models import Conversation, Member
from conversations.storage.conversations import ConversationInfo, unique_id, unique_key


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """What a change did: the clients it concerned, those for whom there was no room, and the conversation after it."""

    changed: tuple[str, ...]
    refused: tuple[str, ...]
    conversation: ConversationInfo


def add(
    *, conversation: ConversationInfo, client_ids: Sequence[str], members_max: int, all_or_nothing: bool, now_ms: int
) -> MembershipChange | None:
    """Add clients that are not members yet, as far as there is room; None if the conversation is gone.

    With `all_or_nothing`, too little room for all adds none.
    """
    with transaction.atomic():
        row = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
        if row is None:
            return None
        before = _members(row)
        new = [client_id for client_id in client_ids if client_id not in set(before)]
        room = max(0, members_max - len(before))
        added, refused = new[:room], new[room:]
        if all_or_nothing and refused:
            added = []
        Member.objects.bulk_create(
            Member(
                conversation=row,
                application_id=row.application_id,
                client_id=client_id,
                joined_ms=now_ms,
                # What was said before one joined is history, not unread.
                read_seq=row.last_seq,
                ack_seq=row.last_seq,
            )
            for client_id in added
        )
        return _changed(row, conversation, tuple(added), tuple(refused), (*before, *added), now_ms)


def remove(*, conversation: ConversationInfo, client_ids: Sequence[str], now_ms: int) -> MembershipChange | None:
    """Remove those of the clients that are members; None if the conversation is gone."""
    with transaction.atomic():
        row = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
        if row is None:
            return None
        before = _members(row)
        leaving = set(client_ids) & set(before)
        removed = tuple(client_id for client_id in client_ids if client_id in leaving)
        Member.objects.filter(conversation=row, client_id__in=removed).delete()
        after = tuple(client_id for client_id in before if client_id not in leaving)
        return _changed(row, conversation, removed, (), after, now_ms)


def _members(row: Conversation) -> tuple[str, ...]:
    return tuple(Member.objects.filter(conversation=row).order_by("id").values_list("client_id", flat=True))


def _changed(
    row: Conversation,
    conversation: ConversationInfo,
    changed: tuple[str, ...],
    refused: tuple[str, ...],
    after: tuple[str, ...],
    now_ms: int,
) -> MembershipChange:
    if not changed:
        unchanged = replace(conversation, members=after, members_version=row.members_version, updated_ms=row.updated_ms)
        return MembershipChange((), refused, unchanged)
    # Never backwards: clients apply a change only if its date is not older than theirs (realtime-protocol 4.3.1).
    updated_ms = max(now_ms, row.updated_ms + 1)
    Conversation.objects.filter(pk=row.pk).update(
        member_count=len(after), members_version=F("members_version") + 1, updated_ms=updated_ms
    )
    new_unique_id = row.unique_id
    if row.is_unique:
        new_unique_id = unique_id(after)
        _move_unique(row, after, new_unique_id)
    return MembershipChange(
        changed,
        refused,
        replace(
            conversation,
            members=after,
            members_version=row.members_version + 1,
            updated_ms=updated_ms,
            unique_id=new_unique_id,
        ),
    )


def _move_unique(row: Conversation, members: Sequence[str], new_unique_id: str) -> None:
    """Make the conversation the unique one of its new member set, unless another one is that already."""
    mine = Conversation.objects.filter(pk=row.pk)
    try:
        with transaction.atomic():
            mine.update(unique_id=new_unique_id, unique_key=unique_key(members))
    except IntegrityError:
        mine.update(unique_id=new_unique_id, unique_key=None)
