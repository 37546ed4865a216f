"""From which message to everybody on a client gets them: a row a client, which is made when it first comes.

What is said to everybody has numbers, in the order of commits (docs/adr/0017).
"""

from datetime import UTC, datetime

from django.db import connection

from conversations.storage import following
from messaging.models import BroadcastMark, Device, ServiceUse

__all__ = ["arrive", "of_client"]

# What services said that are gone comes to nobody, though it is there until the next retention.
_NEWEST = f"""
SELECT MAX(s.number) FROM messaging_servicemessage s JOIN {following.CONVERSATIONS} AS c ON c.id = s.conversation_id
WHERE s.application_id = %s AND s.valid_till_ms > %s AND NOT s.is_recalled AND NOT s.is_deleted
"""  # noqa: S608 - constants


def of_client(application: int, client_id: str, now_ms: int) -> int:
    """Return above which number a client gets what is said to everybody."""
    rows = BroadcastMark.objects.filter(application_id=application, client_id=client_id)
    after = rows.values_list("after_number", flat=True).first()
    return _first(application, client_id, now_ms) if after is None else after


def arrive(application: int, client_id: str, now_ms: int, *, lock: bool = False) -> int:
    """Do as `of_client` for a client that logs in: note it, when it is here for the first time."""
    rows = BroadcastMark.objects.filter(application_id=application, client_id=client_id)
    known = (rows.select_for_update() if lock else rows).values_list("after_number", flat=True)
    after = known.first()
    if after is None:
        first = BroadcastMark(
            application_id=application, client_id=client_id, after_number=_first(application, client_id, now_ms)
        )
        BroadcastMark.objects.bulk_create([first], ignore_conflicts=True)
        after = known.get()
    return after


def _first(application: int, client_id: str, now_ms: int) -> int:
    """Return what a client gets that comes for the first time since its application speaks to everybody.

    All that is valid, if it was here before; a new one the newest alone (rest-api 8.14).
    """
    use = ServiceUse.objects.filter(application_id=application).first()
    if use is None or not use.last_number:
        return 0
    began_at = datetime.fromtimestamp(use.began_ms / 1000, UTC)
    if Device.objects.filter(application_id=application, client_id=client_id, first_seen_at__lt=began_at).exists():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [application, now_ms])
        newest: int | None = cursor.fetchone()[0]
    return use.last_number if newest is None else newest - 1
