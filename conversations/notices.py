"""Wire out: what clients are told about conversations, and which clients (realtime-protocol 4.3.2, 4.6 to 4.8)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from conversations import events
from conversations.policy import Kind
from imcore.capabilities import TEMPORARY_CONVERSATIONS
from imcore.delivery.encoding import Notice, Order, encoder
from imcore.delivery.presence import room
from imcore.identifiers import iso_date
from imcore.limits import NOTIFICATION_DROPPABLE, NOTIFICATION_PERMANENT
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    ConvMemberInfo,
    GenericCommand,
    JsonObjectMessage,
    OpType,
)


def _place(event: events.RosterChanged) -> Order:
    return Order(f"members/{event.conversation}", event.members_version)


def _place_of_attributes(event: events.AttributesUpdated) -> Order:
    # A conversation begins with version 1, of which nobody is told.
    position = event.attributes_version - 1
    return Order(f"attributes/{event.conversation}", position, at_ms=event.at_ms, before_ms=event.before_ms)


@encoder(events.MembersAdded, order=_place)
def members_added(event: events.MembersAdded) -> Iterator[Notice]:
    """Newcomers get `joined`; then all members, newcomers and the actor included, get `members_joined`."""
    yield _to_each(event, event.added, OpType.joined)
    yield _to_members(event, event.members, OpType.members_joined, event.added)


@encoder(events.MembersRemoved, order=_place)
def members_removed(event: events.MembersRemoved) -> Iterator[Notice]:
    """Those who left get `left` and nothing else; those who remain get `members_left`."""
    yield _to_each(event, event.removed, OpType.left)
    yield _to_members(event, event.members, OpType.members_left, event.removed)


@encoder(events.MembersSilenced, order=_place)
def members_silenced(event: events.MembersSilenced) -> Iterator[Notice]:
    """The silenced get `shutuped`; all members, they included, get `members_shutuped`."""
    yield _to_each(event, event.silenced, OpType.shutuped)
    yield _to_members(event, event.members, OpType.members_shutuped, event.silenced)


@encoder(events.MembersUnsilenced, order=_place)
def members_unsilenced(event: events.MembersUnsilenced) -> Iterator[Notice]:
    """As for silencing."""
    yield _to_each(event, event.unsilenced, OpType.unshutuped)
    yield _to_members(event, event.members, OpType.members_unshutuped, event.unsilenced)


@encoder(events.RosterChangedUntold, order=_place)
def roster_changed_untold(event: events.RosterChangedUntold) -> Iterator[Notice]:
    """Nobody is told (rest-api 8.10, 9); it has its place among the changes all the same, so that none waits for it."""
    yield from ()


@encoder(events.ClientsBlocked, order=_place)
def clients_blocked(event: events.ClientsBlocked) -> Iterator[Notice]:
    """The blocked get `blocked`, and `left` if they were members; so do those who remain, of both.

    In a chat room, the blocked are put out of it and nobody else hears of it.
    """
    leaving = room(event.conversation) if event.kind is Kind.CHAT_ROOM else ""
    yield _to_each(event, event.blocked, OpType.blocked, leaving=leaving)
    yield _to_each(event, event.removed, OpType.left)
    yield _to_members(event, event.members, OpType.members_blocked, event.blocked)
    if event.removed:
        yield _to_members(event, event.members, OpType.members_left, event.removed)


@encoder(events.ClientsUnblocked, order=_place)
def clients_unblocked(event: events.ClientsUnblocked) -> Iterator[Notice]:
    """The unblocked get `unblocked` although they are no members; the members get `members_unblocked`."""
    yield _to_each(event, event.unblocked, OpType.unblocked)
    yield _to_members(event, event.members, OpType.members_unblocked, event.unblocked)


@encoder(events.RoleChanged, order=_place)
def role_changed(event: events.RoleChanged) -> Iterator[Notice]:
    """All members, the actor included, get `member_info_changed`."""
    body = _body(event, info=ConvMemberInfo(pid=event.client_id, role=event.role))
    yield _notice(event, event.members, OpType.member_info_changed, NOTIFICATION_DROPPABLE, body)


@encoder(events.AttributesUpdated, order=_place_of_attributes)
def attributes_updated(event: events.AttributesUpdated) -> Iterator[Notice]:
    """All but the acting session get `updated` with both `attr` and `attrModified` (P25)."""
    body = _body(event, attr=_json(event.requested), attrModified=_json(event.modified))
    yield _notice(event, event.audience, OpType.updated, NOTIFICATION_DROPPABLE, body)


def _to_each(event: events.RosterChanged, clients: Iterable[str], op: OpType, *, leaving: str = "") -> Notice:
    return _notice(event, clients, op, NOTIFICATION_PERMANENT, _body(event), leaving=leaving)


def _to_members(event: events.RosterChanged, to: Iterable[str], op: OpType, named: Sequence[str]) -> Notice:
    return _notice(event, to, op, NOTIFICATION_DROPPABLE, _body(event, m=named))


def _body(event: events.ConversationChanged, **fields: Any) -> ConvCommand:
    body = ConvCommand(cid=event.conversation_id, initBy=event.by, udate=iso_date(event.at_ms), **fields)
    # Java picks the class of the conversation from these.
    if event.kind is Kind.TEMPORARY:
        body.tempConv = True
        if event.ttl_seconds is not None:
            body.tempConvTTL = event.ttl_seconds
    elif event.kind is Kind.CHAT_ROOM:
        body.transient = True
    return body


def _notice(
    event: events.ConversationChanged,
    to: Iterable[str],
    op: OpType,
    notification_type: int,
    body: ConvCommand,
    *,
    leaving: str = "",
) -> Notice:
    return Notice(
        to=to,
        command=GenericCommand(cmd=CommandType.conv, op=op, notificationType=notification_type, convMessage=body),
        needs=TEMPORARY_CONVERSATIONS if event.kind is Kind.TEMPORARY else 0,
        leaving=leaving,
    )


def _json(value: dict[str, Any]) -> JsonObjectMessage:
    return JsonObjectMessage(data=orjson.dumps(value).decode())
