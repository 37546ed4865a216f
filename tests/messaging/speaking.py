"""A system conversation that speaks, and the clients that hear it."""

from collections.abc import Sequence
from typing import Any

from conversations.models import Conversation
from conversations.policy import Kind
from imcore import identifiers
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.encoding import Priority
from imcore.models import Application
from messaging.events import Body
from messaging.models import MessagingSettings
from messaging.services import broadcasting, service_patching
from messaging.services.broadcasting import Broadcast
from messaging.services.sending import Acknowledgement

MINUTE_MS = 60_000


class Service:
    """A system conversation, and what its application does through it; `voice` is the sender it names."""

    def __init__(self, application: Application, cid: str, voice: str = "voice") -> None:
        self.application = application.pk
        self.cid = cid
        self.voice = voice
        self.settings = MessagingSettings()

    async def tell(self, *client_ids: str, text: str = "hello", **fields: Any) -> Acknowledgement:
        """Say something to some clients."""
        asked: dict[str, Any] = {"is_transient": False, "syncs_sender": True, "priority": Priority.HIGH}
        return await broadcasting.send_to_clients(**self._spoken(text), client_ids=client_ids, **asked | fields)

    async def announce(self, text: str = "hello", *, is_transient: bool = False) -> Acknowledgement:
        """Say something to all subscribers."""
        return await broadcasting.send_to_subscribers(**self._spoken(text), is_transient=is_transient)

    async def broadcast(
        self, text: str = "hello", *, valid_ms: int | None = None, is_transient: bool = False
    ) -> Acknowledgement:
        """Say something to everybody, valid for so long."""
        return await broadcasting.send_to_everybody(
            **self._spoken(text),
            valid_till_ms=None if valid_ms is None else identifiers.now_ms() + valid_ms,
            is_transient=is_transient,
        )

    async def patch(
        self, message: Acknowledgement, text: str | None, *, client_ids: Sequence[str] = (), **fields: Any
    ) -> int:
        """Edit what was said, or without a text recall it."""
        asked: dict[str, Any] = {"sender": self.voice, "timestamp_ms": message.timestamp_ms}
        return await service_patching.patch(
            **self._named(),
            settings=self.settings,
            message_id=message.message_id,
            client_ids=tuple(client_ids),
            body=None if text is None else Body(text, None),
            **asked | fields,
        )

    async def delete_for(self, client_id: str, message: Acknowledgement, **fields: Any) -> None:
        """Delete what was said, for one client."""
        asked: dict[str, Any] = {"sender": self.voice, "timestamp_ms": message.timestamp_ms}
        await service_patching.delete_for_subscriber(
            **self._named(), client_id=client_id, message_id=message.message_id, **asked | fields
        )

    async def delete_broadcast(self, message: Acknowledgement) -> None:
        """Delete what was said to everybody."""
        await broadcasting.delete_broadcast(
            application=self.application, message_id=message.message_id, now_ms=identifiers.now_ms()
        )

    async def valid(self, *, limit: int, skip: int = 0) -> list[Broadcast]:
        """Return what it said to everybody and is valid."""
        return await broadcasting.valid_broadcasts(**self._named(), limit=limit, skip=skip)

    def _named(self) -> dict[str, Any]:
        return {"application": self.application, "conversation_id": self.cid, "now_ms": identifiers.now_ms()}

    def _spoken(self, text: str) -> dict[str, Any]:
        return self._named() | {"settings": self.settings, "sender": self.voice, "body": Body(text, None)}


async def new_service(application: Application) -> Service:
    """Make a system conversation."""
    now_ms = identifiers.now_ms()
    made = await in_database(
        lambda: Conversation.objects.create(
            application=application,
            object_id=identifiers.object_id(now_ms),
            kind=Kind.SYSTEM,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
    )
    return Service(application, made.object_id)


async def settled() -> None:
    """Wait until what was published has reached the sessions."""
    await router.router.settle()
