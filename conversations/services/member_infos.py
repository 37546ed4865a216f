"""`_ConversationMemberInfo`: the roles that were given in a conversation, for those who are in it."""

from collections.abc import Sequence

from conversations.models import MemberInfo
from conversations.policy import Standing, standing
from conversations.services import directory, permissions
from conversations.storage import moderation
from imcore.bridge import in_database
from imcore.errors import MembershipRequired

__all__ = ["MemberInfo", "find"]


async def find(
    *,
    application: int,
    conversation_id: str,
    client_id: str,
    client_ids: Sequence[str] | None,
    limit: int,
    skip: int,
    now_ms: int,
) -> list[MemberInfo]:
    """Return the records of a conversation, oldest first; of `client_ids` only, if given.

    Raises ConversationNotFound, MembershipRequired.
    """
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    is_here = await permissions.is_present(conversation, client_id, None)
    if standing(conversation.kind, conversation.roster, client_id, is_present=is_here) is Standing.OUTSIDER:
        raise MembershipRequired
    return await in_database(
        moderation.member_infos, conversation=conversation.pk, client_ids=client_ids, limit=limit, skip=skip
    )
