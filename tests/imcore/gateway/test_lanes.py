"""Commands of one client in turn, of several side by side, and of those who have left."""

import asyncio

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.delivery.node import node
from imcore.delivery.presence import LocalSession
from imcore.gateway.connection import Connection, Context, connections
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    CommandType,
    GenericCommand,
    OpType,
    RoomCommand,
)
from messaging.services import sessions
from tests.conftest import SignIn
from tests.imclient import Closed, open_session, sign_in
from tests.imcore.gateway.support import Connect, ask_room, assert_error, room_served_by
from tests.waiting import until


async def test_a_slow_command_holds_up_neither_another_client_nor_an_echo(
    application: Application, connect: Connect
) -> None:
    """Realtime-protocol 1: several clients share a connection, and none waits for another."""
    go_on = asyncio.Event()

    async def slow(context: Context, request: GenericCommand) -> GenericCommand:
        await go_on.wait()
        return GenericCommand(cmd=CommandType.room, op=OpType.join)

    wire = await connect()
    await sign_in(wire, application.app_id, "tom")
    mary = await sign_in(wire, application.app_id, "mary")

    with room_served_by(slow):
        await ask_room(wire, "tom", 100)
        echo = await wire.request(CommandType.echo)
        refreshed = await mary.request(CommandType.session, OpType.refresh)
        opened = await open_session(wire, application.app_id, "jerry")
        go_on.set()
        answer = await wire.receive()

    assert echo.cmd == CommandType.echo
    assert refreshed.op == OpType.refreshed
    assert (opened.op, opened.peerId) == (OpType.opened, "jerry")
    assert (answer.i, answer.peerId) == (100, "tom")


async def test_the_commands_of_one_client_run_one_after_the_other_in_order(signed_in: SignIn) -> None:
    """Realtime-protocol 4: a client's commands take effect in the order it sent them."""
    running: list[int] = []

    async def take_turns(context: Context, request: GenericCommand) -> GenericCommand:
        running.append(request.i)
        assert len(running) == 1
        for _ in range(3):
            await asyncio.sleep(0)
        running.remove(request.i)
        return GenericCommand(cmd=CommandType.room, op=OpType.join)

    tom = await signed_in("tom")

    with room_served_by(take_turns):
        for serial in range(1000, 1020):
            await ask_room(tom.wire, "tom", serial)
        answers = [await tom.wire.receive() for _ in range(20)]

    assert [answer.i for answer in answers] == list(range(1000, 1020))
    assert {answer.cmd for answer in answers} == {CommandType.room}


async def test_a_client_that_sends_more_than_the_backlog_is_served_all_the_same(
    settings: DjangoSettings, signed_in: SignIn
) -> None:
    """At the bound the socket is not read for a while; nothing is lost."""
    settings.COMMAND_BACKLOG = 3
    begun: list[int] = []
    go_on = asyncio.Event()

    async def slow(context: Context, request: GenericCommand) -> GenericCommand:
        begun.append(request.i)
        await go_on.wait()
        return GenericCommand(cmd=CommandType.room, op=OpType.join)

    tom = await signed_in("tom")

    with room_served_by(slow):
        for serial in range(1000, 1010):
            await ask_room(tom.wire, "tom", serial)
        await until(lambda: begun)
        go_on.set()
        answers = [await tom.wire.receive() for _ in range(10)]

    assert [answer.i for answer in answers] == list(range(1000, 1010))


async def test_a_command_behind_a_close_is_refused_and_an_open_behind_it_signs_in(
    application: Application, signed_in: SignIn
) -> None:
    """Realtime-protocol 4.1: what a client sends without waiting is served in order too."""
    tom = await signed_in("tom")
    wire = tom.wire

    for serial, op in ((10, OpType.close), (11, OpType.refresh), (12, OpType.open), (13, OpType.refresh)):
        await wire.send(
            GenericCommand(cmd=CommandType.session, op=op, i=serial, peerId="tom", appId=application.app_id)
        )
    answers = [await wire.receive() for _ in range(4)]

    assert [answer.i for answer in answers] == [10, 11, 12, 13]
    assert answers[0].op == OpType.closed
    assert_error(answers[1], 4105, "SESSION_REQUIRED")
    assert answers[2].op == OpType.opened
    assert answers[3].op == OpType.refreshed


async def test_what_was_begun_is_carried_through_although_its_client_left(signed_in: SignIn) -> None:
    """A message that was received is stored; what waits behind it is not begun."""
    begun: list[str] = []
    done: list[str] = []
    go_on = asyncio.Event()

    async def slow(context: Context, request: GenericCommand) -> GenericCommand:
        begun.append(request.roomMessage.roomId)
        await go_on.wait()
        done.append(request.roomMessage.roomId)
        return GenericCommand(cmd=CommandType.room, op=OpType.join, roomMessage=RoomCommand())

    tom = await signed_in("tom")

    with room_served_by(slow):
        await ask_room(tom.wire, "tom", 1, roomId="first")
        await ask_room(tom.wire, "tom", 2, roomId="second")
        await until(lambda: begun)
        await tom.wire.close()
        go_on.set()
        await until(lambda: done)
        await asyncio.sleep(0)

    assert begun == done == ["first"]


async def test_a_connection_that_goes_in_the_middle_of_its_open_leaves_nothing_behind(
    application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its client would be taken for on line for ever."""
    go_on = asyncio.Event()
    attached: list[LocalSession] = []
    detached: list[LocalSession] = []
    attach, detach = node.presence.attach, node.presence.detach

    async def slow_attach(application_pk: int, session: LocalSession) -> None:
        await attach(application_pk, session)
        attached.append(session)
        await go_on.wait()

    def seen_detach(application_pk: int, session: LocalSession) -> None:
        detach(application_pk, session)
        detached.append(session)

    monkeypatch.setattr(node.presence, "attach", slow_attach)
    monkeypatch.setattr(node.presence, "detach", seen_detach)
    wire = await connect()
    command = GenericCommand(cmd=CommandType.session, op=OpType.open, i=1, appId=application.app_id, peerId="tom")

    await wire.send(command)
    await until(lambda: attached)
    await wire.close()
    go_on.set()
    await until(lambda: detached)

    assert not node.presence.local(application.pk, "tom")


@pytest.mark.parametrize("frame", [None, b"\xff"], ids=["lost", "closed by us"])
async def test_a_connection_that_goes_before_its_open_is_stored_leaves_nothing_behind(
    frame: bytes | None, application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the presence table nor among the connections, whoever ended it."""
    go_on = asyncio.Event()
    begun: list[bool] = []
    finished: list[bool] = []
    open_connection = Connection.open_session
    sign_in_service = sessions.open_session

    async def slow_service(**arguments: object) -> sessions.SignedIn:
        begun.append(True)
        await go_on.wait()
        return await sign_in_service(**arguments)  # type: ignore[arg-type]

    async def seen_open(self: Connection, *arguments: object) -> None:
        await open_connection(self, *arguments)  # type: ignore[arg-type]
        finished.append(True)

    monkeypatch.setattr(sessions, "open_session", slow_service)
    monkeypatch.setattr(Connection, "open_session", seen_open)
    before = set(connections)
    wire = await connect()
    command = GenericCommand(cmd=CommandType.session, op=OpType.open, i=1, appId=application.app_id, peerId="tom")

    await wire.send(command)
    await until(lambda: begun)
    if frame is not None:
        await wire.send_raw(frame)
        with pytest.raises(Closed):
            await wire.receive()
    await wire.close()
    go_on.set()
    await until(lambda: finished)

    assert not node.presence.local(application.pk, "tom")
    assert set(connections) == before
