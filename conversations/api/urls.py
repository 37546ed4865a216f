"""Paths below `/1.1/` and `/1.2/`."""

from typing import Any

from django.urls import URLPattern, path

from conversations.api import (
    block_lists,
    conversations,
    member_infos,
    members,
    notifications,
    objects,
    roles,
    silences,
    subscribers,
    transient_groups,
)
from conversations.api.families import FAMILIES, SERVICES, Family
from imcore.rest.endpoints import resource
from imcore.rest.schemas import described

described(
    "_Conversation",
    name="String",
    attr="Object",
    c="String",
    m="Array",
    mu="Array",
    lm="Date",
    tr="Boolean",
    sys="Boolean",
    unique="Boolean",
    uniqueId="String",
)
described("_ConversationMemberInfo", cid="String", clientId="String", role="String")

SUBSCRIBERS = f"rtm/{SERVICES.path}/<str:conversation_id>/subscribers"
SUBSCRIPTION = resource(POST=subscribers.subscribe_named, DELETE=subscribers.unsubscribe_named)


def of_family(family: Family) -> list[URLPattern]:
    """Return the paths of a family's conversations."""
    base = f"rtm/{family.path}"
    which: dict[str, Any] = {"family": family}
    one = resource(GET=conversations.read, PUT=conversations.update, DELETE=conversations.delete)
    return [
        path(base, resource(GET=conversations.find, POST=conversations.create), which),
        path(f"{base}/<str:conversation_id>", one, which),
    ]


def lists_of(family: Family) -> list[URLPattern]:
    """Return the paths of a family's silences, roles and block lists. A service has the last."""
    base = f"rtm/{family.path}/<str:conversation_id>"
    which: dict[str, Any] = {"family": family}
    blocks = resource(GET=block_lists.blocked, POST=block_lists.block, DELETE=block_lists.unblock)
    for_good = resource(GET=silences.silenced, POST=silences.silence, DELETE=silences.unsilence)
    for_a_time = resource(POST=silences.silence_for, DELETE=silences.end_silence)
    infos = resource(GET=roles.find, POST=roles.give)
    info = resource(PUT=roles.change, DELETE=roles.delete)
    of_all = [path(f"{base}/blacklists", blocks, which)]
    if family is SERVICES:
        return of_all
    return [
        *of_all,
        path(f"{base}/permanent-silenceds", for_good, which),
        path(f"{base}/temporary-silenceds", for_a_time, which),
        path(f"{base}/member-infos", infos, which),
        path(f"{base}/member-infos/<str:info_id>", info, which),
    ]


SILENCE_ANYWHERE = resource(POST=silences.silence_for_anywhere, DELETE=silences.end_silence_anywhere)
REFUSALS = resource(GET=block_lists.refused, POST=block_lists.refuse, DELETE=block_lists.accept)

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
    path(SUBSCRIBERS, resource(GET=subscribers.page, POST=subscribers.subscribe)),
    path(f"{SUBSCRIBERS}/count", resource(GET=subscribers.count, DELETE=subscribers.unsubscribe)),
    path(f"{SUBSCRIBERS}/<path:client_id>", resource(DELETE=subscribers.unsubscribe)),
    path("rtm/clients/<path:client_id>/service-conversations", resource(GET=subscribers.of_client)),
    path("rtm/conversation/subscription", SUBSCRIPTION),
    path("rtm/broadcast/subscription", SUBSCRIPTION),
    path("rtm/transient_group/onlines", resource(GET=transient_groups.online_count)),
    path("classes/_Conversation", resource(GET=objects.find, POST=objects.create)),
    path(
        "classes/_Conversation/<str:object_id>",
        resource(GET=objects.read, PUT=objects.update, DELETE=objects.delete),
    ),
    path("scan/classes/_Conversation", resource(GET=objects.scan)),
    *(pattern for family in FAMILIES for pattern in lists_of(family)),
    path("rtm/conversation/blacklist", SILENCE_ANYWHERE),
    path("rtm/clients/<path:client_id>/blacklists", REFUSALS),
]
