"""Clients as their application sees them: who is on line, how many there are, and what waits for one."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from conversations.services import directory
from imcore.bridge import in_database
from imcore.delivery.encoding import EVERYBODY
from imcore.delivery.node import node
from messaging.storage import devices, unread


class Statistics(NamedTuple):
    """How many clients are on line, and how many were today."""

    online: int
    today: int


async def online(*, application: int, client_ids: Sequence[str]) -> list[str]:
    """Return which of some clients have an open session on any node, in their order."""
    # A name with a NUL is a chat room's (imcore/delivery/presence.py), never a client's.
    return await node.presence.online(application, [one for one in client_ids if "\0" not in one])


async def unread_count(*, application: int, client_id: str, conversation_id: str | None, now_ms: int) -> int:
    """Return how many messages a client has not read, of one conversation or of all (rest-api 8.12).

    0 where it is no member, and for a client that nobody knows. Of what services say, at most a hundred messages of
    each count, and the newest 500 services, as at log-in. Raises ConversationNotFound.
    """
    found = None
    if conversation_id is not None:
        found = await directory.find(application=application, conversation_id=conversation_id, now_ms=now_ms)
    return await in_database(
        unread.total,
        application=application,
        client_id=client_id,
        conversation=None if found is None else found.pk,
        now_ms=now_ms,
    )


async def statistics(*, application: int, now: datetime) -> Statistics:
    """Return how many clients are on line, and how many were since midnight, UTC (rest-api 8.14).

    Today's are those who have signed in or come back. Who has been on line since yesterday is not written anywhere; so
    they are as many as are on line now, at least.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = await in_database(devices.clients_since, application=application, since=midnight)
    here = (await node.presence.occupancy(application, EVERYBODY)).clients
    return Statistics(here, max(here, today))
