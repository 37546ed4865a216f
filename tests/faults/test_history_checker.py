"""The history checker catches what it is there for: for every rule, records that break it, and clean ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest

from tests.faults.history.checker import Record, check, summary
from tests.faults.history.facts import Fact, Stored, from_line, to_line

ROOM = "room"


def fact(kind: str, client: str, row: Stored, **changes: object) -> Fact:
    """Return a fact about a stored message."""
    about = {"conversation": row.conversation, "body": row.body}
    if kind != "sent":
        about |= {"message": row.message, "at": row.at}  # type: ignore[dict-item]
    if kind not in ("sent", "acked"):
        about["sender"] = row.sender
    return Fact(kind, client, **{**about, **changes})  # type: ignore[arg-type]


ONE, TWO, THREE = (
    Stored(ROOM, 1, "id-1", 1000, "tom", "tom 1"),
    Stored(ROOM, 2, "id-2", 1001, "jerry", "jerry 1"),
    Stored(ROOM, 3, "id-3", 1002, "tom", "tom 2"),
)
# Tom loses the connection before the acknowledgement of his second message and sends it again; Jerry is pushed the
# first and finds the other when he returns.
TOM = [
    Fact("up", "tom"),
    fact("sent", "tom", ONE),
    fact("acked", "tom", ONE),
    fact("live", "tom", TWO),
    fact("sent", "tom", THREE),
    Fact("down", "tom"),
    Fact("up", "tom"),
    fact("sent", "tom", THREE),
    fact("history", "tom", THREE),
    fact("acked", "tom", THREE),
]
JERRY = [
    Fact("up", "jerry"),
    fact("live", "jerry", ONE),
    fact("sent", "jerry", TWO),
    fact("acked", "jerry", TWO),
    Fact("down", "jerry"),
    Fact("up", "jerry"),
    fact("history", "jerry", TWO),
    fact("history", "jerry", THREE),
]


def record(
    facts: Sequence[Fact] = (*TOM, *JERRY),
    stored: Sequence[Stored] = (ONE, TWO, THREE),
    read_back: Sequence[Stored] | None = None,
    *,
    told: Mapping[str, int] = MappingProxyType({"tom": 1, "jerry": 2}),
) -> Record:
    """Return the clean record, or what a test makes of it. History shows what is stored, unless told otherwise."""
    shown = sorted(stored, key=lambda row: row.at) if read_back is None else read_back
    members = {ROOM: frozenset({"tom", "jerry"})}
    counts = {(client, ROOM): count for client, count in told.items()}
    return Record(members, facts, stored, {ROOM: shown}, counts)


def without(facts: Sequence[Fact], *gone: Fact) -> list[Fact]:
    """Return facts without some."""
    return [fact for fact in facts if fact not in gone]


def rules(broken: Record) -> set[str]:
    """Return the rules that a record breaks."""
    return {violation.rule for violation in check(broken)}


def test_a_clean_record_passes() -> None:
    assert check(record()) == []


def test_what_was_never_acknowledged_may_be_kept_or_not() -> None:
    lost = Fact("sent", "jerry", ROOM, "jerry 2")
    kept = Fact("sent", "jerry", ROOM, "jerry 3")
    row = Stored(ROOM, 4, "id-4", 1003, "jerry", "jerry 3")
    seen = [fact("live", "tom", row), fact("history", "jerry", row)]

    told = {"tom": 2, "jerry": 2}
    assert check(record([*TOM, *JERRY, lost, kept, *seen], [ONE, TWO, THREE, row], told=told)) == []


def test_another_session_of_the_sender_may_be_pushed_its_message() -> None:
    assert check(record([*TOM, fact("live", "tom", THREE), *JERRY])) == []


LATE = Stored(ROOM, 2, "id-3", 1001, "tom", "tom 2")
EARLY = Stored(ROOM, 3, "id-2", 1002, "jerry", "jerry 1")


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("lost", lambda: record([*TOM, *without(JERRY, fact("history", "jerry", THREE))], [ONE, TWO])),
        ("lost", lambda: record([replace(one, at=7) if one.kind == "acked" else one for one in (*TOM, *JERRY)])),
        ("doubled", lambda: record(stored=[ONE, TWO, THREE, replace(THREE, seq=4, at=1003, message="id-4")])),
        ("doubled", lambda: record(stored=[ONE, TWO, THREE, replace(THREE, seq=4, at=1003)])),
        ("doubled", lambda: record([*TOM, fact("acked", "tom", THREE, message="id-9"), *JERRY])),
        ("invented", lambda: record(stored=[ONE, TWO, THREE, Stored(ROOM, 4, "id-4", 1003, "tom", "tom 3")])),
        ("invented", lambda: record(stored=[ONE, TWO, replace(THREE, sender="jerry")])),
        ("invented", lambda: record(stored=[ONE, TWO, replace(THREE, conversation="another")])),
        ("time", lambda: record(stored=[ONE, TWO, replace(THREE, seq=4)])),
        ("time", lambda: record(stored=[ONE, TWO, replace(THREE, at=1001)])),
        ("time", lambda: record(stored=[ONE, replace(TWO, at=999), THREE])),
        ("misread", lambda: record(read_back=[ONE, TWO])),
        ("misread", lambda: record(read_back=[ONE, THREE, TWO])),
        ("misread", lambda: record(read_back=[ONE, replace(TWO, body="another"), THREE])),
        ("order", lambda: record(stored=[replace(THREE, seq=1), TWO, replace(ONE, seq=3)])),
        ("seen twice", lambda: record([*TOM, *JERRY, fact("live", "jerry", ONE)])),
        ("disorder", lambda: record([*TOM, *JERRY[:1], fact("live", "jerry", THREE), *JERRY[1:]])),
        ("false", lambda: record([*TOM, *JERRY, fact("live", "jerry", THREE, body="another")])),
        ("false", lambda: record([*TOM, *JERRY, fact("history", "jerry", ONE, message="id-9")])),
        ("false", lambda: record([*TOM, *JERRY, fact("history", "jerry", ONE, at=1)])),
        ("unseen", lambda: record([*TOM, *without(JERRY, fact("history", "jerry", THREE))])),
        ("unseen", lambda: record([*without(TOM, fact("live", "tom", TWO)), *JERRY])),
        ("unseen", lambda: record(TOM)),
        ("unread", lambda: record(told={"tom": 1})),
        ("unread", lambda: record(told={"tom": 2, "jerry": 2})),
        ("unread", lambda: record([*TOM, *JERRY, fact("settled", "jerry", ONE)])),
    ],
)
def test_a_violation_is_caught(rule: str, broken: Callable[[], Record]) -> None:
    assert rule in rules(broken())


def test_on_one_connection_what_was_sent_first_is_kept_first_though_nothing_was_acknowledged_in_between() -> None:
    sent_together = [
        Fact("up", "tom"),
        fact("sent", "tom", ONE),
        fact("sent", "tom", THREE),
        fact("acked", "tom", ONE),
        fact("acked", "tom", THREE),
        fact("live", "tom", TWO),
    ]
    swapped = [replace(THREE, seq=1, at=1000), TWO, replace(ONE, seq=3, at=1002)]

    assert check(record([*sent_together, *JERRY])) == []
    assert "order" in rules(record([*sent_together, *JERRY], swapped))


def test_what_was_sent_again_may_come_after_what_was_sent_later() -> None:
    sent_again = [
        Fact("up", "tom"),
        fact("sent", "tom", THREE),
        fact("sent", "tom", ONE),
        Fact("failed", "tom", ROOM, THREE.body, why="4201"),
        fact("sent", "tom", THREE),
        fact("acked", "tom", ONE),
        fact("acked", "tom", THREE),
        fact("live", "tom", TWO),
    ]

    assert check(record([*sent_again, *JERRY])) == []


def test_what_is_read_is_not_unread_nor_is_ones_own() -> None:
    read = [fact("read", "jerry", TWO), fact("settled", "jerry", TWO)]

    assert check(record([*TOM, *JERRY, *read], told={"tom": 1, "jerry": 1})) == []
    assert rules(record([*TOM, *JERRY, *read], told={"tom": 1})) == {"unread"}


def test_a_read_mark_that_was_not_confirmed_may_count_or_not() -> None:
    read = fact("read", "jerry", TWO)

    for count in (1, 2):
        assert check(record([*TOM, *JERRY, read], told={"tom": 1, "jerry": count})) == []
    for count in (0, 3):
        assert rules(record([*TOM, *JERRY, read], told={"tom": 1, "jerry": count})) == {"unread"}


def test_more_than_a_hundred_are_told_as_a_hundred() -> None:
    many = [Stored(ROOM, number, f"id-{number}", 1000 + number, "tom", f"tom {number}") for number in range(1, 121)]
    sent = [one for row in many for one in (fact("sent", "tom", row), fact("acked", "tom", row))]
    seen = [fact("live", "jerry", row) for row in many]

    assert check(record([*sent, *seen], many, told={"jerry": 100})) == []
    assert rules(record([*sent, *seen], many, told={"jerry": 120})) == {"unread"}


def test_one_swapped_pair_is_one_violation_of_each_rule_it_breaks() -> None:
    told = check(record(stored=[ONE, LATE, EARLY], read_back=[ONE, LATE, EARLY]))

    assert "false" in summary(told)
    assert "lost" in summary(told)
    assert "read" not in summary(told)


def test_a_fact_survives_being_written_and_read() -> None:
    for one in (*TOM, *JERRY, Fact("unread", "tom", ROOM, count=3), Fact("note", "", why='"quoted" and 中文')):
        assert from_line(to_line(one)) == one
