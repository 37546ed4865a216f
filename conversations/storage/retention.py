"""Conversations whose time is over: finding them, deleting them, and remembering what is left of them.

Their messages are another app's and may be many. So a deleted conversation leaves its number behind, in the
transaction that deletes it, and whoever has the messages deletes them afterwards, bit by bit, however often it is
interrupted (`with_messages`, `emptied`). Nobody can add to them meanwhile: a store finds no conversation.
"""

from collections.abc import Collection
from typing import NamedTuple

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from conversations.models import Conversation, DeletedConversation
from conversations.policy import Kind
from conversations.storage.queries import matches
from conversations.storage.where import Where
from imcore import limits
from imcore.objects import ConditionUnmet


class Aged(NamedTuple):
    """A conversation as retention sees it."""

    number: int
    object_id: str
    has_messages: bool
    is_over: bool


def page(*, application: int, after: str, inactive_since_ms: int | None, now_ms: int, limit: int) -> list[Aged]:
    """Return an application's conversations in the order of their ids, those behind `after`."""
    rows = (
        Conversation.objects.filter(application_id=application, object_id__gt=after)
        .annotate(is_over=ExpressionWrapper(_over(inactive_since_ms, now_ms), output_field=BooleanField()))
        .order_by("object_id")
    )
    columns = rows.values_list("pk", "object_id", "last_seq", "is_over")[:limit]
    return [Aged(pk, object_id, last_seq > 0, bool(is_over)) for pk, object_id, last_seq, is_over in columns]


def expired(*, now_ms: int, limit: int) -> list[int]:
    """Return up to `limit` temporary conversations whose time is over, of all applications."""
    rows = Conversation.objects.filter(expires_ms__lte=now_ms).order_by("expires_ms")
    return list(rows.values_list("pk", flat=True)[:limit])


@transaction.atomic
def delete(*, numbers: Collection[int], inactive_since_ms: int | None, now_ms: int) -> list[int]:
    """Delete those conversations whose time is over at this moment, and return which they were.

    Looked at again under the lock: one that is sent to before stays, and a send that comes later finds none.
    """
    return _delete(Conversation.objects.filter(_over(inactive_since_ms, now_ms), pk__in=numbers), now_ms)


@transaction.atomic
def delete_now(*, conversation: int, now_ms: int) -> bool:
    """Delete a conversation though its time is not over; return whether it was there still."""
    return bool(_delete(Conversation.objects.filter(pk=conversation), now_ms))


@transaction.atomic
def delete_by_id(*, application: int, object_ids: Collection[str], where: Where, now_ms: int) -> list[str]:
    """Delete conversations though their time is not over; return those that there were.

    Raises ConditionUnmet, and deletes none, unless `where` holds of all of them.
    """
    rows = Conversation.objects.filter(application=application, object_id__in=object_ids).exclude(kind=Kind.TEMPORARY)
    found = list(rows.select_for_update().order_by("pk"))
    if not where.is_empty and not (found and all(matches(row, where) for row in found)):
        raise ConditionUnmet
    _delete(rows, now_ms)
    return [row.object_id for row in found]


def _delete(conversations: QuerySet[Conversation], now_ms: int) -> list[int]:
    rows = list(conversations.select_for_update().order_by("pk").values_list("pk", "application_id", "object_id"))
    DeletedConversation.objects.bulk_create(
        (
            DeletedConversation(application_id=application, object_id=object_id, deleted_ms=now_ms, number=pk)
            for pk, application, object_id in rows
        ),
        update_conflicts=True,
        unique_fields=["application", "object_id"],
        update_fields=["deleted_ms", "number"],
    )
    deleted = [pk for pk, _, _ in rows]
    # Django reads what it deletes with its dependants; their attributes, which may be large, it need not.
    Conversation.objects.filter(pk__in=deleted).only("pk").delete()
    return deleted


def with_messages(*, application: int | None, after: int, limit: int) -> list[int]:
    """Return the numbers of deleted conversations whose messages may still be there, those above `after`."""
    rows = DeletedConversation.objects.filter(number__gt=after)
    if application is not None:
        rows = rows.filter(application_id=application)
    return [number for number in rows.order_by("number").values_list("number", flat=True)[:limit] if number is not None]


@transaction.atomic
def emptied(*, numbers: Collection[int]) -> None:
    """Note that deleted conversations have no messages any more. Of temporary ones nothing is left."""
    rows = DeletedConversation.objects.filter(number__in=numbers)
    rows.filter(object_id__startswith=limits.TEMPORARY_ID_PREFIX).delete()
    rows.update(number=None)


def was_deleted(*, application: int, object_id: str) -> bool:
    """Return whether an id was a conversation's."""
    return DeletedConversation.objects.filter(application_id=application, object_id=object_id).exists()


def _over(inactive_since_ms: int | None, now_ms: int) -> Q:
    over = Q(expires_ms__lte=now_ms)
    if inactive_since_ms is None:
        return over
    silent = Q(last_message_ms=None) | Q(last_message_ms__lt=inactive_since_ms)
    return over | (Q(kind=Kind.NORMAL, updated_ms__lt=inactive_since_ms) & silent)
