"""What was said, as the application reads it: by (time, message id), of one conversation or of many (rest-api 8.8).

    messages ───────────┐
                        ├─ each from one place on, a page at most ─ by (time, id) ─ a page
    those of services ──┘

Each part is a range of an index, so a page costs the same at any depth. Within a conversation no two messages share a
time, but those of different ones may; ids compare by bytes.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from conversations.policy import Kind
from conversations.storage import following, naming
from conversations.storage.naming import log_id
from messaging.models import Audience, Message, ServiceMessage
from messaging.storage import service_history
from messaging.storage.history import Boundary, StoredMessage, stored_message
from messaging.storage.service_history import Condition, Parts, Range

# Conversations that clients make for a while are not reachable over HTTP (rest-api 8), nor what is left of those that
# are gone, whose kind is NULL. Not `IN (…)`: PostgreSQL would think few are, and sort all there is for a page.
_IS_REACHABLE: Final = f"{naming.KIND.format(number='conversation_id')} <> {Kind.TEMPORARY.value}"
# One to several clients is a row for each, of which the first one counts: they share time and id, and so the place.
_IS_FIRST_COPY: Final = """NOT EXISTS (
  SELECT 1 FROM messaging_servicemessage AS other
  WHERE other.message_id = messaging_servicemessage.message_id
    AND other.client_id < messaging_servicemessage.client_id AND NOT other.is_deleted
)"""

_OF_MESSAGE: Final = """
message_id, timestamp_ms, sender, text, data, is_binary, mention_ids, mention_all, patch_ms, ack_ms, is_recalled,
conversation_id, '' AS client_id
"""
_OF_SERVICE_MESSAGE: Final = """
message_id, timestamp_ms, sender, text, data, is_binary, CAST(NULL AS jsonb), FALSE, patch_ms, CAST(NULL AS bigint),
is_recalled, conversation_id, client_id
"""

_PAGE: Final = f"""
SELECT page.*, {naming.OBJECT_ID.format(number="page.conversation_id")},
       {naming.KIND.format(number="page.conversation_id")}
FROM ({{page}}) AS page
ORDER BY timestamp_ms {{direction}}, message_id {{direction}}
"""  # noqa: S608 - constants


# A mark may outlive its conversation for a while.
_LOG: Final = f"""
SELECT object_id, client_id
FROM (
  SELECT {naming.OBJECT_ID.format(number="place.conversation_id")} AS object_id, client_id
  FROM (
    SELECT conversation_id, client_id FROM messaging_servicemark
    WHERE application_id = %(application)s AND log_id = %(log)s
    UNION ALL {following.FOLLOWED_BY_LOG}
  ) AS place
) AS log
WHERE object_id IS NOT NULL
LIMIT 1
"""  # noqa: S608 - constants


class Log(NamedTuple):
    """The log of what a system conversation says to a client."""

    conversation_id: str
    client_id: str


class Entry(NamedTuple):
    """A message and where it was said. `client_id`: whose log with a system conversation it is of; else empty."""

    message: StoredMessage
    is_recalled: bool
    conversation_id: str
    kind: Kind
    client_id: str

    @property
    def log_id(self) -> str:
        """The log it is filed in: the conversation's, or that of a client with a system conversation (rest-api 8.8)."""
        return log_id(self.conversation_id, self.client_id) if self.client_id else self.conversation_id


def find(*, application: int, log: str) -> Log | None:
    """Return the log with an id, if a system conversation has spoken to the client by name, or it is a subscriber."""
    with connection.cursor() as cursor:
        cursor.execute(_LOG, {"application": application, "log": log})
        row = cursor.fetchone()
    return None if row is None else Log(*row)


def of_conversation(conversation: int) -> list[Range]:
    """What was said in a conversation."""
    return [_messages("conversation_id = %s", conversation)]


def of_client(application: int, client_id: str) -> list[Range]:
    """What a client said in normal conversations and chat rooms."""
    return [_messages(f"application_id = %s AND sender = %s AND {_IS_REACHABLE}", application, client_id)]


def of_application(application: int) -> list[Range]:
    """What was said in normal conversations and chat rooms, and by system conversations to clients or subscribers."""
    audiences = f"audience IN ({Audience.CLIENT.value}, {Audience.SUBSCRIBERS.value})"
    spoken = f"application_id = %s AND {audiences} AND NOT is_deleted AND {_IS_REACHABLE} AND {_IS_FIRST_COPY}"
    return [
        _messages(f"application_id = %s AND {_IS_REACHABLE}", application),
        Range("messaging_servicemessage", _OF_SERVICE_MESSAGE, (spoken, [application])),
    ]


def of_subscriber(conversation: int, client_id: str, *, is_subscriber: bool) -> list[Range]:
    """What a system conversation said to a client, and if it is one, to its subscribers."""
    parts = Parts(to_subscribers=is_subscriber, to_everybody=False, own=False)
    wanted = service_history.wanted(conversation, client_id, parts)
    return [part._replace(columns=_OF_SERVICE_MESSAGE) for part in wanted]


def page(
    *, ranges: Sequence[Range], older_end: Boundary | None, newer_end: Boundary | None, newest: bool, limit: int
) -> list[Entry]:
    """Return up to `limit` messages between two ends: the newest first if `newest`, else the oldest.

    An end that has an id is that place, whether or not a message is there; one without is its time.
    """
    bounds = [*_bound(">", older_end), *_bound("<", newer_end)]
    text, parameters = service_history.merged(ranges, bounds, newest=newest, limit=limit)
    with connection.cursor() as cursor:
        cursor.execute(_PAGE.format(page=text, direction="DESC" if newest else "ASC"), parameters)
        return [_entry(*row) for row in cursor.fetchall()]


@transaction.atomic
def overwrite(
    *,
    application: int,
    message_id: str,
    timestamp_ms: int,
    log: str | None,
    text: str | None,
    data: bytes | None,
    is_binary: bool,
    message_type: int | None,
) -> bool:
    """Give a message another body, as if it had been sent with that one; return whether it is there.

    One that a system conversation said to several clients is changed in one's `log`, or if that is no client's in all.
    """
    body = {"text": text, "data": data, "is_binary": is_binary, "message_type": message_type}
    named: dict[str, Any] = {
        "application_id": application,
        "message_id": message_id,
        "timestamp_ms": timestamp_ms,
    }
    if Message.objects.filter(**named).update(**body):
        return True
    spoken = ServiceMessage.objects.filter(**named, is_deleted=False).exclude(audience=Audience.EVERYBODY)
    rows = list(spoken.values_list("pk", "client_id", "conversation_id"))
    if not rows:
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {naming.OBJECT_ID.format(number='%s')}", [rows[0][2]])
        conversation_id = cursor.fetchone()[0]
    of_log = [pk for pk, client_id, _ in rows if client_id and log == log_id(conversation_id, client_id)]
    changed = ServiceMessage.objects.filter(pk__in=of_log or [pk for pk, _, _ in rows]).update(**body)
    return bool(changed)


def _messages(text: str, *values: Any) -> Range:
    return Range("messaging_message", _OF_MESSAGE, (text, list(values)))


def _bound(sign: str, end: Boundary | None) -> Iterable[Condition]:
    """Say in words that every index understands: not beyond the time, and if at it, as far as the id."""
    if end is None:
        return
    or_equal = "=" if end.is_included else ""
    if not end.message_id:
        yield f" AND timestamp_ms {sign}{or_equal} %s", [end.timestamp_ms]
        return
    yield f" AND timestamp_ms {sign}= %s", [end.timestamp_ms]
    yield (
        f" AND (timestamp_ms {sign} %s OR message_id {sign}{or_equal} %s)",
        [end.timestamp_ms, end.message_id],
    )


def _entry(
    message_id: str,
    timestamp_ms: int,
    sender: str,
    text: str | None,
    data: bytes | memoryview | None,
    is_binary: bool,
    mention_ids: str | list[str] | None,
    mention_all: bool,
    patch_ms: int | None,
    ack_ms: int | None,
    is_recalled: bool,
    conversation: int,
    client_id: str,
    conversation_id: str,
    kind: int,
) -> Entry:
    message = stored_message(
        message_id, 0, timestamp_ms, sender, text, data, is_binary, mention_ids, mention_all, patch_ms, ack_ms, None
    )
    return Entry(message, bool(is_recalled), conversation_id, Kind(kind), client_id)
