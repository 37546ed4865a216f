"""The chat of the Channels tutorial (part 3, asynchronous) with the in-memory layer; `daphne` serves `application`."""

import json
from typing import Any

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import re_path

settings.configure(
    SECRET_KEY="bench",
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()


class ChatConsumer(AsyncWebsocketConsumer):
    """One member of one room, as the tutorial has it."""

    async def connect(self) -> None:
        """Join the room's group."""
        self.room_name = self.scope["url_route"]["kwargs"]["room_name"]
        self.room_group_name = f"chat_{self.room_name}"
        await self.channel_layer.group_add(self.room_group_name, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave the room's group."""
        await self.channel_layer.group_discard(self.room_group_name, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send a message from the WebSocket to the room's group."""
        message = json.loads(text_data or "")["message"]
        await self.channel_layer.group_send(self.room_group_name, {"type": "chat.message", "message": message})

    async def chat_message(self, event: dict[str, Any]) -> None:
        """Send a message from the room's group to the WebSocket."""
        await self.send(text_data=json.dumps({"message": event["message"]}))


routes: Any = [re_path(r"ws/chat/(?P<room_name>\w+)/$", ChatConsumer.as_asgi())]  # type: ignore[arg-type]
application = ProtocolTypeRouter({"websocket": URLRouter(routes)})
