"""Pages of what was said, against the rule of the specification in so many words (rest-api 8.8)."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcore.models import Application
from messaging.models import Message
from messaging.storage import logs
from messaging.storage.history import Boundary
from tests.messaging.storage.drafts import T, new_conversation

TIMES = range(1, 5)
IDS = ("-", "0", "A", "_", "a", "z")  # in the order of bytes, which is none of a language


class Said(NamedTuple):
    """A message as far as the rule is concerned."""

    timestamp_ms: int
    message_id: str
    conversation: int
    sender: str


class Crowd(NamedTuple):
    """An application, and what was said in it."""

    application: int
    said: list[Said]


ends = st.none() | st.builds(
    lambda at, message_id, is_included: Boundary(T + at, message_id, is_included),
    st.integers(0, 5),
    st.sampled_from(("", "!", *(f"same-time-{one}" for one in IDS), "~")),
    st.booleans(),
)


@pytest.fixture(scope="module")
def crowd(database: None) -> Iterator[Crowd]:
    """Three conversations that speak at the same times."""
    application = Application.objects.create(name="simultaneous")
    rooms = [new_conversation(application, "tom", "jerry").pk for _ in range(3)]
    said = [
        Said(T + at, f"same-time-{one}{at}", rooms[number % 3], ("tom", "jerry")[number % 2])
        for number, (at, one) in enumerate(product(TIMES, IDS))
    ]
    Message.objects.bulk_create(
        Message(
            message_id=one.message_id,
            application=application,
            conversation_id=one.conversation,
            seq=number,
            timestamp_ms=one.timestamp_ms,
            sender=one.sender,
            text="",
        )
        for number, one in enumerate(said)
    )
    yield Crowd(application.pk, said)
    Message.objects.filter(application=application).delete()
    application.delete()


def is_above(one: Said, end: Boundary) -> bool:
    """Return whether a message is above an end: the pairs compare, or without an id the times alone."""
    place = (one.timestamp_ms, one.message_id.encode() if end.message_id else b"")
    bound = (end.timestamp_ms, end.message_id.encode())
    return place >= bound if end.is_included else place > bound


def is_below(one: Said, end: Boundary) -> bool:
    """Return whether a message is below an end."""
    place = (one.timestamp_ms, one.message_id.encode() if end.message_id else b"")
    bound = (end.timestamp_ms, end.message_id.encode())
    return place <= bound if end.is_included else place < bound


@given(
    older_end=ends,
    newer_end=ends,
    newest=st.booleans(),
    limit=st.integers(1, 30),
    which=st.sampled_from(["conversation", "client", "application"]),
)
@settings(deadline=None)
def test_a_page_is_what_the_rule_says(
    crowd: Crowd, older_end: Boundary | None, newer_end: Boundary | None, newest: bool, limit: int, which: str
) -> None:
    """Checklist 28: any two ends, in both directions, where many were said at one time."""
    conversation = crowd.said[0].conversation
    ranges, wanted = {
        "conversation": (
            logs.of_conversation(conversation),
            [one for one in crowd.said if one.conversation == conversation],
        ),
        "client": (logs.of_client(crowd.application, "tom"), [one for one in crowd.said if one.sender == "tom"]),
        "application": (logs.of_application(crowd.application), crowd.said),
    }[which]

    found = logs.page(ranges=ranges, older_end=older_end, newer_end=newer_end, newest=newest, limit=limit)

    expected = sorted(
        (one.timestamp_ms, one.message_id)
        for one in wanted
        if (older_end is None or is_above(one, older_end)) and (newer_end is None or is_below(one, newer_end))
    )
    if newest:
        expected.reverse()
    assert [(entry.message.timestamp_ms, entry.message.message_id) for entry in found] == expected[:limit]
