"""Joining, inviting, leaving, removing, and looking at the list."""

from collections.abc import Sequence
from dataclasses import dataclass

from conversations.events import MembersAdded, MembersRemoved
from conversations.models import ConversationSettings
from conversations.policy import POLICIES
from conversations.services import directory
from conversations.storage import members
from conversations.storage.conversations import ConversationInfo
from conversations.storage.members import MembershipChange
from imcore import limits
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.errors import (
    ConversationFull,
    ConversationNotAllowed,
    ConversationNotFound,
    ConversationRequestInvalid,
    ImError,
    MembershipRequired,
)


@dataclass(frozen=True, slots=True)
class MembershipResult:
    """Who was let through and who was not, each failure with its error, and when the conversation last changed."""

    allowed: tuple[str, ...]
    failed: tuple[ImError, ...]
    updated_ms: int


def check_client_ids(client_ids: Sequence[str]) -> None:
    """Raise ConversationRequestInvalid unless every id can be a client's."""
    for client_id in client_ids:
        if not 0 < len(client_id) <= limits.CLIENT_ID_MAX_CHARACTERS or "\0" in client_id:
            raise ConversationRequestInvalid(
                f"A member id has 1 to {limits.CLIENT_ID_MAX_CHARACTERS} characters.", client_ids=(client_id,)
            )


async def add(
    *,
    application: int,
    settings: ConversationSettings,
    conversation_id: str,
    client_id: str,
    member_ids: Sequence[str],
    all_or_nothing: bool,
    now_ms: int,
) -> MembershipResult:
    """Add clients to a conversation; adding only oneself is joining. Repeating it is harmless.

    Those for whom there is no room fail with 4304, all of them if `all_or_nothing`. Raises ConversationNotFound,
    ConversationNotAllowed, MembershipRequired, ConversationRequestInvalid.
    """
    wanted = tuple(dict.fromkeys(member_ids))
    conversation = await _changeable(application, conversation_id, client_id, wanted, now_ms)
    change = await in_database(
        members.add,
        conversation=conversation,
        client_ids=wanted,
        members_max=settings.members_max,
        all_or_nothing=all_or_nothing,
        now_ms=now_ms,
    )
    after = _after(application, conversation_id, change)
    assert change is not None
    if all_or_nothing and change.refused:
        raise ConversationFull(client_ids=change.refused)
    if change.changed:
        event = MembersAdded(
            conversation=after.pk,
            members_version=after.members_version,
            conversation_id=conversation_id,
            kind=after.kind,
            added=change.changed,
            members=after.members,
            by=client_id,
            at_ms=after.updated_ms,
        )
        router.publish(application, event)
    return MembershipResult(
        allowed=tuple(one for one in wanted if one not in change.refused),
        failed=(ConversationFull(client_ids=change.refused),) if change.refused else (),
        updated_ms=after.updated_ms,
    )


async def remove(
    *, application: int, conversation_id: str, client_id: str, member_ids: Sequence[str], now_ms: int
) -> MembershipResult:
    """Remove clients from a conversation; removing only oneself is leaving. Repeating it is harmless.

    Raises as `add` does.
    """
    wanted = tuple(dict.fromkeys(member_ids))
    conversation = await _changeable(application, conversation_id, client_id, wanted, now_ms)
    change = await in_database(members.remove, conversation=conversation, client_ids=wanted, now_ms=now_ms)
    after = _after(application, conversation_id, change)
    assert change is not None
    if change.changed:
        event = MembersRemoved(
            conversation=after.pk,
            members_version=after.members_version,
            conversation_id=conversation_id,
            kind=after.kind,
            removed=change.changed,
            members=after.members,
            by=client_id,
            at_ms=after.updated_ms,
        )
        router.publish(application, event)
    return MembershipResult(allowed=wanted, failed=(), updated_ms=after.updated_ms)


async def count(*, application: int, conversation_id: str, now_ms: int) -> int:
    """Return how many members a conversation has. Raises ConversationNotFound."""
    found = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    return len(found.members)


async def list_members(*, application: int, conversation_id: str, limit: int, now_ms: int) -> tuple[str, ...]:
    """Return the first members of a conversation, in the order they joined. Raises ConversationNotFound."""
    found = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    return found.members[:limit]


async def _changeable(
    application: int, conversation_id: str, client_id: str, wanted: Sequence[str], now_ms: int
) -> ConversationInfo:
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    if not wanted:
        raise ConversationRequestInvalid("No member ids.")
    check_client_ids(wanted)
    if not POLICIES[conversation.kind].members_may_change:
        raise ConversationNotAllowed(f"The members of a {conversation.kind.label} conversation do not change.")
    if client_id not in conversation.members and set(wanted) != {client_id}:
        raise MembershipRequired
    return conversation


def _after(application: int, conversation_id: str, change: MembershipChange | None) -> ConversationInfo:
    if change is None:
        directory.forget(application=application, conversation_id=conversation_id)
        raise ConversationNotFound
    directory.remember(change.conversation)
    return change.conversation
