"""Muting a conversation for oneself: no offline push from it. Everything else goes on (realtime-protocol 4.6.2)."""

from conversations.models import ConversationSettings
from conversations.policy import Action, Kind
from conversations.services import directory, permissions
from conversations.services.permissions import features_of
from conversations.storage import members, subscriptions
from imcore.bridge import in_database
from imcore.errors import MembershipRequired


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
        members.mute, conversation=conversation.pk, client_id=client_id, is_muted=is_muted, now_ms=now_ms
    )
    if at_ms is None:
        raise MembershipRequired
    return at_ms
