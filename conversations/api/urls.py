"""Paths below `/1.1/` and `/1.2/`."""

from django.urls import path

from conversations.api import member_infos, notifications
from imcore.rest.endpoints import resource

urlpatterns = [
    path("rtm/notifications", resource(GET=notifications.missed)),
    path("classes/_ConversationMemberInfo", resource(GET=member_infos.find)),
]
