"""THE PIPELINE: from a send to its acknowledgement, top to bottom.

    find the conversation → check the body → may they? → store in a batch → hand the event to delivery → acknowledge
                                                          └ to a system conversation: for the service alone

The acknowledgement is returned after the commit and never waits for delivery.
"""

import hashlib
from asyncio import CancelledError
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import NamedTuple

from django.conf import settings as operator

from conversations.policy import Kind, sending_refusal
from conversations.services import directory
from conversations.services.directory import ConversationInfo
from imcore import identifiers, limits
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.encoding import Priority
from imcore.delivery.presence import room
from imcore.errors import (
    ConversationNotFound,
    ImError,
    InvalidMessagingTarget,
    MessageTooLong,
    SendTimeout,
    StorageUnavailable,
)
from messaging.events import Body, Mentions, MessageSent
from messaging.message_types import message_type
from messaging.models import MessagingSettings
from messaging.storage import messages, upstream
from messaging.storage.messages import Draft, Refused, Stored
from messaging.storage.upstream import UpstreamDraft

# Looking an enum's value up by name is slow.
_SYSTEM, _CHAT_ROOM, _HIGH = Kind.SYSTEM, Kind.CHAT_ROOM, Priority.HIGH
# What is not stored is not checked by the store, so the members it goes to must have been looked up this recently.
TRANSIENT_MAX_AGE_SECONDS = 5.0
# Of messages that may be stored although it was not learned in time; the oldest are forgotten.
UNTOLD_MAX = 1000


class Acknowledgement(NamedTuple):
    """What the sender is told: the message's id, and the server time that is its timestamp."""

    message_id: str
    timestamp_ms: int


_Sent = tuple[Acknowledgement, MessageSent | None]
_Said = tuple[Body, Mentions, bool, Priority]  # body, mentions, whether a receipt is wanted, priority


async def send(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    sender: str,
    session: object,
    body: Body,
    push_data: str,
    mentions: Mentions,
    is_transient: bool,
    priority: Priority,
    wants_receipt: bool,
    deduplication_token: str,
    sender_address: str | None,
    now_ms: int,
    as_application: bool = False,
    syncs_sender: bool = True,
) -> Acknowledgement:
    """Accept a message: store it and pass it on to every session of every member but `session`.

    In a chat room, to everybody there but the sender; to a system conversation, for the service alone. The same sender,
    conversation and deduplication token again get the first acknowledgement, and nobody gets the message twice.
    `priority` counts only for what may be dropped: transient messages and those to chat rooms. `as_application`: the
    application speaks in the sender's name, of whom nothing is asked then; without `syncs_sender`, the sender's
    sessions do not get it. Raises ConversationNotFound, MessageTooLong, InvalidMessagingTarget, Silenced,
    TemporarilySilenced, BlockedByConversation, SendTimeout.
    """
    try:
        conversation = await _find(
            application, conversation_id, now_ms, TRANSIENT_MAX_AGE_SECONDS if is_transient else float("inf")
        )
        if conversation.kind is _SYSTEM:
            # The store of upstream messages does not check the lists either.
            conversation = await _find(application, conversation_id, now_ms, TRANSIENT_MAX_AGE_SECONDS)
        check_size(settings, body, push_data, mentions)
        if not as_application:
            conversation = await _check_sender(conversation, sender, now_ms)
        if conversation.kind is _SYSTEM:
            return await _hand_to_service(
                conversation, sender, body, is_transient, _token(deduplication_token), sender_address
            )
        if is_transient:
            sent = _pass_on(conversation, sender, body, mentions, priority)
        else:
            sent = await _store(
                conversation, sender, body, mentions, priority, wants_receipt, deduplication_token, as_application
            )
    except ConversationNotFound as error:
        raise await explain_missing(application, conversation_id, error) from None
    acknowledgement, event = sent
    if event is not None:
        router.publish(application, event if syncs_sender else replace(event, syncs_sender=False), skip=session)
    return acknowledgement


async def admit(
    *, application: int, conversation_id: str, sender: str, now_ms: int, max_age_seconds: float
) -> ConversationInfo:
    """Return the conversation of what is not stored in it, as it was so long ago at most, if its sender may send there.

    Raises what `send` does for one who may not.
    """
    try:
        conversation = await _find(application, conversation_id, now_ms, max_age_seconds)
        return await _check_sender(conversation, sender, now_ms)
    except ConversationNotFound as error:
        raise await explain_missing(application, conversation_id, error) from None


async def explain_missing(application: int, conversation_id: str, error: ConversationNotFound) -> ImError:
    """Return what a send to no conversation is answered with: another error if there was one, but it was inactive."""
    if await directory.was_deleted(application=application, conversation_id=conversation_id):
        return InvalidMessagingTarget("The conversation was deleted.")
    return error


async def _find(application: int, conversation_id: str, now_ms: int, max_age_seconds: float) -> ConversationInfo:
    return await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=max_age_seconds
    )


def check_size(settings: MessagingSettings, body: Body, push_data: str, mentions: Mentions) -> None:
    """Raise MessageTooLong for more than the application allows of what the sender wrote.

    Mentions are in it, since they are kept and cost a write each.
    """
    size = len(body.binary if body.text is None and body.binary is not None else (body.text or "").encode())
    if push_data or mentions.client_ids:
        size += sum(len(part.encode()) for part in (push_data, *mentions.client_ids))
    if size > settings.message_max_bytes:
        raise MessageTooLong(f"The message has {size} bytes, {settings.message_max_bytes} are allowed.")


async def _check_sender(conversation: ConversationInfo, sender: str, now_ms: int) -> ConversationInfo:
    if sending_refusal(conversation.kind, sender, conversation.roster, now_ms) is None:
        return conversation
    # What is remembered may be old; only the database can refuse.
    fresh = await directory.find(
        application=conversation.application,
        conversation_id=conversation.object_id,
        now_ms=now_ms,
        max_age_seconds=0,
    )
    error = sending_refusal(fresh.kind, sender, fresh.roster, now_ms)
    if error is not None:
        raise _explained(error)
    return fresh


def _explained(error: type[ImError]) -> ImError:
    return error("Only members can send to this conversation." if error is InvalidMessagingTarget else "")


def audience(conversation: ConversationInfo) -> tuple[str, ...]:
    """Return by which names those who hear what is said in a conversation are found."""
    return (room(conversation.pk),) if conversation.kind is _CHAT_ROOM else conversation.members


def _pass_on(conversation: ConversationInfo, sender: str, body: Body, mentions: Mentions, priority: Priority) -> _Sent:
    at_ms = _transient_clock.next_ms()
    message_id = identifiers.message_id(at_ms)
    event = MessageSent(
        conversation=conversation.pk,
        conversation_id=conversation.object_id,
        kind=conversation.kind,
        message_id=message_id,
        seq=None,
        timestamp_ms=at_ms,
        sender=sender,
        body=body,
        mentions=mentions,
        wants_receipt=False,
        priority=priority,
        to=audience(conversation),
        is_transient=True,
    )
    return Acknowledgement(message_id, at_ms), event


async def _store(
    conversation: ConversationInfo,
    sender: str,
    body: Body,
    mentions: Mentions,
    priority: Priority,
    wants_receipt: bool,
    deduplication_token: str,
    as_application: bool,
) -> _Sent:
    text, data = storable(body)
    draft = Draft(
        message_id=identifiers.message_id(identifiers.now_ms()),
        application=conversation.application,
        conversation=conversation.pk,
        kind=conversation.kind,
        members_version=conversation.members_version,
        sender=sender,
        text=text,
        data=data,
        is_binary=body.text is None,
        message_type=None if body.text is None else message_type(body.text),
        mention_ids=storable_ids(mentions),
        mention_all=mentions.everybody,
        wants_receipt=wants_receipt,
        deduplication_token=_token(deduplication_token),
        as_application=as_application,
    )
    try:
        outcome = await _batcher.submit(draft)
    except (SendTimeout, CancelledError):
        _note_untold(draft.message_id, (body, mentions, wants_receipt, priority))
        raise
    if isinstance(outcome, Refused):
        directory.forget(application=conversation.application, conversation_id=conversation.object_id)
        raise _explained(outcome.error)
    if outcome.roster is not None:
        conversation = directory.with_roster(conversation, outcome.roster)
    acknowledgement = Acknowledgement(outcome.message_id, outcome.timestamp_ms)
    if outcome.is_repeat:
        untold = _untold.pop(outcome.message_id, None)
        if untold is None:
            return acknowledgement, None
        body, mentions, wants_receipt, priority = untold
    event = MessageSent(
        conversation=conversation.pk,
        conversation_id=conversation.object_id,
        kind=conversation.kind,
        message_id=outcome.message_id,
        seq=outcome.seq,
        timestamp_ms=outcome.timestamp_ms,
        sender=sender,
        body=body,
        mentions=mentions,
        wants_receipt=wants_receipt,
        priority=priority if conversation.kind is _CHAT_ROOM else _HIGH,
        to=audience(conversation),
        is_transient=False,
        previous_ms=outcome.previous_ms,
    )
    return acknowledgement, event


def is_untold(message_id: str) -> bool:
    """Return whether this message's sender is here, and was told to send it again: it knows it by the acknowledgement.

    What is published of the resend is dropped wherever the message was passed on by then (imcore/delivery/ordering.py).
    """
    return message_id in _untold


def _note_untold(message_id: str, said: _Said) -> None:
    """Remember a message whose sender is told to send it again: if it is stored by then, nobody has heard of it yet."""
    if len(_untold) >= UNTOLD_MAX:
        del _untold[next(iter(_untold))]
    _untold[message_id] = said


async def _hand_to_service(
    conversation: ConversationInfo,
    sender: str,
    body: Body,
    is_transient: bool,
    token: str | None,
    sender_address: str | None,
) -> Acknowledgement:
    """Keep an upstream message where the service finds it; a transient one is only acknowledged (hooks-and-push 3)."""
    at_ms = _transient_clock.next_ms()
    message_id = identifiers.message_id(at_ms)
    if is_transient:
        return Acknowledgement(message_id, at_ms)
    text, data = storable(body)
    draft = UpstreamDraft(
        message_id=message_id,
        application=conversation.application,
        conversation=conversation.pk,
        timestamp_ms=at_ms,
        sender=sender,
        sender_address=_address(sender_address),
        text=text,
        data=data,
        is_binary=body.text is None,
        message_type=None if body.text is None else message_type(body.text),
        deduplication_token=token,
    )
    return Acknowledgement(*await _upstream.submit(draft))


def storable(body: Body) -> tuple[str | None, bytes | None]:
    """Return the columns of a body: text, or bytes, as which a text with U+0000 goes, too: PostgreSQL has none such."""
    if body.text is None:
        return None, body.binary
    return (None, body.text.encode()) if "\0" in body.text else (body.text, None)


def storable_ids(mentions: Mentions) -> tuple[str, ...]:
    """Return whom a message addresses of those who can exist: an id with a NUL is nobody's, and cannot be kept."""
    return tuple(client_id for client_id in mentions.client_ids if "\0" not in client_id)


def _address(text: str | None) -> str | None:
    """Return an address as PostgreSQL takes it: without the zone of a link-local one; None for what is no address.

    It is what a proxy says it is.
    """
    try:
        return str(ip_address((text or "").partition("%")[0]))
    except ValueError:
        return None


def _token(text: str) -> str | None:
    if not text:
        return None
    if len(text) <= limits.DEDUPLICATION_TOKEN_MAX_CHARACTERS and "\0" not in text:
        return text
    return hashlib.sha256(text.encode()).hexdigest()


async def _store_batch(drafts: Sequence[Draft]) -> list[Stored | Refused]:
    try:
        return await in_database(messages.store, drafts, now_ms=identifiers.now_ms())
    except StorageUnavailable as error:
        # Whether the commit went through is unknown; a resend with the same token finds out.
        raise SendTimeout("The message could not be stored; send it again.") from error


async def _store_upstream(drafts: Sequence[UpstreamDraft]) -> list[tuple[str, int]]:
    try:
        return await in_database(upstream.store, drafts)
    except StorageUnavailable as error:
        raise SendTimeout("The message could not be stored; send it again.") from error


_transient_clock = identifiers.RisingClock()
_untold: dict[str, _Said] = {}  # by message id
_upstream: Batcher[UpstreamDraft, tuple[str, int]] = Batcher(
    _store_upstream, size=operator.STORE_BATCH, backlog=operator.STORE_BACKLOG, name="upstream store"
)
_batcher: Batcher[Draft, Stored | Refused] = Batcher(
    _store_batch, size=operator.STORE_BATCH, backlog=operator.STORE_BACKLOG, name="message store"
)
