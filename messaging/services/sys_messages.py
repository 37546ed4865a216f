"""What clients have said to system conversations, for the back end that reads it (rest-api 10.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from conversations.services import naming
from imcore.bridge import in_database
from messaging.storage import sys_messages
from messaging.storage.sys_messages import UpstreamMessage, pointed_at

__all__ = ["Found", "UpstreamMessage", "page", "scan", "with_ids"]


class Found(NamedTuple):
    """A message, and the id of its conversation; empty if that was deleted."""

    message: UpstreamMessage
    conversation_id: str


async def page(
    *, application: int, where_text: str, order_text: str, limit: int, skip: int, counts: bool
) -> tuple[list[Found], int]:
    """Return messages by condition, the oldest first unless asked otherwise, and how many match. Raises UnfitQuery."""
    found, count = await in_database(
        sys_messages.page,
        application=application,
        numbers=await _numbers(application, where_text),
        where_text=where_text,
        order_text=order_text,
        limit=limit,
        skip=skip,
        counts=counts,
    )
    return await _named(found), count


async def scan(
    *, application: int, where_text: str, after: tuple[int, str] | None, is_descending: bool, limit: int
) -> list[Found]:
    """Return the next messages, those behind the one of this time and id. Raises UnfitQuery."""
    found = await in_database(
        sys_messages.scan,
        application=application,
        numbers=await _numbers(application, where_text),
        where_text=where_text,
        after=after,
        is_descending=is_descending,
        limit=limit,
    )
    return await _named(found)


async def with_ids(*, application: int, message_ids: Sequence[str]) -> list[Found]:
    """Return those of the messages that there are."""
    return await _named(await in_database(sys_messages.with_ids, application=application, message_ids=message_ids))


async def _numbers(application: int, where_text: str) -> dict[str, int]:
    """Return the numbers of the conversations that a condition points to."""
    ids = _conversation_ids(where_text)
    return await naming.numbers_of_ids(application=application, conversation_ids=ids) if ids else {}


def _conversation_ids(where_text: str) -> list[str]:
    try:
        looked_into = [orjson.loads(where_text)] if where_text.strip() else []
    except orjson.JSONDecodeError:
        # The storage refuses it.
        return []
    found: dict[str, None] = {}
    while looked_into:
        value = looked_into.pop()
        if (conversation_id := pointed_at(value)) is not None:
            found[conversation_id] = None
        elif isinstance(value, dict):
            looked_into += value.values()
        elif isinstance(value, list):
            looked_into += value
    return [one for one in found if "\0" not in one]


async def _named(found: Sequence[UpstreamMessage]) -> list[Found]:
    names = await naming.ids_of({message.conversation for message in found}) if found else {}
    return [Found(message, names.get(message.conversation, "")) for message in found]
