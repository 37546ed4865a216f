"""Finding conversations by condition: `conv/query` as one statement, whatever the page, plus one for the members.

A lookup of more ids than a page has asks for the attributes only when it knows that they are not too many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast, Length

from conversations.models import Conversation, Member
from conversations.policy import THE_APPLICATION, Kind
from conversations.storage.json_text import read_json
from conversations.storage.where import Where, compile_where, distance_order, time_limit
from imcore import limits
from imcore.errors import ConversationQueryFailed

_COLUMNS = {
    "objectId": ["c.object_id"],
    "c": ["c.creator"],
    "createdAt": ["c.created_ms"],
    "updatedAt": ["c.updated_ms"],
    # The hour has an index; within one, there is not much left to sort.
    "lm": ["c.last_message_hour", "c.last_message_ms"],
    "uniqueId": ["COALESCE(c.unique_id, '')"],
}
# What has no value is least, on both engines.
_NULLABLE = {"lm"}

# A lookup may name ten times as many conversations as a page has, each with attributes of ATTRIBUTES_MAX_BYTES. It is
# all in memory at once, several times over.
RESULT_MAX_BYTES = 16 * 1024 * 1024
_SIZE = {"sqlite": "length(c.attributes)", "postgresql": "octet_length(c.attributes::text)"}

_SELECT = """
SELECT c.id, c.object_id, c.kind, c.creator, {attributes}, c.is_unique, c.unique_id, c.last_seq, c.last_message_ms,
       c.created_ms, c.updated_ms, c.ttl_seconds
FROM conversations_conversation c
WHERE c.application_id = %s AND {condition}
ORDER BY {order}
LIMIT %s OFFSET %s
"""

# The same, with the size of the attributes in their place.
_SIZED_COLUMNS: Any = (
    "id", "object_id", "kind", "creator", Length(Cast("attributes", TextField())), "is_unique", "unique_id",
    "last_seq", "last_message_ms", "created_ms", "updated_ms", "ttl_seconds",
)  # fmt: skip

_OF_CALLER = """
c.kind = 1 AND c.id IN (
  SELECT m.conversation_id FROM conversations_member m WHERE m.application_id = %s AND m.client_id = %s
)
"""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order: the wire's name of a property, and which way."""

    key: str
    is_descending: bool


@dataclass(frozen=True, slots=True)
class FoundConversation:
    """A conversation as a query finds it. `members` and `muted` are empty where they were not asked for."""

    pk: int
    object_id: str
    kind: Kind
    creator: str
    attributes: dict[str, Any]
    is_unique: bool
    unique_id: str | None
    last_seq: int
    last_message_ms: int | None
    created_ms: int
    updated_ms: int
    ttl_seconds: int | None
    members: tuple[str, ...]
    muted: tuple[str, ...]


def query(
    *,
    application: int,
    client_id: str,
    where: Where,
    sort: Sequence[SortKey],
    limit: int,
    skip: int,
    with_members: bool,
) -> list[FoundConversation]:
    """Return a page of conversations. Without a condition, of the caller's normal ones; of THE_APPLICATION, of all.

    Temporary conversations are never found. Raises ConversationQueryFailed for what the database cannot evaluate or
    not within QUERY_SECONDS, and for more than RESULT_MAX_BYTES.
    """
    is_lookup = limit > limits.CONVERSATION_PAGE_MAX
    sql, parameters = statement(
        application=application,
        client_id=client_id,
        where=where,
        sort=sort,
        limit=limit,
        skip=skip,
        vendor=connection.vendor,
        attributes=_SIZE[connection.vendor] if is_lookup else "c.attributes",
    )
    with time_limit(connection, settings.QUERY_SECONDS), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    return _found(_with_attributes(rows) if is_lookup else rows, with_members)


def statement(
    *,
    application: int,
    client_id: str,
    where: Where,
    sort: Sequence[SortKey],
    limit: int,
    skip: int,
    vendor: str,
    attributes: str = "c.attributes",
) -> tuple[str, list[Any]]:
    """Return the SQL of `query` and its parameters. `vendor` is the connection's: "sqlite" or "postgresql".

    `attributes`: the SQL that is selected in their place.
    """
    parameters: list[Any] = [application]
    if where.is_empty and client_id != THE_APPLICATION:
        condition = _OF_CALLER
        parameters += [application, client_id]
    else:
        condition, values = _condition(application, where, vendor)
        parameters += values
    order, values = _order(where, sort, vendor)
    sql = _SELECT.format(attributes=attributes, condition=condition, order=order)
    return sql, [*parameters, *values, limit, skip]


def with_ids(*, application: int, object_ids: Sequence[str]) -> list[FoundConversation]:
    """Return those of the conversations that there are, temporary ones excepted.

    Raises ConversationQueryFailed for more than RESULT_MAX_BYTES.
    """
    rows = Conversation.objects.filter(application_id=application, object_id__in=object_ids)
    found = rows.exclude(kind=Kind.TEMPORARY).values_list(*_SIZED_COLUMNS)
    return _found(_with_attributes(list(found)), with_members=True)


def count(*, application: int, where: Where) -> int:
    """Return how many conversations of an application there are, but for temporary ones. Raises as `query`."""
    condition, values = _condition(application, where, connection.vendor)
    sql = f"SELECT COUNT(*) FROM conversations_conversation c WHERE c.application_id = %s AND {condition}"  # noqa: S608
    with time_limit(connection, settings.QUERY_SECONDS), connection.cursor() as cursor:
        cursor.execute(sql, [application, *values])
        (number,) = cursor.fetchone()
    return int(number)


def matches(conversation: Conversation, where: Where) -> bool:
    """Return whether a condition holds of a conversation at this moment. Raises as `query`."""
    condition, values = _condition(conversation.application_id, where, connection.vendor)
    sql = f"SELECT 1 FROM conversations_conversation c WHERE c.id = %s AND {condition}"  # noqa: S608
    with time_limit(connection, settings.QUERY_SECONDS), connection.cursor() as cursor:
        cursor.execute(sql, [conversation.pk, *values])
        return cursor.fetchone() is not None


def _condition(application: int, where: Where, vendor: str) -> tuple[str, list[Any]]:
    compiled, values = compile_where(where, vendor=vendor, application_id=application)
    return f"c.kind <> 4 AND ({compiled})", values


def temporary(
    *, application: int, object_ids: Sequence[str], now_ms: int, with_members: bool
) -> list[FoundConversation]:
    """Return those of the temporary conversations that live, in the order asked.

    Raises ConversationQueryFailed for more than RESULT_MAX_BYTES.
    """
    found = Conversation.objects.filter(
        application_id=application, object_id__in=object_ids, kind=Kind.TEMPORARY, expires_ms__gt=now_ms
    ).values_list(*_SIZED_COLUMNS)
    place = {object_id: index for index, object_id in enumerate(object_ids)}
    return _found(_with_attributes(sorted(found, key=lambda row: place[row[1]])), with_members)


def _order(where: Where, sort: Sequence[SortKey], vendor: str) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    if not sort and (nearest := distance_order(where, vendor=vendor)) is not None:
        parts.append(f"{nearest[0]} ASC")
        values += nearest[1]
    for key in sort or [SortKey("lm", is_descending=True), SortKey("createdAt", is_descending=True)]:
        columns = _COLUMNS.get(key.key)
        direction = "DESC" if key.is_descending else "ASC"
        if columns is None or key.key in _NULLABLE:
            direction += " NULLS LAST" if key.is_descending else " NULLS FIRST"
        if columns is None:
            attribute, path = _attribute(key.key, vendor)
            columns = [attribute]
            values.append(path)
        parts += [f"{column} {direction}" for column in columns]
    return ", ".join([*parts, "c.id DESC"]), values


def _attribute(key: str, vendor: str) -> tuple[str, object]:
    steps = key.split(".")
    if vendor == "postgresql":
        return "c.attributes #> %s", steps
    if any('"' in step for step in steps):
        raise ConversationQueryFailed(f"Cannot sort by {key!r}.")
    return "json_extract(c.attributes, %s)", "$" + "".join(f'."{step}"' for step in steps)


def _with_attributes(rows: Sequence[Any]) -> list[Any]:
    """Put the attributes in the place of their sizes, unless they are too much. Those that are gone are left out."""
    if sum(row[4] for row in rows) > RESULT_MAX_BYTES:
        raise ConversationQueryFailed(f"The attributes have more than {RESULT_MAX_BYTES} bytes; ask for fewer.")
    found = Conversation.objects.filter(pk__in=[row[0] for row in rows])
    texts = dict(found.values_list("pk", Cast("attributes", TextField())))
    return [(*row[:4], texts[row[0]], *row[5:]) for row in rows if row[0] in texts]


def _found(rows: Sequence[Any], with_members: bool) -> list[FoundConversation]:
    members: dict[int, list[str]] = {row[0]: [] for row in rows}
    muted: dict[int, list[str]] = {row[0]: [] for row in rows}
    entries = Member.objects.filter(conversation_id__in=list(members)).order_by("id")
    if not with_members:
        entries = entries.filter(is_muted=True)
    for conversation, client_id, is_muted in entries.values_list("conversation_id", "client_id", "is_muted"):
        if with_members:
            members[conversation].append(client_id)
        if is_muted:
            muted[conversation].append(client_id)
    return [
        FoundConversation(
            pk=pk,
            object_id=object_id,
            kind=Kind(kind),
            creator=creator,
            attributes=read_json(attributes),
            is_unique=bool(is_unique),
            unique_id=unique_id,
            last_seq=last_seq,
            last_message_ms=last_message_ms,
            created_ms=created_ms,
            updated_ms=updated_ms,
            ttl_seconds=ttl_seconds,
            members=tuple(members[pk]),
            muted=tuple(muted[pk]),
        )
        for (
            pk, object_id, kind, creator, attributes, is_unique, unique_id, last_seq, last_message_ms, created_ms,
            updated_ms, ttl_seconds,
        ) in rows
    ]  # fmt: skip
