"""`_Conversation` as a class: what back ends write by `/classes/_Conversation` (rest-api 9, 10.1).

A write sets columns, members among them, asks nobody's leave and tells nobody; what should tell is asked of the other
services. Each write is prepared first, so that several can be stored together (`imcore/writes.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from conversations.events import RosterChangedUntold
from conversations.models import ConversationSettings
from conversations.policy import THE_APPLICATION, Kind
from conversations.services import attributes as attribute_rules
from conversations.services import directory
from conversations.services.permissions import check_client_ids, facts
from conversations.storage import changes, conversations, objects, queries, retention
from conversations.storage.conversations import ConversationInfo, NewConversation
from conversations.storage.objects import Columns
from conversations.storage.queries import FoundConversation, SortKey
from conversations.storage.where import Where, parse
from conversations.storage.where_tree import Column, Compare, Leaf
from imcore import identifiers, limits
from imcore.attributes import UnfitAttributes, applied, check_storable, path_of
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.errors import BlockedByConversation, ConversationNotFound, ConversationRequestInvalid
from imcore.objects import InvalidType, ReadOnlyKey, check_answerable, error_of
from imcore.writes import Rows, Write

Json = Mapping[str, Any]
# Columns that only the server writes; sent as they are, they are passed over.
READ_ONLY: Final = ("tr", "sys", "unique", "uniqueId")
# What SDKs send along of an object they have read, beside the names of its class.
PASSED_OVER: Final = frozenset({"objectId", "createdAt", "updatedAt", "lm", "className", "temp", "ttl"})
# What a row of the class has beside them, and what developers write.
_LISTS: Final = ("m", "mu")


@dataclass(frozen=True, slots=True)
class Created:
    """A conversation that was made, or the unique one of the same members that was there before."""

    conversation: ConversationInfo
    is_existing: bool


def creation(*, application: int, settings: ConversationSettings, columns: Json, now_ms: int) -> Write[Created]:
    """Prepare a conversation with these columns, which may be operators.

    `tr` makes it a chat room, `sys` a system conversation, `unique` finds the one of exactly these members, if there
    is one. Only the first `members_max` members count. To be stored, raises InvalidKey, InvalidType,
    ObjectTooLarge, ConversationRequestInvalid.
    """
    object_id = identifiers.object_id(now_ms)

    def store(more: Json) -> Created:
        kind, new = _new(object_id, {**columns, **more}, settings)
        stored = conversations.create(application=application, kind=kind, new=new, now_ms=now_ms)
        return Created(*stored)

    return Write(store, lambda created: directory.remember(created.conversation))


async def writing(
    *,
    application: int,
    settings: ConversationSettings,
    conversation_id: str,
    columns: Json,
    where_text: str = "",
    now_ms: int,
) -> Write[ConversationInfo]:
    """Prepare a change of columns as asked, with operators and dotted keys; only where `where` holds, if there is one.

    Raises ConversationNotFound, ConversationQueryFailed; to be stored, ReadOnlyKey, InvalidKey, InvalidType,
    ObjectTooLarge, ConversationRequestInvalid, BlockedByConversation, ConditionUnmet.
    """
    found = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    if found.kind is Kind.TEMPORARY:
        raise ConversationNotFound("Temporary conversations are not of this class.")
    where = parse(where_text)

    def store(more: Json) -> ConversationInfo:
        change = partial(_changed, asked={**columns, **more}, settings=settings)
        return objects.write(conversation=found.pk, where=where, change=change, now_ms=now_ms)

    return Write(store, _written, Rows("conversations", found.pk, changes.lock_all))


async def delete(*, application: int, conversation_ids: Sequence[str], where_text: str = "", now_ms: int) -> None:
    """Delete conversations; those that are not there do no harm. Clients are not told (rest-api 8.4).

    Raises ConditionUnmet, and deletes none, unless `where` holds of each.
    """
    wanted = [one for one in conversation_ids if "\0" not in one]
    await in_database(
        retention.delete_by_id, application=application, object_ids=wanted, where=parse(where_text), now_ms=now_ms
    )
    for conversation_id in wanted:
        directory.forget(application=application, conversation_id=conversation_id)


async def scan(
    *, application: int, where_text: str, after: str | None, is_descending: bool, limit: int
) -> list[FoundConversation]:
    """Return the next conversations in the order of their ids, those behind `after`.

    Raises ConversationQueryFailed, QueryTooSlow.
    """
    where = parse(where_text)
    if after is not None:
        where = Where((*where.conditions, Leaf(Column.OBJECT_ID, Compare("<" if is_descending else ">", after))))
    return await in_database(
        queries.query,
        application=application,
        client_id=THE_APPLICATION,
        where=where,
        sort=[SortKey("objectId", is_descending=is_descending)],
        limit=limit,
        skip=0,
        with_members=True,
    )


async def with_ids(*, application: int, conversation_ids: Sequence[str]) -> list[FoundConversation]:
    """Return those of the conversations that there are."""
    return await in_database(queries.with_ids, application=application, object_ids=conversation_ids)


def _written(after: ConversationInfo) -> None:
    """Remember a conversation that was written; that has its place among the changes that are told."""
    directory.remember(after)
    router.publish(after.application, RosterChangedUntold(**facts(after, THE_APPLICATION)))


def _new(object_id: str, asked: Json, settings: ConversationSettings) -> tuple[Kind, NewConversation]:
    switches = {key: _switch(key, asked.get(key)) for key in ("tr", "sys", "unique")}
    if switches["tr"] and switches["sys"]:
        raise ConversationRequestInvalid("A conversation is not both tr and sys.")
    kind = Kind.CHAT_ROOM if switches["tr"] else Kind.SYSTEM if switches["sys"] else Kind.NORMAL
    nothing = Columns(kind, "", conversations.NOBODY, (), (), False, None, {})
    wanted = {key: value for key, value in asked.items() if key not in READ_ONLY}
    columns = _changed(nothing, wanted, settings)
    return kind, NewConversation(
        object_id=object_id,
        creator=columns.creator,
        members=columns.members,
        muted=columns.muted,
        attributes=columns.attributes,
        is_unique=switches["unique"] and bool(columns.members),
        is_told=False,
    )


def _changed(before: Columns, asked: Json, settings: ConversationSettings) -> Columns:
    """Return the columns of a conversation as a write makes them: written as one object, changed, and read back."""
    document = {
        **before.attributes,
        **dict(zip(READ_ONLY, _read_only(before), strict=True)),
        "c": before.creator,
        "m": list(before.members),
        "mu": list(before.muted),
    }
    after = _applied(document, asked, settings)
    for key, value in zip(READ_ONLY, _read_only(before), strict=True):
        if after.get(key) != value:
            raise ReadOnlyKey(key)
    creator = after.get("c") or ""
    if creator != before.creator:
        if not isinstance(creator, str):
            raise InvalidType("c")
        check_client_ids([creator])
    members: tuple[str, ...] = ()
    if before.kind is Kind.NORMAL:
        members = _client_ids("m", after.get("m"))[: max(settings.members_max, len(before.members))]
    for one in members:
        if one in before.roster.blocked and one not in before.members:
            raise BlockedByConversation(client_ids=(one,))
    present = set(members)
    muted = tuple(one for one in _client_ids("mu", after.get("mu")) if one in present)
    attributes = {key: value for key, value in after.items() if key not in attribute_rules.RESERVED_KEYS}
    return replace(before, creator=creator, members=members, muted=muted, attributes=attributes)


def _applied(document: dict[str, Any], asked: Json, settings: ConversationSettings) -> dict[str, Any]:
    try:
        wanted = {key: value for key, value in asked.items() if _is_column(key)}
        for key in wanted:
            check_answerable(key)
        # Before anything looks into it: it may nest deeper than that can go. Lists of members count below.
        lists = {key: value for key, value in wanted.items() if key in _LISTS}
        check_storable(lists, max_bytes=limits.REST_BODY_MAX_BYTES)
        others = {key: value for key, value in wanted.items() if key not in _LISTS}
        check_storable(others, max_bytes=settings.attributes_max_bytes)
        after = applied(document, {path_of(key): value for key, value in wanted.items()})
        kept = {key: value for key, value in after.items() if key not in _LISTS}
        check_storable(kept, max_bytes=settings.attributes_max_bytes)
    except UnfitAttributes as unfit:
        raise error_of(unfit) from unfit
    return after


def _is_column(key: str) -> bool:
    return key not in PASSED_OVER and not key.startswith("__")


def _read_only(columns: Columns) -> tuple[bool, bool, bool, str | None]:
    return columns.kind is Kind.CHAT_ROOM, columns.kind is Kind.SYSTEM, columns.is_unique, columns.unique_id


def _client_ids(key: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidType(key)
    wanted = tuple(dict.fromkeys(value))
    check_client_ids(wanted)
    return wanted


def _switch(key: str, value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidType(key)
    return bool(value)
