"""Who may do what in which kind of conversation, as tables.

    what somebody is (Standing)   what is asked for (Action)   where (Kind)
                        └──────────────┬────────────────────────┘
                                  refusal(…)  →  an error, or None: allowed

Nothing here reads a database or a clock: services bring the facts, a `Roster` among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from django.db.models import IntegerChoices, TextChoices

from imcore.errors import (
    BlockedByConversation,
    BlockListDisabled,
    ConversationNotAllowed,
    ConversationUpdateRejected,
    HistoryRejected,
    ImError,
    InvalidMessagingTarget,
    MembershipRequired,
    OperationUnauthorized,
    RolesDisabled,
    Silenced,
    TemporarilySilenced,
)


class Kind(IntegerChoices):
    """The four kinds; the numbers are `convType` on the wire (realtime-protocol 4.4.1)."""

    NORMAL = 1, "normal"
    CHAT_ROOM = 2, "chat room"
    SYSTEM = 3, "system"
    TEMPORARY = 4, "temporary"


class Role(TextChoices):
    """The roles of members, exactly as the wire spells them (realtime-protocol 4.7)."""

    OWNER = "Owner"
    MANAGER = "Manager"
    MEMBER = "Member"


class Standing(IntEnum):
    """What somebody is in a conversation; whoever stands higher may change those who stand lower.

    In a chat room, members are those who are in it now; of a system conversation, its subscribers. The application
    itself, which acts through the REST API, stands above all of them, whatever is enabled for clients.
    """

    OUTSIDER = 0
    MEMBER = 1
    MANAGER = 2
    OWNER = 3
    APPLICATION = 4


# Who acts where no client does: the application, with its master key. No client has this id, and `initBy` of what it
# does is empty (rest-api 8.5).
THE_APPLICATION: Final = ""


class Action(Enum):
    """What a client can ask for in a conversation that exists."""

    JOIN = "join"
    LEAVE = "leave"
    INVITE = "invite"
    REMOVE = "remove"
    UPDATE = "update"
    MUTE = "mute"
    CHANGE_ROLE = "change role"
    SILENCE = "silence"
    LIST_SILENCED = "list silenced"
    BLOCK = "block"
    LIST_BLOCKED = "list blocked"
    SEND = "send"
    READ = "read"
    READ_MARKS = "read marks"


class Features(NamedTuple):
    """What an application has enabled: LeanCloud's switches, off by default (limits-settings-conflicts 3.2)."""

    roles: bool = False
    block_lists: bool = False
    managers_change_roles: bool = False


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """One row of the table of kinds.

    `keeps_members`: has member rows, counts unread. `least`: how high one must stand for each action; an action that
    is not in it does not exist for the kind, nor does one of the application's for clients.
    """

    keeps_members: bool
    least: Mapping[Action, Standing]


_OUTSIDER, _MEMBER, _MANAGER, _OWNER, _APPLICATION = Standing

POLICIES: Mapping[Kind, KindPolicy] = MappingProxyType(
    {
        Kind.NORMAL: KindPolicy(
            keeps_members=True,
            least={
                Action.JOIN: _OUTSIDER,
                Action.LEAVE: _OUTSIDER,
                Action.INVITE: _MEMBER,
                Action.REMOVE: _MANAGER,  # without roles, as low as MEMBER
                Action.UPDATE: _MEMBER,
                Action.MUTE: _MEMBER,
                Action.CHANGE_ROLE: _OWNER,  # or MANAGER, if the application says so
                Action.SILENCE: _MANAGER,
                Action.LIST_SILENCED: _MEMBER,
                Action.BLOCK: _MANAGER,
                Action.LIST_BLOCKED: _MANAGER,
                Action.SEND: _MEMBER,
                Action.READ: _MEMBER,
                Action.READ_MARKS: _MEMBER,
            },
        ),
        Kind.CHAT_ROOM: KindPolicy(
            keeps_members=False,
            least={
                Action.JOIN: _OUTSIDER,
                Action.LEAVE: _OUTSIDER,
                Action.UPDATE: _MEMBER,
                Action.SILENCE: _MANAGER,
                Action.LIST_SILENCED: _MEMBER,
                Action.BLOCK: _MANAGER,
                Action.LIST_BLOCKED: _MANAGER,
                Action.SEND: _OUTSIDER,
                Action.READ: _OUTSIDER,
            },
        ),
        Kind.SYSTEM: KindPolicy(
            keeps_members=False,
            least={
                Action.JOIN: _OUTSIDER,
                Action.LEAVE: _OUTSIDER,
                Action.UPDATE: _APPLICATION,
                Action.MUTE: _MEMBER,
                Action.SILENCE: _APPLICATION,
                Action.LIST_SILENCED: _APPLICATION,
                Action.BLOCK: _APPLICATION,
                Action.LIST_BLOCKED: _APPLICATION,
                Action.SEND: _OUTSIDER,
                Action.READ: _MEMBER,
            },
        ),
        Kind.TEMPORARY: KindPolicy(
            keeps_members=True,
            least={
                Action.MUTE: _MEMBER,
                Action.SILENCE: _APPLICATION,
                Action.SEND: _MEMBER,
                Action.READ: _MEMBER,
                Action.READ_MARKS: _MEMBER,
            },
        ),
    }
)

# Where anybody may send; looked up for every message.
_OPEN_TO_SENDERS = frozenset(kind for kind, row in POLICIES.items() if row.least[Action.SEND] is Standing.OUTSIDER)

# What an outsider is told, where it is not "membership required".
_TO_OUTSIDERS: Mapping[Action, type[ImError]] = {
    Action.UPDATE: ConversationUpdateRejected,
    Action.SEND: InvalidMessagingTarget,
    Action.READ: HistoryRejected,
    Action.READ_MARKS: HistoryRejected,
}


class Roster(NamedTuple):
    """Who stands how in a conversation, at `members_version`.

    `members` in the order they joined; `silenced` with when it ends (None: never), in milliseconds; `blocked` may not
    join and, in chat rooms, not send; `refusing` do not want to be invited. `has_roles`: a role was given here once,
    which pins the owner.
    """

    creator: str
    members: tuple[str, ...]
    members_version: int
    managers: frozenset[str] = frozenset()
    silenced: Mapping[str, int | None] = MappingProxyType({})
    blocked: frozenset[str] = frozenset()
    refusing: frozenset[str] = frozenset()
    has_roles: bool = False

    @property
    def size(self) -> int:
        """How many clients it names."""
        return sum(map(len, (self.members, self.managers, self.silenced, self.blocked, self.refusing)))


def standing(kind: Kind, roster: Roster, client_id: str, *, is_present: bool = False) -> Standing:
    """Return what a client is in a conversation.

    `is_present`: in the chat room now, or subscribed, which no roster knows. Who created a chat room owns it wherever
    he is; who created another conversation and left it is an outsider.
    """
    if client_id == THE_APPLICATION:
        return Standing.APPLICATION
    if kind is Kind.CHAT_ROOM and client_id == roster.creator:
        return Standing.OWNER
    if not is_present and client_id not in roster.members:
        return Standing.OUTSIDER
    if client_id == roster.creator:
        return Standing.OWNER
    return Standing.MANAGER if client_id in roster.managers else Standing.MEMBER


def refusal(action: Action, kind: Kind, standing: Standing, features: Features) -> type[ImError] | None:
    """Return the error that the action of somebody with this standing is answered with; None if it is allowed."""
    least = POLICIES[kind].least.get(action)
    if least is None or (least is Standing.APPLICATION and standing is not least):
        return ConversationNotAllowed
    if standing is Standing.APPLICATION:
        return None
    if action in (Action.CHANGE_ROLE, Action.SILENCE) and not features.roles:
        return RolesDisabled
    if action in (Action.BLOCK, Action.LIST_BLOCKED) and not features.block_lists:
        return BlockListDisabled
    if action is Action.REMOVE and not features.roles:
        least = Standing.MEMBER
    if action is Action.CHANGE_ROLE and features.managers_change_roles:
        least = Standing.MANAGER
    if standing is Standing.MANAGER and not features.roles:
        standing = Standing.MEMBER  # given while there were roles
    if standing >= least:
        return None
    if standing is Standing.OUTSIDER:
        return _TO_OUTSIDERS.get(action, MembershipRequired)
    return OperationUnauthorized


def may_change(actor: Standing, target: Standing, features: Features) -> bool:
    """Return whether one may remove, silence, block or give a role to another: whoever stands higher, with roles on.

    Without roles, members are equals, as LeanCloud's were.
    """
    return actor > target or not features.roles


def sending_refusal(kind: Kind, sender: str, roster: Roster, now_ms: int) -> type[ImError] | None:
    """Return the error that a send is answered with; None if it is allowed (realtime-protocol 4.9.1)."""
    if sender not in roster.members and kind not in _OPEN_TO_SENDERS:
        return InvalidMessagingTarget
    if sender in roster.blocked:
        return BlockedByConversation
    if sender in roster.silenced:
        until_ms = roster.silenced[sender]
        if until_ms is None:
            return Silenced
        if until_ms > now_ms:
            return TemporarilySilenced
    return None
