"""What a send costs: crossings into the database, statements, encodings."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from conversations.services import directory
from imcore.delivery import encoding, router
from imcore.models import Application
from tests.conftest import SignIn
from tests.messaging.gate import Gate, together
from tests.messaging.support import attempt, heard, say, started


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL statements on messages and conversations, from any thread: whole."""
    seen: list[str] = []
    execute = CursorWrapper._execute_with_wrappers  # type: ignore[attr-defined]

    def recorded(cursor: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        if re.search(r"messaging_message\b|conversations_", sql):
            seen.append(sql)
        return execute(cursor, sql, *args, **kwargs)

    monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", recorded)
    return seen


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often an event was published and encoded, and into how many frames."""
    count: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(router, "publish", counted("published", router.publish))
    monkeypatch.setattr(router, "encode", counted("encoded", encoding.encode))
    monkeypatch.setattr(encoding, "Frame", counted("frames", encoding.Frame))
    return count


async def test_a_send_crosses_into_the_database_once(
    application: Application, signed_in: SignIn, crossings: list[str]
) -> None:
    """Checklist 51: to a conversation that this node knows."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    crossings.clear()

    await say(tom, room, "hello", dt="token", mentionPids=["jerry"])

    assert crossings == ["store"]


async def test_a_send_to_a_conversation_unknown_here_crosses_twice(
    application: Application, signed_in: SignIn, crossings: list[str]
) -> None:
    """Checklist 51."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    directory.forget(application=application.pk, conversation_id=room)
    crossings.clear()

    await say(tom, room, "hello")
    await say(tom, room, "again")

    assert crossings == ["load", "store", "store"]


async def test_a_transient_send_does_not_touch_the_database(
    application: Application, signed_in: SignIn, crossings: list[str], statements: list[str]
) -> None:
    """Checklist 55: within the seconds that memory is trusted."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")
    crossings.clear()
    statements.clear()

    await say(tom, room, "typing…", transient=True)

    assert (crossings, statements) == ([], [])


@pytest.mark.parametrize("members", [2, 200])
async def test_the_statements_of_a_send_do_not_grow_with_the_members(
    application: Application, signed_in: SignIn, statements: list[str], members: int
) -> None:
    """Checklist 51: no row is written per receiver."""
    room = await started(application, "tom", *(f"member {number}" for number in range(1, members)))
    tom = await signed_in("tom")

    statements.clear()
    await say(tom, room, "hello")
    plain = len(statements)
    statements.clear()
    await say(tom, room, "hello", dt="token")
    with_token = len(statements)

    # Advance the conversation (SQLite: ask for its time before, and count the sender's own beside that); insert.
    assert (plain, with_token) == ((2, 2) if connection.vendor == "postgresql" else (4, 4)), statements


async def test_a_batch_costs_no_more_statements_than_a_message(
    application: Application, signed_in: SignIn, statements: list[str], store_gate: Gate
) -> None:
    """Checklist 51: on PostgreSQL; SQLite is in this process and has no round trips to save."""
    room = await started(application, "tom", "jerry", "mary", "paul")
    clients = [await signed_in(name) for name in ("tom", "jerry", "mary", "paul")]
    statements.clear()

    await together(store_gate, *(attempt(client, room, "hello", dt="token") for client in clients))

    assert store_gate.batches == [1, 3]
    if connection.vendor == "postgresql":
        assert len(statements) == 2 * 2, statements
    else:
        assert len(statements) == 2 * 4, statements


async def test_the_statements_of_a_send_do_not_grow_with_the_mentions(
    application: Application, signed_in: SignIn, statements: list[str]
) -> None:
    """Checklist 57: a client may name as many as fit into a frame, members or not."""
    room = await started(application, "tom", "jerry")
    tom = await signed_in("tom")

    statements.clear()
    await say(tom, room, "@jerry", mentionPids=["jerry"])
    one = len(statements)
    statements.clear()
    await say(tom, room, "@many", mentionPids=[f"client {number}" for number in range(100)])

    assert len(statements) <= one


async def test_a_message_is_published_and_encoded_once_however_many_receive_it(
    application: Application, signed_in: SignIn, published: Counter[str]
) -> None:
    """Checklist 51."""
    names = [f"member {number}" for number in range(20)]
    room = await started(application, "tom", *names)
    tom = await signed_in("tom")
    receivers = [await signed_in(name, deviceId=device) for name in names for device in ("one", "two")]
    published.clear()

    ack = await say(tom, room, "hello")

    assert [(await heard(receiver)).id for receiver in receivers] == [ack.uid] * 40
    assert published == {"published": 1, "encoded": 1, "frames": 1}


async def test_a_repeat_and_a_refusal_are_not_published(
    application: Application, signed_in: SignIn, published: Counter[str]
) -> None:
    """Checklist 53, 54."""
    room = await started(application, "tom", "jerry")
    tom, mary = await signed_in("tom"), await signed_in("mary")
    await say(tom, room, "hello", dt="token")
    published.clear()

    await say(tom, room, "hello", dt="token")
    await attempt(mary, room, "refused")
    await attempt(tom, room, "t" * 6000)

    assert published == {}
