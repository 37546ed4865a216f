"""The statements of the hot path on many rows: every one goes through an index, on either engine."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from conversations.models import Conversation
from conversations.storage import conversations, positions, queries, waiting
from conversations.storage import retention as conversations_retention
from conversations.storage.where import parse
from imcore.models import Application
from messaging.events import Body, Mentions
from messaging.models import Device, Message, Will
from messaging.storage import (
    catching_up,
    deletions,
    devices,
    history,
    logs,
    messages,
    missing,
    patches,
    receipts,
    retention,
    wills,
)
from messaging.storage.catching_up import Absent
from messaging.storage.devices import Return
from messaging.storage.history import Boundary
from messaging.storage.patches import Change, Subject
from messaging.storage.receipts import Ack, Place, Read
from messaging.storage.wills import Lost
from tests.messaging.storage.drafts import T, draft

pytestmark = pytest.mark.slow

CONVERSATIONS = 20_000
MESSAGES = 200_000
DEVICES = 20_000
RARE = MESSAGES // 10  # every so many there is one that is no text

_NUMBERS = {
    "postgresql": "(SELECT n FROM generate_series(1, {rows}) AS g (n)) AS numbers",
    "sqlite": "(WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {rows}) SELECT n FROM g)",
}

_FILL = [
    (
        CONVERSATIONS,
        """
        INSERT INTO conversations_conversation
          (application_id, object_id, kind, creator, attributes, is_unique, member_count, members_version,
           attributes_version, has_roles, has_silenced, has_blocked, last_seq, last_message_ms, last_message_hour,
           mention_all_seq, created_ms, updated_ms)
        SELECT {application}, 'room-' || n, 1, 'client-0', '{{}}', {false}, 3, 1, 1, {false}, {false}, {false},
               {messages}, {time} + n, ({time} + n) / 3600000, 0, {time}, {time}
        FROM {numbers}
        """,
    ),
    (
        3 * CONVERSATIONS,
        # Everybody is in sixty.
        """
        INSERT INTO conversations_member
          (conversation_id, application_id, client_id, is_muted, joined_ms, read_seq, ack_seq, own_since_read,
           mentioned_seq)
        SELECT {first} + (n - 1) / 3, {application}, 'client-' || (((n - 1) / 3 * 7 + n % 3 * 333) % 1000), {false},
               {time}, 0, 0, 0, 0
        FROM {numbers}
        """,
    ),
    (
        MESSAGES,
        # Every tenth is in one conversation, so there is a long history beside the short ones. A few in it are no text.
        """
        INSERT INTO messaging_message
          (message_id, application_id, conversation_id, seq, timestamp_ms, sender, text, is_binary, message_type,
           mention_all, wants_receipt, deduplication_token, patch_ms)
        SELECT 'message-' || n, {application},
               {first} + CASE WHEN n % 10 = 0 THEN 0 ELSE 1 + n % ({conversations} - 1) END, n, {time} + n,
               'client-' || (n % 1000),
               'text of some length, as people write', {false},
               CASE WHEN n % {rare} = 0 THEN 7 WHEN n % 2 = 0 THEN -1 END, {false}, {false}, 'token-' || n,
               CASE WHEN n % 101 = 0 THEN {time} + n END
        FROM {numbers}
        """,
    ),
    (
        DEVICES,
        # Ten to a client.
        """
        INSERT INTO messaging_device
          (application_id, client_id, identity, tag, config_bitmap, state, generation, user_agent, session_key,
           first_seen_at, last_seen_at)
        SELECT {application}, 'client-' || (n / 10), 'device-' || n, 'mobile', 187, 'signed in', 1, '', 'key-' || n,
               '2026-01-01', '2026-01-01'
        FROM {numbers}
        """,
    ),
    (
        DEVICES // 10,
        """
        INSERT INTO messaging_will
          (application_id, client_id, device_id, conversation_id, message_id, text, is_binary, mention_all, created_ms)
        SELECT {application}, 'client-' || n, (SELECT MIN(id) FROM messaging_device WHERE session_key LIKE 'key-%') + n,
               'room-1', 'will-' || n, 'gone', {false}, {false}, {time}
        FROM {numbers}
        """,
    ),
    (
        DEVICES,
        """
        INSERT INTO messaging_kick (application_id, client_id, kicked_ms)
        SELECT {application}, 'client-' || n, {time} + n FROM {numbers}
        """,
    ),
]


@dataclass(frozen=True)
class Crowd:
    """An application with many conversations and messages. `long` is the conversation with the long history."""

    application: Application
    long: conversations.ConversationInfo
    pks: list[int]


@contextmanager
def patient_cursor() -> Iterator[Any]:
    """Open a cursor in a transaction that may take longer than a server would wait."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield cursor


@pytest.fixture(scope="module")
def crowd(database: None) -> Iterator[Crowd]:
    """The many rows, gone after the module's tests."""
    application = Application.objects.create(name="crowd")
    words = {
        "application": application.pk,
        "false": "false" if connection.vendor == "postgresql" else "0",
        "time": T,
        "messages": MESSAGES,
        "conversations": CONVERSATIONS,
        "rare": RARE,
    }
    with patient_cursor() as cursor:
        for number, statement in _FILL:
            first = Conversation.objects.filter(application=application).order_by("pk").values_list("pk", flat=True)[:1]
            numbers = _NUMBERS[connection.vendor].format(rows=number)
            cursor.execute(statement.format(**words, numbers=numbers, first=next(iter(first), 0)))
        cursor.execute("ANALYZE")
    pks = list(Conversation.objects.filter(application=application).order_by("pk").values_list("pk", flat=True))
    long = conversations.load(application=application.pk, object_id="room-1")
    assert long is not None
    assert long.pk == pks[0]
    yield Crowd(application, long, pks)
    with patient_cursor() as cursor:
        for table in (
            "messaging_will",
            "messaging_kick",
            "messaging_device",
            "messaging_message",
            "conversations_member",
            "conversations_conversation",
        ):
            cursor.execute(f"DELETE FROM {table} WHERE application_id = %s", [application.pk])
    # Not before the commit: its checks of foreign keys would be planned for tables that are empty, and are not yet.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    application.delete()


def page(crowd: Crowd, **fields: Any) -> list[Any]:
    """Ask for a page of the long history."""
    asked: dict[str, Any] = {
        "conversation": crowd.long.pk,
        "older_end": None,
        "newer_end": None,
        "newest": True,
        "limit": 100,
        "message_type": None,
    }
    return history.page(**asked | fields)


def log(crowd: Crowd, whose: str, **fields: Any) -> list[Any]:
    """Read a page as the application does."""
    ranges = {
        "conversation": logs.of_conversation(crowd.long.pk),
        "client": logs.of_client(crowd.application.pk, "client-7"),
        "application": logs.of_application(crowd.application.pk),
    }[whose]
    asked: dict[str, Any] = {"older_end": None, "newer_end": None, "newest": True, "limit": 1000}
    return logs.page(ranges=ranges, **asked | fields)


def resend(crowd: Crowd) -> Any:
    """Store a batch: half of it known already, in many conversations, with mentions."""
    rooms = [crowd.long] * 32
    drafts = [
        draft(
            room,
            crowd.long.members[0],
            mention_ids=(crowd.long.members[1],),
            mention_all=True,
            deduplication_token=f"token-{number}",
        )
        for number, room in enumerate(rooms)
    ]
    messages.store(drafts, now_ms=T)
    return messages.store([*drafts[:16], draft(crowd.long, crowd.long.members[2])], now_ms=T)


def query(crowd: Crowd, where: str = "", sort: str = "") -> Any:
    """Query conversations as most clients do after signing in."""
    keys = [queries.SortKey(sort.lstrip("-"), sort.startswith("-"))] if sort else []
    return queries.query(
        application=crowd.application.pk,
        client_id="client-7",
        where=parse(where),
        sort=keys,
        limit=10,
        skip=0,
        with_members=True,
    )


def absent(crowd: Crowd, number: int, *, messages_max: int | None = None) -> Absent:
    """Make a client that has been away for long."""
    return Absent(
        application=crowd.application.pk,
        client_id=f"client-{number}",
        device=someone(crowd).pk,
        generation=1,
        knows_temporary=True,
        conversations_max=50,
        unread_since_ms=T if number % 2 else None,
        messages_max=messages_max,
        patched_since_ms=T,
    )


def purge(crowd: Crowd) -> int:
    """Delete a batch of old messages, and take it back."""
    with transaction.atomic():
        deleted = retention.delete(conversations=crowd.pks[100:600], before_ms=retention.EVER, limit=1000)
        transaction.set_rollback(True)
    return deleted


def places(crowd: Crowd) -> list[Place]:
    """Return members of many conversations, the long one among them."""
    found = conversations_of(crowd, 64)
    return [Place(crowd.application.pk, room.object_id, room.members[0]) for room in found]


def conversations_of(crowd: Crowd, count: int) -> list[conversations.ConversationInfo]:
    """Return conversations, the long one first."""
    loaded = [
        conversations.load(application=crowd.application.pk, object_id=f"room-{number}")
        for number in range(1, count + 1)
    ]
    return [room for room in loaded if room is not None]


def acknowledge(crowd: Crowd, *message_ids: str, from_ms: int | None = None, is_single: bool = False) -> Any:
    """Acknowledge in many conversations at once, or in the long one alone; and take it back."""
    acks = [Ack(place, message_ids, from_ms, T + MESSAGES // 2, receipts_members_max=3) for place in places(crowd)]
    return undone(lambda: receipts.acknowledge(acks[:1] if is_single else acks, now_ms=T).newest_ms)


def read(crowd: Crowd, at_ms: int | None, *, is_single: bool = False) -> Any:
    """Read many conversations at once, or the long one alone; and take it back."""
    reads = [Read(place, "", at_ms, is_shown=True, receipts_members_max=3) for place in places(crowd)]
    return undone(lambda: receipts.read(reads[:1] if is_single else reads, now_ms=T))


def undone(work: Callable[[], Any]) -> Any:
    """Do something and take it back."""
    with transaction.atomic():
        found = work()
        transaction.set_rollback(True)
    return found


def patch(crowd: Crowd, *, is_recall: bool) -> Any:
    """Edit or recall messages that mentioned members and everybody, in one long and one short conversation."""
    first, second, _ = crowd.long.members
    with transaction.atomic():
        drafts = [
            draft(crowd.long, first, mention_ids=(second,), mention_all=True, deduplication_token=None)
            for _ in range(2)
        ]
        stored = messages.store(drafts, now_ms=T)
        changes = [
            Change(
                conversation=crowd.long.pk,
                message_id=one.message_id,
                is_recall=is_recall,
                body=Body("edited", None),
                text="edited",
                data=None,
                message_type=None,
                mentions=Mentions(),
            )
            for one in stored
            if isinstance(one, messages.Stored)
        ]
        changed = patches.apply(changes, judge=lambda *facts: None, clock=lambda: T + MESSAGES)
        transaction.set_rollback(True)
    return changed.unread


def delete(crowd: Crowd) -> Any:
    """Delete a message of the long conversation that mentioned everybody and a member, and take it back."""
    first, second, _ = crowd.long.members

    def work() -> Any:
        drafts = [draft(crowd.long, first, mention_ids=(second,), mention_all=True, deduplication_token=None)]
        [stored] = messages.store(drafts, now_ms=T)
        assert isinstance(stored, messages.Stored)
        deletions.delete(
            conversation=crowd.long.pk,
            message_id=stored.message_id,
            judge=lambda message: cast(Subject, message),
            clock=lambda: T + MESSAGES,
        )
        return stored

    return undone(work)


def someone(crowd: Crowd) -> Device:
    """Return one of the devices."""
    return Device.objects.get(application=crowd.application, client_id="client-77", identity="device-777")


def sign_in(crowd: Crowd) -> Any:
    """Sign in from a new device."""
    return devices.sign_in(
        application=crowd.application.pk,
        client_id="client-78",
        identity="another device",
        tag="mobile",
        config_bitmap=None,
        assumed_bitmap=0,
        user_agent="",
        session_key="key",
        even_if_kicked=False,
        at=datetime.now(UTC),
    )


def come_back(crowd: Crowd) -> Any:
    """Come back with a token, many devices together."""
    first = someone(crowd)
    together = Device.objects.filter(pk__gte=first.pk).order_by("pk")[:64]
    returns = [
        Return(crowd.application.pk, one.client_id, one.pk, 1, None, one.session_key) for one in reversed(together)
    ]
    return all(devices.come_back(returns, at=datetime.now(UTC)))


def evict(crowd: Crowd) -> Any:
    """Sign the nine other devices of a client out."""
    device = someone(crowd)
    whose: dict[str, Any] = {"application": crowd.application.pk, "client_id": device.client_id, "tag": "mobile"}
    assert len(devices.holders(**whose, device=device.pk, generation=1).others) == 9
    return devices.evict_others(**whose, device=device.pk, generation=1).others


def kick(crowd: Crowd) -> bool:
    """Sign a client out of its ten devices."""
    devices.sign_out(application=crowd.application.pk, client_id="client-77", now_ms=T)
    return True


def clients_of_today(crowd: Crowd) -> int:
    """Count the clients that have come since midnight, which are few of all."""
    midnight = datetime(2100, 1, 1, tzinfo=UTC)  # other cases sign in now

    def count() -> int:
        few = Device.objects.filter(application=crowd.application, client_id__in=["client-7", "client-8"])
        few.update(last_seen_at=midnight)
        return devices.clients_since(application=crowd.application.pk, since=midnight)

    found: int = undone(count)
    assert found == 2
    return found


def take_wills(crowd: Crowd) -> Any:
    """Take what twenty lost sessions have left."""
    first = Will.objects.get(application=crowd.application, client_id="client-1").device
    number = int(first.session_key.removeprefix("key-"))
    lost = [Lost(first.pk + step, f"key-{number + step}") for step in range(20)]
    return [will for will in wills.take(lost) if will is not None]


MIDDLE = Boundary(T + MESSAGES // 4, "", is_included=False)
NAMED = Boundary(T + MESSAGES // 2, f"message-{MESSAGES // 2}", is_included=True)

CASES: dict[str, Callable[[Crowd], Any]] = {
    "the newest page": page,
    "the oldest page": lambda crowd: page(crowd, newest=False),
    "a page before a time": lambda crowd: page(crowd, newer_end=MIDDLE),
    "a page after a time": lambda crowd: page(crowd, older_end=MIDDLE, newest=False),
    "a page before a message": lambda crowd: page(crowd, newer_end=NAMED),
    "a page between two ends": lambda crowd: page(crowd, older_end=MIDDLE, newer_end=NAMED),
    "a page of one type": lambda crowd: page(crowd, message_type=-1),
    "the last messages of a hundred conversations": lambda crowd: history.newest(
        last_seqs=dict.fromkeys(crowd.pks[:100], MESSAGES)
    ),
    "storing a batch": resend,
    "looking up members again": lambda crowd: positions.rosters(conversations=crowd.pks[:5]),
    "loading a conversation": lambda crowd: conversations.load(application=crowd.application.pk, object_id="room-77"),
    "the default query": query,
    "a query of the unique conversation": lambda crowd: query(crowd, '{"objectId":"room-5"}'),
    "what one client has missed": lambda crowd: catching_up.missed_by([absent(crowd, 7)], now_ms=T),
    "what many clients have missed": lambda crowd: catching_up.missed_by(
        [absent(crowd, number) for number in range(32)], now_ms=T
    ),
    "what an old client has missed": lambda crowd: catching_up.missed_by([absent(crowd, 7, messages_max=20)], now_ms=T),
    "a page of conversations for retention": lambda crowd: conversations_retention.page(
        application=crowd.application.pk, after="room-5", inactive_since_ms=T, now_ms=T, limit=500
    ),
    "counting old messages": lambda crowd: retention.count(conversations=crowd.pks[:500], before_ms=T + MESSAGES // 4),
    "deleting old messages": purge,
    "acknowledging by time": acknowledge,
    "acknowledging a range": lambda crowd: acknowledge(crowd, from_ms=T + MESSAGES // 4),
    "acknowledging by id": lambda crowd: acknowledge(crowd, *[f"message-{number}" for number in range(100)]),
    "acknowledging one conversation": lambda crowd: acknowledge(crowd, is_single=True),
    "the conversations of messages": lambda crowd: receipts.conversations_of(
        application=crowd.application.pk, message_ids=["message-1", "message-2"]
    ),
    "reading everything": lambda crowd: read(crowd, None),
    "reading a part": lambda crowd: read(crowd, T + MESSAGES // 2),
    "reading one conversation": lambda crowd: read(crowd, T + MESSAGES // 2, is_single=True),
    "the marks of members": lambda crowd: receipts.of_members(conversation=crowd.pks[7]),
    "editing messages": lambda crowd: patch(crowd, is_recall=False),
    "recalling messages": lambda crowd: patch(crowd, is_recall=True),
    "deleting a message": delete,
    "a query by members": lambda crowd: query(crowd, '{"m":{"$all":["client-333","client-666"]}}'),
    "signing in": sign_in,
    "coming back": come_back,
    "evicting other devices": evict,
    "taking wills": take_wills,
    "kicking a client": lambda crowd: undone(lambda: kick(crowd)),
    "looking for a kick": lambda crowd: devices.was_signed_out(
        application=crowd.application.pk, client_id="client-77", after_ms=T
    ),
    "forgetting kicks": lambda crowd: undone(lambda: devices.forget_kicks(before_ms=T + DEVICES // 2, limit=1000)),
    "counting the clients of a day": clients_of_today,
    "what a client has not read of all conversations": lambda crowd: waiting.total(
        application=crowd.application.pk, client_id="client-7", conversation=None, now_ms=T
    ),
    "what a client has not read of one": lambda crowd: waiting.total(
        application=crowd.application.pk, client_id=crowd.long.members[0], conversation=crowd.long.pk, now_ms=T
    ),
    "messages that did not come": lambda crowd: missing.find(
        conversation=crowd.long.pk, first=MESSAGES // 2, last=MESSAGES // 2 + 500, since_ms=0, limit=100
    ),
    "messages that did not come since a time": lambda crowd: missing.find(
        conversation=crowd.long.pk, first=1, last=MESSAGES, since_ms=T + MESSAGES // 2, limit=100
    ),
    "how far the conversations of a client are": lambda crowd: missing.latest(
        application=crowd.application.pk,
        client_ids=["client-7"],
        rooms=crowd.pks[:20],
        since_ms=T + CONVERSATIONS // 2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_statement_of_the_hot_path_reads_no_table_from_end_to_end(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Checklist 34, 51, 54, 58 to 61, 67, 70: on 200 000 messages in 20 000 conversations."""
    found, plans = explained(monkeypatch, lambda: CASES[name](crowd))

    assert found
    assert plans
    for sql, plan in plans:
        assert not scans(plan), f"{sql}\n{plan}"


@pytest.mark.parametrize("at", [None, T + MESSAGES // 2, T + MESSAGES // 10])
@pytest.mark.parametrize("message_id", ["", "message-5"])
@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize(
    ("whose", "index"),
    [
        ("conversation", "message_timestamp"),
        ("client", "message_sender"),
        ("application", "message_application"),
    ],
)
def test_a_page_for_the_application_is_a_range_of_an_index_at_any_depth(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, whose: str, index: str, newest: bool, message_id: str, at: int | None
) -> None:
    """rest-api 8.8: what is sorted is what was said at one time; nothing is skipped over."""
    end = None if at is None else Boundary(at, message_id, is_included=False)
    bounds = {"newer_end": end} if newest else {"older_end": end}

    found, plans = explained(monkeypatch, lambda: log(crowd, whose, newest=newest, limit=20, **bounds))

    assert len(found) == 20
    [(sql, plan)] = plans
    assert re.search(rf"\b{index}\b", plan), f"{sql}\n{plan}"
    assert not scans(plan), f"{sql}\n{plan}"
    assert "Bitmap" not in plan, f"{sql}\n{plan}"
    if connection.vendor == "postgresql":
        assert "Incremental Sort" in plan, f"{sql}\n{plan}"
    else:
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan.partition("SCAN part_0")[0], f"{sql}\n{plan}"


@pytest.mark.parametrize(
    "fields",
    [{}, {"newest": False}, {"newer_end": NAMED}, {"older_end": MIDDLE, "newest": False, "limit": 2}],
    ids=lambda fields: ", ".join(fields) or "the newest",
)
def test_a_rare_type_is_found_without_reading_what_is_between(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    """Checklist 61: ten messages of their type among the 20 000 of a conversation."""
    found, plans = explained(monkeypatch, lambda: page(crowd, message_type=7, **fields))

    numbers = [int(message.message_id.removeprefix("message-")) for message in found]
    assert numbers
    assert numbers == sorted(numbers)
    assert all(number % RARE == 0 for number in numbers)
    sql, plan = plans[-1]
    # Some are so few that PostgreSQL may read all of the type and sort them; but nothing that is not of the type.
    assert "message_not_text" in plan, f"{sql}\n{plan}"
    assert "Filter:" not in plan, f"{sql}\n{plan}"


def explained(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> tuple[Any, list[tuple[str, str]]]:
    """Do the work; return what it returned, and its statements with their plans."""
    seen: list[tuple[str, Any]] = []
    execute = CursorWrapper._execute_with_wrappers  # type: ignore[attr-defined]

    def recorded(cursor: Any, sql: str, params: Any, many: bool, executor: Any) -> Any:
        if re.search(r"messaging_|conversations_", sql):
            seen.append((sql, params[0] if many else params))
        return execute(cursor, sql, params, many, executor)

    with monkeypatch.context() as patched:
        patched.setattr(CursorWrapper, "_execute_with_wrappers", recorded)
        found = work()
    return found, [(sql, explain(sql, params)) for sql, params in seen]


def explain(sql: str, params: Any) -> str:
    """Return the plan of a statement, without running it."""
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql, params)
        return "\n".join(str(line[-1]) for line in cursor.fetchall())


def scans(plan: str) -> list[str]:
    """Return the lines of a plan that read a whole table of ours."""
    if connection.vendor == "postgresql":
        # What system conversations say is not here: test_service_plans.py.
        return re.findall(r".*Seq Scan on (?!messaging_service)(?:messaging|conversations)_.*", plan)
    # The aliases that our statements give to their tables; what else is scanned is a list of values.
    return re.findall(r"^SCAN (?:[cm]|(?:messaging|conversations)_\w+)\b.*$", plan, re.MULTILINE)


def test_the_check_sees_a_scan(crowd: Crowd) -> None:
    """Checklist 61: without an index it would be told."""
    plan = explain("SELECT COUNT(*) FROM messaging_message WHERE text = %s", ["x"])

    assert scans(plan), plan
    assert Message.objects.filter(application=crowd.application).count() >= MESSAGES
