"""What system conversations say: to some clients, to their subscribers, to everybody (realtime-protocol 4.14).

    find the conversation → check → store one row → hand the event to delivery

Whoever speaks is the application, so nothing is asked of the `sender` it names. Who is away finds what was stored when
it comes back: no row is written for it (docs/adr/0017).
"""

from collections.abc import Sequence

from conversations.policy import Kind
from conversations.services import directory, subscriptions
from conversations.services.directory import ConversationInfo
from imcore import identifiers, limits
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.encoding import EVERYBODY, Priority
from imcore.errors import (
    ConversationNotFound,
    ConversationRequestInvalid,
    InvalidMessagingTarget,
)
from messaging.events import Body, Mentions, ServiceSpoke
from messaging.message_types import message_type
from messaging.models import Audience, MessagingSettings
from messaging.services.sending import TRANSIENT_MAX_AGE_SECONDS, Acknowledgement, check_size, storable
from messaging.storage import service_history, service_messages
from messaging.storage.service_history import Broadcast
from messaging.storage.service_messages import ServiceDraft

__all__ = [
    "Broadcast",
    "check_receivers",
    "delete_broadcast",
    "find_system",
    "send_to_clients",
    "send_to_everybody",
    "send_to_subscribers",
    "valid_broadcasts",
]

_transient_clock = identifiers.RisingClock()


async def send_to_clients(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    sender: str,
    client_ids: Sequence[str],
    body: Body,
    is_transient: bool,
    syncs_sender: bool,
    priority: Priority,
    now_ms: int,
) -> Acknowledgement:
    """Say something to 1 to 20 clients, subscribed or not (rest-api 8.7).

    The sender's own devices hear it, too, if `syncs_sender`. `priority` counts only for what is transient. Raises
    InvalidMessagingTarget, SystemConversationRequired, ConversationRequestInvalid, MessageTooLong.
    """
    conversation = await _find_speaker(application, conversation_id, now_ms, is_transient)
    receivers = check_receivers(client_ids)
    _check(settings, sender, body)
    to = tuple(dict.fromkeys((*receivers, sender))) if syncs_sender else receivers
    spoken = await _speak(conversation, sender, body, Audience.CLIENT, receivers, None, is_transient, now_ms)
    return _publish(conversation, sender, body, spoken, is_transient, priority, to, "")


async def send_to_subscribers(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    sender: str,
    body: Body,
    is_transient: bool,
    now_ms: int,
) -> Acknowledgement:
    """Say something to all who follow a system conversation (rest-api 8.11).

    Raises InvalidMessagingTarget, SystemConversationRequired, ConversationRequestInvalid, MessageTooLong.
    """
    conversation = await _find_speaker(application, conversation_id, now_ms, is_transient)
    _check(settings, sender, body)
    spoken = await _speak(conversation, sender, body, Audience.SUBSCRIBERS, (), None, is_transient, now_ms)
    spread = subscriptions.followers(conversation=conversation.pk)
    return _publish(conversation, sender, body, spoken, is_transient, Priority.HIGH, (EVERYBODY,), spread)


async def send_to_everybody(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    sender: str,
    body: Body,
    valid_till_ms: int | None,
    is_transient: bool,
    now_ms: int,
) -> Acknowledgement:
    """Say something to every client of the application (rest-api 8.14).

    Those who are away get it when they log in until `valid_till_ms`: a month from now, if it is later or None; nobody,
    if it is over. Raises InvalidMessagingTarget, SystemConversationRequired, ConversationRequestInvalid,
    MessageTooLong.
    """
    conversation = await _find_speaker(application, conversation_id, now_ms, is_transient)
    _check(settings, sender, body)
    month_ms = now_ms + limits.BROADCAST_VALID_DAYS * identifiers.DAY_MS
    # Not below 0: it is compared with times, and any number that is over is as good.
    until_ms = month_ms if valid_till_ms is None else max(0, min(valid_till_ms, month_ms))
    spoken = await _speak(conversation, sender, body, Audience.EVERYBODY, (), until_ms, is_transient, now_ms)
    return _publish(conversation, sender, body, spoken, is_transient, Priority.HIGH, (EVERYBODY,), EVERYBODY)


async def delete_broadcast(*, application: int, message_id: str, now_ms: int) -> None:
    """Delete what was said to everybody: who has not had it does not get it. Nobody is told. Raises MessageNotFound."""
    await in_database(service_messages.delete_broadcast, application=application, message_id=message_id, now_ms=now_ms)


async def valid_broadcasts(
    *, application: int, conversation_id: str, limit: int, skip: int, now_ms: int
) -> list[Broadcast]:
    """Return what a system conversation said to everybody and who logs in still gets, newest first (rest-api 8.14).

    Raises InvalidMessagingTarget, SystemConversationRequired.
    """
    conversation = await find_system(application, conversation_id, now_ms)
    return await in_database(
        service_history.broadcasts, conversation=conversation.pk, limit=limit, skip=skip, now_ms=now_ms
    )


async def find_system(
    application: int, conversation_id: str, now_ms: int, *, max_age_seconds: float = 0
) -> ConversationInfo:
    """Return a system conversation, remembered at most `max_age_seconds` ago; 0 asks the database.

    Raises InvalidMessagingTarget if there is none, or SystemConversationRequired.
    """
    try:
        conversation = await directory.find(
            application=application,
            conversation_id=conversation_id,
            now_ms=now_ms,
            max_age_seconds=max_age_seconds,
        )
    except ConversationNotFound as error:
        raise InvalidMessagingTarget("No such conversation.") from error
    directory.check_kind(conversation, Kind.SYSTEM)
    return conversation


def check_receivers(client_ids: Sequence[str]) -> tuple[str, ...]:
    """Return 1 to 20 distinct clients. Raises ConversationRequestInvalid."""
    if not 0 < len(client_ids) <= limits.SERVICE_RECEIVERS_MAX:
        raise ConversationRequestInvalid(f"A message is for 1 to {limits.SERVICE_RECEIVERS_MAX} clients.")
    for client_id in client_ids:
        _check_client_id(client_id)
    return tuple(dict.fromkeys(client_ids))


def _check_client_id(client_id: str) -> None:
    if not 0 < len(client_id) <= limits.CLIENT_ID_MAX_CHARACTERS or "\0" in client_id:
        raise ConversationRequestInvalid(f"A client id has 1 to {limits.CLIENT_ID_MAX_CHARACTERS} characters.")


async def _find_speaker(application: int, conversation_id: str, now_ms: int, is_transient: bool) -> ConversationInfo:
    """Return the system conversation that is to say something. What is stored finds out itself if it is gone."""
    max_age_seconds = TRANSIENT_MAX_AGE_SECONDS if is_transient else float("inf")
    return await find_system(application, conversation_id, now_ms, max_age_seconds=max_age_seconds)


def _check(settings: MessagingSettings, sender: str, body: Body) -> None:
    _check_client_id(sender)
    check_size(settings, body, "", Mentions())


async def _speak(
    conversation: ConversationInfo,
    sender: str,
    body: Body,
    audience: Audience,
    client_ids: tuple[str, ...],
    valid_till_ms: int | None,
    is_transient: bool,
    now_ms: int,
) -> Acknowledgement:
    """Store a message, unless it is transient; return its id and time."""
    if is_transient:
        at_ms = _transient_clock.next_ms()
        return Acknowledgement(identifiers.message_id(at_ms), at_ms)
    text, data = storable(body)
    draft = ServiceDraft(
        message_id=identifiers.message_id(now_ms),
        application=conversation.application,
        conversation=conversation.pk,
        conversation_id=conversation.object_id,
        audience=audience,
        client_ids=client_ids,
        sender=sender,
        text=text,
        data=data,
        is_binary=body.text is None,
        message_type=None if body.text is None else message_type(body.text),
        valid_till_ms=valid_till_ms,
    )
    try:
        at_ms = await in_database(service_messages.store, draft, now_ms=now_ms)
    except ConversationNotFound as error:
        directory.forget(application=conversation.application, conversation_id=conversation.object_id)
        raise InvalidMessagingTarget("No such conversation.") from error
    return Acknowledgement(draft.message_id, at_ms)


def _publish(
    conversation: ConversationInfo,
    sender: str,
    body: Body,
    spoken: Acknowledgement,
    is_transient: bool,
    priority: Priority,
    to: tuple[str, ...],
    spread: str,
) -> Acknowledgement:
    """Hand what was said to delivery, and return what its sender is told."""
    event = ServiceSpoke(
        conversation=conversation.pk,
        conversation_id=conversation.object_id,
        message_id=spoken.message_id,
        timestamp_ms=spoken.timestamp_ms,
        sender=sender,
        body=body,
        priority=priority if is_transient else Priority.HIGH,
        to=to,
        spread=spread,
        is_transient=is_transient,
    )
    router.publish(conversation.application, event)
    return spoken
