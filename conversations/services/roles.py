"""Roles of members, and the records of those that were given (realtime-protocol 4.7, rest-api 8.10)."""

from conversations.events import RoleChanged
from conversations.models import MemberInfo
from conversations.policy import Action, Role, Roster, Standing, may_change, standing
from conversations.services import directory, permissions
from conversations.services.permissions import facts, features_of
from conversations.services.requests import Request, conversation_of, permitted, with_targets
from conversations.storage import moderation
from conversations.storage.moderation import RoleChange
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.errors import ConversationRequestInvalid, MembershipRequired, OperationUnauthorized, UnknownRole


async def change(request: Request, *, target: str, role_name: str) -> MemberInfo:
    """Give a member the role Manager or Member, and return the record. Repeating it is harmless.

    Raises ConversationNotFound, ConversationNotAllowed, RolesDisabled, UnknownRole, MembershipRequired if either is no
    member, OperationUnauthorized for anybody but the Owner (or a Manager, where the application lets them), for the
    role Owner, which cannot be given, and for the Owner, who stays that.
    """
    conversation, _ = await with_targets(request, [target])
    features = features_of(request.settings)

    def check(roster: Roster) -> None:
        actor = standing(conversation.kind, roster, request.client_id)
        permissions.check(Action.CHANGE_ROLE, conversation.kind, actor, features)
        # After that: who may not ask is not told which roles there are.
        if _named(role_name) is Role.OWNER:
            raise OperationUnauthorized("Nobody can be made Owner, who is who created the conversation.")
        there = standing(conversation.kind, roster, target)
        if there is Standing.OUTSIDER:
            raise MembershipRequired("Only a member has a role.", client_ids=(target,))
        if there is Standing.OWNER:
            raise OperationUnauthorized("The Owner stays that.", client_ids=(target,))
        if not may_change(actor, there, features):
            raise OperationUnauthorized(client_ids=(target,))

    done = await in_database(
        moderation.change_role,
        conversation=conversation.pk,
        client_id=target,
        role=Role(role_name) if role_name in Role.values else Role.MEMBER,
        check=check,
        by=request.client_id,
        now_ms=request.now_ms,
    )
    return _published(request, done, Role(role_name))


async def change_record(request: Request, *, info_id: str, client_id: str | None, role_name: str) -> MemberInfo:
    """Give the member that has this record another role, as `change` does; for the application.

    Raises ConversationRequestInvalid if there is none, or if it is another's than `client_id`, if that is given.
    """
    conversation = await permitted(request, Action.CHANGE_ROLE)
    target = await in_database(moderation.client_of_record, conversation=conversation.pk, info_id=info_id)
    if target is None or client_id not in (None, target):
        raise _no_record()
    return await change(request, target=target, role_name=role_name)


async def delete_record(request: Request, *, info_id: str) -> None:
    """Delete a record, so that its member is a Member, as all without one; for the application.

    Raises ConversationNotFound, ConversationNotAllowed, ConversationRequestInvalid if there is no such record.
    """
    conversation = await permitted(request, Action.CHANGE_ROLE)
    done = await in_database(
        moderation.delete_role,
        conversation=conversation.pk,
        info_id=info_id,
        by=request.client_id,
        now_ms=request.now_ms,
    )
    if done is None:
        raise _no_record()
    _published(request, done, Role.MEMBER)


async def records(request: Request, *, role_name: str | None, limit: int, skip: int) -> list[MemberInfo]:
    """Return the records of a conversation, oldest first, all or those with a role; for the application.

    Raises ConversationNotFound, UnknownRole.
    """
    conversation = await conversation_of(request)
    role = None if role_name is None else _named(role_name)
    return await in_database(moderation.member_infos, conversation=conversation.pk, role=role, limit=limit, skip=skip)


def _named(role_name: str) -> Role:
    if role_name not in Role.values:
        raise UnknownRole(f"The roles are {', '.join(Role.values)}.")
    return Role(role_name)


def _published(request: Request, done: RoleChange, role: Role) -> MemberInfo:
    directory.remember(done.conversation)
    if done.is_new:
        event = RoleChanged(client_id=done.record.client_id, role=role, **facts(done.conversation, request.client_id))
        router.publish(request.application, event)
    return done.record


def _no_record() -> ConversationRequestInvalid:
    return ConversationRequestInvalid("There is no such record in this conversation.")
