"""Coming back into a chat room after a lost connection, and when not (realtime-protocol 4.13)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conversations.models import Conversation, ConversationSettings, RoomSeat
from conversations.services import rooms
from conversations.storage import seats
from imcore import identifiers
from imcore.bridge import in_database
from imcore.delivery.node import node
from imcore.errors import StorageUnavailable
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, ConvCommand, OpType
from tests.conftest import SignIn
from tests.conversations.rooming import block, names_here, people_in, room_of
from tests.conversations.talking import add, ask, count, heard, refusal, remove, start
from tests.imclient import ImClient, InProcess, open_session
from tests.processes import eventually

MINUTE_MS = 60_000
BLOCKED = 4548

ObeySettings = Callable[..., Awaitable[None]]
Connect = Callable[..., Awaitable[InProcess]]


class Clock:
    """The wall clock of those who open sessions, put forward by hand."""

    def __init__(self) -> None:
        self.forward_ms = 0

    def now_ms(self) -> int:
        """Return the time in milliseconds."""
        return identifiers.now_ms() + self.forward_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that `session/open` looks at."""
    clock = Clock()
    monkeypatch.setattr("messaging.commands.session.now_ms", clock.now_ms)
    return clock


@pytest.fixture
async def with_blocks(obey_settings: ObeySettings) -> None:
    """Enable block lists."""
    await obey_settings(ConversationSettings, block_lists_enabled=True)


async def lose(client: ImClient) -> None:
    """Lose a client's connection, and let the server note it."""
    await client.wire.close()
    await rooms.settle()


async def sign_out(client: ImClient) -> None:
    """Close a session as its client does."""
    assert (await client.request(CommandType.session, OpType.close)).op == OpType.closed


async def seats_in(cid: str) -> int:
    """Return how many devices have a seat in a room."""
    return await in_database(lambda: RoomSeat.objects.filter(conversation__object_id=cid).count())


@pytest.mark.parametrize("how", ["token", "device", "both"])
async def test_a_device_that_comes_back_is_put_back(signed_in: SignIn, how: str) -> None:
    """Checklist 49, second half. By its token, or by `r`; nobody is told, and it was counted as gone meanwhile."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry", deviceId="phone")
    await add(jerry, cid, "jerry")
    await lose(jerry)
    meanwhile = await people_in(tom, cid)

    by: dict[str, dict[str, Any]] = {
        "token": {"st": jerry.token},
        "device": {"deviceId": "phone", "r": True},
        "both": {"st": jerry.token, "r": True},
    }
    back = await signed_in("jerry", **by[how])

    assert meanwhile == ["tom"]
    assert await people_in(tom, cid) == ["jerry", "tom"]
    assert await heard(tom) == await heard(back) == []
    await lose(back)
    await signed_in("jerry", st=back.token)
    assert await people_in(tom, cid) == ["jerry", "tom"]


@pytest.mark.parametrize(("minutes", "away_ms", "comes_back"), [
    (30, 30 * MINUTE_MS - 1000, True),
    (30, 30 * MINUTE_MS + 1000, False),
    (1, MINUTE_MS + 1000, False),
    (0, 0, False),
])  # fmt: skip
async def test_it_comes_back_within_the_minutes_the_application_gives(
    signed_in: SignIn,
    obey_settings: ObeySettings,
    clock: Clock,
    minutes: int,
    away_ms: int,
    comes_back: bool,
) -> None:
    """`chat_room_rejoin_minutes`; 0 means never."""
    await obey_settings(ConversationSettings, chat_room_rejoin_minutes=minutes)
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry")
    await add(jerry, cid, "jerry")
    await lose(jerry)

    clock.forward_ms = away_ms
    await signed_in("jerry", st=jerry.token, r=True)

    assert await people_in(tom, cid) == (["jerry", "tom"] if comes_back else ["tom"])


async def test_a_fresh_login_comes_back_nowhere_then_or_later(signed_in: SignIn) -> None:
    """It is another stay; re-opening after it finds nothing to come back to."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry", deviceId="phone")
    await add(jerry, cid, "jerry")
    await lose(jerry)

    fresh = await signed_in("jerry", deviceId="phone")
    then = await people_in(tom, cid)
    await lose(fresh)
    await signed_in("jerry", st=fresh.token, r=True)

    assert then == await people_in(tom, cid) == ["tom"]


async def test_another_device_of_the_client_does_not_come_back(signed_in: SignIn) -> None:
    """A seat is a device's."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry", deviceId="phone")
    await add(jerry, cid, "jerry")
    await lose(jerry)

    await signed_in("jerry", deviceId="web", r=True)

    assert await people_in(tom, cid) == ["tom"]


@pytest.mark.parametrize("farewell", ["close", "leave"])
async def test_who_said_good_bye_does_not_come_back(signed_in: SignIn, farewell: str) -> None:
    """Neither after `session/close` nor after leaving the room."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry", deviceId="phone")
    await add(jerry, cid, "jerry")

    if farewell == "close":
        await sign_out(jerry)
    else:
        await remove(jerry, cid, "jerry")
    await lose(jerry)
    await signed_in("jerry", deviceId="phone", r=True)

    assert await people_in(tom, cid) == ["tom"]
    assert await seats_in(cid) == 1


async def test_it_comes_back_into_the_room_it_was_in_last(signed_in: SignIn) -> None:
    """One room per session, one seat per device."""
    tom = await signed_in("tom")
    first, second = await room_of(await signed_in("spike")), await room_of(tom)
    jerry = await signed_in("jerry")
    await add(jerry, first, "jerry")
    await add(jerry, second, "jerry")
    await lose(jerry)

    await signed_in("jerry", st=jerry.token)

    assert await people_in(tom, first) == ["spike"]
    assert await people_in(tom, second) == ["jerry", "tom"]


async def test_a_connection_found_dead_late_says_nothing_about_where_its_device_is_now(signed_in: SignIn) -> None:
    """A phone changes networks: it is back, and elsewhere, long before the server misses the old connection."""
    tom, spike = await signed_in("tom"), await signed_in("spike")
    first, second = await room_of(tom), await room_of(spike)
    leaving, moving = await signed_in("leaving"), await signed_in("moving")
    for dead in (leaving, moving):
        await add(dead, first, dead.client_id)
    left = await signed_in("leaving", st=leaving.token, r=True)
    moved = await signed_in("moving", st=moving.token, r=True)
    await remove(left, first, "leaving")
    await add(moved, second, "moving")

    for dead in (leaving, moving):
        await lose(dead)
    after_death = await people_in(tom, first), await people_in(tom, second)
    for alive in (left, moved):
        await lose(alive)
        await signed_in(alive.client_id, st=alive.token, r=True)

    assert after_death == (["tom"], ["moving", "spike"])
    assert await people_in(tom, first) == ["tom"]
    assert await people_in(tom, second) == ["moving", "spike"]


async def test_a_client_that_came_back_before_its_old_connection_is_missed_counts_once(signed_in: SignIn) -> None:
    """And stays when the old one goes."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    dead = await signed_in("jerry")
    await add(dead, cid, "jerry")

    await signed_in("jerry", st=dead.token, r=True)
    twice = await count(tom, cid)
    await lose(dead)

    assert twice == 2
    assert await people_in(tom, cid) == ["jerry", "tom"]


async def test_a_session_opened_again_on_its_connection_stays_in_its_room(
    signed_in: SignIn, application: Application
) -> None:
    """It takes the old one's place there, too; with another device it is another stay."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry", deviceId="phone")
    await add(jerry, cid, "jerry")

    await signed_in("jerry", wire=jerry.wire, deviceId="phone")
    again = await people_in(tom, cid)
    await signed_in("jerry", wire=jerry.wire, deviceId="web")
    other = await people_in(tom, cid)
    await rooms.settle()
    ends = await in_database(
        lambda: list(RoomSeat.objects.filter(client_id="jerry", conversation__object_id=cid).values_list("until_ms"))
    )

    assert again == ["jerry", "tom"]
    assert other == ["tom"]
    assert ends != [(None,)]
    await lose(jerry)
    await lose(tom)
    assert names_here(application) == set()


@pytest.mark.usefixtures("with_blocks")
async def test_who_was_blocked_meanwhile_does_not_come_back_even_when_unblocked(signed_in: SignIn) -> None:
    """4.8: unblocking does not re-add them. One was blocked in the room, one while away."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    here, away = await signed_in("here"), await signed_in("away")
    for client in (here, away):
        await add(client, cid, client.client_id)
    await lose(away)

    await block(tom, cid, "here", "away")
    await heard(tom)
    blocked = await signed_in("away", st=away.token, r=True)
    while_blocked = await people_in(tom, cid)
    await block(tom, cid, "here", "away", undo=True)
    for client in (here, blocked):
        await lose(client)
        await signed_in(client.client_id, st=client.token, r=True)

    assert while_blocked == ["tom"]
    assert await people_in(tom, cid) == ["tom"]
    assert await seats_in(cid) == 1


@pytest.mark.usefixtures("with_blocks")
async def test_who_is_blocked_while_entering_is_not_in(signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block lands between the look at the list and the step into the room."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    enter = node.presence.enter

    async def enter_too_late(*args: Any) -> None:
        await block(tom, cid, "jerry")
        await heard(tom)
        await enter(*args)

    monkeypatch.setattr(node.presence, "enter", enter_too_late)
    refused = await refusal(jerry, OpType.add, cid=cid, m=["jerry"])

    assert refused.code == BLOCKED
    assert await people_in(tom, cid) == ["tom"]
    assert await seats_in(cid) == 1


async def test_who_is_lost_while_entering_is_not_in_and_has_no_seat(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never had an answer; nothing stays behind, in the table or in the database."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    entered, gone = asyncio.Event(), asyncio.Event()
    write = seats.write

    def write_late(batch: Any) -> Any:
        written = write(batch)
        asyncio.run_coroutine_threadsafe(_set_and_wait(entered, gone), loop).result(5)
        return written

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(seats, "write", write_late)
    await jerry.send(CommandType.conv, OpType.add, convMessage=ConvCommand(cid=cid, m=["jerry"]))
    await entered.wait()
    await lose(jerry)
    gone.set()

    async def is_given_up() -> bool:
        return await seats_in(cid) == 1

    await eventually(is_given_up, "the seat is given up", every=0.005)
    monkeypatch.setattr(seats, "write", write)
    await signed_in("jerry", st=jerry.token, r=True)

    assert await people_in(tom, cid) == ["tom"]


async def test_a_seat_that_cannot_be_taken_costs_the_join_and_never_the_login(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    """The database is away. Who is told that he is not in, is not; and signing in goes on."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    cid = await room_of(tom)
    lost = await signed_in("lost")
    await add(lost, cid, "lost")
    await lose(lost)

    def fail(batch: Any) -> Any:
        raise StorageUnavailable

    monkeypatch.setattr(seats, "write", fail)
    refused = await refusal(jerry, OpType.add, cid=cid, m=["jerry"])
    await signed_in("lost", st=lost.token)
    await signed_in("fresh")
    stays = await ask(tom, OpType.remove, cid=cid, m=["tom"])
    while_away = await people_in(tom, cid)
    monkeypatch.undo()
    await remove(tom, cid, "tom")

    assert refused.code == 4300
    assert stays.errorMessage.code == 4300
    assert while_away == ["tom"]
    assert await people_in(jerry, cid) == []


async def test_the_room_may_be_gone_meanwhile(signed_in: SignIn) -> None:
    """Its seats went with it, and who comes back is signed in all the same."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    await lose(tom)
    await in_database(lambda: Conversation.objects.filter(object_id=cid).delete())

    back = await signed_in("tom", st=tom.token, r=True)

    assert (await refusal(back, OpType.add, cid=cid, m=["tom"])).code == 4303
    assert (await start(back, "jerry")).cid


async def test_a_room_that_goes_while_a_client_enters_is_not_found(
    signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And others in the same batch get their seats."""
    tom, jerry = await signed_in("tom"), await signed_in("jerry")
    gone, kept = await room_of(tom), await room_of(await signed_in("spike"))
    enter = node.presence.enter

    async def delete_and_enter(*args: Any) -> None:
        await in_database(lambda: Conversation.objects.filter(object_id=gone).delete())
        await enter(*args)

    monkeypatch.setattr(node.presence, "enter", delete_and_enter)
    refused = await refusal(jerry, OpType.add, cid=gone, m=["jerry"])
    await add(jerry, kept, "jerry")

    assert refused.code == 4303
    assert await people_in(jerry, kept) == ["jerry", "spike"]


async def test_an_open_that_fails_leaves_nobody_behind(
    signed_in: SignIn, connect: Connect, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails in it: nobody is on line who was told that he is not."""

    async def fail(**kwargs: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(rooms, "come_back", fail)
    wire = await connect()
    refused = await open_session(wire, application.app_id, "tom")
    monkeypatch.undo()

    assert refused.errorMessage.code == 4200
    assert names_here(application) == set()
    assert (await signed_in("tom", wire=wire)).token


async def test_seats_nobody_can_come_back_to_are_deleted(signed_in: SignIn) -> None:
    """Running it twice does no harm; who is there, or may come back, keeps his."""
    tom = await signed_in("tom")
    cid = await room_of(tom)
    jerry = await signed_in("jerry")
    await add(jerry, cid, "jerry")
    await lose(jerry)
    now_ms = identifiers.now_ms()

    await rooms.forget_seats(now_ms=now_ms)
    kept = await seats_in(cid)
    await rooms.forget_seats(now_ms=now_ms + 31 * MINUTE_MS)
    after_minutes = await seats_in(cid)
    await rooms.forget_seats(now_ms=now_ms + rooms.ABANDONED_MS + MINUTE_MS)

    assert (kept, after_minutes, await seats_in(cid)) == (2, 1, 0)


async def test_the_last_word_of_a_device_counts_in_a_batch() -> None:
    """In one batch as in several."""
    application = await in_database(lambda: Application.objects.create(name="seats"))
    room = await in_database(
        lambda: Conversation.objects.create(
            application=application, object_id="a room", kind=2, created_ms=1, updated_ms=1
        )
    )
    device = -application.pk

    def seat(conversation: int | None, taken_ms: int) -> seats.Seat:
        return seats.Seat(device, "tom", conversation, taken_ms)

    answers = await in_database(seats.write, [seat(room.pk, 1), seat(None, 2), seat(room.pk, 3)])
    await in_database(seats.depart, [seats.Departure(device, 1, 10), seats.Departure(device - 1, 3, 20)])
    stays = await in_database(seats.find, [seats.Return(device, 1000)])
    await in_database(seats.depart, [seats.Departure(device, 3, 10)])
    departed, _ = await in_database(seats.find, [seats.Return(device, 1000), seats.Return(device - 1, 1000)])
    await in_database(seats.give_up, device=device, taken_ms=1)
    in_time = await in_database(seats.find, [seats.Return(device, 9), seats.Return(device - 1, 9)])

    assert answers == [None, None, None]
    assert stays == ["a room"]
    assert in_time == ["a room", None]
    assert departed is None


async def _set_and_wait(entered: asyncio.Event, gone: asyncio.Event) -> None:
    entered.set()
    await gone.wait()
