"""`history.page` against a plain Python model of the protocol's words (realtime-protocol 4.11)."""

import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imcore import identifiers
from imcore.models import Application
from messaging.models import Message
from messaging.storage import history
from messaging.storage.history import Boundary
from tests.messaging.storage.drafts import T, new_conversation

# `IMCORE_HISTORY_EXAMPLES=5000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_HISTORY_EXAMPLES", "150"))
ENDLESS = 2**63 - 1


@dataclass(frozen=True)
class End:
    """One end of a range. `message` is the index of the message it names; -1 an unknown id, None no id."""

    at_ms: int
    message: int | None
    is_included: bool


@dataclass(frozen=True)
class Asked:
    """A question for a page."""

    older: End | None
    newer: End | None
    newest: bool
    limit: int
    message_type: int | None


Said = tuple[int, int | None]  # time, type; the place in the list is the seq


def model(said: list[Said], asked: Asked) -> list[int]:
    """Return the indexes of the messages of the page."""
    order = sorted(range(len(said)), key=lambda index: (said[index][0], index))
    found = [
        index
        for index in order
        if is_beyond(said, index, asked.older, 1)
        and is_beyond(said, index, asked.newer, -1)
        and (asked.message_type is None or said[index][1] == asked.message_type)
    ]
    if asked.limit == 0:
        return []
    return found[-asked.limit :] if asked.newest else found[: asked.limit]


def is_beyond(said: list[Said], index: int, end: End | None, direction: int) -> bool:
    """Say whether a message lies on the inner side of an end; `direction` is 1 if the end is the older one."""
    if end is None:
        return True
    if end.message is not None and 0 <= end.message < len(said):
        here, there = (said[index][0], index), (said[end.message][0], end.message)
    else:
        here, there = (said[index][0], 0), (end.at_ms, 0)
    if here == there:
        return end.is_included
    return here > there if direction == 1 else here < there


# Few moments, so that many messages share one and ends fall on them, before, between and after.
moments = st.integers(T, T + 6)
types = st.sampled_from([None, -1, -2, 0, 7])
ends = st.one_of(
    st.none(),
    st.builds(
        End,
        st.one_of(moments, st.sampled_from([T - 1, T + 7, 1, 4 * T, ENDLESS])),
        st.one_of(st.none(), st.integers(-1, 8)),
        st.booleans(),
    ),
)
questions = st.builds(Asked, ends, ends, st.booleans(), st.integers(0, 10), types)


@given(said=st.lists(st.tuples(moments, types), max_size=9), asked=st.lists(questions, min_size=1, max_size=6))
@example(said=[(T, None)] * 5, asked=[Asked(None, End(T, 3, False), True, 2, None)])
@example(said=[(T, None)], asked=[Asked(End(ENDLESS, None, False), None, False, 5, None)])
@example(said=[(T, None)], asked=[Asked(None, End(ENDLESS, None, True), True, 5, None)])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_page_is_what_the_model_says(application: Application, said: list[Said], asked: list[Asked]) -> None:
    """Checklist 61, 62: for any range, direction, id, type and limit."""
    room, other = new_conversation(application, "tom"), new_conversation(application, "tom")
    ids = [identifiers.message_id(T) for _ in said]
    elsewhere = identifiers.message_id(T)
    Message.objects.bulk_create(
        [
            *(new_row(application, room.pk, ids[index], index + 1, *one) for index, one in enumerate(said)),
            new_row(application, other.pk, elsewhere, 1, T + 3, None),
        ]
    )

    for question in asked:
        page = history.page(
            conversation=room.pk,
            older_end=boundary(question.older, ids, elsewhere),
            newer_end=boundary(question.newer, ids, elsewhere),
            newest=question.newest,
            limit=question.limit,
            message_type=question.message_type,
        )

        assert [ids.index(message.message_id) for message in page] == model(said, question), question
        assert [(message.timestamp_ms, message.seq - 1) for message in page] == [
            (said[index][0], index) for index in model(said, question)
        ]


def new_row(application: Application, conversation: int, message_id: str, seq: int, *said: Any) -> Message:
    """Make a row as an import would."""
    return Message(
        message_id=message_id,
        application=application,
        conversation_id=conversation,
        seq=seq,
        timestamp_ms=said[0],
        sender="tom",
        text="",
        message_type=said[1],
    )


def boundary(end: End | None, ids: list[str], unknown: str) -> Boundary | None:
    """Write an end as the service does; an index without a message is an id of another conversation."""
    if end is None:
        return None
    if end.message is None:
        return Boundary(end.at_ms, "", end.is_included)
    named = ids[end.message] if 0 <= end.message < len(ids) else unknown
    return Boundary(end.at_ms, named, end.is_included)


def test_the_newest_message_of_each_conversation_is_found_at_once(application: Application) -> None:
    """Checklist 37: the last that is there, since the last seq may be a deleted one's; without any it is left out."""
    rooms = [new_conversation(application, "tom") for _ in range(4)]
    Message.objects.bulk_create(
        new_row(application, room.pk, identifiers.message_id(T), seq, T, None)
        for room in rooms[:3]
        for seq in (1, 2, 3)
        if (room, seq) != (rooms[2], 3)
    )

    found = history.newest(last_seqs={room.pk: 3 for room in rooms})

    assert {pk: message.seq for pk, message in found.items()} == {rooms[0].pk: 3, rooms[1].pk: 3, rooms[2].pk: 2}
    assert history.newest(last_seqs={}) == {}
