"""The same over HTTP: plain Django views, without keys, limits or receivers."""

import json
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from bench.servers.orm.consumer import start_conversation, store


@csrf_exempt
def conversations(request: HttpRequest) -> JsonResponse:
    """Insert a conversation."""
    return JsonResponse({"conversation": start_conversation(json.loads(request.body)["members"])})


@csrf_exempt
def messages(request: HttpRequest) -> JsonResponse:
    """Insert a message in a transaction of its own, and acknowledge it."""
    said: dict[str, Any] = json.loads(request.body)
    stored = store(said["conversation"], said["from_client"], said["message"])
    return JsonResponse({"id": stored["id"], "sent_at": stored["sent_at"]})


urlpatterns = [path("conversations", conversations), path("messages", messages)]
