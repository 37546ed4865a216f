"""What is asked of the database when many look for one conversation."""

import asyncio
from typing import Any

import pytest
from cachetools import LRUCache

from conversations.policy import Kind
from conversations.services import directory
from conversations.storage import conversations, members
from conversations.storage.changes import Verdict
from conversations.storage.conversations import ConversationInfo, NewConversation
from imcore.bridge import in_database
from imcore.models import Application

T = 1_700_000_000_000


class Desk:
    """Stands where the directory crosses into the database: counts questions, and holds answers back while closed."""

    def __init__(self) -> None:
        self.questions = 0
        self.is_open = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def in_database(self, work: Any, **fields: Any) -> Any:
        """Ask, and keep the answer until the desk is open."""
        self.questions += 1
        answer = await in_database(work, **fields)
        self.is_asked.set()
        await self.is_open.wait()
        return answer


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk that is closed."""
    desk = Desk()
    monkeypatch.setattr(directory, "in_database", desk.in_database)
    return desk


async def started(application: Application) -> ConversationInfo:
    """Create a conversation of tom's."""
    new = NewConversation(object_id="room", creator="tom", members=("tom",), attributes={}, is_unique=False)
    created = await in_database(conversations.create, application=application.pk, kind=Kind.NORMAL, new=new, now_ms=T)
    return created[0]


async def look(application: Application) -> tuple[str, ...]:
    """Return the members as the database has them now."""
    found = await directory.find(application=application.pk, conversation_id="room", now_ms=T, max_age_seconds=0)
    return found.members


async def test_a_crowd_that_asks_at_once_asks_the_database_twice(application: Application, desk: Desk) -> None:
    """Once for the first, once for all who came meanwhile."""
    await started(application)

    first = asyncio.create_task(look(application))
    await desk.is_asked.wait()
    crowd = [asyncio.create_task(look(application)) for _ in range(100)]
    await asyncio.sleep(0)
    desk.is_open.set()

    assert [await first, *await asyncio.gather(*crowd)] == [("tom",)] * 101
    assert desk.questions == 2


async def test_nobody_gets_an_answer_older_than_the_question(application: Application, desk: Desk) -> None:
    conversation = await started(application)

    before = asyncio.create_task(look(application))
    await desk.is_asked.wait()
    await in_database(
        members.add, conversation=conversation.pk, judge=lambda roster: Verdict(("mary",)), by="tom", now_ms=T
    )
    after = asyncio.create_task(look(application))
    await asyncio.sleep(0)
    desk.is_open.set()

    assert (await before, await after) == (("tom",), ("tom", "mary"))


async def test_nothing_is_kept_of_a_question_that_is_answered(application: Application, desk: Desk) -> None:
    await started(application)
    desk.is_open.set()

    await look(application)

    assert (application.pk, "room") not in directory._questions


async def test_a_conversation_too_heavy_to_be_remembered_is_found_all_the_same(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an error nor what it was when it was lighter: anybody can make it heavier, by refusing invitations."""
    conversation = await started(application)
    small: LRUCache[Any, Any] = LRUCache(2, getsizeof=directory._remembered.getsizeof)
    monkeypatch.setattr(directory, "_remembered", small)
    assert await look(application) == ("tom",)

    await in_database(
        members.add, conversation=conversation.pk, judge=lambda roster: Verdict(("mary",)), by="tom", now_ms=T
    )

    assert await look(application) == ("tom", "mary")
    assert (await directory.find(application=application.pk, conversation_id="room", now_ms=T)).members == (
        "tom",
        "mary",
    )
