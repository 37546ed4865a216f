"""Facts about conversations, as services report them. `notices.py` says who hears of them, and how."""

from dataclasses import dataclass

from conversations.policy import Kind


@dataclass(frozen=True, slots=True)
class MembersAdded:
    """Clients became members: on creation, by invitation or by joining.

    `members` are all members afterwards, at `members_version`; `ttl_seconds` is set for temporary conversations.
    """

    conversation: int
    members_version: int
    conversation_id: str
    kind: Kind
    added: tuple[str, ...]
    members: tuple[str, ...]
    by: str
    at_ms: int
    ttl_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class MembersRemoved:
    """Clients stopped being members: by leaving or by being removed. `members` are those who remain."""

    conversation: int
    members_version: int
    conversation_id: str
    kind: Kind
    removed: tuple[str, ...]
    members: tuple[str, ...]
    by: str
    at_ms: int
