"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import path

from conversations.api import member_infos, notifications, objects, subscribers, transient_groups
from conversations.api.families import SERVICES
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

urlpatterns = [
    path("rtm/notifications", resource(GET=notifications.missed)),
    path("classes/_ConversationMemberInfo", resource(GET=member_infos.find)),
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
]
