"""Paths below `/1.1/` and `/1.2/`. SDKs write two slashes where their server's address ends in one (rest-api 1.4)."""

from django.urls import re_path

from conversations.api import member_infos, notifications

urlpatterns = [
    re_path(r"^rtm/+notifications/*$", notifications.missed),
    re_path(r"^classes/+_ConversationMemberInfo/*$", member_infos.find),
]
