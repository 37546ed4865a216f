"""THE RULES: what clients have sent and seen, against what the server keeps.

`check` looks at records only, when everything is over. It returns every violation, so an empty list means:

    lost          every acknowledged message is kept, as it was sent and acknowledged
    doubled       no message is kept twice, however often it was sent, and its acknowledgements agree
    invented      whatever is kept was sent, by that sender, to that conversation
    time          within a conversation seqs are 1, 2, 3, … and timestamps rise strictly
    misread       history, read by a client, is what the database keeps, in that order
    order         a client's messages are kept in the order in which it sent them, one connection at a time; and after
                  whatever had been acknowledged to it before
    seen twice    no client is pushed a message twice
    disorder      whatever a client is pushed of a conversation comes in the order in which it is kept
    false         what a client sees is what is kept
    unseen        every message is seen by every member: pushed, or read by catching up from the last one it saw
    unread        whoever logs in afresh is told of as many messages as others have sent after the last one it has read

A message that was never acknowledged may be kept or not: its sender cannot know.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.history.facts import Fact, Stored, by_client, of_kind

# The protocol's bound: "as many or more".
UNREAD_MAX = 100
SEEN = ("live", "history")
# More of a kind than this say nothing new.
SHOWN = 5


@dataclass(frozen=True)
class Record:
    """All that is known of a run.

    `members` were in their conversation all the time. `stored` is what the database keeps, `read_back` what a client
    that was not there read of each conversation afterwards. `told` is how many unread messages each client was told of
    each conversation when it logged in afresh at the end.
    """

    members: Mapping[str, frozenset[str]]
    facts: Sequence[Fact]
    stored: Sequence[Stored]
    read_back: Mapping[str, Sequence[Stored]]
    told: Mapping[tuple[str, str], int]  # client, conversation


@dataclass(frozen=True)
class Violation:
    """A rule, and what breaks it."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def check(record: Record) -> list[Violation]:
    """Return all violations of the rules above."""
    kept = _Kept.of(record.stored)
    clients = by_client(record.facts)
    return [
        *_kept_what_was_acknowledged(record, kept),
        *_kept_once(record),
        *_kept_what_was_sent(record),
        *_in_time(kept),
        *_read_back(record, kept),
        *(violation for facts in clients.values() for violation in _sent_in_order(facts, kept)),
        *(violation for facts in clients.values() for violation in _pushed_once_and_in_order(facts, kept)),
        *_seen_as_kept(record, kept),
        *_seen_by_all(record, clients),
        *_unread_told(record, kept, clients),
    ]


def summary(violations: Sequence[Violation]) -> str:
    """Return violations as text: how many of each rule, and the first ones."""
    by_rule: dict[str, list[Violation]] = defaultdict(list)
    for violation in violations:
        by_rule[violation.rule].append(violation)
    lines = []
    for rule, broken in by_rule.items():
        lines.append(f"{rule}: {len(broken)}")
        lines += [f"  {violation.what}" for violation in broken[:SHOWN]]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Kept:
    """What is stored, by what one asks for."""

    by_message: dict[str, Stored] = field(default_factory=dict)
    by_body: dict[str, Stored] = field(default_factory=dict)
    by_conversation: dict[str, list[Stored]] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Sequence[Stored]) -> "_Kept":
        kept = cls()
        for row in sorted(stored, key=lambda row: (row.conversation, row.seq)):
            kept.by_message[row.message] = row
            kept.by_body.setdefault(row.body, row)
            kept.by_conversation.setdefault(row.conversation, []).append(row)
        return kept


def _kept_what_was_acknowledged(record: Record, kept: _Kept) -> Iterator[Violation]:
    for fact in of_kind(record.facts, "acked"):
        row = kept.by_message.get(fact.message)
        if row is None:
            yield Violation("lost", f"{fact.body!r} was acknowledged as {fact.message}, which is not there")
        elif (row.body, row.at, row.conversation) != (fact.body, fact.at, fact.conversation):
            yield Violation("lost", f"{fact} was acknowledged, and kept is {row}")


def _kept_once(record: Record) -> Iterator[Violation]:
    for body, times in Counter(row.body for row in record.stored).items():
        if times > 1:
            yield Violation("doubled", f"{body!r} is kept {times} times")
    for message, times in Counter(row.message for row in record.stored).items():
        if times > 1:
            yield Violation("doubled", f"the id {message} is given to {times} messages")
    acknowledged: dict[str, str] = {}
    for fact in of_kind(record.facts, "acked"):
        first = acknowledged.setdefault(fact.body, fact.message)
        if first != fact.message:
            yield Violation("doubled", f"{fact.body!r} was acknowledged as {first} and as {fact.message}")


def _kept_what_was_sent(record: Record) -> Iterator[Violation]:
    sent = {(fact.client, fact.conversation, fact.body) for fact in of_kind(record.facts, "sent")}
    for row in record.stored:
        if (row.sender, row.conversation, row.body) not in sent:
            yield Violation("invented", f"nobody sent {row}")


def _in_time(kept: _Kept) -> Iterator[Violation]:
    for rows in kept.by_conversation.values():
        for place, row in enumerate(rows, start=1):
            if row.seq != place:
                yield Violation("time", f"number {place} of its conversation is {row}")
                break
        for before, after in pairwise(rows):
            if after.at <= before.at:
                yield Violation("time", f"{after} does not come later than {before}")


def _read_back(record: Record, kept: _Kept) -> Iterator[Violation]:
    for conversation in record.members:
        rows = kept.by_conversation.get(conversation, [])
        read = record.read_back.get(conversation, [])
        if len(rows) != len(read):
            yield Violation("misread", f"of {conversation} {len(rows)} messages are kept and {len(read)} were read")
        for row, shown in zip(rows, read, strict=False):
            if (row.message, row.at, row.sender, row.body) != (shown.message, shown.at, shown.sender, shown.body):
                yield Violation("misread", f"{row} is kept, and {shown} was read in its place")
                break


def _sent_in_order(facts: Sequence[Fact], kept: _Kept) -> Iterator[Violation]:
    """Look at one client's messages: after those acknowledged before, and on one connection one after the other."""
    tries = Counter(fact.body for fact in of_kind(facts, "sent"))
    acknowledged: dict[str, int] = defaultdict(int)  # conversation → the highest seq
    on_this_connection: dict[str, int] = defaultdict(int)
    known = set()
    for fact in facts:
        row = kept.by_body.get(fact.body)
        if fact.kind in ("down", "up"):
            on_this_connection.clear()
        elif fact.kind == "acked" and row is not None:
            acknowledged[fact.conversation] = max(acknowledged[fact.conversation], row.seq)
        elif fact.kind == "sent" and row is not None and fact.body not in known:
            known.add(fact.body)
            if row.seq <= acknowledged[fact.conversation]:
                yield Violation(
                    "order", f"{row} was sent after number {acknowledged[fact.conversation]} was acknowledged"
                )
            if tries[fact.body] == 1:
                if row.seq <= on_this_connection[fact.conversation]:
                    yield Violation("order", f"{row} was sent after number {on_this_connection[fact.conversation]}")
                on_this_connection[fact.conversation] = row.seq


def _pushed_once_and_in_order(facts: Sequence[Fact], kept: _Kept) -> Iterator[Violation]:
    for message, times in Counter(fact.message for fact in of_kind(facts, "live")).items():
        if times > 1:
            yield Violation("seen twice", f"{facts[0].client} was pushed {message} {times} times")
    last: dict[str, int] = defaultdict(int)
    for fact in of_kind(facts, "live"):
        row = kept.by_message.get(fact.message)
        if row is None:
            continue
        if row.seq < last[fact.conversation]:
            yield Violation("disorder", f"{fact.client} was pushed {row} after number {last[fact.conversation]}")
        last[fact.conversation] = max(last[fact.conversation], row.seq)


def _seen_as_kept(record: Record, kept: _Kept) -> Iterator[Violation]:
    for fact in of_kind(record.facts, *SEEN):
        row = kept.by_message.get(fact.message)
        if row is None:
            yield Violation("false", f"{fact.client} saw {fact.message} ({fact.body!r}), which is not there")
        elif (row.body, row.at, row.sender, row.conversation) != (fact.body, fact.at, fact.sender, fact.conversation):
            yield Violation("false", f"{fact} was seen, and kept is {row}")


def _seen_by_all(record: Record, clients: Mapping[str, Sequence[Fact]]) -> Iterator[Violation]:
    for client in sorted({client for members in record.members.values() for client in members}):
        facts = clients.get(client, [])
        # Its own message is known to its sender by the acknowledgement.
        seen = {fact.message for fact in of_kind(facts, "acked", *SEEN)}
        for row in record.stored:
            if client in record.members.get(row.conversation, ()) and row.message not in seen:
                yield Violation("unseen", f"{client} never saw {row}")


def _unread_told(record: Record, kept: _Kept, clients: Mapping[str, Sequence[Fact]]) -> Iterator[Violation]:
    for conversation, members in record.members.items():
        rows = kept.by_conversation.get(conversation, [])
        for client in sorted(members):
            facts = [fact for fact in clients.get(client, []) if fact.conversation == conversation]
            # A mark never goes back, and a `read` that was not answered may have been lost.
            least, most = (_last_read(facts, kept, *kinds) for kinds in (("settled",), ("settled", "read")))
            highest, lowest = (_unread(rows, client, mark) for mark in (least, most))
            told = record.told.get((client, conversation), 0)
            if not lowest <= told <= highest:
                truth = str(lowest) if lowest == highest else f"{lowest} to {highest}"
                yield Violation("unread", f"{client} was told of {told} in {conversation}, and there are {truth}")


def _last_read(facts: Sequence[Fact], kept: _Kept, *kinds: str) -> int:
    return max((kept.by_message[fact.message].seq for fact in of_kind(facts, *kinds)), default=0)


def _unread(rows: Sequence[Stored], client: str, mark: int) -> int:
    return min(UNREAD_MAX, sum(row.seq > mark and row.sender != client for row in rows))
