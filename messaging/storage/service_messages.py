"""Messages from system conversations to clients: storing, changing and deleting them (docs/adr/0017).

Whoever writes one holds its conversation's row, as those who store messages do, so times strictly increase and whoever
sees a time sees all before it. Whoever gives out a number holds the application's row of use, behind that.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Max, Q, QuerySet

from conversations.storage import marks, positions
from conversations.storage.naming import log_id
from imcore.errors import ConversationNotFound, MessageNotFound
from messaging.events import Body
from messaging.models import Audience, ServiceMessage, ServiceUse, WithheldMessage
from messaging.storage.service_marks import Move, move


class ServiceDraft(NamedTuple):
    """What a system conversation is to say: to these clients, or with none of them, to an audience.

    `text` and `data` are the columns of its body. `valid_till_ms`: of a message to everybody only.
    """

    message_id: str
    application: int
    conversation: int
    conversation_id: str
    audience: Audience
    client_ids: tuple[str, ...]
    sender: str
    text: str | None
    data: bytes | None
    is_binary: bool
    message_type: int | None
    valid_till_ms: int | None


class Subject(NamedTuple):
    """A message as far as changes are concerned; one to several clients is several of these."""

    pk: int
    audience: Audience
    client_id: str
    timestamp_ms: int
    sender: str
    is_recalled: bool
    patch_ms: int | None


class Change(NamedTuple):
    """What is to become of a message: `text` and `data` are the columns of `body`.

    Of those to clients, the ones to `client_ids`; without them, the one to subscribers or to everybody.
    """

    conversation: int
    message_id: str
    client_ids: tuple[str, ...]
    is_recall: bool
    body: Body
    text: str | None
    data: bytes | None
    message_type: int | None


class Changed(NamedTuple):
    """A message after a change, at `patch_ms`; not `is_new` if it had been recalled before."""

    audience: Audience
    timestamp_ms: int
    patch_ms: int
    is_new: bool


# The service's rule: it raises what forbids to change a message.
Judge = Callable[[Subject], None]


@transaction.atomic
def store(draft: ServiceDraft, *, now_ms: int) -> int:
    """Store a message and return its time. Raises ConversationNotFound."""
    reached = positions.advance(messages={draft.conversation: {draft.sender: 1}}, now_ms=now_ms)
    if draft.conversation not in reached:
        raise ConversationNotFound
    at_ms = reached[draft.conversation].last_message_ms
    _note_use(draft.application, now_ms)
    number = _next_number(draft.application) if draft.audience is Audience.EVERYBODY else None
    ServiceMessage.objects.bulk_create(
        ServiceMessage(
            application_id=draft.application,
            conversation_id=draft.conversation,
            audience=draft.audience,
            client_id=client_id,
            message_id=draft.message_id,
            timestamp_ms=at_ms,
            sender=draft.sender,
            text=draft.text,
            data=draft.data,
            is_binary=draft.is_binary,
            message_type=draft.message_type,
            number=number,
            valid_till_ms=draft.valid_till_ms,
        )
        for client_id in draft.client_ids or ("",)
    )
    _mark(draft)
    return at_ms


@transaction.atomic
def change(wanted: Change, *, judge: Judge, now_ms: int) -> Changed:
    """Edit or recall a message, of one to clients all those asked for or none.

    Raises ConversationNotFound, MessageNotFound, and what `judge` raises.
    """
    _lock(wanted.conversation)
    if wanted.client_ids:
        whose = Q(audience=Audience.CLIENT, client_id__in=wanted.client_ids)
    else:
        whose = Q(audience__in=(Audience.SUBSCRIBERS, Audience.EVERYBODY), client_id="")
    rows = _rows(wanted.conversation, wanted.message_id, whose)
    subjects = _subjects(rows)
    if len(subjects) != (len(wanted.client_ids) or 1):
        raise MessageNotFound
    for subject in subjects:
        judge(subject)
    first = subjects[0]
    if wanted.is_recall and all(subject.is_recalled for subject in subjects):
        return Changed(first.audience, first.timestamp_ms, first.patch_ms or now_ms, is_new=False)
    patch_ms = _next_patch_ms(wanted.conversation, subjects, now_ms)
    rows.update(
        text=wanted.text,
        data=wanted.data,
        is_binary=wanted.body.text is None,
        message_type=wanted.message_type,
        is_recalled=wanted.is_recall,
        patch_ms=patch_ms,
    )
    return Changed(first.audience, first.timestamp_ms, patch_ms, is_new=True)


@transaction.atomic
def delete_for(*, conversation: int, client_id: str, message_id: str, judge: Judge, now_ms: int) -> None:
    """Delete a message to a client; one to all subscribers, for that client alone.

    Raises ConversationNotFound, MessageNotFound, and what `judge` raises.
    """
    _lock(conversation)
    whose = Q(audience=Audience.CLIENT, client_id=client_id) | Q(audience=Audience.SUBSCRIBERS, client_id="")
    rows = _rows(conversation, message_id, whose)
    subject = next(iter(_subjects(rows)), None)
    if subject is None:
        raise MessageNotFound
    judge(subject)
    if subject.audience is Audience.CLIENT:
        _bury(rows, _next_patch_ms(conversation, [subject], now_ms))
        return
    _, is_new = WithheldMessage.objects.get_or_create(message_id=subject.pk, client_id=client_id)
    if not is_new:
        raise MessageNotFound
    application = ServiceMessage.objects.values_list("application_id", flat=True).get(pk=subject.pk)
    move([Move(application, client_id, conversation, changed_ms=now_ms)])


@transaction.atomic
def delete_broadcast(*, application: int, message_id: str, now_ms: int) -> None:
    """Delete a message to everybody: who has not had it does not get it. Raises MessageNotFound."""
    to_everybody = _to_everybody(application, message_id)
    conversation = to_everybody.values_list("conversation_id", flat=True).first()
    # Where the service is gone, so is what it said.
    if conversation is None or not marks.lock_conversations(numbers=[conversation]):
        raise MessageNotFound
    rows = to_everybody.filter(is_deleted=False)
    subject = next(iter(_subjects(rows)), None)
    if subject is None:
        raise MessageNotFound
    _bury(rows, _next_patch_ms(conversation, [subject], now_ms))


def is_to_everybody(*, application: int, message_id: str) -> bool:
    """Return whether there is a message to everybody with an id."""
    return _to_everybody(application, message_id).exists()


def is_used(*, application: int) -> bool:
    """Return whether an application has ever spoken through a system conversation."""
    return ServiceUse.objects.filter(application_id=application).exists()


def _note_use(application: int, now_ms: int) -> None:
    if not is_used(application=application):
        ServiceUse.objects.bulk_create(
            [ServiceUse(application_id=application, began_ms=now_ms, last_number=0)], ignore_conflicts=True
        )


def _next_number(application: int) -> int:
    """Return the next number, in the order of commits: nobody else gets one until this transaction ends."""
    rows = ServiceUse.objects.filter(application_id=application)
    rows.update(last_number=F("last_number") + 1)
    return rows.values_list("last_number", flat=True).get()


def _mark(draft: ServiceDraft) -> None:
    """Give those a mark whom a message is addressed to: by it they find the conversation when they log in."""
    move(
        [
            Move(draft.application, client_id, draft.conversation, log_id=log_id(draft.conversation_id, client_id))
            for client_id in draft.client_ids
        ]
    )


def _to_everybody(application: int, message_id: str) -> QuerySet[ServiceMessage]:
    ids = [message_id] if "\0" not in message_id else []
    return ServiceMessage.objects.filter(
        message_id__in=ids, client_id="", application_id=application, audience=Audience.EVERYBODY
    )


def _lock(conversation: int) -> None:
    if not marks.lock_conversations(numbers=[conversation]):
        raise ConversationNotFound


def _rows(conversation: int, message_id: str, whose: Q) -> QuerySet[ServiceMessage]:
    # PostgreSQL's text cannot hold U+0000, so there is no message with such an id to look for.
    ids = [message_id] if "\0" not in message_id else []
    return ServiceMessage.objects.filter(whose, message_id__in=ids, conversation_id=conversation, is_deleted=False)


def _subjects(rows: QuerySet[ServiceMessage]) -> list[Subject]:
    return [
        Subject(
            row.pk,
            Audience(row.audience),
            row.client_id,
            row.timestamp_ms,
            row.sender,
            row.is_recalled,
            row.patch_ms,
        )
        for row in rows.defer("text", "data")
    ]


def _next_patch_ms(conversation: int, subjects: Sequence[Subject], now_ms: int) -> int:
    """Return a time later than all patches to this audience, and not before the message, which has one audience."""
    patched = ServiceMessage.objects.filter(
        conversation_id=conversation,
        audience=subjects[0].audience,
        client_id__in=[subject.client_id for subject in subjects],
        patch_ms__isnull=False,
    )
    newest_ms = patched.aggregate(newest_ms=Max("patch_ms"))["newest_ms"]
    return max(now_ms, (newest_ms or 0) + 1, subjects[0].timestamp_ms)


def _bury(rows: QuerySet[ServiceMessage], patch_ms: int) -> None:
    rows.update(is_deleted=True, text="", data=None, is_binary=False, message_type=None, patch_ms=patch_ms)
