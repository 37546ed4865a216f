"""A socket that takes what it is given, or does not."""

import asyncio
from typing import Any

from imcore.delivery.outbound import Event


class Socket:
    """ASGI's `send`, with a gate that stands for the socket's buffer: open, it takes everything at once."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.failure: Exception | None = None

    async def send(self, event: Event) -> None:
        """Take an event once there is room."""
        if not self.has_room.is_set():
            await self.has_room.wait()
        if self.failure is not None:
            raise self.failure
        self.taken.append(event)

    @property
    def payloads(self) -> list[Any]:
        """Return what was taken."""
        return [event["bytes"] for event in self.taken]
