"""A session's first moments: what was missed, what was held back, and a client that reads slowly or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings

from conversations.policy import Kind
from imcore.appsettings import ApplicationSnapshot
from imcore.delivery.encoding import Order, encode
from imcore.gateway import opening
from imcore.gateway.connection import Connection, Session
from imcore.protocol.codec import SUBPROTOCOLS
from imcore.protocol.message_pb2 import DirectCommand, GenericCommand
from messaging.events import Body, Mentions, MessageKept
from tests.imcore.gated_socket import Socket
from tests.waiting import until

STREAM = "messages/1"


@dataclass
class Opened:
    """A session whose `opened` has just gone out, on a connection to a socket that a test may stop."""

    socket: Socket
    connection: Connection
    session: Session
    cuts: list[bool]

    def deliver(self, text: str, position: int | None = None, *, follows: bool = False) -> None:
        """Deliver a live message."""
        body = GenericCommand(directMessage=DirectCommand(cid="1", msg=text)).SerializeToString()
        self.session.deliver(body, None if position is None else Order(STREAM, position, follows))

    @property
    def seen(self) -> list[str]:
        """Return the texts of the messages that have left, missed and live."""
        payloads = [event["bytes"] for event in self.socket.taken if "bytes" in event]
        return [GenericCommand.FromString(payload).directMessage.msg for payload in payloads]


def missed(*texts: str) -> list[MessageKept]:
    """Make messages that were missed."""
    return [
        MessageKept("1", Kind.NORMAL, f"id {text}", 1, "tom", Body(text, None), Mentions(), None, False, "jerry")
        for text in texts
    ]


def new_session(of: Connection) -> Session:
    """Put a session of jerry's onto a connection, in place of one that is there."""
    session = Session(of, client_id="jerry", device=1, token_generation=1, tag="", config_bitmap=187)
    of.lane_for_open("jerry").session = session
    return session


@pytest.fixture
async def jerry(snapshot: ApplicationSnapshot) -> AsyncIterator[Opened]:
    """The session; the socket takes everything until a test says otherwise."""
    socket, cuts = Socket(), list[bool]()
    new = Connection(
        subprotocol=SUBPROTOCOLS["lc.protobuf2.1"], send=socket.send, abort=lambda: cuts.append(True), origin=""
    )
    new.bind(snapshot)
    yield Opened(socket, new, new_session(new), cuts)
    new.end()
    await until(lambda: not catching_up())


def catching_up() -> Sequence[Any]:
    """Return the tasks that tell clients what they missed."""
    return [task for task in asyncio.all_tasks() if task.get_name() == "catching up"]


async def test_what_comes_meanwhile_comes_behind_what_was_missed(jerry: Opened) -> None:
    """And what was told as missed does not come again, early or late; what follows it does."""
    jerry.deliver("told", 2)
    jerry.deliver("not told", 3)
    jerry.session.catch_up(missed("one", "two"), {STREAM: 2})
    jerry.deliver("follows", 2, follows=True)
    jerry.deliver("passing")
    before = jerry.seen

    await until(lambda: jerry.session.is_caught_up)
    jerry.deliver("told, but late", 1)
    jerry.deliver("next", 4)

    assert before == []
    assert jerry.seen == ["one", "two", "not told", "follows", "passing", "next"]


async def test_who_missed_nothing_is_handed_what_was_held_back_at_once(jerry: Opened) -> None:
    """No task, no wait: most sign-ins are of this kind."""
    jerry.deliver("early", 1)

    jerry.session.catch_up([], {})
    jerry.deliver("late", 2)

    assert jerry.seen == ["early", "late"]
    assert not catching_up()


async def test_after_a_while_everything_is_handed_on(jerry: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told at the opening is under way no longer."""
    monkeypatch.setattr(opening, "SETTLE_SECONDS", 0.0)
    jerry.session.catch_up([], {STREAM: 5})
    jerry.deliver("told", 5)
    await until(lambda: jerry.session._opening is None)
    jerry.deliver("imported under an old number", 5)

    assert jerry.seen == ["imported under an old number"]


async def test_more_than_may_wait_goes_out_as_the_client_reads(jerry: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what was missed nor what came meanwhile cuts it off."""
    monkeypatch.setattr(settings, "OUTBOUND_MAX_FRAMES", 40)
    slow = Connection(
        subprotocol=jerry.connection.subprotocol,
        send=jerry.socket.send,
        abort=lambda: jerry.cuts.append(True),
        origin="",
    )
    assert jerry.connection.application is not None
    slow.bind(jerry.connection.application)
    jerry.session = new_session(slow)
    texts = [f"missed {number}" for number in range(100)]
    live = [f"live {number}" for number in range(40)]
    jerry.socket.has_room.clear()
    for number, text in enumerate(live, 1):
        jerry.deliver(text, number)

    jerry.session.catch_up(missed(*texts), {})
    while not jerry.session.is_caught_up:
        jerry.socket.has_room.set()
        await asyncio.sleep(0)
        jerry.socket.has_room.clear()
        await asyncio.sleep(0)
    jerry.socket.has_room.set()
    await slow.outbound.flush(5)
    slow.end()

    assert jerry.seen == texts + live
    assert not jerry.cuts


async def test_who_does_not_read_at_all_is_cut_off(jerry: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages would stay in memory for as long as it says that it lives."""
    monkeypatch.setattr(opening, "STALL_SECONDS", 0.01)
    jerry.socket.has_room.clear()

    jerry.session.catch_up(missed("one", "two"), {})
    await until(lambda: jerry.cuts)

    assert jerry.seen == []
    assert jerry.connection.is_closing


async def test_a_session_that_ends_meanwhile_is_told_so_and_no_more(jerry: Opened) -> None:
    """It was kicked: the last it hears is why."""
    jerry.socket.has_room.clear()
    jerry.session.catch_up(missed("one", "two", "three"), {})
    await asyncio.sleep(0)
    jerry.deliver("live", 1)
    jerry.deliver("closed")
    jerry.session.end()

    jerry.socket.has_room.set()
    await until(lambda: not catching_up())
    await jerry.connection.outbound.flush(5)

    assert jerry.seen == ["one", "closed"]
    assert jerry.connection.lanes == {}


async def test_a_session_that_ended_before_its_opened_went_out_is_told_so(jerry: Opened) -> None:
    """It was kicked in that moment: `opened`, then `closed`, and nothing of what it missed."""
    jerry.deliver("closed")
    jerry.session.end()

    jerry.session.catch_up(missed("one"), {})

    assert jerry.seen == ["closed"]
    assert not catching_up()


async def test_another_session_of_the_client_on_the_connection_takes_over(jerry: Opened) -> None:
    """It is told what was missed, the first one goes silent."""
    jerry.socket.has_room.clear()
    jerry.session.catch_up(missed("one", "two", "three"), {})
    await asyncio.sleep(0)
    second = new_session(jerry.connection)

    second.catch_up(missed("two", "three"), {})
    jerry.socket.has_room.set()
    await until(lambda: not catching_up())

    assert jerry.seen == ["one", "two", "three"]
    assert not jerry.session.is_caught_up


@pytest.mark.parametrize("ends", ["end", "close"])
async def test_a_connection_that_ends_meanwhile_leaves_nothing_running(jerry: Opened, ends: str) -> None:
    """Cut off, or closing behind what is under way."""
    jerry.socket.has_room.clear()
    jerry.session.catch_up(missed("one", "two", "three"), {})
    await asyncio.sleep(0)

    if ends == "end":
        jerry.connection.end()
    else:
        jerry.connection.close(1001)
    jerry.socket.has_room.set()

    await until(lambda: not catching_up())
    assert jerry.seen == ([] if ends == "end" else ["one"])


async def test_what_cannot_be_told_does_not_keep_the_rest_back(
    jerry: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, as the router does."""

    def encode_some(application: int, event: Any) -> Any:
        if event.body.text == "two":
            raise ValueError("odd")
        return encode(application, event)

    monkeypatch.setattr("imcore.gateway.connection.encode", encode_some)

    jerry.session.catch_up(missed("one", "two", "three"), {})
    await until(lambda: jerry.session.is_caught_up)

    assert jerry.seen == ["one", "three"]
    assert "Could not encode MessageKept" in caplog.text
