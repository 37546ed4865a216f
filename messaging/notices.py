"""Wire out: messages on their way to their receivers, and what becomes of them (realtime-protocol 4.9 to 4.12)."""

from collections.abc import Iterator

from conversations.policy import Kind
from imcore import limits
from imcore.capabilities import COUNTS_UNREAD, GROUP_RECEIPTS, PATCHES, TEMPORARY_CONVERSATIONS
from imcore.delivery.encoding import Notice, Order, encoder
from imcore.protocol.message_pb2 import (
    CommandType,
    DirectCommand,
    GenericCommand,
    OpType,
    PatchCommand,
    PatchItem,
    RcpCommand,
    SessionCommand,
    UnreadCommand,
    UnreadTuple,
)
from messaging import events

# Looking an enum's value up by name is slow.
_DIRECT, _CHAT_ROOM, _TEMPORARY = CommandType.direct, Kind.CHAT_ROOM, Kind.TEMPORARY

_Patched = events.MessagePatched | events.ServiceMessagePatched


def _place(event: events.MessageSent) -> Order | None:
    return (
        None
        if event.seq is None
        else Order(events.stream(event.conversation), event.seq, at_ms=event.timestamp_ms, before_ms=event.previous_ms)
    )


def _behind_message(event: events.MessagePatched) -> Order:
    return Order(events.stream(event.conversation), event.seq, follows=True)


def _behind_last(event: events.MessagesReceived) -> Order:
    return Order(events.stream(event.conversation), event.last_seq, follows=True)


def _behind_counted(event: events.UnreadChanged) -> Order | None:
    # At log-in, when there are several, the session knows what it was told (gateway/connection.py).
    if len(event.conversations) != 1:
        return None
    counted = event.conversations[0]
    if counted.kind is Kind.SYSTEM:
        return None
    return Order(events.stream(counted.conversation), counted.last_seq, follows=True)


def _time(event: events.ServiceSpoke) -> Order | None:
    if event.is_transient:
        return None
    return Order(events.stream(event.conversation), event.timestamp_ms, is_sparse=True)


def _spread(event: events.ServiceSpoke | events.ServiceMessagePatched) -> str:
    return event.spread


@encoder(events.MessageSent, order=_place)
def direct(event: events.MessageSent) -> Iterator[Notice]:
    """Deliver a message to every member. `convType` is always there: Java and Swift build the class from it (P38)."""
    body = _direct(event)
    if event.wants_receipt:
        body.r = True
    if event.is_transient:
        body.transient = True
    yield Notice(
        to=event.to,
        command=GenericCommand(cmd=_DIRECT, directMessage=body),
        needs=TEMPORARY_CONVERSATIONS if event.kind is _TEMPORARY else 0,
        priority=event.priority,
        but="" if event.syncs_sender and event.kind is not _CHAT_ROOM else event.sender,
    )


@encoder(events.ServiceSpoke, order=_time, spread=_spread)
def spoken(event: events.ServiceSpoke) -> Iterator[Notice]:
    """Deliver what a system conversation says (4.14)."""
    body = _direct(event)
    if event.is_transient:
        body.transient = True
    yield Notice(to=event.to, command=GenericCommand(cmd=_DIRECT, directMessage=body), priority=event.priority)


@encoder(events.MessageKept)
def kept(event: events.MessageKept) -> Iterator[Notice]:
    """Push a message that came while its receiver was away, as it reads now."""
    body = _direct(event)
    body.offline = True
    if event.has_more:
        body.hasMore = True
    if event.patch_ms is not None:
        body.patchTimestamp = event.patch_ms
    yield Notice(
        to=[event.client_id],
        command=GenericCommand(cmd=CommandType.direct, directMessage=body),
        needs=_needs(event.kind),
    )


@encoder(events.MessagePatched, order=_behind_message)
def patched(event: events.MessagePatched) -> Iterator[Notice]:
    """Tell of an edit or a recall, one item to a frame (P43), with flag and body both saying which it is (P44)."""
    yield _patch(event)


@encoder(events.ServiceMessagePatched, spread=_spread)
def service_patched(event: events.ServiceMessagePatched) -> Iterator[Notice]:
    """Tell of an edit or a recall of what a system conversation said (rest-api 8.9)."""
    yield _patch(event)


@encoder(events.MessagesReceived, order=_behind_last)
def receipts(event: events.MessagesReceived) -> Iterator[Notice]:
    """Tell the sender. `read` is there or not: Java takes its mere presence for a read receipt (P45).

    Read receipts are kept for who is away, so they move a client's position as other kept notices do (10.3).
    """
    needs = (GROUP_RECEIPTS if event.in_group else 0) | (COUNTS_UNREAD if event.are_read else 0) | _needs(event.kind)
    for receipt in event.receipts:
        body = RcpCommand(cid=event.conversation_id, id=receipt.message_id, t=receipt.at_ms)
        setattr(body, "from", event.receiver)
        command = GenericCommand(cmd=CommandType.rcp)
        if event.are_read:
            body.read = True
            command.notificationType = limits.NOTIFICATION_PERMANENT
        command.rcpMessage.CopyFrom(body)
        yield Notice(to=[event.sender], command=command, needs=needs)


@encoder(events.UnreadChanged, order=_behind_counted)
def unread(event: events.UnreadChanged) -> Iterator[Notice]:
    """Tell all of a client's sessions what it has not read; never an empty list, which .NET cannot bear (4.10)."""
    temporary = [one for one in event.conversations if one.kind is Kind.TEMPORARY]
    others = [one for one in event.conversations if one.kind is not Kind.TEMPORARY]
    for conversations, needs in ((others, COUNTS_UNREAD), (temporary, COUNTS_UNREAD | TEMPORARY_CONVERSATIONS)):
        if conversations:
            body = UnreadCommand(convs=[_tuple(one) for one in conversations], notifTime=event.at_ms)
            yield Notice(
                to=[event.client_id],
                command=GenericCommand(cmd=CommandType.unread, unreadMessage=body),
                needs=needs,
            )


@encoder(events.SessionsEnded)
def ended(event: events.SessionsEnded) -> Iterator[Notice]:
    """Tell sessions that they are over, and end them; the connection and its other clients go on."""
    body = SessionCommand(code=event.code, reason=event.reason)
    if event.detail:
        body.detail = event.detail
    yield Notice(
        to=event.to,
        command=GenericCommand(cmd=CommandType.session, op=OpType.closed, sessionMessage=body),
        ends=True,
    )


def _direct(event: events.MessageSent | events.MessageKept | events.ServiceSpoke) -> DirectCommand:
    body = DirectCommand(
        cid=event.conversation_id,
        id=event.message_id,
        fromPeerId=event.sender,
        timestamp=event.timestamp_ms,
        convType=event.kind,
        mentionPids=event.mentions.client_ids,
    )
    if event.body.binary is not None:
        body.binaryMsg = event.body.binary
    else:
        body.msg = event.body.text or ""
    if event.mentions.everybody:
        body.mentionAll = True
    return body


def _patch(event: _Patched) -> Notice:
    item = PatchItem(
        cid=event.conversation_id,
        mid=event.message_id,
        timestamp=event.timestamp_ms,
        recall=event.is_recalled,
        patchTimestamp=event.patch_ms,
        mentionPids=event.mentions.client_ids,
    )
    setattr(item, "from", event.sender)  # a keyword of Python
    if event.body.binary is not None:
        item.binaryMsg = event.body.binary
    else:
        item.data = (event.body.text or "").encode()
    if event.mentions.everybody:
        item.mentionAll = True
    if event.code is not None:
        item.patchCode = event.code
        item.patchReason = event.reason
    return Notice(
        to=event.to,
        command=GenericCommand(cmd=CommandType.patch, op=OpType.modify, patchMessage=PatchCommand(patches=[item])),
        needs=PATCHES | _needs(event.kind),
    )


def _needs(kind: Kind) -> int:
    return TEMPORARY_CONVERSATIONS if kind is Kind.TEMPORARY else 0


def _tuple(one: events.UnreadConversation) -> UnreadTuple:
    body = UnreadTuple(
        cid=one.conversation_id,
        unread=min(one.unread, limits.UNREAD_MAX),
        mentioned=one.is_mentioned,
        convType=one.kind,
    )
    if one.newest is not None:
        body.mid = one.newest.message_id
        body.timestamp = one.newest.timestamp_ms
        setattr(body, "from", one.newest.sender)
        if one.newest.body.binary is not None:
            body.binaryMsg = one.newest.body.binary
        else:
            body.data = one.newest.body.text or ""
        if one.newest.patch_ms is not None:
            body.patchTimestamp = one.newest.patch_ms
    return body
