"""From facts to the policy's question: who asks, how does he stand, is it allowed."""

from collections.abc import Sequence
from typing import Any, Protocol

from conversations.models import ConversationSettings
from conversations.policy import POLICIES, Action, Features, Kind, Standing, refusal, standing
from conversations.storage import subscriptions
from conversations.storage.changes import Verdict
from conversations.storage.conversations import ConversationInfo
from imcore import limits
from imcore.bridge import in_database
from imcore.delivery.presence import LocalSession, room
from imcore.errors import ConversationRequestInvalid, ImError


class Seated(LocalSession, Protocol):
    """A session as chat rooms know it: `device` is what comes back when its connection is lost.

    `seated_ms`: when the device took the seat that this session holds, or None (rooms.py).
    """

    device: int
    seated_ms: int | None


def features_of(settings: ConversationSettings) -> Features:
    """Return what an application has enabled, in the policy's words."""
    return Features(
        roles=settings.roles_enabled,
        block_lists=settings.block_lists_enabled,
        managers_change_roles=settings.managers_change_roles,
    )


async def is_present(conversation: ConversationInfo, client_id: str, session: LocalSession | None) -> bool:
    """Return what a roster does not know: whether the session is in the chat room, or its client a subscriber."""
    if conversation.kind is Kind.CHAT_ROOM:
        return session is not None and session.room == room(conversation.pk)
    if conversation.kind is Kind.SYSTEM:
        following = await in_database(
            subscriptions.of_client,
            application=conversation.application,
            client_id=client_id,
            conversations=[conversation.pk],
        )
        return conversation.pk in following
    return False


def check(action: Action, kind: Kind, actor: Standing, features: Features) -> None:
    """Raise what forbids an action."""
    error = refusal(action, kind, actor, features)
    if error is not None:
        raise error("" if action in POLICIES[kind].least else f"Not in a {kind.label} conversation.")


async def check_of(
    action: Action,
    conversation: ConversationInfo,
    client_id: str,
    features: Features,
    *,
    session: LocalSession | None = None,
) -> None:
    """Raise what forbids a client an action that needs no lock, as things stand in the conversation given."""
    is_here = await is_present(conversation, client_id, session)
    actor = standing(conversation.kind, conversation.roster, client_id, is_present=is_here)
    check(action, conversation.kind, actor, features)


async def check_read(*, conversation: ConversationInfo, client_id: str) -> None:
    """Raise HistoryRejected unless the client may read what was said."""
    await check_of(Action.READ, conversation, client_id, Features())


def check_client_ids(client_ids: Sequence[str]) -> None:
    """Raise ConversationRequestInvalid unless every id can be a client's."""
    for client_id in client_ids:
        if not 0 < len(client_id) <= limits.CLIENT_ID_MAX_CHARACTERS or "\0" in client_id:
            raise ConversationRequestInvalid(
                f"A member id has 1 to {limits.CLIENT_ID_MAX_CHARACTERS} characters.", client_ids=(client_id,)
            )


def verdict(
    wanted: Sequence[str], reasons: dict[str, type[ImError]], *, all_or_nothing: bool, is_partial: bool
) -> Verdict:
    """Divide those wanted into the allowed and, by reason, the failed.

    Raises the first reason instead if `all_or_nothing` and any failed, or unless `is_partial` and nobody is left.
    """
    allowed = tuple(client_id for client_id in wanted if client_id not in reasons)
    by_error: dict[type[ImError], list[str]] = {}
    for client_id in wanted:
        if client_id in reasons:
            by_error.setdefault(reasons[client_id], []).append(client_id)
    failed = tuple(error(client_ids=tuple(client_ids)) for error, client_ids in by_error.items())
    if failed and (all_or_nothing or (not allowed and not is_partial)):
        raise failed[0]
    return Verdict(allowed, failed)


def facts(conversation: ConversationInfo, by: str) -> dict[str, Any]:
    """Return what every event of a changed roster tells."""
    return {
        "conversation": conversation.pk,
        "members_version": conversation.members_version,
        "conversation_id": conversation.object_id,
        "kind": conversation.kind,
        "members": conversation.members,
        "by": by,
        "at_ms": conversation.updated_ms,
    }
