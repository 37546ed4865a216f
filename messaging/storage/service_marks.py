"""How far clients have come in system conversations: one row a client, at most.

Times of a system conversation rise, so a mark is a time, and moving it asks for no message.
"""

from collections.abc import Collection
from typing import NamedTuple

from django.db import connection

from imcore.rows import given

_MOVE = """
WITH moves (application, client, conversation, read_ms, ack_ms, changed_ms, log_id) AS ({given})
INSERT INTO messaging_servicemark AS m (application_id, client_id, conversation_id, read_ms, ack_ms, changed_ms, log_id)
SELECT application, client, conversation, read_ms, ack_ms, changed_ms, NULLIF(log_id, '') FROM moves WHERE true
ON CONFLICT (application_id, client_id, conversation_id) DO UPDATE SET
  read_ms = CASE WHEN excluded.read_ms > m.read_ms THEN excluded.read_ms ELSE m.read_ms END,
  ack_ms = CASE WHEN excluded.ack_ms > m.ack_ms THEN excluded.ack_ms ELSE m.ack_ms END,
  changed_ms = CASE WHEN excluded.changed_ms > m.changed_ms THEN excluded.changed_ms ELSE m.changed_ms END,
  log_id = COALESCE(m.log_id, excluded.log_id)
"""


class Move(NamedTuple):
    """A client's marks in a conversation are not before these times; 0: that one stays.

    `log_id`: where it is spoken to by name, so that the application finds by it what was said (rest-api 9).
    """

    application: int
    client_id: str
    conversation: int
    read_ms: int = 0
    ack_ms: int = 0
    changed_ms: int = 0
    log_id: str = ""


def move(moves: Collection[Move]) -> None:
    """Move marks forward, never back."""
    furthest: dict[tuple[int, str, int], Move] = {}
    for one in moves:
        before = furthest.get(one[:3], one)
        furthest[one[:3]] = one._replace(
            read_ms=max(one.read_ms, before.read_ms),
            ack_ms=max(one.ack_ms, before.ack_ms),
            changed_ms=max(one.changed_ms, before.changed_ms),
            log_id=one.log_id or before.log_id,
        )
    if not furthest:
        return
    # In one order, so that no two transactions wait for each other.
    rows, parameters = given(
        sorted(furthest.values()), "bigint", "text", "bigint", "bigint", "bigint", "bigint", "text"
    )
    with connection.cursor() as cursor:
        cursor.execute(_MOVE.format(given=rows), parameters)
