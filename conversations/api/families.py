"""The three families of conversations, each with paths of its own (rest-api 8).

    path(f"rtm/{family.path}/<str:conversation_id>/…", …)

A family does not see another's conversations: asked for one, it says of which kind it should be.
"""

from typing import Final, NamedTuple

from rest_framework.request import Request

from conversations.policy import Kind
from conversations.services import directory
from conversations.services.directory import ConversationInfo
from imcore.bridge import in_async
from imcore.identifiers import now_ms
from imcore.rest.authentication import caller_of


class Family(NamedTuple):
    """What a family is called in paths, and the kind of its conversations."""

    path: str
    kind: Kind


NORMAL: Final = Family("conversations", Kind.NORMAL)
CHAT_ROOMS: Final = Family("chatrooms", Kind.CHAT_ROOM)
SERVICES: Final = Family("service-conversations", Kind.SYSTEM)
FAMILIES: Final = (NORMAL, CHAT_ROOMS, SERVICES)


def conversation_of(request: Request, conversation_id: str, family: Family) -> ConversationInfo:
    """Return the caller's conversation of a family.

    Raises ConversationNotFound, SystemConversationRequired, NormalConversationRequired, ChatRoomRequired.
    """
    return in_async(
        directory.find_of,
        application=caller_of(request).application.pk,
        conversation_id=conversation_id,
        kind=family.kind,
        now_ms=now_ms(),
    )
