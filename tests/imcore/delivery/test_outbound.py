"""A connection's bounded way out."""

import asyncio

import pytest

from imcore.delivery.outbound import Event, Outbound
from tests.imcore.gated_socket import Socket


def frame(payload: bytes) -> Event:
    """Make an event."""
    return {"type": "websocket.send", "bytes": payload}


def outbound(socket: Socket, overflows: list[bool], *, max_frames: int = 3, max_bytes: int = 100) -> Outbound:
    """Make a way out whose overflow is noted."""
    return Outbound(socket.send, overflow=lambda: overflows.append(True), max_frames=max_frames, max_bytes=max_bytes)


async def test_a_frame_is_written_in_the_step_that_offers_it() -> None:
    """No task, no wake-up: the socket mostly has room."""
    socket = Socket()
    tasks = asyncio.all_tasks()
    way_out = outbound(socket, [])

    way_out.offer(frame(b"1"))
    way_out.offer(frame(b"2"))

    assert socket.payloads == [b"1", b"2"]
    assert asyncio.all_tasks() == tasks


async def test_what_the_server_writes_by_itself_keeps_its_place() -> None:
    """It is asked only while nothing waits, and what it leaves goes the general way."""
    socket = Socket()

    def write(event: Event) -> bool:
        is_short = len(event["bytes"]) == 1
        if is_short:
            socket.taken.append(event)
        return is_short

    way_out = Outbound(socket.send, write=write, overflow=lambda: None, max_frames=9, max_bytes=100)

    way_out.offer(frame(b"1"))
    way_out.offer(frame(b"22"))
    socket.has_room.clear()
    way_out.offer(frame(b"33"))
    way_out.offer(frame(b"4"))
    at_the_gate = list(socket.payloads)
    socket.has_room.set()
    await way_out.flush(5)
    way_out.offer(frame(b"5"))

    assert at_the_gate == [b"1", b"22"]
    assert socket.payloads == [b"1", b"22", b"33", b"4", b"5"]


async def test_frames_queue_in_order_while_the_socket_has_no_room() -> None:
    """One task waits for all of them."""
    socket, overflows = Socket(), list[bool]()
    way_out = outbound(socket, overflows)
    socket.has_room.clear()
    for payload in (b"1", b"2", b"3", b"4"):
        way_out.offer(frame(payload))
    while_full = list(socket.payloads)

    socket.has_room.set()
    await way_out.flush(5)
    way_out.offer(frame(b"5"))

    assert while_full == []
    assert socket.payloads == [b"1", b"2", b"3", b"4", b"5"]
    assert overflows == []


async def test_the_queue_may_fill_again_and_again() -> None:
    """What was written no longer counts."""
    socket, overflows = Socket(), list[bool]()
    way_out = outbound(socket, overflows, max_frames=2, max_bytes=4)

    for _ in range(5):
        socket.has_room.clear()
        for _ in range(3):
            way_out.offer(frame(b"xx"))
        socket.has_room.set()
        await way_out.flush(5)

    assert len(socket.taken) == 15
    assert overflows == []


@pytest.mark.parametrize(("max_frames", "max_bytes"), [(2, 1000), (1000, 2)])
async def test_over_the_bound_it_overflows_once_and_drops_the_rest(max_frames: int, max_bytes: int) -> None:
    """By count or by size. Nothing that waits is written any more."""
    socket, overflows = Socket(), list[bool]()
    way_out = outbound(socket, overflows, max_frames=max_frames, max_bytes=max_bytes)
    socket.has_room.clear()
    for payload in (b"1", b"2", b"3"):
        way_out.offer(frame(payload))
    at_the_bound = list(overflows)

    for payload in (b"4", b"5", b"6"):
        way_out.offer(frame(payload))
    socket.has_room.set()
    await way_out.flush(5)
    way_out.offer(frame(b"7"))

    assert at_the_bound == []
    assert overflows == [True]
    assert socket.taken == []


async def test_text_frames_and_closes_count_too() -> None:
    """A close has no payload."""
    socket, overflows = Socket(), list[bool]()
    way_out = outbound(socket, overflows, max_frames=10, max_bytes=5)
    socket.has_room.clear()
    way_out.offer({"type": "websocket.send", "text": "first"})
    way_out.offer({"type": "websocket.send", "text": "12345"})
    way_out.offer({"type": "websocket.close", "code": 1001, "reason": ""})
    before = list(overflows)
    way_out.offer({"type": "websocket.send", "text": "6"})

    assert (before, overflows) == ([], [True])


async def test_flush_waits_no_longer_than_it_is_told() -> None:
    """A peer that never reads must not hold up a shutdown."""
    socket = Socket()
    way_out = outbound(socket, [])
    socket.has_room.clear()
    way_out.offer(frame(b"1"))

    await way_out.flush(0.01)
    before = list(socket.payloads)
    socket.has_room.set()
    await way_out.flush(5)
    await way_out.flush(5)

    assert before == []
    assert socket.payloads == [b"1"]


async def test_drained_waits_for_what_waits_and_says_if_that_was_too_long() -> None:
    """However much that is, as long as the socket takes some of it in time; nothing waits at all when it is stopped."""
    socket = Socket()
    way_out = outbound(socket, [])
    at_first = await way_out.drained(0)
    socket.has_room.clear()
    for payload in (b"1", b"2", b"3"):
        way_out.offer(frame(payload))
    too_long = await way_out.drained(0.01)

    asyncio.get_running_loop().call_soon(socket.has_room.set)
    in_time = await way_out.drained(5)
    written = list(socket.payloads)
    socket.has_room.clear()
    way_out.offer(frame(b"4"))
    way_out.stop()
    when_stopped = await way_out.drained(5)

    assert (at_first, too_long, in_time, when_stopped) == (True, False, True, True)
    assert written == [b"1", b"2", b"3"]


async def test_after_stop_nothing_is_written() -> None:
    """Neither what waits nor what comes; the task ends."""
    socket = Socket()
    tasks = asyncio.all_tasks()
    way_out = outbound(socket, [])
    socket.has_room.clear()
    way_out.offer(frame(b"1"))
    way_out.offer(frame(b"2"))
    await asyncio.sleep(0)

    way_out.stop()
    socket.has_room.set()
    await way_out.flush(5)
    way_out.offer(frame(b"3"))

    assert socket.taken == []
    assert asyncio.all_tasks() == tasks


async def test_stop_before_the_writer_had_its_first_turn_leaves_nothing_running() -> None:
    """Offer and stop in one step of the loop."""
    socket = Socket()
    tasks = asyncio.all_tasks()
    way_out = outbound(socket, [])
    socket.has_room.clear()

    way_out.offer(frame(b"1"))
    way_out.stop()
    await way_out.flush(5)
    socket.has_room.set()

    assert socket.taken == []
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_socket_that_is_gone_ends_the_way_out_quietly(is_full: bool) -> None:
    """Its consumer is being told the same; whoever offers need not know."""
    socket, overflows = Socket(), list[bool]()
    way_out = outbound(socket, overflows)
    if is_full:
        socket.has_room.clear()

    socket.failure = OSError("gone")
    for _ in range(3):
        way_out.offer(frame(b"1"))
    socket.has_room.set()
    await way_out.flush(5)
    socket.failure = None
    way_out.offer(frame(b"2"))

    assert socket.taken == []
    assert overflows == []
