"""An application with many conversations, and every form of condition and order that the guides ask for.

The plans are tested on it (`test_plans.py`), and measured (`bench/`): so it is plain SQL for either engine, and needs
no Django.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imcore.identifiers import iso_date

CONVERSATIONS = 100_000
MEMBERS = 4  # of each conversation
CLIENTS = 1000
CALLER = "client-7"
# The conversations were last changed one minute after the other, up to here; one of seven never had a message.
NOW_MS = 1_579_616_560_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

_WORDS = {
    "postgresql": {
        "numbers": "(SELECT n FROM generate_series(1::bigint, {rows}) AS g (n)) AS numbers",
        "false": "FALSE",
        "json": "jsonb",
    },
    "sqlite": {
        "numbers": (
            "(WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {rows}) SELECT n FROM g)"
        ),
        "false": "0",
        "json": "text",
    },
}

# Rooms are made in order, and spoken and changed in ones of their own: no index has the table's order.
_CONVERSATIONS = """
INSERT INTO conversations_conversation
  (application_id, object_id, kind, creator, attributes, is_unique, member_count, members_version, attributes_version,
   has_roles, has_silenced, has_blocked, last_seq, last_message_ms, last_message_hour, mention_all_seq, created_ms,
   updated_ms)
SELECT {application}, 'room-' || n, CASE WHEN n % 100 = 0 THEN 2 WHEN n % 1000 = 1 THEN 3 ELSE 1 END,
       'client-' || (n % {clients}),
       CAST('{{"name": "' || CASE WHEN n % 50 = 0 THEN '教育 ' ELSE 'room ' END || n
            || '", "tags": ["even", ' || (n % 100)
            || '], "attr": {{"type": "' || CASE WHEN n % 20 = 0 THEN 'private' ELSE 'public' END
            || '", "level": ' || (n % 1000) || '}}, "due": {{"__type": "Date", "iso": "2020-01-' || (10 + n % 20)
            || 'T00:00:00.000Z"}}, "place": {{"__type": "GeoPoint", "latitude": ' || (n % 80) || ', "longitude": '
            || (n % 170) || '}}}}' AS {json}),
       {false}, {members}, 1, 1, {false}, {false}, {false}, 0,
       CASE WHEN n % 7 > 0 THEN {now} - n * 7919 % {rows} * {minute} END,
       CASE WHEN n % 7 > 0 THEN ({now} - n * 7919 % {rows} * {minute}) / {hour} END,
       0, {now} - ({rows} - n) * {minute} * 2, {now} - n * 7907 % {rows} * {minute}
FROM {numbers}
"""
_MEMBERS = """
INSERT INTO conversations_member
  (conversation_id, application_id, client_id, is_muted, joined_ms, read_seq, ack_seq, own_since_read, mentioned_seq)
SELECT {first} + (n - 1) / {members}, {application},
       'client-' || (((n - 1) / {members} * 7 + n % {members} * 333) % {clients}), {false}, {now}, 0, 0, 0, 0
FROM {numbers}
"""


def fill(cursor: Any, *, application: int, vendor: str, conversations: int = CONVERSATIONS) -> None:
    """Insert the conversations and their members with two statements, through any cursor of the database."""
    words: dict[str, Any] = {
        **_WORDS[vendor],
        "application": application,
        "clients": CLIENTS,
        "members": MEMBERS,
        "now": NOW_MS,
        "minute": MINUTE_MS,
        "hour": HOUR_MS,
    }
    _insert(cursor, _CONVERSATIONS, words, conversations)
    cursor.execute(f"SELECT MIN(id) FROM conversations_conversation WHERE application_id = {application}")
    _insert(cursor, _MEMBERS, words | {"first": cursor.fetchone()[0]}, conversations * MEMBERS)


def _insert(cursor: Any, sql: str, words: dict[str, Any], rows: int) -> None:
    cursor.execute(sql.format(**words | {"rows": rows, "numbers": words["numbers"].format(rows=rows)}))


@dataclass(frozen=True)
class Form:
    """A query as the guides write it, sorted by one key or as by default. `may_scan`: no index answers it."""

    where: str
    sort: str = ""
    may_scan: bool = False


def _date(before_minutes: int) -> dict[str, str]:
    return {"__type": "Date", "iso": iso_date(NOW_MS - before_minutes * MINUTE_MS)}


def _ids(count: int) -> list[str]:
    return [f"room-{number * 97 + 1}" for number in range(count)]


def _forms() -> Iterator[tuple[str, Any, str, bool]]:
    near = {"__type": "GeoPoint", "latitude": 39.9, "longitude": 116.4}
    recent, long_ago = _date(600), _date(90_000)
    # By id.
    yield "one's own conversations", None, "", False
    yield "objectId", {"objectId": "room-4711"}, "", False
    yield "objectId $in", {"objectId": {"$in": _ids(20)}}, "", False
    yield "objectId under $and", {"$and": [{"objectId": "room-4711"}, {"attr.type": "public"}]}, "", False
    yield "one of two objectIds, $or", {"$or": [{"objectId": "room-3"}, {"objectId": "room-4"}]}, "", False
    # By members.
    yield "m", {"m": CALLER}, "", False
    yield "m $all", {"m": {"$all": ["client-7", "client-340"]}}, "", False
    yield "m $in", {"m": {"$in": ["client-7", "client-8"]}}, "", False
    yield "m, these and no others", {"m": ["client-7", "client-340", "client-673", "client-6"]}, "", False
    yield "m and an attribute", {"m": CALLER, "attr.type": "public"}, "", False
    yield "m, sorted by updatedAt", {"m": CALLER}, "-updatedAt", False
    # By the last message.
    yield "lm $gt, recent", {"lm": {"$gt": recent}}, "", False
    yield "lm $gt, long ago", {"lm": {"$gt": long_ago}}, "", False
    yield "lm $lt, long ago", {"lm": {"$lt": long_ago}}, "", False
    yield "lm between", {"lm": {"$gte": _date(1200), "$lte": recent}}, "", False
    yield "lm $gt, oldest first", {"lm": {"$gt": long_ago}}, "lm", False
    yield "lm $gt, sorted by createdAt", {"lm": {"$gt": recent}}, "createdAt", False
    yield "lm is missing", {"lm": {"$exists": False}}, "", False
    yield "sorted by -lm", {"tr": False}, "-lm", False
    yield "sorted by lm", {"tr": False}, "lm", False
    # By the last change.
    yield "updatedAt $gt, recent", {"updatedAt": {"$gt": recent}}, "", False
    yield "updatedAt $gt, sorted by it", {"updatedAt": {"$gt": long_ago}}, "-updatedAt", False
    yield "updatedAt $lt, sorted by it", {"updatedAt": {"$lt": long_ago}}, "updatedAt", False
    yield "sorted by -updatedAt", {"tr": False}, "-updatedAt", False
    yield "sorted by updatedAt", {"tr": False}, "updatedAt", False
    # By whatever else.
    yield "chat rooms", {"tr": True}, "", True
    yield "createdAt $lt", {"createdAt": {"$lt": long_ago}}, "-createdAt", True
    yield "c", {"c": CALLER}, "", True
    yield "an attribute", {"attr.type": "private"}, "", True
    yield "an attribute $ne", {"attr.type": {"$ne": "public"}}, "", True
    yield "an attribute $gt", {"attr.level": {"$gt": 997}}, "", True
    yield "an attribute $in", {"tags": {"$in": [7, 8]}}, "", True
    yield "an attribute $all", {"tags": {"$all": ["even", 7]}}, "", True
    yield "an attribute $size", {"tags": {"$size": 2}}, "", True
    yield "an attribute $exists", {"due": {"$exists": True}}, "", True
    yield "an attribute is missing", {"attr.other": {"$exists": False}}, "", True
    yield "an attribute that is a date", {"due": {"$gt": {"__type": "Date", "iso": "2020-01-28"}}}, "", True
    yield "name $regex, quoted", {"name": {"$regex": r"^\Qroom 77\E"}}, "", True
    yield "name $regex, Chinese", {"name": {"$regex": "[\\u4e00-\\u9fa5]"}}, "", True
    yield "name $regex, does not contain", {"name": {"$regex": "^((?!room).)*$"}}, "", True
    yield "$or of attributes", {"$or": [{"attr.type": "private"}, {"attr.level": 7}]}, "", True
    yield "m $size", {"m": {"$size": MEMBERS}}, "", True
    yield "m $ne", {"m": {"$ne": CALLER}}, "", True
    yield "$nearSphere", {"place": {"$nearSphere": near, "$maxDistanceInKilometers": 500}}, "", True
    corner = near | {"latitude": 45, "longitude": 120}
    yield "$within a box", {"place": {"$within": {"$box": [near, corner]}}}, "", True


FORMS = {
    name: Form("" if where is None else json.dumps(where), sort, may_scan) for name, where, sort, may_scan in _forms()
}
