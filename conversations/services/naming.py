"""Conversations by number and by id, for whoever stores numbers and shows ids."""

from collections.abc import Collection, Mapping, Sequence

from conversations.storage import conversations
from imcore.bridge import in_database


async def ids_of(numbers: Collection[int]) -> Mapping[int, str]:
    """Return the ids of conversations by their numbers; those that are gone are left out."""
    return await in_database(conversations.ids_of, numbers=numbers)


async def numbers_of(conversation_id: str) -> list[int]:
    """Return the numbers of the conversations with an id: in every application at most one."""
    return await in_database(conversations.numbers_of, object_id=conversation_id)


async def numbers_of_ids(*, application: int, conversation_ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of an application's conversations by their ids; those that are not there are left out."""
    return await in_database(conversations.numbers_of_ids, application=application, object_ids=conversation_ids)
