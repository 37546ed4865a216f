"""What each kind of conversation is and allows, as a table."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import IntegerChoices


class Kind(IntegerChoices):
    """The four kinds; the numbers are `convType` on the wire (realtime-protocol 4.4.1)."""

    NORMAL = 1, "normal"
    CHAT_ROOM = 2, "chat room"
    SYSTEM = 3, "system"
    TEMPORARY = 4, "temporary"


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """One row of the table.

    `has_members`: keeps a member list. `members_may_change`: clients may add and remove. `only_members_send`,
    `only_members_read`: who may send, and read history. `is_served`: whether this server speaks it yet.
    """

    has_members: bool
    members_may_change: bool
    only_members_send: bool
    only_members_read: bool
    is_served: bool


POLICIES = {
    Kind.NORMAL: KindPolicy(
        has_members=True, members_may_change=True, only_members_send=True, only_members_read=True, is_served=True
    ),
    Kind.CHAT_ROOM: KindPolicy(
        has_members=False, members_may_change=False, only_members_send=False, only_members_read=False, is_served=False
    ),
    Kind.SYSTEM: KindPolicy(
        has_members=False, members_may_change=False, only_members_send=False, only_members_read=True, is_served=False
    ),
    Kind.TEMPORARY: KindPolicy(
        has_members=True, members_may_change=False, only_members_send=True, only_members_read=True, is_served=True
    ),
}


def may_send(kind: Kind, client_id: str, members: Collection[str]) -> bool:
    """Return whether a client may send to a conversation with these members."""
    return not POLICIES[kind].only_members_send or client_id in members


def may_read(kind: Kind, client_id: str, members: Collection[str]) -> bool:
    """Return whether a client may read the history of a conversation with these members."""
    return not POLICIES[kind].only_members_read or client_id in members
