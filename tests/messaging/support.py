"""What tests of messages share: conversations that stand ready, sending, receiving, paging, and a frozen clock."""

from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from django.db import OperationalError
from django.db.models import F

from conversations.models import HOUR_MS, Conversation, ConversationSettings, Member
from conversations.policy import Kind
from conversations.services import lifecycle
from imcore import identifiers
from imcore.bridge import in_database
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import AckCommand, CommandType, DirectCommand, GenericCommand, LogItem, LogsCommand
from messaging.models import Message
from tests.imclient import ImClient

OLD = LogsCommand.QueryDirection.OLD
NEW = LogsCommand.QueryDirection.NEW


async def started(
    application: Application, *members: str, kind: Kind = Kind.NORMAL, ttl_seconds: int | None = None
) -> str:
    """Start a conversation of these members and return its id; whoever signs in later hears nothing of it."""
    result = await lifecycle.start(
        application=application.pk,
        settings=ConversationSettings(),
        client_id=members[0],
        member_ids=members,
        attributes={},
        kind=kind,
        is_unique=False,
        ttl_seconds=ttl_seconds,
        now_ms=identifiers.now_ms(),
    )
    await router.settle()
    return result.conversation.object_id


def away(*args: Any, **kwargs: Any) -> None:
    """Fail as a database that cannot be reached does."""
    raise OperationalError("server closed the connection unexpectedly")


async def another_application() -> Application:
    """Make a second application."""
    return await in_database(lambda: Application.objects.create(name="another"))


def command(conversation_id: str, text: str | None = None, **fields: Any) -> DirectCommand:
    """Make the body of a send."""
    if text is not None:
        fields["msg"] = text
    return DirectCommand(cid=conversation_id, **fields)


async def say(client: ImClient, conversation_id: str, text: str | None = None, **fields: Any) -> AckCommand:
    """Send a message and return its ack, which must be a success."""
    ack = await attempt(client, conversation_id, text, **fields)
    assert not ack.HasField("code"), ack
    return ack


async def attempt(client: ImClient, conversation_id: str, text: str | None = None, **fields: Any) -> AckCommand:
    """Send a message and return its ack, success or not."""
    reply = await client.request(CommandType.direct, directMessage=command(conversation_id, text, **fields))
    assert reply.cmd == CommandType.ack, reply
    assert not reply.HasField("op")
    assert reply.ackMessage.uid
    assert reply.ackMessage.t
    return reply.ackMessage


async def send_together(client: ImClient, messages: list[DirectCommand]) -> list[AckCommand]:
    """Send messages without waiting in between; return their acks in the order sent."""
    first = client.wire.last_serial + 1
    for message in messages:
        client.wire.last_serial += 1
        await client.wire.send(
            GenericCommand(
                cmd=CommandType.direct, i=client.wire.last_serial, peerId=client.client_id, directMessage=message
            )
        )
    acks: dict[int, AckCommand] = {}
    while len(acks) < len(messages):
        frame = await client.wire.receive()
        if frame.HasField("i"):
            acks[frame.i] = frame.ackMessage
        else:
            client.seen.append(frame)
    return [acks[first + index] for index in range(len(messages))]


async def heard(client: ImClient) -> DirectCommand:
    """Return the message of the next notice, which must be one."""
    return (await client.notice(CommandType.direct)).directMessage


async def history(client: ImClient, conversation_id: str, **fields: Any) -> list[LogItem]:
    """Return a page of history."""
    reply = await client.request(CommandType.logs, logsMessage=LogsCommand(cid=conversation_id, **fields))
    assert reply.cmd == CommandType.logs, reply
    assert reply.logsMessage.cid == conversation_id
    return list(reply.logsMessage.logs)


async def texts(client: ImClient, conversation_id: str, **fields: Any) -> list[str]:
    """Return the bodies of a page of history."""
    return [item.data for item in await history(client, conversation_id, **fields)]


@dataclass(frozen=True)
class Imported:
    """A message as an import from elsewhere would bring it: its id and time are given.

    The id on the wire is `imported_id` of `name`, since no two messages of the database may share one.
    """

    name: str
    timestamp_ms: int
    text: str
    sender: str = "tom"
    message_type: int | None = None


def imported_id(conversation_id: str, name: str) -> str:
    """Return the id of an imported message."""
    return f"{conversation_id[-14:]}{name:0>8}"


async def import_messages(conversation_id: str, imported: Sequence[Imported]) -> None:
    """Insert messages as an import would: in their order, whatever their times and ids."""

    def insert() -> None:
        row = Conversation.objects.get(object_id=conversation_id)
        Message.objects.bulk_create(
            Message(
                message_id=imported_id(conversation_id, one.name),
                application_id=row.application_id,
                conversation_id=row.pk,
                seq=row.last_seq + number,
                timestamp_ms=one.timestamp_ms,
                sender=one.sender,
                text=one.text,
                message_type=one.message_type,
            )
            for number, one in enumerate(imported, 1)
        )
        row.last_seq += len(imported)
        row.last_message_ms = max(one.timestamp_ms for one in imported)
        row.last_message_hour = row.last_message_ms // HOUR_MS
        row.save()
        for sender in {one.sender for one in imported}:
            own = sum(one.sender == sender for one in imported)
            Member.objects.filter(conversation=row, client_id=sender).update(own_since_read=F("own_since_read") + own)

    await in_database(insert)


async def rows(conversation_id: str) -> list[Message]:
    """Return the stored messages of a conversation, in their order."""

    def load() -> list[Message]:
        conversation = Conversation.objects.get(object_id=conversation_id)
        return list(Message.objects.filter(conversation_id=conversation.pk).order_by("seq"))

    return await in_database(load)


async def member(conversation_id: str, client_id: str) -> Member:
    """Return a member's row."""
    return await in_database(lambda: Member.objects.get(conversation__object_id=conversation_id, client_id=client_id))


async def stored_conversation(conversation_id: str) -> Conversation:
    """Return a conversation's row."""
    return await in_database(lambda: Conversation.objects.get(object_id=conversation_id))


def message_of(item: LogItem, conversation_id: str) -> DirectCommand:
    """Return what a session was told of a message that history shows, if the two agree."""
    message = DirectCommand(
        cid=conversation_id,
        id=item.msgId,
        fromPeerId=getattr(item, "from"),
        timestamp=item.timestamp,
        convType=item.convType,
        mentionPids=item.mentionPids,
    )
    if item.bin:
        message.binaryMsg = b64decode(item.data)
    else:
        message.msg = item.data
    if item.mentionAll:
        message.mentionAll = True
    return message


class Clock:
    """A wall clock that a test sets; every reader of `identifiers.now_ms` obeys it."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def __call__(self) -> int:
        """Return the time it is set to."""
        return self.at_ms


@contextmanager
def frozen(at_ms: int | None = None) -> Iterator[Clock]:
    """Stop the wall clock for the length of the block."""
    clock = Clock(identifiers.now_ms() if at_ms is None else at_ms)
    with mock.patch.object(identifiers, "now_ms", clock):
        yield clock
