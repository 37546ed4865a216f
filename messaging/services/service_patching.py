"""Changing what system conversations have said, for the application: no switch and no age forbids it (rest-api 8.9).

A message to some clients is changed for those who are named; one to subscribers, or to everybody, for all. Who has had
one to everybody is not told.
"""

from functools import partial

from conversations.services import subscriptions
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.encoding import EVERYBODY
from imcore.errors import MessageNotFound, MessageOwnershipRequired
from messaging.events import Body, Mentions, ServiceMessagePatched, UnreadChanged
from messaging.message_types import RECALLED_BODY, message_type
from messaging.models import Audience, MessagingSettings
from messaging.services import broadcasting
from messaging.services.sending import check_size, storable
from messaging.storage import service_messages, service_waiting
from messaging.storage.service_messages import Change, Subject

__all__ = ["delete_for_subscriber", "is_to_everybody", "patch"]


async def patch(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    message_id: str,
    sender: str,
    timestamp_ms: int,
    client_ids: tuple[str, ...],
    body: Body | None,
    now_ms: int,
) -> int:
    """Edit a message of a system conversation, or without a `body` recall it; return when, in milliseconds.

    With `client_ids`, what was said to these, up to 20; without, what was said to subscribers or to everybody.
    Recalling again changes nothing. Raises InvalidMessagingTarget, SystemConversationRequired,
    ConversationRequestInvalid, MessageNotFound, MessageOwnershipRequired, MessageTooLong.
    """
    conversation = await broadcasting.find_system(application, conversation_id, now_ms)
    receivers = broadcasting.check_receivers(client_ids) if client_ids else ()
    if body is not None:
        check_size(settings, body, "", Mentions())
    new = body or Body(text=RECALLED_BODY, binary=None)
    text, data = storable(new)
    change = Change(
        conversation=conversation.pk,
        message_id=message_id,
        client_ids=receivers,
        is_recall=body is None,
        body=new,
        text=text,
        data=data,
        message_type=None if new.text is None else message_type(new.text),
    )
    judge = partial(_judge, sender=sender, timestamp_ms=timestamp_ms, is_recall=body is None)
    changed = await in_database(service_messages.change, change, judge=judge, now_ms=now_ms)
    if not changed.is_new or changed.audience is Audience.EVERYBODY:
        return changed.patch_ms
    event = ServiceMessagePatched(
        conversation_id=conversation.object_id,
        message_id=message_id,
        timestamp_ms=changed.timestamp_ms,
        sender=sender,
        body=new,
        is_recalled=change.is_recall,
        patch_ms=changed.patch_ms,
        to=receivers or (EVERYBODY,),
        spread="" if receivers else subscriptions.followers(conversation=conversation.pk),
    )
    router.publish(application, event)
    if change.is_recall:
        await _tell_counts(application, conversation.pk, receivers, now_ms)
    return changed.patch_ms


async def is_to_everybody(*, application: int, message_id: str) -> bool:
    """Return whether a message was said to everybody."""
    return await in_database(service_messages.is_to_everybody, application=application, message_id=message_id)


async def delete_for_subscriber(
    *,
    application: int,
    conversation_id: str,
    client_id: str,
    message_id: str,
    sender: str,
    timestamp_ms: int,
    now_ms: int,
) -> None:
    """Delete what was said to a client; of what was said to subscribers, for that client alone. Nobody is told.

    Raises InvalidMessagingTarget, SystemConversationRequired, MessageNotFound (of what was said to everybody, too),
    MessageOwnershipRequired.
    """
    conversation = await broadcasting.find_system(application, conversation_id, now_ms)
    [client_id] = broadcasting.check_receivers([client_id])
    await in_database(
        service_messages.delete_for,
        conversation=conversation.pk,
        client_id=client_id,
        message_id=message_id,
        judge=partial(_judge, sender=sender, timestamp_ms=timestamp_ms, is_recall=True),
        now_ms=now_ms,
    )


async def _tell_counts(application: int, conversation: int, client_ids: tuple[str, ...], now_ms: int) -> None:
    """Tell clients what they have not read of a system conversation."""
    for client_id in client_ids:
        counts = await in_database(
            service_waiting.count,
            application=application,
            client_id=client_id,
            conversation=conversation,
            now_ms=now_ms,
        )
        for count in counts:
            router.publish(application, UnreadChanged(client_id, [count], now_ms))


def _judge(message: Subject, *, sender: str, timestamp_ms: int, is_recall: bool) -> None:
    """Raise what forbids a change: the message is named by its time and its sender, too."""
    if message.timestamp_ms != timestamp_ms:
        raise MessageNotFound
    if message.sender != sender:
        raise MessageOwnershipRequired
    if message.is_recalled and not is_recall:
        raise MessageNotFound("The message was recalled.")
