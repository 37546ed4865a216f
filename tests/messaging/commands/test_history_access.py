"""Who may read the history of what."""

from typing import Any

import pytest

from conversations.policy import Kind
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    CommandType,
    ConvCommand,
    LogsCommand,
    OpType,
)
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.support import (
    Imported,
    another_application,
    frozen,
    history,
    import_messages,
    say,
    started,
    texts,
)


@pytest.fixture
async def room(application: Application) -> str:
    """A conversation of tom and jerry in which "hello" was said."""
    conversation_id = await started(application, "tom", "jerry")
    await import_messages(conversation_id, [Imported("hello", 1_700_000_000_000, "hello")])
    return conversation_id


@pytest.fixture
async def tom(signed_in: SignIn, room: str) -> ImClient:
    """A member."""
    return await signed_in("tom")


async def refused(client: ImClient, conversation_id: str, **fields: Any) -> tuple[int, str]:
    """Ask for a page and return the error."""
    reply = await client.request(CommandType.logs, logsMessage=LogsCommand(cid=conversation_id, **fields))
    assert reply.cmd == CommandType.error, reply
    return reply.errorMessage.code, reply.errorMessage.reason


async def test_a_member_reads_what_was_said_before_it_joined(tom: ImClient, signed_in: SignIn, room: str) -> None:
    """Checklist 61: history belongs to the conversation."""
    await tom.request(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=room, m=["mary"]))

    mary = await signed_in("mary")

    assert await texts(mary, room) == ["hello"]


async def test_who_is_not_a_member_gets_no_history(tom: ImClient, signed_in: SignIn, room: str) -> None:
    """Checklist 63."""
    mary = await signed_in("mary")

    assert await refused(mary, room) == (4312, "CONVERSATION_LOG_REJECTED")
    assert await refused(mary, room, l=0) == (4312, "CONVERSATION_LOG_REJECTED")


async def test_who_has_left_gets_no_history(tom: ImClient, room: str) -> None:
    """Checklist 63."""
    await tom.request(CommandType.conv, OpType.remove, convMessage=ConvCommand(cid=room, m=["tom"]))

    assert await refused(tom, room) == (4312, "CONVERSATION_LOG_REJECTED")


@pytest.mark.parametrize("conversation_id", ["", "5f0000000000000000000000", "x" * 65, "a\0b"])
async def test_history_of_an_unknown_conversation_is_not_found(tom: ImClient, conversation_id: str) -> None:
    """Checklist 63."""
    assert await refused(tom, conversation_id) == (4303, "CONVERSATION_NOT_FOUND")


async def test_history_of_another_applications_conversation_is_not_found(tom: ImClient) -> None:
    """Checklist 63."""
    elsewhere = await started(await another_application(), "tom")

    assert await refused(tom, elsewhere) == (4303, "CONVERSATION_NOT_FOUND")


async def test_a_temporary_conversation_has_history_while_it_lives(application: Application, signed_in: SignIn) -> None:
    """Checklist 63."""
    with frozen() as clock:
        room = await started(application, "tom", "jerry", kind=Kind.TEMPORARY, ttl_seconds=60)
        tom, mary = await signed_in("tom"), await signed_in("mary")
        await say(tom, room, "soon gone")

        alive = await history(tom, room)
        outsider = await refused(mary, room)
        clock.at_ms += 60_000
        expired = await refused(tom, room)

    assert [(item.data, item.convType) for item in alive] == [("soon gone", Kind.TEMPORARY)]
    assert outsider == (4312, "CONVERSATION_LOG_REJECTED")
    assert expired == (4303, "CONVERSATION_NOT_FOUND")
