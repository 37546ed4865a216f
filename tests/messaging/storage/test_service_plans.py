"""The statements of system conversations on many rows: every one goes through an index, on either engine."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from conversations.models import Conversation
from conversations.policy import Kind
from conversations.storage import following, subscriptions
from conversations.storage.following import Place
from conversations.storage.naming import log_id
from conversations.storage.subscriptions import After
from imcore.identifiers import DAY_MS
from imcore.models import Application
from messaging.events import Body
from messaging.models import Audience
from messaging.storage import (
    logs,
    receipts,
    retention,
    service_history,
    service_messages,
    service_receipts,
    service_waiting,
)
from messaging.storage.history import Boundary
from messaging.storage.logs import Log
from messaging.storage.service_history import Parts
from messaging.storage.service_marks import Move, move
from messaging.storage.service_messages import Change, ServiceDraft
from messaging.storage.service_receipts import ServiceAck, ServiceRead
from tests.messaging.storage.test_plans import explained, patient_cursor, undone

pytestmark = pytest.mark.slow

CONVERSATIONS = 100
MESSAGES = 120_000
CLIENTS = 20_000
T = 1_700_000_000_000
NOW = T + 40 * DAY_MS
# Messages are evenly spread over the time up to now, so three of four to everybody are over.
STEP_MS = 40 * DAY_MS // MESSAGES

_NUMBERS = {
    "postgresql": "(SELECT n FROM generate_series(1, {rows}) AS g (n)) AS numbers",
    "sqlite": "(WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {rows}) SELECT n FROM g)",
}

_FILL = [
    (
        MESSAGES,
        # Of thirty, 20 are to subscribers, 9 to clients, one to everybody. Half are in one conversation.
        """
        INSERT INTO messaging_servicemessage
          (application_id, conversation_id, audience, client_id, message_id, timestamp_ms, sender, text, is_binary,
           message_type, number, valid_till_ms, is_recalled, is_deleted, patch_ms)
        SELECT {application}, {first} + CASE WHEN n % 2 = 0 THEN 0 ELSE n % {conversations} END,
               CASE WHEN n % 30 = 0 THEN 3 WHEN n % 3 = 0 THEN 1 ELSE 2 END,
               CASE WHEN n % 3 = 0 AND n % 30 <> 0 THEN 'client-' || (n / 3 % 100) ELSE '' END,
               'service-' || n, {time} + CAST(n AS bigint) * {step}, 'voice', 'text of some length, as people write',
               {false},
               CASE WHEN n % 4 = 0 THEN -1 WHEN n % 10001 = 0 THEN 7 END,
               CASE WHEN n % 30 = 0 THEN n / 30 END,
               CASE WHEN n % 30 = 0 THEN {time} + CAST(n AS bigint) * {step} + {valid} END,
               {false}, {false}, CASE WHEN n % 101 = 0 THEN {time} + CAST(n AS bigint) * {step} END
        FROM {numbers}
        """,
    ),
    (
        CLIENTS,
        """
        INSERT INTO conversations_subscription
          (application_id, conversation_id, client_id, is_muted, subscribed_ms, from_ms, log_id)
        SELECT {application}, {first} + n % 7, 'client-' || (n / 5), {false}, {time}, {time},
               md5('service-' || (n % 7) || ':client-' || (n / 5))
        FROM {numbers}
        """,
    ),
    (
        CLIENTS,
        """
        INSERT INTO messaging_servicemark
          (application_id, conversation_id, client_id, read_ms, ack_ms, changed_ms, log_id)
        SELECT {application}, {first} + n % 5, 'client-' || (n / 5), {time}, {time}, {time},
               CASE WHEN n % 5 = 0 THEN md5('service-0:client-' || (n / 5)) END
        FROM {numbers}
        """,
    ),
    (
        CLIENTS,
        """
        INSERT INTO messaging_sysmessage
          (application_id, conversation_id, message_id, timestamp_ms, sender, text, is_binary, message_type)
        SELECT {application}, {first}, 'upstream-' || n, {time} + CAST(n AS bigint) * {step}, 'client-' || (n % 100),
               'a question', {false}, -1
        FROM {numbers}
        """,
    ),
    (
        CLIENTS,
        """
        INSERT INTO messaging_broadcastmark (application_id, client_id, after_number)
        SELECT {application}, 'client-' || n, 10 FROM {numbers}
        """,
    ),
    (
        CLIENTS,
        """
        INSERT INTO messaging_withheldmessage (message_id, client_id)
        SELECT (SELECT MIN(id) FROM messaging_servicemessage WHERE application_id = {application}) + n, 'client-7'
        FROM {numbers}
        """,
    ),
]


@dataclass(frozen=True)
class Crowd:
    """An application with a hundred system conversations; the first has the long history."""

    application: int
    first: int
    object_id: str


@pytest.fixture(scope="module")
def crowd(database: None) -> Iterator[Crowd]:
    """Fill the tables, and analyse them as autovacuum would."""
    application = Application.objects.create(name="services")
    rows = Conversation.objects.bulk_create(
        Conversation(
            application=application,
            object_id=f"service-{number}",
            kind=Kind.SYSTEM,
            last_seq=MESSAGES,
            last_message_ms=NOW - number,
            created_ms=T,
            updated_ms=T,
        )
        for number in range(CONVERSATIONS)
    )
    first = min(row.pk for row in rows)
    with patient_cursor() as cursor:
        for count, statement in _FILL:
            cursor.execute(
                statement.format(
                    application=application.pk,
                    first=first,
                    conversations=CONVERSATIONS,
                    time=T,
                    step=STEP_MS,
                    valid=10 * DAY_MS,
                    false="false" if connection.vendor == "postgresql" else "0",
                    numbers=_NUMBERS[connection.vendor].format(rows=count),
                )
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    yield Crowd(application.pk, first, "service-0")
    with patient_cursor() as cursor:
        cursor.execute(
            "DELETE FROM messaging_withheldmessage WHERE message_id IN "
            "(SELECT id FROM messaging_servicemessage WHERE application_id = %s)",
            [application.pk],
        )
        for table in (
            "messaging_servicemessage",
            "messaging_servicemark",
            "messaging_broadcastmark",
            "messaging_serviceuse",
            "messaging_sysmessage",
            "conversations_subscription",
            "conversations_conversation",
        ):
            cursor.execute(f"DELETE FROM {table} WHERE application_id = %s", [application.pk])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    application.delete()


def page(crowd: Crowd, **fields: Any) -> list[Any]:
    """Ask for a page of the long history."""
    asked: dict[str, Any] = {
        "conversation": crowd.first,
        "client_id": "client-7",
        "parts": Parts(to_subscribers=True, to_everybody=True, own=True),
        "older_end": None,
        "newer_end": None,
        "newest": True,
        "limit": 20,
        "message_type": None,
    }
    return service_history.page(**asked | fields)


def draft(crowd: Crowd, audience: Audience) -> ServiceDraft:
    """Make a draft."""
    return ServiceDraft(
        message_id=f"new-{audience}",
        application=crowd.application,
        conversation=crowd.first,
        conversation_id=crowd.object_id,
        audience=audience,
        client_ids=("client-1", "client-2") if audience is Audience.CLIENT else (),
        sender="voice",
        text="hello",
        data=None,
        is_binary=False,
        message_type=None,
        valid_till_ms=NOW + DAY_MS if audience is Audience.EVERYBODY else None,
    )


def change(crowd: Crowd, message: str, *client_ids: str) -> Any:
    """Edit a message, and take it back."""
    body = Body("edited", None)
    wanted = Change(crowd.first, message, client_ids, False, body, "edited", None, None)
    return undone(lambda: service_messages.change(wanted, judge=lambda subject: None, now_ms=NOW))


def hand_out(crowd: Crowd) -> bool:
    """Note that many clients were handed a message."""
    move([Move(crowd.application, f"client-{number}", crowd.first, ack_ms=NOW) for number in range(500)])
    return True


def delete_for(crowd: Crowd) -> bool:
    """Delete a message to subscribers for one of them."""
    service_messages.delete_for(
        conversation=crowd.first,
        client_id="client-8",
        message_id="service-60002",
        judge=lambda subject: None,
        now_ms=NOW,
    )
    return True


def delete_broadcast(crowd: Crowd) -> bool:
    """Delete a message to everybody."""
    service_messages.delete_broadcast(application=crowd.application, message_id="service-60000", now_ms=NOW)
    return True


def client(crowd: Crowd, **fields: Any) -> dict[str, Any]:
    """Return the arguments that name a client."""
    return {"application": crowd.application, "client_id": "client-7", "now_ms": NOW} | fields


def place(crowd: Crowd) -> Place:
    """Return a client in the long conversation."""
    return Place(crowd.application, crowd.object_id, "client-7")


def log_of(crowd: Crowd, conversation_id: str, client_id: str) -> Log | None:
    """Find the log of what a system conversation said to a client."""
    return logs.find(application=crowd.application, log=log_id(conversation_id, client_id))


MIDDLE = Boundary(T + STEP_MS * MESSAGES // 2, "", is_included=False)
NAMED = Boundary(T + STEP_MS * 60_000, "service-60000", is_included=True)

CASES: dict[str, Callable[[Crowd], Any]] = {
    "the newest page": page,
    "the oldest page": lambda crowd: page(crowd, newest=False),
    "a page before a time": lambda crowd: page(crowd, newer_end=MIDDLE),
    "a page after a message": lambda crowd: page(crowd, older_end=NAMED, newest=False),
    "a page between two ends": lambda crowd: page(crowd, older_end=MIDDLE, newer_end=NAMED, newest=False) or True,
    "a page of a rare type": lambda crowd: page(crowd, message_type=7),
    "whether anything was received": lambda crowd: service_history.has_received(
        conversation=crowd.first, client_id="client-19999"
    ),
    "the valid ones": lambda crowd: service_history.broadcasts(conversation=crowd.first, limit=20, skip=0, now_ms=NOW),
    "the log of one that was spoken to": lambda crowd: log_of(crowd, "service-0", "client-77"),
    "the log of a subscriber": lambda crowd: log_of(crowd, "service-6", "client-4"),
    "what is no log": lambda crowd: log_of(crowd, "service-0", "nobody") is None,
    "what is unread": lambda crowd: service_waiting.unread(**client(crowd), since_ms=None, limit=50),
    "what has changed": lambda crowd: service_waiting.unread(**client(crowd), since_ms=NOW - DAY_MS, limit=50),
    "what is unread of one": lambda crowd: service_waiting.count(**client(crowd), conversation=crowd.first),
    "what is unread for a new client": lambda crowd: undone(
        lambda: service_waiting.unread(**client(crowd, client_id="new"), since_ms=None, limit=50) or True
    ),
    "what is handed over": lambda crowd: undone(lambda: service_waiting.hand_over(**client(crowd), most=20, limit=50)),
    "what was patched": lambda crowd: service_waiting.patches(
        application=crowd.application, client_id="client-7", since_ms=T, margin_ms=2000
    ),
    "speaking to clients": lambda crowd: undone(
        lambda: service_messages.store(draft(crowd, Audience.CLIENT), now_ms=NOW)
    ),
    "speaking to subscribers": lambda crowd: undone(
        lambda: service_messages.store(draft(crowd, Audience.SUBSCRIBERS), now_ms=NOW)
    ),
    "speaking to everybody": lambda crowd: undone(
        lambda: service_messages.store(draft(crowd, Audience.EVERYBODY), now_ms=NOW)
    ),
    "who follows": lambda crowd: following.among(
        conversation=crowd.first, client_ids=[f"client-{number}" for number in range(500)]
    ),
    "the first page of subscribers": lambda crowd: subscriptions.page(conversation=crowd.first, after=None, limit=50),
    "a page of subscribers": lambda crowd: subscriptions.page(conversation=crowd.first, after="client-2800", limit=50),
    "the number of subscribers": lambda crowd: subscriptions.count(conversation=crowd.first),
    "what a client follows": lambda crowd: subscriptions.page_of_client(
        application=crowd.application, client_id="client-7", after=None, newest_first=True, limit=50
    ),
    "what a client follows behind one": lambda crowd: subscriptions.page_of_client(
        application=crowd.application, client_id="client-7", after=After(T, "service-1"), newest_first=False, limit=50
    ),
    "how much is unread of all": lambda crowd: service_waiting.total(**client(crowd), conversation=None),
    "how much is unread of one": lambda crowd: service_waiting.total(**client(crowd), conversation=crowd.first),
    "reading": lambda crowd: undone(
        lambda: service_receipts.read([ServiceRead(place(crowd), "service-60000", None, is_asked=True)], now_ms=NOW)
    ),
    "acknowledging": lambda crowd: undone(
        lambda: service_receipts.acknowledge([ServiceAck(place(crowd), ("service-60000",), 0)])
    ),
    "the conversations of messages": lambda crowd: receipts.conversations_of(
        application=crowd.application, message_ids=["service-1", "service-2"]
    ),
    "noting who was handed what": lambda crowd: undone(lambda: hand_out(crowd)),
    "editing what all got": lambda crowd: change(crowd, "service-60002"),
    "editing what a client got": lambda crowd: change(crowd, "service-60006", "client-2"),
    "deleting for one": lambda crowd: undone(lambda: delete_for(crowd)),
    "deleting what everybody got": lambda crowd: undone(lambda: delete_broadcast(crowd)),
    "deleting old ones": lambda crowd: undone(
        lambda: retention.delete_of_services(application=crowd.application, before_ms=T + DAY_MS, limit=100)
    ),
    "deleting those of conversations that are gone": lambda crowd: undone(
        lambda: retention.delete_of_gone_services(conversations=[crowd.first + 3], limit=100)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_statement_reads_no_table_from_end_to_end(crowd: Crowd, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Checklist 31 to 33, 61: on 120 000 messages, 20 000 marks as many subscriptions and upstream messages."""
    found, plans = explained(monkeypatch, lambda: CASES[name](crowd))

    assert found
    assert plans
    for sql, plan in plans:
        assert not scans(plan), f"{sql}\n{plan}"


def scans(plan: str) -> list[str]:
    """Return the lines of a plan that read one of the large tables; there are but a hundred conversations here."""
    tables = r"(?:messaging_(?:servicem|broadcast|withheld|sys)\w+|conversations_subscription)"
    if connection.vendor == "postgresql":
        return re.findall(rf".*Seq Scan on {tables}.*", plan)
    # The aliases that our statements give to their tables, too; what else is scanned is a list of values.
    return re.findall(rf"^SCAN (?:[swm]|{tables})\b.*$", plan, re.MULTILINE)


@pytest.mark.parametrize("depth", [0, MESSAGES // 4, MESSAGES // 2 - 1000])
def test_a_page_costs_the_same_at_any_depth(crowd: Crowd, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """Checklist 61: no plan sorts more than the pages of its parts, or reads behind its bounds."""
    end = Boundary(NOW - 2 * depth * STEP_MS, "", is_included=False) if depth else None

    found, plans = explained(monkeypatch, lambda: page(crowd, newer_end=end))

    assert len(found) == 20
    [(sql, plan)] = plans
    assert plan.count("service_message_place") == 3, f"{sql}\n{plan}"


def test_a_log_is_found_by_an_index_of_logs(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """rest-api 9: not among all marks and subscriptions of the application."""
    _, plans = explained(monkeypatch, lambda: log_of(crowd, "service-0", "client-77"))

    [(sql, plan)] = plans
    for index in ("service_mark_log", "subscription_log"):
        assert index in plan, f"{sql}\n{plan}"
