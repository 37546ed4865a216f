"""What a client is told when it signs in, because it happened while it was away (realtime-protocol 1.5, 4.10, 4.12).

Counts of what is unread, or on the old subprotocols the messages themselves; and the patches it missed. All of it is
read after the session can be reached, so that it meets the live messages without a gap (docs/adr/0015).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imcore import identifiers, limits
from imcore.appsettings import ApplicationSnapshot
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.capabilities import COUNTS_UNREAD, PATCHES, TEMPORARY_CONVERSATIONS
from messaging.events import UnreadChanged, stream
from messaging.models import MessagingSettings
from messaging.services import handing
from messaging.storage import catching_up
from messaging.storage.catching_up import Absent, DeviceNow, Missed

CLIENTS_AT_ONCE = 32
# Messages are large (OFFLINE_MAX_BYTES for each client), and may not keep other work from the database.
PUSHED_AT_ONCE = 4
BACKLOG = 20_000
# What changed within so long before a client's position is told again: it may have been stamped by a clock that is
# behind, or have waited for its turn in the database (DATABASE_WAIT_SECONDS). A count that is told twice does no harm.
UNREAD_MARGIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class CatchingUp:
    """What a session is told before anything live, in this order, and what of the live that covers: stream → position.

    A message up to its stream's position is in `events`, as itself or in a count. Not `device.is_signed_in`: whoever
    has ended its device meanwhile may not have found the session; it is to be told that it is over instead
    (`sessions.ended`).
    """

    events: Sequence[object]
    told: Mapping[str, int]
    device: DeviceNow


async def load(
    *,
    application: ApplicationSnapshot,
    client_id: str,
    device: int,
    generation: int,
    capabilities: int,
    was_here: bool,
    unread_since_ms: int,
    patched_since_ms: int,
    now_ms: int,
) -> CatchingUp:
    """Find out what a client missed that understands `capabilities` (imcore/capabilities.py).

    It has come from `device` with tokens of `generation`, and can be found by who ends its sessions from now on.

    `was_here`: until now it had another session on its connection, and so every message. `unread_since_ms` is the
    `now_ms` of the counts it was told last: what has not changed since it knows; far ahead of this clock, it says
    nothing. `patched_since_ms` is its position among patches, at first its own clock's. It may well be ahead of this
    clock: patch times rise, whatever that shows. Neither says anything if it is 0. Raises StorageUnavailable.
    """
    settings = application.of(MessagingSettings)
    absent = Absent(
        application=application.pk,
        client_id=client_id,
        device=device,
        generation=generation,
        knows_temporary=bool(capabilities & TEMPORARY_CONVERSATIONS),
        conversations_max=settings.unread_conversations_max,
        unread_since_ms=_unread_since(unread_since_ms, now_ms),
        messages_max=None if capabilities & COUNTS_UNREAD else 0 if was_here else settings.offline_messages_max,
        patched_since_ms=patched_since_ms if capabilities & PATCHES and patched_since_ms > 0 else None,
    )
    if absent.messages_max:
        await handing.settled()
    missed = await (_pushing if absent.messages_max else _counting).submit(absent)
    told = {stream(conversation): seq for conversation, seq in missed.told.items()}
    events = [*_counts(client_id, missed, now_ms), *missed.patches, *missed.messages]
    return CatchingUp(events, told, missed.device)


def _unread_since(told_ms: int, now_ms: int) -> int | None:
    return max(0, told_ms - UNREAD_MARGIN_MS) if 0 < told_ms <= now_ms + UNREAD_MARGIN_MS else None


def _counts(client_id: str, missed: Missed, now_ms: int) -> Iterator[UnreadChanged]:
    """Yield counts in frames of a size that every SDK can take, whatever the application's limit."""
    for start in range(0, len(missed.unread), limits.UNREAD_CONVERSATIONS_MAX):
        yield UnreadChanged(client_id, missed.unread[start : start + limits.UNREAD_CONVERSATIONS_MAX], now_ms)


async def _load(clients: Sequence[Absent]) -> list[Missed]:
    return await in_database(catching_up.missed_by, clients, now_ms=identifiers.now_ms())


_counting: Batcher[Absent, Missed] = Batcher(_load, size=CLIENTS_AT_ONCE, backlog=BACKLOG, name="catching up")
_pushing: Batcher[Absent, Missed] = Batcher(_load, size=PUSHED_AT_ONCE, backlog=BACKLOG, name="catching up on messages")
