"""Clients that come back, and what they are told first."""

from collections.abc import Awaitable, Callable
from typing import Any

from conversations.models import HOUR_MS, Conversation, Member
from imcore.bridge import in_database
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, DirectCommand, OpType, PatchItem, UnreadCommand, UnreadTuple
from messaging.message_types import RECALLED_BODY
from messaging.models import Message
from tests.imclient import ImClient, InProcess, open_session
from tests.messaging.support import imported_id

OFFLINE_PUSH = ("lc.protobuf2.1",)
T = 1_700_000_000_000

Connect = Callable[..., Awaitable[InProcess]]


async def told_unread(client: ImClient) -> UnreadCommand:
    """Return the counts of the next notice, which must be some; none may be of a conversation twice."""
    body = (await client.notice(CommandType.unread)).unreadMessage
    assert body.convs, "an empty frame, which .NET cannot bear"
    assert body.HasField("notifTime")
    cids = [one.cid for one in body.convs]
    assert len(set(cids)) == len(cids)
    return body


async def counts(client: ImClient) -> dict[str, int]:
    """Return conversation → count of the next notice, in its order."""
    return {one.cid: one.unread for one in (await told_unread(client)).convs}


async def only_count(client: ImClient) -> UnreadTuple:
    """Return what is told of the only conversation of the next notice."""
    [one] = (await told_unread(client)).convs
    return one


async def told_patch(client: ImClient) -> PatchItem:
    """Return the only patch of the next notice."""
    [item] = (await client.notice(CommandType.patch, OpType.modify)).patchMessage.patches
    return item


async def told_kept(client: ImClient) -> DirectCommand:
    """Return the message of the next notice, which must be one that came while the client was away."""
    message = (await client.notice(CommandType.direct)).directMessage
    assert message.offline
    return message


async def all_kept(client: ImClient, count: int) -> list[DirectCommand]:
    """Return as many messages that came while the client was away, and see that these are all."""
    messages = [await told_kept(client) for _ in range(count)]
    await client.nothing_more()
    return messages


async def back(client: ImClient, connect: Connect, app_id: str, **session: Any) -> ImClient:
    """Lose a client's connection and bring it back with its token, on the same subprotocol."""
    assert isinstance(client.wire, InProcess)
    await client.wire.close()
    wire = await connect((client.wire.subprotocol,))
    opened = await open_session(wire, app_id, client.client_id, st=client.token, r=True, **session)
    assert opened.op == OpType.opened, opened
    return ImClient(wire, client.client_id, opened)


async def set_marks(conversation_id: str, client_id: str, **marks: Any) -> None:
    """Write the marks of a member."""
    rows = Member.objects.filter(conversation__object_id=conversation_id, client_id=client_id)
    assert await in_database(lambda: rows.update(**marks)) == 1


async def patched(message_id: str, *, at_ms: int, text: str | None = None) -> None:
    """Write an edit of a message, or without a text its recall."""
    rows = Message.objects.filter(message_id=message_id)
    values = {"text": text} if text is not None else {"text": RECALLED_BODY, "is_recalled": True, "data": None}
    assert await in_database(lambda: rows.update(patch_ms=at_ms, is_binary=False, **values)) == 1


async def many_conversations(application: Application, client_id: str, count: int, *, at_ms: int = T) -> list[str]:
    """Make conversations of a client and tom, each with one message of tom's, a second apart; the oldest first."""

    def make() -> list[str]:
        rows = Conversation.objects.bulk_create(
            Conversation(
                application_id=application.pk,
                object_id=f"{application.pk:016x}{number:08x}",
                creator="tom",
                member_count=2,
                last_seq=1,
                last_message_ms=at_ms + 1000 * number,
                last_message_hour=(at_ms + 1000 * number) // HOUR_MS,
                created_ms=at_ms,
                updated_ms=at_ms,
            )
            for number in range(count)
        )
        Member.objects.bulk_create(
            Member(conversation=row, application_id=application.pk, client_id=name, joined_ms=at_ms, own_since_read=own)
            for row in rows
            for name, own in ((client_id, 0), ("tom", 1))
        )
        Message.objects.bulk_create(
            Message(
                message_id=imported_id(row.object_id, "1"),
                application_id=application.pk,
                conversation_id=row.pk,
                seq=1,
                timestamp_ms=row.last_message_ms or 0,
                sender="tom",
                text=f"message {number}",
            )
            for number, row in enumerate(rows)
        )
        return [row.object_id for row in rows]

    return await in_database(make)
