"""`patch/…` as short calls, what others hear of it, and what is unread for whom."""

from typing import Any

from conversations.models import Conversation, Member
from imcore.bridge import in_database
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    ErrorCommand,
    GenericCommand,
    OpType,
    PatchCommand,
    PatchItem,
    UnreadTuple,
)
from messaging.models import Message
from tests.imclient import ImClient


def edit_of(conversation_id: str, ack: AckCommand, text: str | None = None, **fields: Any) -> PatchItem:
    """Make the item that edits an acknowledged message."""
    if text is not None:
        fields["data"] = text.encode()
    return PatchItem(cid=conversation_id, mid=ack.uid, timestamp=ack.t, recall=False, **fields)


def recall_of(conversation_id: str, ack: AckCommand, **fields: Any) -> PatchItem:
    """Make the item that recalls an acknowledged message."""
    return PatchItem(cid=conversation_id, mid=ack.uid, timestamp=ack.t, recall=True, **fields)


async def ask(client: ImClient, *items: PatchItem) -> GenericCommand:
    """Send `patch/modify` and return the reply, whatever it is."""
    return await client.request(CommandType.patch, OpType.modify, patchMessage=PatchCommand(patches=items))


async def patch(client: ImClient, *items: PatchItem) -> int:
    """Patch messages and return the time that the server tells, and nothing else (checklist 64)."""
    reply = await ask(client, *items)
    assert (reply.cmd, reply.op) == (CommandType.patch, OpType.modified), reply
    assert [field.name for field, _ in reply.patchMessage.ListFields()] == ["lastPatchTime"]
    return reply.patchMessage.lastPatchTime


async def edit(client: ImClient, conversation_id: str, ack: AckCommand, text: str | None = None, **fields: Any) -> int:
    """Edit a message and return when that was."""
    return await patch(client, edit_of(conversation_id, ack, text, **fields))


async def recall(client: ImClient, conversation_id: str, ack: AckCommand) -> int:
    """Recall a message and return when that was."""
    return await patch(client, recall_of(conversation_id, ack))


async def refusal(client: ImClient, *items: PatchItem) -> ErrorCommand:
    """Try to patch messages and return the error that this is answered with."""
    reply = await ask(client, *items)
    assert reply.cmd == CommandType.error, reply
    return reply.errorMessage


async def code_of(client: ImClient, *items: PatchItem) -> int:
    """Try to patch messages and return the code of the error."""
    return (await refusal(client, *items)).code


async def hears_patch(client: ImClient) -> PatchItem:
    """Return the item of the next notice, which must be a patch of one."""
    [item] = (await client.notice(CommandType.patch, OpType.modify)).patchMessage.patches
    return item


async def hears_count(client: ImClient) -> UnreadTuple:
    """Return the tuple of the next notice, which must be a count of one conversation."""
    [counted] = (await client.notice(CommandType.unread)).unreadMessage.convs
    return counted


async def unread(conversation_id: str) -> dict[str, tuple[int, bool]]:
    """Return how many messages are unread for each member, and whether one mentions it, by the server's marks."""

    def load() -> dict[str, tuple[int, bool]]:
        conversation = Conversation.objects.get(object_id=conversation_id)
        return {
            member.client_id: (
                conversation.last_seq - member.read_seq - member.own_since_read,
                max(member.mentioned_seq, conversation.mention_all_seq_for(member.client_id)) > member.read_seq,
            )
            for member in Member.objects.filter(conversation=conversation)
        }

    return await in_database(load)


async def whole(conversation_id: str) -> list[Any]:
    """Return everything that is stored of a conversation: its row, its members', its messages'."""

    def load() -> list[Any]:
        rows: list[Any] = list(Conversation.objects.filter(object_id=conversation_id).values())
        rows += Member.objects.filter(conversation__object_id=conversation_id).order_by("pk").values()
        rows += Message.objects.filter(conversation_id=rows[0]["id"]).order_by("seq").values()
        return rows

    return await in_database(load)


async def read_all(conversation_id: str, client_id: str) -> None:
    """Put the client's read mark at the newest message."""

    def write() -> None:
        last_seq = Conversation.objects.get(object_id=conversation_id).last_seq
        rows = Member.objects.filter(conversation__object_id=conversation_id, client_id=client_id)
        rows.update(read_seq=last_seq, own_since_read=0)

    await in_database(write)
