"""Facts about conversations, as services report them. `notices.py` says who hears of them, and how."""

from dataclasses import dataclass
from typing import Any

from conversations.policy import Kind, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationChanged:
    """What all these facts have: which conversation, who did it, when, and its members afterwards."""

    conversation: int
    conversation_id: str
    kind: Kind
    members: tuple[str, ...]
    by: str
    at_ms: int
    ttl_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChanged(ConversationChanged):
    """Who stands how has changed, to `members_version`."""

    members_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersAdded(RosterChanged):
    """Clients became members: on creation, by invitation or by joining."""

    added: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersRemoved(RosterChanged):
    """Clients stopped being members: by leaving or by being removed."""

    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersSilenced(RosterChanged):
    """Clients may read here and no longer send."""

    silenced: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersUnsilenced(RosterChanged):
    """Clients may send here again."""

    unsilenced: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChangedUntold(RosterChanged):
    """Something else has: who is silenced for a time, whose the conversation is, or all of it, written as a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsBlocked(RosterChanged):
    """Clients may not be here any more; those of them who were members, `removed`, are out."""

    blocked: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsUnblocked(RosterChanged):
    """Clients may be invited again. They are not members for it."""

    unblocked: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(RosterChanged):
    """A member has another role."""

    client_id: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesUpdated(ConversationChanged):
    """Attributes were changed, to `attributes_version`; no change of the conversation before it is after `before_ms`.

    `requested` is what was asked for, operators and dotted keys included; `modified` has the touched top-level keys
    with their new values. `audience` hears of it: the members, or those in the room, or who subscribed.
    """

    attributes_version: int
    before_ms: int
    requested: dict[str, Any]
    modified: dict[str, Any]
    audience: tuple[str, ...]
