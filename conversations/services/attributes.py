"""What a conversation is called and whatever else its members write on it (realtime-protocol 4.2 and 4.6.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from conversations.events import AttributesUpdated, RosterChangedUntold
from conversations.models import ConversationSettings
from conversations.policy import Action, Kind, Roster, standing
from conversations.services import directory, permissions
from conversations.services.permissions import Seated, facts, features_of
from conversations.storage import attributes
from imcore.attributes import UnfitAttributes, applied, check_storable, path_of
from imcore.bridge import in_database
from imcore.delivery import router
from imcore.delivery.presence import room
from imcore.errors import ConversationRequestInvalid, ConversationUpdateFailed, ImError

# Keys of the conversation object that are the server's; clients' values for them are ignored (realtime-protocol 4.2).
RESERVED_KEYS = frozenset(
    {
        "objectId", "m", "mu", "c", "lm", "tr", "sys", "unique", "uniqueId", "createdAt", "updatedAt",
        "conv_type", "temp", "ttl", "tempConv", "tempConvTTL", "joined", "joinedAt", "muted",
        "msg", "bin", "msg_mid", "msg_from", "msg_timestamp", "patch_timestamp", "mention_all", "mention_pids",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UpdatedAttributes:
    """The answer to an update: when, what was asked without the server's own keys, the touched top-level keys."""

    updated_ms: int
    requested: dict[str, Any]
    modified: dict[str, Any]


def usable(attributes: dict[str, Any], settings: ConversationSettings) -> dict[str, Any]:
    """Return the attributes a conversation may be started with: without the server's own keys.

    Raises ConversationRequestInvalid for what cannot be stored, and for too many.
    """
    kept = {key: value for key, value in attributes.items() if key not in RESERVED_KEYS}
    _check(kept, settings, ConversationRequestInvalid)
    return kept


def made_of_nothing(requested: dict[str, Any], settings: ConversationSettings) -> dict[str, Any]:
    """Return what an update makes of no attributes. Raises ConversationRequestInvalid."""
    _check(requested, settings, ConversationRequestInvalid)
    try:
        return applied({}, {path_of(key): value for key, value in requested.items()})
    except UnfitAttributes as unfit:
        raise ConversationRequestInvalid(str(unfit)) from unfit


async def update(
    *,
    application: int,
    settings: ConversationSettings,
    conversation_id: str,
    client_id: str,
    session: Seated | None = None,
    requested_text: str,
    creator: str | None = None,
    now_ms: int,
) -> UpdatedAttributes:
    """Change attributes as JSON asks; all members, or all in the chat room, hear of it, but not `session`.

    The application may name another `creator`, too (rest-api 8.3).

    The text is read last: who may not ask is not told what is wrong with it (realtime-protocol 11, 4303). Raises
    ConversationNotFound, ConversationNotAllowed, ConversationUpdateRejected, ConversationUpdateFailed.
    """
    conversation = await directory.find(
        application=application, conversation_id=conversation_id, now_ms=now_ms, max_age_seconds=0
    )
    is_here = await permissions.is_present(conversation, client_id, session)
    kind = conversation.kind

    def check(roster: Roster) -> None:
        actor = standing(kind, roster, client_id, is_present=is_here)
        permissions.check(Action.UPDATE, kind, actor, features_of(settings))

    check(conversation.roster)
    requested = _read(requested_text, settings)
    if creator is not None:
        requested["c"] = creator
    try:
        changes = {path_of(key): value for key, value in requested.items() if key not in RESERVED_KEYS}
    except UnfitAttributes as unfit:
        raise ConversationUpdateFailed(str(unfit)) from unfit
    if not requested:
        return UpdatedAttributes(conversation.updated_ms, {}, {})

    def change(before: Mapping[str, Any]) -> dict[str, Any]:
        try:
            after = applied(before, changes)
        except UnfitAttributes as unfit:
            raise ConversationUpdateFailed(str(unfit)) from unfit
        _check(after, settings, ConversationUpdateFailed)
        return after

    changed = await in_database(
        attributes.update,
        conversation=conversation.pk,
        check=check,
        change=change,
        touched=tuple(dict.fromkeys(path[0] for path in changes)),
        requested=requested,
        creator=creator,
        by=client_id,
        now_ms=now_ms,
    )
    after = changed.conversation
    directory.remember(after)
    event = AttributesUpdated(
        conversation=after.pk,
        conversation_id=after.object_id,
        kind=kind,
        members=after.members,
        by=client_id,
        at_ms=after.updated_ms,
        attributes_version=changed.version,
        before_ms=changed.before_ms,
        requested=requested,
        modified=changed.modified,
        audience=(room(after.pk),) if kind is Kind.CHAT_ROOM else after.members,
    )
    router.publish(application, event, skip=session)
    if creator is not None:
        router.publish(application, RosterChangedUntold(**facts(after, client_id)))
    return UpdatedAttributes(after.updated_ms, requested, changed.modified)


def _read(text: str, settings: ConversationSettings) -> dict[str, Any]:
    """Return what an update asks for, without the server's own keys."""
    try:
        requested = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConversationUpdateFailed("attr is not JSON.") from error
    if not isinstance(requested, dict):
        raise ConversationUpdateFailed("attr is not a JSON object.")
    kept = {key: value for key, value in requested.items() if key.partition(".")[0] not in RESERVED_KEYS}
    # An operator can be longer than what it leaves, and every member is sent it.
    _check(kept, settings, ConversationUpdateFailed)
    return kept


def _check(attributes: dict[str, Any], settings: ConversationSettings, error: type[ImError]) -> None:
    try:
        check_storable(attributes, max_bytes=settings.attributes_max_bytes)
    except UnfitAttributes as unfit:
        raise error(str(unfit)) from unfit
