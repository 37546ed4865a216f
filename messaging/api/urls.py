"""Paths below `/1.1/` and `/1.2/`."""

from typing import Any

from django.urls import URLPattern, path

from conversations.api.families import CHAT_ROOMS, NORMAL, SERVICES, Family
from imcore.rest.endpoints import resource
from imcore.rest.schemas import described
from messaging.api import broadcasts, clients, history, logs, messages, services, sys_messages


def of_family(family: Family) -> list[URLPattern]:
    """Return the paths of a family's messages. Ids of old messages may contain a slash."""
    base = f"rtm/{family.path}/<str:conversation_id>/messages"
    which: dict[str, Any] = {"family": family}
    return [
        path(base, resource(GET=history.of_conversation, POST=messages.send), which),
        path(f"{base}/<path:message_id>/recall", resource(PUT=messages.recall), which),
        path(f"{base}/<path:message_id>", resource(PUT=messages.edit, DELETE=messages.delete), which),
    ]


_SERVICE = f"rtm/{SERVICES.path}/<str:conversation_id>"
_TO_SUBSCRIBER = f"{_SERVICE}/subscribers/<path:client_id>/messages"

described(
    "_SysMessage",
    **{"conv": "Pointer", "msgId": "String", "bin": "Boolean", "from": "String", "fromIp": "String"},
    data="String",
    timestamp="Number",
    ackAt="Number",
)

urlpatterns: list[URLPattern] = [
    *of_family(NORMAL),
    *of_family(CHAT_ROOMS),
    path(_TO_SUBSCRIBER, resource(GET=history.of_subscriber)),
    path(f"{_SERVICE}/messages", resource(POST=services.send)),
    path(f"{_SERVICE}/messages/<path:message_id>/recall", resource(PUT=services.recall)),
    path(f"{_SERVICE}/messages/<path:message_id>", resource(PUT=services.edit)),
    path(f"{_SERVICE}/broadcasts", resource(POST=services.broadcast)),
    path(f"{_TO_SUBSCRIBER}/<path:message_id>", resource(DELETE=services.delete)),
    path("rtm/broadcasts", resource(POST=broadcasts.send, GET=broadcasts.find)),
    path("rtm/broadcasts/<path:message_id>", resource(DELETE=broadcasts.delete)),
    path("rtm/broadcast", resource(POST=broadcasts.send, GET=broadcasts.find, DELETE=broadcasts.delete_named)),
    path("rtm/broadcast/subscriber", resource(POST=services.broadcast_anywhere)),
    path("rtm/clients/<path:client_id>/messages", resource(GET=history.of_client)),
    path("rtm/messages", resource(GET=history.of_application, POST=messages.send_anywhere)),
    path("rtm/messages/history", resource(GET=history.anywhere)),
    path("rtm/messages/logs", resource(GET=history.anywhere, PUT=logs.overwrite, DELETE=logs.delete)),
    path("rtm/patch/message", resource(PUT=messages.patch_anywhere, POST=messages.patch_anywhere)),
    path("rtm/clients/check-online", resource(POST=clients.check_online)),
    path("rtm/clients/<path:client_id>/unread-count", resource(GET=clients.unread_count)),
    path("rtm/clients/<path:client_id>/kick", resource(POST=clients.kick)),
    path("rtm/stats", resource(GET=clients.statistics)),
    path("rtm/online", resource(POST=clients.check_peers_online)),
    path("rtm/messages/unread/<path:named>", resource(GET=clients.unread_count_named)),
    path("rtm/client/kick", resource(POST=clients.kick_named)),
    path("classes/_SysMessage", resource(GET=sys_messages.find)),
    path("classes/_SysMessage/<path:object_id>", resource(GET=sys_messages.read)),
    path("scan/classes/_SysMessage", resource(GET=sys_messages.scan)),
]
