"""What needs Django and the server's database: filling it with conversations, and the plans of queries.

python -m bench.crowding fill 100000    in the environment of a server that runs: as many conversations
python -m bench.crowding inboxes 5000   as many clients, with ten conversations each
python -m bench.crowding history 0      a conversation with a million messages
python -m bench.crowding known 100000   as many clients that have been here, and no limit to speaking to them
python -m bench.crowding unlimited 0    nothing but an application that may send as much as it likes
python -m bench.crowding plans
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.core.management import call_command

from bench.clients.ours import APP_ID
from imcore.identifiers import now_ms
from tests.conversations.storage import crowd

# Client n is in ten conversations of two: in five of them it has said something, in five it has been told something, of
# which three are unread. Three messages each.
_INBOXES = (
    """
    INSERT INTO conversations_conversation
      (application_id, object_id, kind, creator, attributes, is_unique, member_count, members_version,
       attributes_version, has_roles, has_silenced, has_blocked, last_seq, last_message_ms, last_message_hour,
       mention_all_seq, created_ms, updated_ms)
    SELECT {application}, 'inbox-' || n, 1, 'client-' || n % {clients}, '{{}}', FALSE, 2, 1, 1, FALSE, FALSE, FALSE, 3,
           {now} - n, ({now} - n) / 3600000, 0, {now} - 1000000000, {now} - 1000000000
    FROM generate_series(0, 5 * {clients} - 1) AS numbers (n)
    """,
    """
    INSERT INTO conversations_member
      (conversation_id, application_id, client_id, is_muted, joined_ms, read_seq, ack_seq, own_since_read,
       mentioned_seq)
    SELECT c.id, {application}, 'client-' || CASE WHEN is_sender THEN n % {clients} ELSE (n + 1 + n / {clients})
           % {clients} END, FALSE, {now}, CASE WHEN is_sender OR n / {clients} < 3 THEN 0 ELSE 3 END, 0,
           CASE WHEN is_sender THEN 3 ELSE 0 END, 0
    FROM conversations_conversation c, LATERAL (SELECT substr(c.object_id, 7)::bigint AS n) AS numbers,
         (VALUES (TRUE), (FALSE)) AS sides (is_sender)
    WHERE c.application_id = {application} AND c.object_id LIKE 'inbox-%'
    """,
    """
    INSERT INTO messaging_message
      (message_id, application_id, conversation_id, seq, timestamp_ms, sender, text, is_binary, message_type,
       mention_all, wants_receipt)
    SELECT 'message-' || c.id || '-' || seq, {application}, c.id, seq, c.last_message_ms - 3 + seq, c.creator,
           '{{"_lctype":-1,"_lctext":"' || repeat('x', 172) || '"}}', FALSE, -1, FALSE, FALSE
    FROM conversations_conversation c, generate_series(1, 3) AS seqs (seq)
    WHERE c.application_id = {application} AND c.object_id LIKE 'inbox-%'
    """,
)


HISTORY_CONVERSATION = "the-long-conversation"
HISTORY_MESSAGES = 1_000_000
HISTORY_START_MS = 1_700_000_000_000  # a message each millisecond
_HISTORY = (
    """
    INSERT INTO conversations_conversation
      (application_id, object_id, kind, creator, attributes, is_unique, member_count, members_version,
       attributes_version, has_roles, has_silenced, has_blocked, last_seq, last_message_ms, last_message_hour,
       mention_all_seq, created_ms, updated_ms)
    VALUES ({application}, '{conversation}', 1, 'tom', '{{}}', FALSE, 0, 1, 1, FALSE, FALSE, FALSE, {messages},
            {start} + {messages}, ({start} + {messages}) / 3600000, 0, {start}, {start})
    """,
    """
    INSERT INTO messaging_message
      (message_id, application_id, conversation_id, seq, timestamp_ms, sender, text, is_binary, message_type,
       mention_all, wants_receipt)
    SELECT lpad(seq::text, 22, '0'), {application}, c.id, seq, {start} + seq, 'tom',
           '{{"_lctype":-1,"_lctext":"' || repeat('x', 172) || '"}}', FALSE, -1, FALSE, FALSE
    FROM conversations_conversation c, generate_series(1, {messages}) AS seqs (seq)
    WHERE c.application_id = {application} AND c.object_id = '{conversation}'
    """,
)


# Client n has been here on one device, has had two messages to everybody, and has read what a service said to it.
_KNOWN = (
    """
    INSERT INTO messaging_device
      (application_id, client_id, identity, tag, config_bitmap, state, generation, user_agent, first_seen_at,
       last_seen_at)
    SELECT {application}, 'client-' || n, 'client-' || n, '', 187, 'signed in', 1, 'bench', now() - interval '1 day',
           now() - interval '1 day'
    FROM generate_series(0, {clients} - 1) AS numbers (n)
    """,
    """
    INSERT INTO messaging_broadcastmark (application_id, client_id, after_number)
    SELECT {application}, 'client-' || n, 2 FROM generate_series(0, {clients} - 1) AS numbers (n)
    """,
    """
    INSERT INTO messaging_servicemark (application_id, client_id, conversation_id, read_ms, ack_ms, changed_ms)
    SELECT {application}, 'client-' || n, 1, {now}, {now}, {now} FROM generate_series(0, {clients} - 1) AS numbers (n)
    """,
    """
    INSERT INTO messaging_serviceuse (application_id, began_ms, last_number)
    VALUES ({application}, {now} - 1000000000, 2)
    """,
)
UNLIMITED = ("rest_messages_per_minute=0", "rest_broadcasts_per_minute=0", "rest_broadcasts_per_day=0")


def main() -> None:
    """Do what the command line says."""
    django.setup()
    from imcore.models import Application

    application = Application.objects.get(app_id=APP_ID).pk
    if sys.argv[1] == "fill":
        _fill(application, int(sys.argv[2]))
    elif sys.argv[1] == "inboxes":
        _fill_inboxes(application, int(sys.argv[2]))
    elif sys.argv[1] == "unlimited":
        call_command("application_settings", APP_ID, *UNLIMITED)
    elif sys.argv[1] == "known":
        call_command("application_settings", APP_ID, *UNLIMITED)
        _fill_known(application, int(sys.argv[2]))
    elif sys.argv[1] == "history":
        _fill_history(application)
    else:
        print(json.dumps({name: _plan(application, form) for name, form in crowd.FORMS.items()}))


def _fill(application: int, conversations: int) -> None:
    with _patient_cursor() as cursor:
        crowd.fill(cursor, application=application, vendor="postgresql", conversations=conversations)


def _fill_inboxes(application: int, clients: int) -> None:
    with _patient_cursor() as cursor:
        for statement in _INBOXES:
            cursor.execute(statement.format(application=application, clients=clients, now=now_ms()))


def _fill_known(application: int, clients: int) -> None:
    with _patient_cursor() as cursor:
        for statement in _KNOWN:
            cursor.execute(statement.format(application=application, clients=clients, now=now_ms()))


def _fill_history(application: int) -> None:
    with _patient_cursor() as cursor:
        for statement in _HISTORY:
            cursor.execute(
                statement.format(
                    application=application,
                    conversation=HISTORY_CONVERSATION,
                    messages=HISTORY_MESSAGES,
                    start=HISTORY_START_MS,
                )
            )


@contextmanager
def _patient_cursor() -> Iterator[Any]:
    """Open a cursor that may take its time, and do afterwards what would else be done in somebody's measured time."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        yield cursor
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def _plan(application: int, form: crowd.Form) -> tuple[int, list[str]]:
    """Return how many conversations a query finds, and the nodes of its plan that read a table or an index."""
    from django.db import connection

    from conversations.storage import queries
    from conversations.storage.where import parse

    sql, parameters = queries.statement(
        application=application,
        client_id=crowd.CALLER,
        where=parse(form.where),
        sort=[queries.SortKey(form.sort.removeprefix("-"), form.sort.startswith("-"))] if form.sort else [],
        limit=10,
        skip=0,
        vendor=connection.vendor,
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = len(cursor.fetchall())
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        (explained,) = cursor.fetchone()
    (top,) = json.loads(explained) if isinstance(explained, str) else explained
    return rows, list(dict.fromkeys(_scans(top["Plan"])))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if index := node.get("Index Name"):
        yield f"{node['Node Type']} {index}"
    elif node["Node Type"] == "Seq Scan":
        yield f"Seq Scan {node['Relation Name']}"
    for inner in node.get("Plans", ()):
        yield from _scans(inner)


if __name__ == "__main__":
    main()
