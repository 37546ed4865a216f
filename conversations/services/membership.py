"""Joining, inviting, leaving, removing, and looking at the list, in every kind of conversation.

What joining is depends on the kind: members of normal conversations are rows, of chat rooms those who are there now
(rooms.py), of system conversations their subscribers (subscriptions.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from conversations.events import MembersAdded, MembersRemoved
from conversations.models import ConversationSettings
from conversations.policy import Action, Kind, Roster, Standing, may_change, refusal, standing
from conversations.services import directory, permissions, rooms, subscriptions
from conversations.services.permissions import Seated, check_client_ids, facts, features_of
from conversations.storage import members
from conversations.storage.changes import Change, Verdict
from conversations.storage.conversations import ConversationInfo
from imcore import limits
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.presence import room
from imcore.errors import (
    BlockedByConversation,
    ConversationFull,
    ConversationNotAllowed,
    ConversationRequestInvalid,
    ImError,
    OperationUnauthorized,
    OwnerRequired,
)


@dataclass(frozen=True, slots=True)
class MembershipResult:
    """Who was let through and who was not, each failure with its error, and when the conversation last changed."""

    allowed: tuple[str, ...]
    failed: tuple[ImError, ...]
    updated_ms: int


async def add(
    *,
    application: int,
    settings: ConversationSettings,
    conversation_id: str,
    client_id: str,
    session: Seated | None = None,
    member_ids: Sequence[str],
    all_or_nothing: bool,
    now_ms: int,
) -> MembershipResult:
    """Add clients to a conversation; adding only oneself is joining, or subscribing. Repeating it is harmless.

    Those for whom there is no room fail with 4304, those who are blocked with 4548, all of them if `all_or_nothing`.
    Raises ConversationNotFound, ConversationNotAllowed, MembershipRequired, ConversationRequestInvalid.
    """
    conversation, wanted = await _asked(application, conversation_id, member_ids, now_ms)
    if conversation.kind in (Kind.CHAT_ROOM, Kind.SYSTEM):
        verdict = _only_oneself(wanted, client_id, conversation.roster, all_or_nothing)
        if verdict.allowed and conversation.kind is Kind.CHAT_ROOM:
            await rooms.join(conversation=conversation, session=session, now_ms=now_ms)
        elif verdict.allowed:
            await subscriptions.subscribe(conversation=conversation, client_id=client_id, now_ms=now_ms)
        return MembershipResult(verdict.allowed, verdict.failed, conversation.updated_ms)
    features = features_of(settings)
    kind = conversation.kind

    def judge(roster: Roster) -> Verdict:
        action = Action.JOIN if set(wanted) == {client_id} else Action.INVITE
        permissions.check(action, kind, standing(kind, roster, client_id), features)
        reasons: dict[str, type[ImError]] = {}
        present = set(roster.members)
        places_left = settings.members_max - len(present)
        for one in wanted:
            if one in present:
                continue
            if one in roster.blocked or (one in roster.refusing and one != client_id):
                reasons[one] = BlockedByConversation
            elif places_left <= 0:
                reasons[one] = ConversationFull
            else:
                places_left -= 1
        return permissions.verdict(wanted, reasons, all_or_nothing=all_or_nothing, is_partial=True)

    change = await in_database(members.add, conversation=conversation.pk, judge=judge, by=client_id, now_ms=now_ms)
    directory.remember(change.conversation)
    if change.changed:
        router.publish(application, MembersAdded(added=change.changed, **facts(change.conversation, client_id)))
    return _result(change)


async def remove(
    *,
    application: int,
    settings: ConversationSettings,
    conversation_id: str,
    client_id: str,
    session: Seated | None = None,
    member_ids: Sequence[str],
    all_or_nothing: bool,
    now_ms: int,
) -> MembershipResult:
    """Remove clients from a conversation; removing only oneself is leaving. Repeating it is harmless.

    With roles, only who stands higher may remove another, and the owner of a conversation with roles stays, unless it
    is the application that removes him. Raises as `add` does, and OperationUnauthorized.
    """
    conversation, wanted = await _asked(application, conversation_id, member_ids, now_ms)
    if conversation.kind in (Kind.CHAT_ROOM, Kind.SYSTEM):
        verdict = _only_oneself(wanted, client_id, None, all_or_nothing)
        if verdict.allowed and conversation.kind is Kind.CHAT_ROOM:
            await rooms.leave(conversation=conversation, session=session)
        elif verdict.allowed:
            await subscriptions.unsubscribe(conversation=conversation, client_id=client_id)
        return MembershipResult(verdict.allowed, verdict.failed, conversation.updated_ms)
    features = features_of(settings)
    kind = conversation.kind

    def judge(roster: Roster) -> Verdict:
        actor = standing(kind, roster, client_id)
        if client_id in wanted:
            permissions.check(Action.LEAVE, kind, actor, features)
        others = set(wanted) - {client_id}
        forbidden = refusal(Action.REMOVE, kind, actor, features) if others else None
        if forbidden is not None and (client_id not in wanted or actor is Standing.OUTSIDER):
            raise forbidden
        reasons: dict[str, type[ImError]] = {}
        for one in wanted:
            target = standing(kind, roster, one)
            if actor is Standing.APPLICATION:
                continue
            if target is Standing.OWNER and features.roles and roster.has_roles:
                reasons[one] = OwnerRequired
            elif one != client_id and forbidden is not None:
                reasons[one] = forbidden
            elif one != client_id and not may_change(actor, target, features):
                reasons[one] = OperationUnauthorized
        return permissions.verdict(wanted, reasons, all_or_nothing=all_or_nothing, is_partial=True)

    change = await in_database(members.remove, conversation=conversation.pk, judge=judge, by=client_id, now_ms=now_ms)
    directory.remember(change.conversation)
    if change.changed:
        router.publish(application, MembersRemoved(removed=change.changed, **facts(change.conversation, client_id)))
    return _result(change)


async def count(*, application: int, conversation_id: str, now_ms: int) -> int:
    """Return how many members a conversation has: of a chat room, how many clients are in it now.

    Raises ConversationNotFound.
    """
    found = await _fresh(application, conversation_id, now_ms)
    if found.kind is Kind.CHAT_ROOM:
        return (await rooms.occupancy(found)).clients
    if found.kind is Kind.SYSTEM:
        return await subscriptions.count(conversation=found)
    return len(found.members)


async def list_members(*, application: int, conversation_id: str, limit: int, now_ms: int) -> tuple[str, ...]:
    """Return the first members of a conversation, in the order they joined; of a chat room, some who are in it now.

    Raises ConversationNotFound.
    """
    found = await _fresh(application, conversation_id, now_ms)
    if found.kind is Kind.CHAT_ROOM:
        return (await rooms.occupancy(found)).client_ids[:limit]
    return found.members[:limit]


async def are_member(
    *, application: int, conversation_ids: Sequence[str], client_id: str, session: Seated, now_ms: int
) -> dict[str, bool]:
    """Return for each conversation whether the client is in it: a member, in the room, a subscriber.

    Raises ConversationRequestInvalid for more than can be looked up in one go.
    """
    if len(conversation_ids) > limits.CONVERSATION_PAGE_MAX:
        raise ConversationRequestInvalid(f"At most {limits.CONVERSATION_PAGE_MAX} conversations.")
    # Never from memory: it would go on saying yes to one whom another node has removed.
    found = await in_database(
        members.places,
        application=application,
        client_id=client_id,
        conversation_ids=[one for one in conversation_ids if "\0" not in one],
        now_ms=now_ms,
    )
    here = {one.conversation_id for one in found if one.is_member or session.room == room(one.conversation)}
    return {conversation_id: conversation_id in here for conversation_id in conversation_ids}


async def _fresh(application: int, conversation_id: str, now_ms: int) -> ConversationInfo:
    return await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )


async def _asked(
    application: int, conversation_id: str, member_ids: Sequence[str], now_ms: int
) -> tuple[ConversationInfo, tuple[str, ...]]:
    conversation = await _fresh(application, conversation_id, now_ms)
    wanted = tuple(dict.fromkeys(member_ids))
    if not wanted:
        raise ConversationRequestInvalid("No member ids.")
    check_client_ids(wanted)
    if conversation.kind is Kind.TEMPORARY:
        raise ConversationNotAllowed("The members of a temporary conversation do not change.")
    return conversation, wanted


def _only_oneself(wanted: Sequence[str], client_id: str, roster: Roster | None, all_or_nothing: bool) -> Verdict:
    """Judge coming to, or going from, where nobody can take others along (realtime-protocol 4.13, 4.14)."""
    reasons: dict[str, type[ImError]] = {one: ConversationNotAllowed for one in wanted if one != client_id}
    if roster is not None and client_id in roster.blocked:
        reasons[client_id] = BlockedByConversation
    return permissions.verdict(wanted, reasons, all_or_nothing=all_or_nothing, is_partial=True)


def _result(change: Change) -> MembershipResult:
    return MembershipResult(change.verdict.allowed, change.verdict.failed, change.conversation.updated_ms)
