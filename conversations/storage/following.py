"""System conversations as messaging's storage knows them: who follows them, and how far they have come.

A door for messaging's storage, as `positions.py` is (docs/adr/0008).
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from django.db import connection

from conversations.models import Subscription
from conversations.policy import Kind
from conversations.storage.marks import Place
from imcore.rows import given

__all__ = ["CONVERSATIONS", "FOLLOWED", "FOLLOWED_BY_LOG", "Place", "System", "among", "find"]

# For the statements of others: what a client follows, and since which message; which client follows what, by the id of
# its log; and the conversations themselves.
FOLLOWED = """
SELECT conversation_id, from_ms FROM conversations_subscription
WHERE application_id = %(application)s AND client_id = %(client)s
"""
FOLLOWED_BY_LOG = """
SELECT conversation_id, client_id FROM conversations_subscription
WHERE application_id = %(application)s AND log_id = %(log)s
"""
CONVERSATIONS = "(SELECT id, object_id, last_message_ms FROM conversations_conversation)"

_FIND = f"""
WITH wanted (application, object_id, client) AS ({{given}})
SELECT w.application, w.object_id, w.client, c.id, c.last_message_ms
FROM wanted w
JOIN conversations_conversation c ON c.application_id = w.application AND c.object_id = w.object_id
WHERE c.kind = {Kind.SYSTEM.value} AND c.last_message_ms IS NOT NULL
"""  # noqa: S608 - constants


class System(NamedTuple):
    """A system conversation that has said something, last at `last_message_ms`."""

    conversation: int
    last_message_ms: int


def find(*, places: Collection[Place]) -> dict[Place, System]:
    """Return the system conversations among those that clients have named, if they have said anything."""
    if not places:
        return {}
    rows, parameters = given(list(dict.fromkeys(places)), "bigint", "text", "text")
    with connection.cursor() as cursor:
        cursor.execute(_FIND.format(given=rows), parameters)
        return {
            Place(application, object_id, client_id): System(number, last_message_ms)
            for application, object_id, client_id, number, last_message_ms in cursor.fetchall()
        }


def among(*, conversation: int, client_ids: Sequence[str]) -> set[str]:
    """Return which of some clients follow a system conversation."""
    rows = Subscription.objects.filter(conversation_id=conversation, client_id__in=client_ids)
    return set(rows.values_list("client_id", flat=True))
