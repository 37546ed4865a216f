"""Paths below `/1.1/` and `/1.2/`."""

from typing import Any

from django.urls import URLPattern, path

from conversations.api import conversations, member_infos, members, notifications
from conversations.api.families import FAMILIES, Family
from imcore.rest.endpoints import resource


def of_family(family: Family) -> list[URLPattern]:
    """Return the paths of a family's conversations."""
    base = f"rtm/{family.path}"
    which: dict[str, Any] = {"family": family}
    one = resource(GET=conversations.read, PUT=conversations.update, DELETE=conversations.delete)
    return [
        path(base, resource(GET=conversations.find, POST=conversations.create), which),
        path(f"{base}/<str:conversation_id>", one, which),
    ]


urlpatterns = [
    path("rtm/notifications", resource(GET=notifications.missed)),
    path("classes/_ConversationMemberInfo", resource(GET=member_infos.find)),
    *(pattern for family in FAMILIES for pattern in of_family(family)),
    path("rtm/all-conversations", resource(GET=conversations.find_all)),
    path(
        "rtm/conversations/<str:conversation_id>/members",
        resource(GET=members.find, POST=members.add, DELETE=members.remove),
    ),
    path("rtm/chatrooms/<str:conversation_id>/members", resource(GET=members.online)),
    path("rtm/chatrooms/<str:conversation_id>/members/online-count", resource(GET=members.online_count)),
    path(
        "rtm/conversations/<str:conversation_id>/mutes",
        resource(GET=members.muted, POST=members.mute, DELETE=members.unmute),
    ),
]
