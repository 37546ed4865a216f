"""Looking for conversations: the limits, the defaults, and the last message of each."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from conversations.policy import THE_APPLICATION, Kind
from conversations.services import subscriptions
from conversations.services.directory import ConversationInfo
from conversations.storage import queries
from conversations.storage.queries import FoundConversation, SortKey
from conversations.storage.subscriptions import Following
from conversations.storage.where import Where, parse
from conversations.storage.where_tree import Column, Equals, Leaf
from imcore import limits
from imcore.bridge import in_database
from imcore.errors import ConversationNotFound, ConversationQueryFailed

SKIP_MAX = 1_000_000
SORT_KEYS_MAX = 10
_SORT_KEY = re.compile(r"-?\w+(\.\w+)*")


@dataclass(frozen=True, slots=True)
class LastMessage:
    """The newest stored message of a conversation, as its query result shows it. `body` is base64 when binary."""

    message_id: str
    sender: str
    timestamp_ms: int
    body: str
    is_binary: bool
    mention_all: bool
    mention_ids: tuple[str, ...]
    patch_ms: int | None


# Conversation number → its last seq, in; conversation number → its last message, out.
LastMessageSource = Callable[[Mapping[int, int]], Awaitable[Mapping[int, LastMessage]]]

_sources: list[LastMessageSource] = []


def last_messages_from(source: LastMessageSource) -> LastMessageSource:
    """Register where last messages come from: the app above, which keeps the messages."""
    _sources[:] = [source]
    return source


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A found conversation with its last message, where it was asked for and there is one.

    `following`: the caller's subscription to a system conversation.
    """

    conversation: FoundConversation
    last_message: LastMessage | None
    following: Following | None = None


async def query(
    *,
    application: int,
    client_id: str,
    where_text: str,
    sort_text: str,
    limit: int | None,
    skip: int,
    with_members: bool,
    with_last_message: bool,
) -> list[QueryResult]:
    """Return conversations by condition (realtime-protocol 4.4). Raises ConversationQueryFailed."""
    where = parse(where_text)
    limit_max = limits.CONVERSATION_LOOKUP_MAX if where.object_ids is not None else limits.CONVERSATION_PAGE_MAX
    if limit is None or limit < 0:
        limit = limits.CONVERSATION_PAGE_DEFAULT
    sort = sort_keys(sort_text)
    if not 0 <= skip <= SKIP_MAX:
        raise ConversationQueryFailed(f"skip is 0 to {SKIP_MAX}.")
    if limit == 0:
        return []
    found = await in_database(
        queries.query,
        application=application,
        client_id=client_id,
        where=where,
        sort=sort,
        limit=min(limit, limit_max),
        skip=skip,
        with_members=with_members,
    )
    results = await _with_last_messages(found, with_last_message)
    return await _with_subscriptions(application, client_id, results)


async def page(
    *,
    application: int,
    kind: Kind | None,
    where_text: str,
    order_text: str,
    limit: int,
    skip: int,
    counts: bool,
) -> tuple[list[FoundConversation], int]:
    """Return an application's conversations of a kind, or of all but temporary ones, and how many match if it `counts`.

    Raises ConversationQueryFailed, QueryTooSlow.
    """
    where = parse(where_text)
    if kind is not None:
        where = Where((*where.conditions, Leaf(Column.KIND, Equals(int(kind)))))
    order = sort_keys(order_text)
    number = await in_database(queries.count, application=application, where=where) if counts else 0
    if not limit:
        return [], number
    found = await in_database(
        queries.query,
        application=application,
        client_id=THE_APPLICATION,
        where=where,
        sort=order,
        limit=limit,
        skip=skip,
        with_members=True,
    )
    return found, number


async def read(*, conversation: ConversationInfo) -> FoundConversation:
    """Return a conversation as queries find it. Raises ConversationNotFound if it was deleted meanwhile."""
    found = await in_database(
        queries.with_ids, application=conversation.application, object_ids=[conversation.object_id]
    )
    if not found:
        raise ConversationNotFound
    return found[0]


async def temporary(
    *, application: int, object_ids: Sequence[str], with_members: bool, with_last_message: bool, now_ms: int
) -> list[QueryResult]:
    """Return those of the temporary conversations that are alive."""
    wanted = [one for one in dict.fromkeys(object_ids) if "\0" not in one][: limits.CONVERSATION_LOOKUP_MAX]
    found = await in_database(
        queries.temporary, application=application, object_ids=wanted, now_ms=now_ms, with_members=with_members
    )
    return await _with_last_messages(found, with_last_message)


def sort_keys(text: str) -> list[SortKey]:
    """Return the order that a text asks for. Raises ConversationQueryFailed."""
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if len(keys) > SORT_KEYS_MAX or not all(_SORT_KEY.fullmatch(key) for key in keys):
        raise ConversationQueryFailed("sort is a comma-separated list of keys, each with an optional '-'.")
    return [SortKey(key.removeprefix("-"), is_descending=key.startswith("-")) for key in keys]


async def _with_subscriptions(application: int, client_id: str, results: list[QueryResult]) -> list[QueryResult]:
    systems = [result.conversation.pk for result in results if result.conversation.kind is Kind.SYSTEM]
    if not systems:
        return results
    followed = await subscriptions.of_client(application=application, client_id=client_id, conversations=systems)
    return [replace(result, following=followed.get(result.conversation.pk)) for result in results]


async def _with_last_messages(found: list[FoundConversation], wanted: bool) -> list[QueryResult]:
    messages: Mapping[int, LastMessage] = {}
    talked_in = {one.pk: one.last_seq for one in found if one.last_seq}
    if wanted and talked_in and _sources:
        messages = await _sources[0](talked_in)
    return [QueryResult(one, messages.get(one.pk)) for one in found]
