"""Two unique conversations whose members change at the same moment, each to what the other has."""

import asyncio

from conversations.models import Conversation
from conversations.policy import Kind
from conversations.storage import conversations, members
from conversations.storage.changes import Verdict
from conversations.storage.conversations import ConversationInfo, NewConversation
from imcore.bridge import in_database
from imcore.identifiers import now_ms, object_id
from imcore.models import Application


def unique(application: Application, *names: str) -> ConversationInfo:
    """Start the unique conversation of some members."""
    new = NewConversation(object_id=object_id(now_ms()), creator="tom", members=names, attributes={}, is_unique=True)
    return conversations.create(application=application.pk, kind=Kind.NORMAL, new=new, now_ms=now_ms())[0]


async def test_both_changes_are_made(application: Application) -> None:
    """Each holds what the other waits for: the name of a member set. Neither client may be told of a failure."""
    pair, three = [await in_database(unique, application, "tom", "jerry", *more) for more in ([], ["spike"])]

    async def change(conversation: ConversationInfo, is_adding: bool) -> None:
        await in_database(
            members.add if is_adding else members.remove,
            conversation=conversation.pk,
            judge=lambda roster: Verdict(("spike",)),
            by="tom",
            now_ms=now_ms(),
        )

    for number in range(60):
        await asyncio.gather(change(pair, number % 2 == 0), change(three, number % 2 == 1))

    rows = await in_database(lambda: list(Conversation.objects.filter(application=application).order_by("id")))
    assert [row.member_count for row in rows] == [2, 3]
    assert len({row.unique_id for row in rows}) == 2
