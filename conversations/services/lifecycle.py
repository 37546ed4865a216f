"""Starting conversations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conversations.events import MembersAdded
from conversations.models import ConversationSettings
from conversations.policy import POLICIES, THE_APPLICATION, Kind
from conversations.services import attributes as attribute_rules
from conversations.services import directory, rooms
from conversations.services.permissions import Seated, check_client_ids, facts
from conversations.storage import conversations
from conversations.storage.conversations import ConversationInfo, NewConversation
from imcore import identifiers, limits
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.errors import ConversationFull


@dataclass(frozen=True, slots=True)
class StartedConversation:
    """The answer to a start: the conversation, and whether it existed before."""

    conversation: ConversationInfo
    is_existing: bool


async def start(
    *,
    application: int,
    settings: ConversationSettings,
    client_id: str,
    session: Seated | None = None,
    member_ids: Sequence[str],
    attributes: dict[str, Any],
    kind: Kind,
    is_unique: bool,
    ttl_seconds: int | None = None,
    creator: str | None = None,
    now_ms: int,
) -> StartedConversation:
    """Create a conversation of the caller and `member_ids`, or find the unique one of exactly these members.

    Temporary conversations are always unique by their members (realtime-protocol 4.2). All members hear of a new one;
    of one that existed, nobody. A chat room has no members; its creator's session is put into it.

    The application is no member of what it creates, names the `creator`, who need not be one either, and may write
    attributes as an update does (rest-api 8.1). Raises ConversationFull, ConversationRequestInvalid.
    """
    if client_id == THE_APPLICATION:
        wanted = tuple(dict.fromkeys(member_ids))
        attributes = attribute_rules.made_of_nothing(
            {key: value for key, value in attributes.items() if key not in attribute_rules.RESERVED_KEYS}, settings
        )
    else:
        wanted = tuple(dict.fromkeys([*member_ids, client_id]))
    check_client_ids(wanted)
    members = wanted if POLICIES[kind].keeps_members else ()
    members_max = limits.TEMPORARY_MEMBERS_MAX if kind == Kind.TEMPORARY else settings.members_max
    if len(members) > members_max:
        raise ConversationFull(f"At most {members_max} members.")
    is_temporary = kind == Kind.TEMPORARY
    new = NewConversation(
        object_id=(limits.TEMPORARY_ID_PREFIX if is_temporary else "") + identifiers.object_id(now_ms),
        creator=client_id if creator is None else creator,
        members=members,
        attributes=attribute_rules.usable(attributes, settings),
        is_unique=is_temporary or (is_unique and kind is Kind.NORMAL and bool(members)),
        ttl_seconds=_ttl_seconds(settings, ttl_seconds) if is_temporary else None,
        by=client_id,
    )
    conversation, is_existing = await in_database(
        conversations.create, application=application, kind=kind, new=new, now_ms=now_ms
    )
    directory.remember(conversation)
    if kind is Kind.CHAT_ROOM and session is not None:
        await rooms.join(conversation=conversation, session=session, now_ms=now_ms)
    elif conversation.members and not is_existing:
        event = MembersAdded(
            added=conversation.members, ttl_seconds=conversation.ttl_seconds, **facts(conversation, client_id)
        )
        router.publish(application, event)
    return StartedConversation(conversation, is_existing)


def _ttl_seconds(settings: ConversationSettings, wanted: int | None) -> int:
    if wanted is None or wanted <= 0:
        wanted = settings.temporary_ttl_default_seconds
    return min(wanted, settings.temporary_ttl_max_seconds)
