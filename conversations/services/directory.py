"""Finding a conversation without asking the database every time.

A server remembers conversations with their members, a bounded number of them. Memory is never authority: what is
stored is checked against `members_version` in the storing transaction (messaging/storage/messages.py), and what is
not stored asks for a memory younger than a few seconds. A crowd that asks at once, as when a chat room opens, shares
answers.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakValueDictionary

from cachetools import LRUCache
from django.conf import settings

from conversations.policy import Kind, Roster
from conversations.storage import conversations, retention
from conversations.storage.conversations import ConversationInfo
from imcore import limits
from imcore.batching import Batcher
from imcore.bridge import in_database
from imcore.errors import (
    ChatRoomRequired,
    ConversationNotFound,
    ImError,
    NormalConversationRequired,
    SystemConversationRequired,
)

__all__ = [
    "ConversationInfo",
    "check_kind",
    "find",
    "find_of",
    "forget",
    "remember",
    "was_deleted",
    "with_roster",
]

_REQUIRED: Mapping[Kind, type[ImError]] = {
    Kind.NORMAL: NormalConversationRequired,
    Kind.CHAT_ROOM: ChatRoomRequired,
    Kind.SYSTEM: SystemConversationRequired,
}

_remembered: LRUCache[tuple[int, str], tuple[ConversationInfo, float]] = LRUCache(
    # A conversation weighs what its lists do: a bound on conversations alone would be none on memory.
    maxsize=settings.CONVERSATION_CACHE,
    getsizeof=lambda entry: 1 + entry[0].roster.size,
)

# Those that are being asked for; each lives as long as somebody waits for its answer. Who comes while the database is
# being asked waits for the next answer, since this one may be older than what made him ask.
_questions: WeakValueDictionary[tuple[int, str], Batcher[None, ConversationInfo | None]] = WeakValueDictionary()


async def find(
    *, application: int, conversation_id: str, now_ms: int, max_age_seconds: float = float("inf")
) -> ConversationInfo:
    """Return a conversation, remembered at most `max_age_seconds` ago; 0 asks the database.

    Raises ConversationNotFound if there is none, or if it was temporary and its time is over.
    """
    remembered = _remembered.get((application, conversation_id))
    if remembered is not None and time.monotonic() - remembered[1] < max_age_seconds:
        found = remembered[0]
    else:
        found = await _load(application, conversation_id)
    if found.expires_ms is not None and found.expires_ms <= now_ms:
        raise ConversationNotFound("The temporary conversation has expired.")
    return found


async def find_of(*, application: int, conversation_id: str, kind: Kind, now_ms: int) -> ConversationInfo:
    """Return a conversation, asked of the database, that must be of a kind.

    Raises ConversationNotFound, or what names the kind that it is not: SystemConversationRequired,
    NormalConversationRequired, ChatRoomRequired (rest-api 4.1).
    """
    found = await find(application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0)
    check_kind(found, kind)
    return found


def check_kind(conversation: ConversationInfo, kind: Kind) -> None:
    """Raise what says which kind of conversation is wanted, if this one is of another."""
    if conversation.kind is not kind:
        raise _REQUIRED[kind](f"This is a {conversation.kind.label} conversation.")


async def was_deleted(*, application: int, conversation_id: str) -> bool:
    """Return whether an id that is not found was a conversation's that was deleted for being inactive.

    A temporary one is not: that it is over is what everybody was told at its start.
    """
    if not _can_be_an_id(conversation_id) or conversation_id.startswith(limits.TEMPORARY_ID_PREFIX):
        return False
    return await in_database(retention.was_deleted, application=application, object_id=conversation_id)


def remember(conversation: ConversationInfo) -> None:
    """Note what was just read or written, unless something newer is known already."""
    key = (conversation.application, conversation.object_id)
    remembered = _remembered.get(key)
    if remembered is None or remembered[0].members_version <= conversation.members_version:
        # What is heavier than all that is remembered is asked for every time; the cache raises for it.
        _remembered.pop(key, None)
        if _remembered.getsizeof((conversation, 0.0)) <= _remembered.maxsize:
            _remembered[key] = (conversation, time.monotonic())


def forget(*, application: int, conversation_id: str) -> None:
    """Ask the database next time."""
    _remembered.pop((application, conversation_id), None)


async def _load(application: int, conversation_id: str) -> ConversationInfo:
    if not _can_be_an_id(conversation_id):
        raise ConversationNotFound
    key = (application, conversation_id)
    question = _questions.get(key)
    if question is None:
        question = _questions[key] = Batcher(
            partial(_ask, application, conversation_id),
            size=settings.STORE_BACKLOG,
            backlog=settings.STORE_BACKLOG,
            name="conversation",
        )
    found = await question.submit(None)
    if found is None:
        forget(application=application, conversation_id=conversation_id)
        raise ConversationNotFound
    remember(found)
    return found


async def _ask(application: int, conversation_id: str, askers: Sequence[None]) -> list[ConversationInfo | None]:
    return [await in_database(conversations.load, application=application, object_id=conversation_id)] * len(askers)


def _can_be_an_id(text: str) -> bool:
    return 0 < len(text) <= limits.CONVERSATION_ID_MAX_CHARACTERS and "\0" not in text


def with_roster(conversation: ConversationInfo, roster: Roster) -> ConversationInfo:
    """Return the conversation with a roster that a store has just read, and remember it."""
    fresh = replace(conversation, roster=roster)
    remember(fresh)
    return fresh
