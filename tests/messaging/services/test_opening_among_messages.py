"""A client that logs in while others talk: it is told of each message once, in a count or as itself (docs/adr/0015)."""

import os
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conversations.services import rooms
from imcore.delivery.node import node
from imcore.delivery.router import router
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand
from messaging.services import catching_up
from tests.conftest import SignIn
from tests.imclient import ImClient
from tests.messaging.returning import Connect
from tests.messaging.support import say, started
from tests.waiting import until

# `IMCORE_OPENING_EXAMPLES=2000` for a thorough run.
EXAMPLES = int(os.environ.get("IMCORE_OPENING_EXAMPLES", "60"))

# Moments of an opening: before it, before and after the session can be reached, after what was missed is read, and
# when `opened` is out.
BEFORE, UNREACHABLE, REACHABLE, READ, OPENED = range(5)


class Course(NamedTuple):
    """When a message is stored, and when its copies set out: by then its sender's server may have been slow."""

    stored: int
    published: int


_examples = count(1)

COURSES = st.tuples(st.integers(BEFORE, OPENED), st.integers(BEFORE, OPENED)).map(lambda pair: Course(*sorted(pair)))


class Talk:
    """tom's messages to jerry, each on its course."""

    def __init__(self, tom: ImClient, room: str, courses: list[Course]) -> None:
        self.texts = [f"message {number}" for number in range(len(courses))]
        self._tom = tom
        self._room = room
        self._stored: dict[int, list[str]] = defaultdict(list)
        self._published: dict[int, list[str]] = defaultdict(list)
        self._events: dict[str, tuple[int, Any]] = {}
        for text, course in zip(self.texts, courses, strict=True):
            self._stored[course.stored].append(text)
            self._published[course.published].append(text)

    def hold(self, application: int, event: Any, *, skip: object = None) -> None:
        """Stand in for `router.publish`."""
        self._events[event.body.text] = (application, event)

    async def go_on(self, moment: int) -> None:
        """Do what is to be done at a moment of the opening."""
        for text in self._stored[moment]:
            await say(self._tom, self._room, text)
        # The last first: they overtake each other on their way, too.
        for text in reversed(self._published[moment]):
            router.publish(*self._events[text])
        await router.settle()


@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", "lc.protobuf2.1"])
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True
)
@given(courses=st.lists(COURSES, min_size=1, max_size=5), is_slow=st.booleans())
@example(courses=[Course(BEFORE, BEFORE), Course(READ, OPENED), Course(READ, READ)], is_slow=True)
async def test_each_message_is_told_once_whenever_it_is_stored_and_delivered(
    application: Application,
    signed_in: SignIn,
    connect: Connect,
    subprotocol: str,
    courses: list[Course],
    is_slow: bool,
) -> None:
    """Checklist 60, 52: count and live copies are all there is; on the old subprotocols, missed and live ones.

    `is_slow`: the last copies are so late that they have been looked up by then.
    """
    number = next(_examples)
    room = await started(application, f"tom {number}", f"jerry {number}")
    tom = await signed_in(f"tom {number}")
    talk = Talk(tom, room, courses)
    attach, come_back = node.presence.attach, rooms.come_back

    async def attached(application: int, jerrys: Any) -> None:
        await talk.go_on(UNREACHABLE)
        await attach(application, jerrys)

    async def about_to_read(**asked: Any) -> None:
        await come_back(**asked)
        await talk.go_on(REACHABLE)

    load: Callable[..., Awaitable[Any]] = catching_up.load

    async def read(**asked: Any) -> Any:
        missed = await load(**asked)
        await talk.go_on(READ)
        return missed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("messaging.services.sending.router.publish", talk.hold)
        await talk.go_on(BEFORE)
        wire = await connect((subprotocol,))
        patch.setattr(node.presence, "attach", attached)
        patch.setattr(rooms, "come_back", about_to_read)
        patch.setattr(catching_up, "load", read)
        jerry = await signed_in(f"jerry {number}", wire=wire)
        if is_slow:
            await until(lambda: not node._sequencer._gaps)
        await talk.go_on(OPENED)
    await until(lambda: not node._sequencer._gaps)

    unread, texts = await all_told(jerry)
    await jerry.wire.close()
    await tom.wire.close()
    if subprotocol.endswith(".3"):
        assert sorted(texts) == [
            text for text, course in zip(talk.texts, courses, strict=True) if course.stored >= READ
        ]
        assert unread + len(texts) == len(talk.texts)
    else:
        assert unread == 0
        assert sorted(texts) == talk.texts


async def all_told(client: ImClient) -> tuple[int, list[str]]:
    """Return what a client was told it had not read, and the texts that reached it."""
    unread, texts = 0, list[str]()
    await client.wire.send(GenericCommand(cmd=CommandType.echo))
    while (frame := await client.wire.receive()).cmd != CommandType.echo:
        if frame.cmd == CommandType.unread:
            assert not texts, "a count behind messages"
            [one] = frame.unreadMessage.convs
            unread += one.unread
        else:
            texts.append(frame.directMessage.msg)
    return unread, texts
