"""One signed-in client: starts conversations, sends messages, is sent those of others."""

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import transaction
from django.utils import timezone

from bench.servers.orm.models import Conversation, Message

channels: dict[str, str] = {}


class ChatConsumer(AsyncJsonWebsocketConsumer):
    """Acknowledges a message when it is committed, and then delivers it through the channel layer."""

    async def connect(self) -> None:
        """Sign the client in by the name in its path."""
        self.client: str = self.scope["url_route"]["kwargs"]["client"]
        self.partners: dict[int, str] = {}
        channels[self.client] = self.channel_name
        await self.accept()

    async def receive_json(self, content: dict[str, Any], **_: Any) -> None:
        """Answer a command."""
        if content["type"] == "start":
            conversation_id = await database_sync_to_async(start_conversation)([self.client, content["with"]])
            self.partners[conversation_id] = content["with"]
            await self.send_json({"type": "started", "conversation": conversation_id})
            return
        conversation_id = content["conversation"]
        message = await database_sync_to_async(store)(conversation_id, self.client, content["body"])
        await self.send_json({"type": "ack", "id": message["id"], "sent_at": message["sent_at"]})
        receiver = channels.get(self.partners[conversation_id])
        if receiver is not None:
            await self.channel_layer.send(receiver, {"type": "deliver", "message": message})

    async def deliver(self, event: dict[str, Any]) -> None:
        """Send another client's message to this one."""
        await self.send_json({"type": "message", **event["message"]})


def start_conversation(members: list[str]) -> int:
    """Insert a conversation and return its id."""
    return int(Conversation.objects.create(members=members).pk)


def store(conversation_id: int, sender: str, body: str) -> dict[str, Any]:
    """Insert a message and move its conversation up, in one transaction."""
    now = timezone.now()
    with transaction.atomic():
        message = Message.objects.create(conversation_id=conversation_id, sender=sender, body=body, sent_at=now)
        Conversation.objects.filter(pk=conversation_id).update(last_message_at=now)
    return {
        "id": message.pk,
        "conversation": conversation_id,
        "sender": sender,
        "body": body,
        "sent_at": int(now.timestamp() * 1000),
    }
