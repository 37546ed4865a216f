"""Whoever changes several rows locks them in one order (docs/adr/0008), so that no two wait for each other."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet

from conversations.models import Conversation, Member
from conversations.storage import changes, objects
from conversations.storage.conversations import ConversationInfo
from conversations.storage.where_tree import Where
from imcore.models import Application
from imcore.writes import Rows, Step, Write, store_together
from messaging.events import Body, Mentions
from messaging.models import Message
from messaging.storage import deletions, messages, patches, receipts, retention
from messaging.storage.patches import Change, Subject
from messaging.storage.receipts import Ack, Place, Read
from tests.messaging.storage.drafts import T, draft, member, new_conversation, stored

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")

Rooms = list[ConversationInfo]
SAID = 3


def send(rooms: Rooms) -> None:
    """Send to each room."""
    messages.store([draft(room, "tom") for room in rooms], now_ms=T)


def acknowledge(rooms: Rooms) -> None:
    """Acknowledge everything in each room."""
    places = [Place(room.application, room.object_id, "jerry") for room in rooms]
    receipts.acknowledge([Ack(place, (), None, T + SAID, 2) for place in places], now_ms=T)


def read(rooms: Rooms) -> None:
    """Read everything in each room."""
    places = [Place(room.application, room.object_id, "jerry") for room in rooms]
    receipts.read([Read(place, "", None, is_shown=True, receipts_members_max=2) for place in places], now_ms=T)


def recall(rooms: Rooms) -> None:
    """Recall every message of each room, the newest first."""
    changes = [
        Change(room.pk, message.message_id, True, Body("", None), "", None, None, Mentions())
        for room in rooms
        for message in reversed(stored(room))
    ]
    patches.apply(changes, judge=lambda change, message, roster: None, clock=lambda: T)


def delete(rooms: Rooms) -> None:
    """Delete every message of each room, one by one."""
    for room in rooms:
        for message in stored(room):
            deletions.delete(conversation=room.pk, message_id=message.message_id, judge=it_is_there, clock=lambda: T)


def it_is_there(message: Subject | None) -> Subject:
    """Refuse nothing."""
    assert message is not None
    return message


def forget(rooms: Rooms) -> None:
    """Delete every message of each room."""
    retention.delete(conversations=[room.pk for room in rooms], before_ms=retention.EVER, limit=100)


def save(rooms: Rooms) -> None:
    """Write columns of each room, all or none, as `batch/save` does."""
    store_together([Step(columns_of(room)) for room in rooms])


def columns_of(room: ConversationInfo) -> Write[None]:
    """Prepare a write that changes nothing but the time of the room."""

    def store(more: object) -> None:
        objects.write(conversation=room.pk, where=Where(()), change=lambda columns: columns, now_ms=T)

    return Write(store, rows=Rows("conversations", room.pk, changes.lock_all))


@pytest.fixture
def rooms(application: Application) -> Rooms:
    """Two conversations in the order of their numbers, in each of which tom has said something to jerry."""
    made = [new_conversation(application, "tom", "jerry") for _ in range(2)]
    for room in made:
        messages.store([draft(room, "tom", wants_receipt=True) for _ in range(SAID)], now_ms=T)
    return made


@pytest.mark.parametrize("write", [send, read, recall, delete, forget, save])
def test_who_waits_for_a_conversation_holds_none_behind_it(rooms: Rooms, write: Callable[[Rooms], None]) -> None:
    """Nor a message, nor a member."""
    with held_up(Conversation.objects.filter(pk=rooms[0].pk), write, rooms):
        assert_free(Conversation.objects.filter(pk=rooms[1].pk))
        assert_free(Message.objects.filter(conversation_id__in=[room.pk for room in rooms]))
        assert_free(Member.objects.filter(conversation_id__in=[room.pk for room in rooms]))


@pytest.mark.parametrize("write", [acknowledge, read, recall, forget])
def test_who_waits_for_a_message_holds_none_behind_it(rooms: Rooms, write: Callable[[Rooms], None]) -> None:
    """Nor a member."""
    with held_up(Message.objects.filter(conversation_id=rooms[0].pk, seq=SAID - 1), write, rooms):
        assert_free(Message.objects.filter(conversation_id=rooms[0].pk, seq=SAID))
        assert_free(Message.objects.filter(conversation_id=rooms[1].pk))
        assert_free(Member.objects.filter(conversation_id__in=[room.pk for room in rooms]))


def test_what_is_recalled_before_it_is_deleted_is_not_counted_for_ever(rooms: Rooms) -> None:
    """Retention finds a message, and waits for the one who recalls it."""
    [room, _] = rooms
    first = stored(room)[0]
    recalled = Change(room.pk, first.message_id, True, Body("", None), "", None, None, Mentions())

    with held_up(Conversation.objects.filter(pk=room.pk), forget, [room]):
        patches.apply([recalled], judge=lambda change, message, roster: None, clock=lambda: T)

    assert not stored(room)
    assert (member(room, "jerry").read_seq, member(room, "jerry").own_since_read) == (SAID, 0)


def test_what_is_deleted_while_retention_waits_is_not_counted_for_ever(rooms: Rooms) -> None:
    """It finds messages, and waits for the one who deletes some: these have left holes behind what it still deletes."""
    [room, _] = rooms

    def delete_one(number: int) -> None:
        deletions.delete(
            conversation=room.pk,
            message_id=stored(room)[number].message_id,
            judge=it_is_there,
            clock=lambda: T,
        )

    with held_up(Conversation.objects.filter(pk=room.pk), forget, [room]):
        delete_one(1)

    assert not stored(room)
    assert (member(room, "jerry").read_seq, member(room, "jerry").own_since_read) == (SAID, 0)


@contextmanager
def held_up(rows: QuerySet, write: Callable[[Rooms], None], rooms: Rooms) -> Iterator[None]:
    """Hold rows and let a writer, on a connection of its own, come so far that it waits for them."""
    process: Future[int] = Future()

    def work() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                process.set_result(cursor.fetchone()[0])
            write(rooms[::-1])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            assert list(rows.select_for_update())
            writing = threads.submit(work)
            while not is_waiting_for_this(process.result(10)):
                assert not writing.done(), writing.result()
            yield
        writing.result(10)


def is_waiting_for_this(process: int) -> bool:
    """Return whether another process waits for what this connection holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() = ANY(pg_blocking_pids(%s))", [process])
        return bool(cursor.fetchone()[0])


def assert_free(rows: QuerySet) -> None:
    """Check that rows are there and nobody holds one."""
    assert list(rows.select_for_update(nowait=True))
