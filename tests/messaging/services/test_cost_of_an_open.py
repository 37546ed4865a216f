"""What it costs to sign in: statements, and crossings into the database."""

import asyncio
from typing import Any, cast

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from imcore import identifiers
from imcore.appsettings import ApplicationSnapshot
from imcore.capabilities import COUNTS_UNREAD, DECLARED
from imcore.models import Application
from messaging.services import catching_up
from tests.conftest import SignIn
from tests.conversations.talking import add
from tests.messaging.gate import Gate
from tests.messaging.returning import OFFLINE_PUSH, Connect, T, back, counts, many_conversations, patched, told_kept
from tests.messaging.speaking import new_service
from tests.messaging.support import say, started

STATEMENTS_MAX = 6
# What the applications' refresher asks once a second, whatever happens.
NOT_OURS = ("imcore_", "settings")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement of messages, sessions and conversations, from any thread."""
    seen: list[str] = []
    execute = CursorWrapper._execute_with_wrappers  # type: ignore[attr-defined]

    def recorded(cursor: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        if not any(word in sql for word in NOT_OURS):
            seen.append(sql)
        return execute(cursor, sql, *args, **kwargs)

    monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", recorded)
    return seen


@pytest.mark.parametrize("conversations", [10, 60])
@pytest.mark.parametrize("subprotocols", [("lc.protobuf2.3",), OFFLINE_PUSH])
async def test_coming_back_takes_six_statements_whatever_the_number_of_conversations(
    application: Application,
    signed_in: SignIn,
    connect: Connect,
    statements: list[str],
    subprotocols: tuple[str, ...],
    conversations: int,
) -> None:
    """Checklist 12, 60: with a token, counts or messages, and patches."""
    await many_conversations(application, "jerry", conversations)
    jerry = await signed_in("jerry", wire=await connect(subprotocols))
    statements.clear()

    jerry = await back(jerry, connect, application.app_id, lastPatchTime=1)
    seen = list(statements)

    assert len(seen) <= STATEMENTS_MAX, seen
    if subprotocols == OFFLINE_PUSH:
        assert [(await told_kept(jerry)).cid for _ in range(min(conversations, 50))]
    else:
        assert len(await counts(jerry)) == min(conversations, 50)


async def test_many_that_come_back_at_once_share_their_statements(
    application: Application, snapshot: ApplicationSnapshot, signed_in: SignIn, statements: list[str]
) -> None:
    """Checklist 60, 67: each is told its own. On SQLite there are no round trips to save."""
    tom = await signed_in("tom")
    rooms = {f"client {number}": await started(application, "tom", f"client {number}") for number in range(20)}
    for number, room in enumerate(rooms.values()):
        await patched((await say(tom, room, "typo")).uid, at_ms=T + number, text="no typo")
    statements.clear()

    found = await asyncio.gather(
        *(
            catching_up.load(
                application=snapshot,
                client_id=client_id,
                device=0,
                generation=1,
                capabilities=DECLARED | COUNTS_UNREAD,
                was_here=False,
                unread_since_ms=0,
                # The second half knows the patch of its conversation.
                patched_since_ms=1 if number < 10 else T + number,
                now_ms=identifiers.now_ms(),
            )
            for number, client_id in enumerate(rooms)
        )
    )

    for number, (client_id, one) in enumerate(zip(rooms, found, strict=True)):
        unread, *patches = cast(list[Any], one.events)
        assert [conversation.conversation_id for conversation in unread.conversations] == [rooms[client_id]]
        assert [patch.conversation_id for patch in patches] == ([rooms[client_id]] if number < 10 else [])
        assert list(one.told.values()) == [1]
    if connection.vendor == "postgresql":
        assert len(statements) <= 2 * 3, statements


async def test_few_of_those_who_are_pushed_messages_come_back_at_a_time(
    application: Application, snapshot: ApplicationSnapshot, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 60: messages are large, and their loading may not keep others from the database."""
    tom = await signed_in("tom")
    rooms = {f"client {number}": await started(application, "tom", f"client {number}") for number in range(10)}
    for room in rooms.values():
        await say(tom, room, room)
    gate = Gate()
    monkeypatch.setattr(catching_up, "in_database", gate.in_database)

    found = await asyncio.gather(
        *(
            catching_up.load(
                application=snapshot,
                client_id=client_id,
                device=0,
                generation=1,
                capabilities=DECLARED,
                was_here=False,
                unread_since_ms=0,
                patched_since_ms=0,
                now_ms=identifiers.now_ms(),
            )
            for client_id in rooms
        )
    )

    assert gate.batches == [4, 4, 2]
    assert [[kept.body.text for kept in cast(list[Any], one.events)] for one in found] == [
        [room] for room in rooms.values()
    ]


@pytest.mark.parametrize("services", [2, 20])
async def test_where_services_speak_it_takes_three_statements_more(
    application: Application, signed_in: SignIn, connect: Connect, statements: list[str], services: int
) -> None:
    """How far the client is, what waits, and the newest message of each; elsewhere none."""
    spoken = [await new_service(application) for _ in range(services)]
    tom = await signed_in("tom")
    for service in spoken:
        await add(tom, service.cid, "tom")
        await service.announce()
    tom = await back(tom, connect, application.app_id)
    statements.clear()

    tom = await back(tom, connect, application.app_id)
    seen = list(statements)

    # Coming back, in a transaction; nothing in other conversations; and how it stands with the device.
    assert len(seen) <= 5 + 3, seen
    assert len(await counts(tom)) == services
