"""Messages that are kept but did not reach a node of which somebody should have heard."""

from dataclasses import dataclass

from django.db import connection

from conversations.storage.audiences import Audience, audience, latest
from messaging.storage.history import COLUMNS, StoredMessage, stored_message

__all__ = ["MissingMessages", "find", "latest"]

# By seq, or by time where that is the better start: both are the first columns of an index, and rise together.
_BY_SEQ = f"""
SELECT wants_receipt, {COLUMNS} FROM messaging_message
WHERE conversation_id = %s AND seq >= %s AND seq <= %s ORDER BY seq LIMIT %s
"""  # noqa: S608 - constants
_BY_TIME = f"""
SELECT wants_receipt, {COLUMNS} FROM messaging_message
WHERE conversation_id = %s AND timestamp_ms >= %s AND seq >= %s AND seq <= %s ORDER BY timestamp_ms, seq LIMIT %s
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class MissingMessages:
    """Messages, each with whether its sender wants a receipt, oldest first; and who may be told of them."""

    audience: Audience
    messages: list[tuple[StoredMessage, bool]]


def find(*, conversation: int, first: int, last: int, since_ms: int, limit: int) -> MissingMessages | None:
    """Return the oldest messages with a seq from `first` to `last` that were not stored before `since_ms`.

    None if the conversation is gone.
    """
    found = audience(conversation=conversation)
    if found is None:
        return None
    with connection.cursor() as cursor:
        if since_ms:
            cursor.execute(_BY_TIME, [conversation, since_ms, first, last, limit])
        else:
            cursor.execute(_BY_SEQ, [conversation, first, last, limit])
        messages = [(stored_message(*row), bool(wants_receipt)) for wants_receipt, *row in cursor.fetchall()]
    return MissingMessages(found, messages)
