"""What the application says, edits, recalls and deletes in the names of its clients (rest-api 8.7, 8.9).

    the conversation, of the kind that is asked for → the services that clients use, which ask nothing of the sender

No membership, silence, block, switch or age forbids it. What is changed is named by its id, its time and its sender.
"""

from functools import partial
from typing import NamedTuple

from conversations.policy import Kind, Roster
from conversations.services import directory
from conversations.services.directory import ConversationInfo
from imcore import identifiers
from imcore.bridge import in_database
from imcore.delivery.encoding import Priority
from imcore.errors import ConversationNotFound, InvalidMessagingTarget, MessageNotFound, MessageOwnershipRequired
from messaging.events import Body, Mentions
from messaging.models import MessagingSettings
from messaging.services import broadcasting, patching, sending
from messaging.services.patching import Patch
from messaging.services.sending import Acknowledgement, check_size
from messaging.storage import deletions
from messaging.storage.patches import Change, Subject

__all__ = ["Named", "Said", "delete", "patch", "send"]


class Said(NamedTuple):
    """What is to be said in a client's name. Without `syncs_sender`, its own devices do not hear it."""

    sender: str
    body: Body
    push_data: str
    mentions: Mentions
    is_transient: bool
    priority: Priority
    syncs_sender: bool


class Named(NamedTuple):
    """A message as it is named to be changed. `kind`: of which kind its conversation must be; None: of any.

    `sender`: whose it must be; None: whoever's.
    """

    conversation_id: str
    kind: Kind | None
    message_id: str
    sender: str | None
    timestamp_ms: int


async def send(
    *,
    application: int,
    settings: MessagingSettings,
    conversation_id: str,
    kind: Kind | None,
    client_ids: list[str],
    said: Said,
    now_ms: int,
) -> Acknowledgement:
    """Say something to a conversation of a kind, or of any: of a system conversation's clients, to `client_ids`.

    The sender need not be a member; if it is none, its devices do not hear it. Raises InvalidMessagingTarget (no such
    conversation), what names the kind it must be of, ConversationRequestInvalid (1 to 20 `client_ids`), MessageTooLong,
    SendTimeout.
    """
    try:
        conversation = await directory.find(application=application, conversation_id=conversation_id, now_ms=now_ms)
        _check_kind(conversation, kind)
        if conversation.kind is Kind.SYSTEM:
            return await broadcasting.send_to_clients(
                application=application,
                settings=settings,
                conversation_id=conversation_id,
                sender=said.sender,
                client_ids=client_ids,
                body=said.body,
                is_transient=said.is_transient,
                syncs_sender=said.syncs_sender,
                priority=said.priority,
                now_ms=now_ms,
            )
        return await sending.send(
            application=application,
            settings=settings,
            conversation_id=conversation_id,
            sender=said.sender,
            session=None,
            body=said.body,
            # Nobody who is away hears of what is said in a chat room.
            push_data="" if conversation.kind is Kind.CHAT_ROOM else said.push_data,
            mentions=said.mentions,
            is_transient=said.is_transient,
            priority=said.priority,
            wants_receipt=False,
            deduplication_token="",
            sender_address=None,
            now_ms=now_ms,
            as_application=True,
            syncs_sender=said.syncs_sender,
        )
    except ConversationNotFound as error:
        explained = await sending.explain_missing(application, conversation_id, error)
        raise InvalidMessagingTarget(explained.detail or "No such conversation.") from error


async def patch(*, application: int, settings: MessagingSettings, named: Named, body: Body | None, now_ms: int) -> None:
    """Give a message another body, or without one recall it; tell the members, as when its author does.

    It mentions whom it did. Recalling again changes nothing. Raises ConversationNotFound, InvalidMessagingTarget (a
    conversation that was deleted), what names the kind it must be of, MessageNotFound, MessageOwnershipRequired,
    MessageTooLong.
    """
    found = await patching.find(application, [named.conversation_id], now_ms)
    _check_kind(found[named.conversation_id], named.kind)
    await patching.carry_out(
        application=application,
        found=found,
        wanted=[Patch(named.conversation_id, named.message_id, body, mentions=None)],
        judge=partial(_judge, settings=settings, named=named),
        session=None,
        now_ms=now_ms,
    )


async def delete(*, application: int, named: Named, now_ms: int) -> None:
    """Delete a message: history has it no longer, and it is unread for nobody. Nobody is told.

    Raises ConversationNotFound, InvalidMessagingTarget (a conversation that was deleted), what names the kind it must
    be of, MessageNotFound (when it was deleted before, too), MessageOwnershipRequired.
    """
    found = await patching.find(application, [named.conversation_id], now_ms, max_age_seconds=0)
    conversation = found[named.conversation_id]
    _check_kind(conversation, named.kind)
    await in_database(
        deletions.delete,
        conversation=conversation.pk,
        message_id=named.message_id,
        judge=partial(_check_named, named=named),
        clock=identifiers.now_ms,
    )


def _check_kind(conversation: ConversationInfo, kind: Kind | None) -> None:
    if kind is not None:
        directory.check_kind(conversation, kind)


def _judge(
    change: Change, message: Subject | None, roster: Roster, *, settings: MessagingSettings, named: Named
) -> None:
    """Raise what forbids a change, as things stand while nobody else can change them."""
    found = _check_named(message, named=named)
    if change.is_recall:
        return
    if found.is_recalled:
        raise MessageNotFound("The message was recalled.")
    check_size(settings, change.body, "", change.mentions)


def _check_named(message: Subject | None, *, named: Named) -> Subject:
    if message is None or message.timestamp_ms != named.timestamp_ms:
        raise MessageNotFound
    if named.sender is not None and message.sender != named.sender:
        raise MessageOwnershipRequired
    return message
