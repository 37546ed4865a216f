"""Editing and recalling: who may change what he has said, and who is told.

    find the conversations → is it enabled? → change, each message judged under the lock → tell the others

What a client asks for at once is done as a whole or not at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from conversations.policy import POLICIES, Kind, Roster, sending_refusal
from conversations.services import directory
from conversations.services.directory import ConversationInfo
from imcore import identifiers, limits
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.errors import (
    ConversationNotFound,
    ConversationRequestInvalid,
    ImError,
    InvalidMessagingTarget,
    MessageEditDisabled,
    MessageNotFound,
    MessageOwnershipRequired,
    MessageRecallDisabled,
)
from messaging.events import Body, Mentions, MessagePatched, UnreadChanged
from messaging.message_types import RECALLED_BODY, message_type
from messaging.models import MessagingSettings
from messaging.services import sending
from messaging.storage import patches
from messaging.storage.patches import Change, Changed, Judge, Subject

MINUTE_MS = 60_000


class Patch(NamedTuple):
    """What is asked for a message: this body and these mentions in place of its own; without a body, to recall it.

    `mentions` None: it goes on to mention whom it does. `may_be_binary`: if the message is binary, the body is not a
    text but the bytes of it.
    """

    conversation_id: str
    message_id: str
    body: Body | None
    mentions: Mentions | None
    may_be_binary: bool = False


async def patch(
    *,
    application: int,
    settings: MessagingSettings,
    client_id: str,
    session: object,
    wanted: Sequence[Patch],
    now_ms: int,
) -> int:
    """Edit and recall messages that a client wrote; tell every session of every member but `session`.

    Returns when the last one was patched, in milliseconds. Recalling a message again changes nothing, tells nobody and
    returns when it was recalled. Members for whom something else is unread afterwards are told so. Raises
    ConversationRequestInvalid, ConversationNotFound, ConversationQuotaExceeded, MessageEditDisabled,
    MessageRecallDisabled, MessageNotFound, MessageOwnershipRequired, MessageTooLong, and what a send of an edited
    message would raise.
    """
    if not 0 < len(wanted) <= limits.PATCH_ITEMS_MAX:
        raise ConversationRequestInvalid(f"A command has 1 to {limits.PATCH_ITEMS_MAX} edits and recalls.")
    found = await find(application, [one.conversation_id for one in wanted], now_ms)
    for one in wanted:
        _check_enabled(settings, is_recall=one.body is None)
    kinds = {conversation.pk: conversation.kind for conversation in found.values()}
    judge = partial(_judge, settings=settings, client_id=client_id, kinds=kinds, now_ms=now_ms)
    return await carry_out(
        application=application, found=found, wanted=wanted, judge=judge, session=session, now_ms=now_ms
    )


async def carry_out(
    *,
    application: int,
    found: Mapping[str, ConversationInfo],
    wanted: Sequence[Patch],
    judge: Judge,
    session: object,
    now_ms: int,
) -> int:
    """Do what is asked for messages of the conversations found, as far as `judge` allows, and tell of it as `patch`."""
    changes = [_change(found[one.conversation_id], one) for one in wanted]
    try:
        changed = await in_database(patches.apply, changes, judge=judge, clock=identifiers.now_ms)
    except ConversationNotFound:
        # It was deleted meanwhile: looking again tells which, and why.
        await find(application, found, now_ms, max_age_seconds=0)
        raise
    for event in _events(found, wanted, changed):
        router.publish(application, event, skip=session)
    for client, unread in changed.unread:
        router.publish(application, UnreadChanged(client, [unread], now_ms))
    return changed.patched[-1].patch_ms


async def find(
    application: int, conversation_ids: Iterable[str], now_ms: int, *, max_age_seconds: float = float("inf")
) -> dict[str, ConversationInfo]:
    """Return conversations by their ids. Raises ConversationNotFound, or what tells that one was deleted."""
    found: dict[str, ConversationInfo] = {}
    for conversation_id in dict.fromkeys(conversation_ids):
        try:
            found[conversation_id] = await directory.find(
                application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=max_age_seconds
            )
        except ConversationNotFound as error:
            raise await sending.explain_missing(application, conversation_id, error) from None
    return found


def _check_enabled(settings: MessagingSettings, *, is_recall: bool) -> None:
    if not (settings.recall_enabled if is_recall else settings.edit_enabled):
        raise _disabled(is_recall)


def _disabled(is_recall: bool, detail: str = "") -> ImError:
    return MessageRecallDisabled(detail) if is_recall else MessageEditDisabled(detail)


def _change(conversation: ConversationInfo, one: Patch) -> Change:
    is_recall = one.body is None
    body = one.body or Body(text=RECALLED_BODY, binary=None)
    text, data = sending.storable(body)
    return Change(
        conversation=conversation.pk,
        message_id=one.message_id,
        is_recall=is_recall,
        body=body,
        text=text,
        data=data,
        message_type=None if body.text is None else message_type(body.text),
        mentions=_storable(Mentions() if is_recall or one.mentions is None else one.mentions),
        may_be_binary=one.may_be_binary,
        keeps_mentions=not is_recall and one.mentions is None,
    )


def _storable(mentions: Mentions) -> Mentions:
    return Mentions(sending.storable_ids(mentions), mentions.everybody)


def _judge(
    change: Change,
    message: Subject | None,
    roster: Roster,
    *,
    settings: MessagingSettings,
    client_id: str,
    kinds: Mapping[int, Kind],
    now_ms: int,
) -> None:
    """Raise what forbids a change, as things stand while nobody else can change them."""
    if message is None:
        raise MessageNotFound
    if message.sender != client_id:
        raise MessageOwnershipRequired
    minutes = settings.patch_window_minutes
    if minutes and now_ms - message.timestamp_ms > minutes * MINUTE_MS:
        raise _disabled(change.is_recall, f"The message is older than {minutes} minutes.")
    kind = kinds[change.conversation]
    if change.is_recall:
        # Who was silenced may still take back what he said; but what is said among members is theirs alone.
        if POLICIES[kind].keeps_members and client_id not in roster.members:
            raise InvalidMessagingTarget("Only members can recall messages of this conversation.")
        return
    error = sending_refusal(kind, client_id, roster, now_ms)
    if error is not None:
        raise error("An edit needs the right to send.")
    if message.is_recalled:
        raise MessageNotFound("The message was recalled.")
    sending.check_size(settings, change.body, "", change.mentions)


def _events(found: Mapping[str, ConversationInfo], wanted: Sequence[Patch], changed: Changed) -> list[MessagePatched]:
    events = []
    for one, patched in zip(wanted, changed.patched, strict=True):
        if not patched.is_new:
            continue
        change = patched.change
        conversation = directory.with_roster(found[one.conversation_id], changed.rosters[change.conversation])
        events.append(
            MessagePatched(
                conversation=conversation.pk,
                conversation_id=conversation.object_id,
                kind=conversation.kind,
                message_id=change.message_id,
                seq=patched.message.seq,
                timestamp_ms=patched.message.timestamp_ms,
                sender=patched.message.sender,
                body=change.body,
                mentions=change.mentions,
                is_recalled=change.is_recall,
                patch_ms=patched.patch_ms,
                to=sending.audience(conversation),
            )
        )
    return events
