"""Roles, silences and blocks: the lists beside the members."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from django.db import transaction

from conversations.models import Block, Conversation, MemberInfo, Silence, Subscription
from conversations.policy import Kind, Role, Roster
from conversations.storage import seats
from conversations.storage.changes import Change, Judge, changed, lock, next_update_ms, unchanged
from conversations.storage.conversations import ConversationInfo
from conversations.storage.kept_notices import EVERYBODY, Kept, concerning, keep, leaving
from conversations.storage.members import without
from imcore.identifiers import iso_date, object_id


class Page(NamedTuple):
    """A page of a list, and where the next one begins; None if this is the last."""

    names: list[str]
    next_after: int | None


@transaction.atomic
def silence(*, conversation: int, judge: Judge, by: str, until_ms: int | None, now_ms: int) -> Change:
    """Silence those the judge allows, until `until_ms` or for good. Who is silenced for good stays so."""
    row, roster = lock(conversation)
    roster = _without_ended(row, roster, now_ms)
    verdict = judge(roster)
    new = tuple(one for one in verdict.allowed if roster.silenced.get(one, 0) is not None)
    if not new:
        return Change((), verdict, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    Silence.objects.bulk_create(
        (
            Silence(
                conversation=row,
                application_id=row.application_id,
                client_id=client_id,
                until_ms=until_ms,
                created_ms=at_ms,
            )
            for client_id in new
        ),
        update_conflicts=True,
        unique_fields=["conversation", "client_id"],
        update_fields=["until_ms"],
    )
    if until_ms is None:
        keep(row, at_ms, concerning(new, "shutuped", by, at_ms))
    silenced = {**roster.silenced, **dict.fromkeys(new, until_ms)}
    return Change(new, verdict, changed(row, roster._replace(silenced=silenced), at_ms, has_silenced=True))


@transaction.atomic
def unsilence(*, conversation: int, judge: Judge, by: str, now_ms: int) -> Change:
    """Let those the judge allows who are silenced speak again."""
    row, roster = lock(conversation)
    verdict = judge(roster)
    lifted = tuple(one for one in verdict.allowed if one in roster.silenced)
    if not lifted:
        return Change((), verdict, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    keep(row, at_ms, concerning(lifted, "unshutuped", by, at_ms))
    roster = _without_silences(row, roster, lifted)
    return Change(lifted, verdict, changed(row, roster, at_ms, has_silenced=bool(roster.silenced)))


@transaction.atomic
def end_silence(*, conversation: int, judge: Judge, by: str, now_ms: int) -> Change:
    """Let those the judge allows who are silenced for a time speak again. Nobody is told; `by` is nobody's business."""
    row, roster = lock(conversation)
    verdict = judge(roster)
    ended = tuple(one for one in verdict.allowed if roster.silenced.get(one) is not None)
    if not ended:
        return Change((), verdict, unchanged(row, roster))
    roster = _without_silences(row, roster, ended)
    at_ms = next_update_ms(row, now_ms)
    return Change(ended, verdict, changed(row, roster, at_ms, has_silenced=bool(roster.silenced)))


@transaction.atomic
def block(*, conversation: int, judge: Judge, by: str, now_ms: int) -> Change:
    """Block those the judge allows who are not blocked yet, and take them out of the conversation."""
    row, roster = lock(conversation)
    verdict = judge(roster)
    new = tuple(one for one in verdict.allowed if one not in roster.blocked)
    if not new:
        return Change((), verdict, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    Block.objects.bulk_create(
        Block(conversation=row, application_id=row.application_id, client_id=client_id, created_ms=at_ms)
        for client_id in new
    )
    members = set(roster.members)
    removed = tuple(one for one in new if one in members)
    seats.take_from(conversation=row.pk, client_ids=new)
    if row.kind == Kind.SYSTEM:
        Subscription.objects.filter(conversation=row, client_id__in=new).delete()
    keep(row, at_ms, concerning(new, "blocked", by, at_ms))
    if removed:
        keep(row, at_ms, leaving(removed, by, at_ms))
    Conversation.objects.filter(pk=row.pk).update(has_blocked=True)
    roster = roster._replace(blocked=roster.blocked.union(new))
    after = without(row, roster, removed, at_ms) if removed else changed(row, roster, at_ms)
    return Change(new, verdict, after, removed)


@transaction.atomic
def unblock(*, conversation: int, judge: Judge, by: str, now_ms: int) -> Change:
    """Take those the judge allows off the block list. They do not become members again."""
    row, roster = lock(conversation)
    verdict = judge(roster)
    lifted = tuple(one for one in verdict.allowed if one in roster.blocked)
    if not lifted:
        return Change((), verdict, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    Block.objects.filter(conversation=row, client_id__in=lifted, is_by_client=False).delete()
    keep(row, at_ms, concerning(lifted, "unblocked", by, at_ms))
    left = roster.blocked.difference(lifted)
    has_blocked = bool(left or roster.refusing)
    return Change(lifted, verdict, changed(row, roster._replace(blocked=left), at_ms, has_blocked=has_blocked))


class RoleChange(NamedTuple):
    """A member's record as it is now, and the conversation; `is_new`: its role was another before."""

    record: MemberInfo
    is_new: bool
    conversation: ConversationInfo


@transaction.atomic
def change_role(
    *, conversation: int, client_id: str, role: Role, check: Callable[[Roster], None], by: str, now_ms: int
) -> RoleChange:
    """Give a member a role. `check` raises what forbids it. The first role of a conversation pins its owner."""
    row, roster = lock(conversation)
    check(roster)
    at_ms = next_update_ms(row, now_ms)
    record = MemberInfo.objects.filter(conversation=row, client_id=client_id).first()
    if record is not None and record.role == role:
        return RoleChange(record, False, unchanged(row, roster))
    if record is None:
        record = MemberInfo(
            conversation=row,
            application_id=row.application_id,
            info_id=object_id(at_ms),
            client_id=client_id,
            created_ms=at_ms,
        )
    record.role = role
    record.updated_ms = at_ms
    record.save()
    return RoleChange(record, True, _with_role(row, roster, client_id, role, by, at_ms))


@transaction.atomic
def delete_role(*, conversation: int, info_id: str, by: str, now_ms: int) -> RoleChange | None:
    """Delete a record, which makes its client a Member; return what it was, or None if there is none."""
    row, roster = lock(conversation)
    record = MemberInfo.objects.filter(conversation=row, info_id=info_id).first()
    if record is None:
        return None
    MemberInfo.objects.filter(pk=record.pk).delete()
    if record.role == Role.MEMBER:
        return RoleChange(record, False, unchanged(row, roster))
    at_ms = next_update_ms(row, now_ms)
    return RoleChange(record, True, _with_role(row, roster, record.client_id, Role.MEMBER, by, at_ms))


def list_silenced(*, conversation: int, after: int, limit: int) -> Page:
    """Return a page of the clients who are silenced for good, in the order they were."""
    rows = Silence.objects.filter(conversation=conversation, until_ms=None, id__gt=after)
    return _page(rows.order_by("id").values_list("id", "client_id")[: limit + 1], limit)


def list_blocked(*, conversation: int, after: int, limit: int) -> Page:
    """Return a page of the clients whom a conversation has blocked, in the order they were."""
    rows = Block.objects.filter(conversation=conversation, is_by_client=False, id__gt=after)
    return _page(rows.order_by("id").values_list("id", "client_id")[: limit + 1], limit)


@transaction.atomic
def refuse(*, conversation: int, client_id: str, limit: int, now_ms: int) -> bool:
    """Note that a client does not want to be pulled into a conversation; False if it refuses `limit` already."""
    row, roster = lock(conversation)
    if client_id in roster.refusing:
        return True
    mine = Block.objects.filter(application=row.application_id, client_id=client_id, is_by_client=True)
    if mine.count() >= limit:
        return False
    Block.objects.create(
        conversation=row,
        application_id=row.application_id,
        client_id=client_id,
        is_by_client=True,
        created_ms=now_ms,
    )
    Conversation.objects.filter(pk=row.pk).update(has_blocked=True)
    return True


@transaction.atomic
def accept(*, conversation: int, client_id: str) -> None:
    """Note that a client may be pulled into a conversation again."""
    row, roster = lock(conversation)
    Block.objects.filter(conversation=row, client_id=client_id, is_by_client=True).delete()
    has_blocked = bool(roster.blocked or roster.refusing - {client_id})
    Conversation.objects.filter(pk=row.pk).update(has_blocked=has_blocked)


def list_refused(*, application: int, client_id: str, after: int, limit: int) -> Page:
    """Return a page of the ids of conversations a client does not want to be pulled into."""
    rows = Block.objects.filter(application=application, client_id=client_id, is_by_client=True, id__gt=after)
    return _page(rows.order_by("id").values_list("id", "conversation__object_id")[: limit + 1], limit)


def member_infos(
    *, conversation: int, client_ids: Sequence[str] | None = None, role: Role | None = None, limit: int, skip: int
) -> list[MemberInfo]:
    """Return role records of a conversation, oldest first; of some clients, or of one role only, if these are given."""
    rows = MemberInfo.objects.filter(conversation=conversation)
    if client_ids is not None:
        rows = rows.filter(client_id__in=client_ids)
    if role is not None:
        rows = rows.filter(role=role)
    return list(rows.order_by("id")[skip : skip + limit])


def client_of_record(*, conversation: int, info_id: str) -> str | None:
    """Return whose role a record of a conversation is; None if there is none."""
    rows = MemberInfo.objects.filter(conversation=conversation, info_id=info_id)
    return rows.values_list("client_id", flat=True).first()


def _without_ended(row: Conversation, roster: Roster, now_ms: int) -> Roster:
    """Take silences out whose time is over, so that they do not gather."""
    ended = [one for one, until_ms in roster.silenced.items() if until_ms is not None and until_ms <= now_ms]
    return _without_silences(row, roster, ended) if ended else roster


def _without_silences(row: Conversation, roster: Roster, client_ids: Sequence[str]) -> Roster:
    Silence.objects.filter(conversation=row, client_id__in=client_ids).delete()
    gone = set(client_ids)
    return roster._replace(silenced={one: until for one, until in roster.silenced.items() if one not in gone})


def _with_role(row: Conversation, roster: Roster, client_id: str, role: Role, by: str, at_ms: int) -> ConversationInfo:
    """Write down that a member has another role now, and keep the notice of it."""
    fields = {"initBy": by, "udate": iso_date(at_ms), "info": {"pid": client_id, "role": role.value}}
    keep(row, at_ms, [Kept(EVERYBODY, "member_info_changed", fields)])
    managers = roster.managers - {client_id} | ({client_id} if role is Role.MANAGER else set())
    return changed(row, roster._replace(managers=managers, has_roles=True), at_ms, has_roles=True)


def _page(rows: Iterable[tuple[int, str]], limit: int) -> Page:
    found = list(rows)
    names = [client_id for _, client_id in found[:limit]]
    return Page(names, found[limit - 1][0] if len(found) > limit else None)
