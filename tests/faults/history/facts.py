"""What recorders write down: one fact a line, each client's in the order in which they happened to it.

    sent      a message was handed to the server, for the first time or again      (conversation, body)
    acked     the server acknowledged it                                           (and message, at)
    failed    a try ended without that, so its outcome is unknown                  (conversation, body, why)
    live      a message was pushed: the SDK's MESSAGE event          (conversation, body, message, at, sender)
    history   one was read to catch up after a time without connection             (the same)
    unread    the server, or the SDK, told how many messages are unread            (conversation, count)
    read      the server was told that the client has read up to a message         (conversation, message, at)
    settled   and has said so to all its sessions                                  (the same)
    down, up  the connection is lost; the client is signed in (again)

`message` is an id, `at` a timestamp in milliseconds. What a recorder says of itself to whoever runs it is a fact, too:
drained (all it had to send is acknowledged), finished (it has nothing more to tell) and note (`why` something odd
happened).
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a record."""

    kind: str
    client: str = ""
    conversation: str = ""
    body: str = ""
    message: str = ""
    at: int = 0
    sender: str = ""
    count: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the server keeps it. `seq` is its place in the conversation, or 0 if the reader is not told."""

    conversation: str
    seq: int
    message: str
    at: int
    sender: str
    body: str


def to_line(fact: Fact) -> str:
    """Write a fact as JSON, without what it does not say."""
    return json.dumps({name: value for name, value in asdict(fact).items() if value})


def from_line(line: str) -> Fact:
    """Read a fact."""
    # The same few bodies and names come once for every client that sees them.
    fields = {name: sys.intern(value) if isinstance(value, str) else value for name, value in json.loads(line).items()}
    return Fact(**fields)  # type: ignore[arg-type]


def by_client(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    """Return each client's facts, in their order."""
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.client, []).append(fact)
    return found


def of_kind(facts: Iterable[Fact], *kinds: str) -> Iterator[Fact]:
    """Return the facts of these kinds."""
    return (fact for fact in facts if fact.kind in kinds)
