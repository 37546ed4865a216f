"""Finding rows of `_SysMessage`: what clients said to system conversations (rest-api 10.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db.models import Q, QuerySet

from imcore.objects import UnfitQuery
from imcore.where import Column, InstantColumn, NumberColumn, SwitchColumn, TextColumn, condition, order
from messaging.models import SysMessage


class UpstreamMessage(NamedTuple):
    """A message to a system conversation, as stored."""

    message_id: str
    conversation: int
    sender: str
    sender_address: str | None
    text: str | None
    data: bytes | None
    is_binary: bool
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class ConversationColumn:
    """The conversation a message was for: a pointer on the wire, a number in the table."""

    numbers: Mapping[str, int]
    name: str = "conversation_id"

    def among(self, values: Sequence[Any]) -> Q:
        """Return the condition that a message was for one of these."""
        ids = [one for value in values if (one := pointed_at(value)) is not None]
        if len(ids) < len(values):
            raise UnfitQuery("conv is a pointer to a _Conversation.")
        return Q(conversation_id__in=[self.numbers[one] for one in ids if one in self.numbers])

    def exists(self) -> Q:
        """Return the condition that it was for any, which all of them are."""
        return Q(conversation_id__isnull=False)

    def asked(self, operator: str, operand: Any) -> Q | None:
        """Have no operator of its own."""
        return None


_PLAIN_COLUMNS: Final[Mapping[str, Column]] = {
    "objectId": TextColumn("message_id"),
    "msgId": TextColumn("message_id"),
    "from": TextColumn("sender"),
    "bin": SwitchColumn("is_binary"),
    "timestamp": NumberColumn("timestamp_ms"),
    "createdAt": InstantColumn("timestamp_ms"),
    "updatedAt": InstantColumn("timestamp_ms"),
}
# Ids rise with time, and the index by time is there.
_BY_AGE: Final = ("timestamp_ms", "message_id")


def pointed_at(value: Any) -> str | None:
    """Return the id of the conversation that a pointer leads to, or None for what is no such pointer."""
    if isinstance(value, dict) and value.get("className") == "_Conversation":
        object_id = value.get("objectId")
        return object_id if isinstance(object_id, str) else None
    return None


def page(
    *,
    application: int,
    numbers: Mapping[str, int],
    where_text: str,
    order_text: str,
    limit: int,
    skip: int,
    counts: bool,
) -> tuple[list[UpstreamMessage], int]:
    """Return messages by condition, the oldest first unless asked otherwise, and how many match.

    `numbers` are those of the conversations that the condition names. Raises UnfitQuery.
    """
    rows = _rows(application, numbers, where_text)
    ordered = rows.order_by(*order(order_text, _PLAIN_COLUMNS, *_BY_AGE))
    return _read(ordered[skip : skip + limit]) if limit else [], rows.count() if counts else 0


def scan(
    *,
    application: int,
    numbers: Mapping[str, int],
    where_text: str,
    after: tuple[int, str] | None,
    is_descending: bool,
    limit: int,
) -> list[UpstreamMessage]:
    """Return the next messages, those behind the one of this time and id. Raises UnfitQuery."""
    rows = _rows(application, numbers, where_text)
    if after is not None:
        at_ms, message_id = after
        way = "lt" if is_descending else "gt"
        # The first is for the index.
        rows = rows.filter(
            Q(**{f"timestamp_ms__{way}e": at_ms}),
            Q(**{f"timestamp_ms__{way}": at_ms}) | Q(**{f"message_id__{way}": message_id}),
        )
    return _read(rows.order_by(*(f"-{name}" for name in _BY_AGE) if is_descending else _BY_AGE)[:limit])


def with_ids(*, application: int, message_ids: Sequence[str]) -> list[UpstreamMessage]:
    """Return those of the messages that there are."""
    return _read(SysMessage.objects.filter(application=application, message_id__in=message_ids))


def _rows(application: int, numbers: Mapping[str, int], where_text: str) -> QuerySet[SysMessage]:
    columns = {**_PLAIN_COLUMNS, "conv": ConversationColumn(numbers)}
    return SysMessage.objects.filter(condition(where_text, columns), application=application)


def _read(rows: QuerySet[SysMessage]) -> list[UpstreamMessage]:
    return [
        UpstreamMessage(
            message_id=row.message_id,
            conversation=row.conversation_id,
            sender=row.sender,
            sender_address=row.sender_address,
            text=row.text,
            data=None if row.data is None else bytes(row.data),
            is_binary=row.is_binary,
            timestamp_ms=row.timestamp_ms,
        )
        for row in rows
    ]
