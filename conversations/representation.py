"""The conversation object: JSON of a conversation as SDKs read it (realtime-protocol 4.4.1)."""

from typing import Any

from conversations.policy import Kind
from conversations.services.queries import QueryResult
from conversations.storage.queries import FoundConversation
from imcore.identifiers import iso_date
from imcore.objects import ERROR


def conversation_object(result: QueryResult, *, with_members: bool) -> dict[str, Any]:
    """Write one query result. No value is null, and flags are booleans: C# and Java crash otherwise (P27, P28)."""
    found = result.conversation
    written = {**conversation_row(found, with_members=with_members), "conv_type": int(found.kind)}
    if found.kind == Kind.TEMPORARY:
        written |= {"temp": True, "ttl": found.ttl_seconds, "tempConv": True, "tempConvTTL": found.ttl_seconds}
    if found.kind == Kind.SYSTEM:
        # An explicit `false` where the caller does not follow it (realtime-protocol 4.4.1).
        written["joined"] = result.following is not None
        if result.following is not None:
            written |= {"joinedAt": result.following.since_ms, "muted": result.following.is_muted}
    return written | _last_message(result)


def class_row(found: FoundConversation) -> dict[str, Any]:
    """Write a conversation as REST answers it: without what clients may call `error`, which would look like one."""
    return {key: value for key, value in conversation_row(found).items() if key != ERROR}


def conversation_row(found: FoundConversation, *, with_members: bool = True) -> dict[str, Any]:
    """Write a conversation as a row of its class: what does not depend on who asks (rest-api 8)."""
    written: dict[str, Any] = {
        **found.attributes,
        "objectId": found.object_id,
        "mu": found.muted,
        "tr": found.kind == Kind.CHAT_ROOM,
        "sys": found.kind == Kind.SYSTEM,
        "unique": found.is_unique,
        "createdAt": iso_date(found.created_ms),
        "updatedAt": iso_date(found.updated_ms),
    }
    if found.creator:
        written["c"] = found.creator
    if with_members and found.kind in (Kind.NORMAL, Kind.TEMPORARY):
        written["m"] = found.members
    if found.unique_id:
        written["uniqueId"] = found.unique_id
    if found.last_message_ms:
        # The object form: Java casts it to a map (P26).
        written["lm"] = {"__type": "Date", "iso": iso_date(found.last_message_ms)}
    return written


def _last_message(result: QueryResult) -> dict[str, Any]:
    message = result.last_message
    if message is None:
        return {}
    written: dict[str, Any] = {
        "msg": message.body,
        "bin": message.is_binary,  # C# reads it whenever there is a `msg` (P27)
        "msg_mid": message.message_id,
        "msg_from": message.sender,
        "msg_timestamp": message.timestamp_ms,
    }
    if message.patch_ms is not None:
        written["patch_timestamp"] = message.patch_ms
    if message.mention_all:
        written["mention_all"] = True
    if message.mention_ids:
        written["mention_pids"] = message.mention_ids
    return written
