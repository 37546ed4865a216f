"""Muting a conversation: no offline push from it. Everything else goes on (realtime-protocol 4.6.2).

Clients do so for themselves, the application for members (rest-api 8.6).
"""

from collections.abc import Collection

from conversations.models import ConversationSettings
from conversations.policy import Action, Kind
from conversations.services import directory, permissions
from conversations.services.permissions import features_of
from conversations.storage import members, subscriptions
from conversations.storage.conversations import ConversationInfo
from imcore.bridge import in_database
from imcore.errors import ConversationRequestInvalid, MembershipRequired


async def mute(
    *,
    application: int,
    settings: ConversationSettings,
    conversation_id: str,
    client_id: str,
    is_muted: bool,
    now_ms: int,
) -> int:
    """Note whether a member, or subscriber, wants offline push; return when, later than the last change.

    Nobody is told. Repeating it is harmless. Raises ConversationNotFound, ConversationNotAllowed, MembershipRequired.
    """
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    await permissions.check_of(Action.MUTE, conversation, client_id, features_of(settings))
    if conversation.kind is Kind.SYSTEM:
        is_subscriber = await in_database(
            subscriptions.mute, conversation=conversation.pk, client_id=client_id, is_muted=is_muted
        )
        if not is_subscriber:
            raise MembershipRequired
        # Not written: it would change a conversation that everybody follows for something only one client sees.
        return max(now_ms, conversation.updated_ms + 1)
    at_ms = await in_database(
        members.mute, conversation=conversation.pk, client_ids=[client_id], is_muted=is_muted, now_ms=now_ms
    )
    if at_ms is None:
        raise MembershipRequired
    return at_ms


async def mute_members(
    *, conversation: ConversationInfo, client_ids: Collection[str], is_muted: bool, now_ms: int
) -> int:
    """Note for members that they want offline push, or none; return when the conversation last changed.

    Those who are no members are passed over. Nobody is told. Raises ConversationRequestInvalid, ConversationNotFound.
    """
    if not client_ids:
        raise ConversationRequestInvalid("No client ids.")
    at_ms = await in_database(
        members.mute, conversation=conversation.pk, client_ids=client_ids, is_muted=is_muted, now_ms=now_ms
    )
    return conversation.updated_ms if at_ms is None else at_ms


async def muted_members(*, conversation: ConversationInfo) -> tuple[str, ...]:
    """Return the members who want no offline push, in the order they joined."""
    return await in_database(members.muted, conversation=conversation.pk)
