"""From a command to its one answer, whatever happens on the way."""

import asyncio
import logging

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.appsettings import applications
from imcore.delivery.node import node
from imcore.delivery.presence import LocalSession
from imcore.errors import ConversationFull
from imcore.gateway import lifecycle
from imcore.gateway.connection import Connection, Context, connections
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    BlacklistCommand,
    CommandType,
    DirectCommand,
    GenericCommand,
    OpType,
    RcpCommand,
    ReadCommand,
    ReadTuple,
    RoomCommand,
)
from tests.conftest import SignIn
from tests.imclient import Closed, assert_addressed, open_session, sign_in
from tests.imcore.gateway.support import ROOM, Connect, ask_room, assert_error, room_served_by, until

UNSUPPORTED = [
    (CommandType.session, OpType.add),
    (CommandType.session, OpType.opened),
    (CommandType.session, None),
    (CommandType.conv, OpType.status),
    (CommandType.conv, None),
    (CommandType.room, OpType.join),
    (CommandType.presence, None),
    (CommandType.pubsub, OpType.subscribe),
    (CommandType.unread, None),
    (CommandType.error, None),
    (CommandType.goaway, None),
    (CommandType.report, OpType.uploaded),
]


@pytest.mark.parametrize(("cmd", "op"), UNSUPPORTED)
async def test_a_command_that_is_not_served_is_answered_with_4200(
    cmd: CommandType, op: OpType | None, signed_in: SignIn
) -> None:
    """Checklist 7. C# would wait for ever."""
    tom = await signed_in("tom")

    refused = await tom.request(cmd, op)

    assert_error(refused, 4200, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    "fields", [bytes([0x08, 99]), bytes([0x08, 0, 0x10, 99]), bytes([0x08, 1, 0x10, 99]), b""], ids=bytes.hex
)
async def test_a_command_of_a_future_protocol_is_answered_with_4200(fields: bytes, signed_in: SignIn) -> None:
    """Checklist 7: a `cmd` or `op` that our schema does not know, and none at all."""
    tom = await signed_in("tom")

    await tom.wire.send_raw(fields + GenericCommand(i=-7).SerializeToString())
    refused = await tom.wire.receive()

    assert_error(refused, 4200, "INTERNAL_ERROR")
    assert refused.i == -7
    assert_addressed(refused, "tom")


@pytest.mark.parametrize(("cmd", "op"), UNSUPPORTED)
async def test_a_command_that_is_not_served_is_ignored_without_a_serial(
    cmd: CommandType, op: OpType | None, signed_in: SignIn
) -> None:
    """Realtime-protocol 4.16. An `error` without `i` would make JavaScript forget its connection (P9)."""
    tom = await signed_in("tom")

    await tom.send(cmd, op)
    await tom.request(CommandType.session, OpType.refresh)

    await tom.nothing_more()


@pytest.mark.parametrize("serial", [0, 1, -1, -65535, 65535, 2**31 - 1, -(2**31)])
async def test_a_serial_is_any_signed_number_and_comes_back_as_it_was(serial: int, signed_in: SignIn) -> None:
    """Checklist 7. Java's are negative, and 0 (P4)."""
    tom = await signed_in("tom")

    await tom.wire.send(GenericCommand(cmd=CommandType.session, op=OpType.refresh, i=serial))
    await tom.wire.send(GenericCommand(cmd=CommandType.room, op=OpType.join, i=serial))
    answers = [await tom.wire.receive(), await tom.wire.receive()]

    assert [(answer.HasField("i"), answer.i) for answer in answers] == [(True, serial)] * 2


async def test_every_reply_names_its_client_and_the_service(application: Application, connect: Connect) -> None:
    """Checklist 9. Also when the command named neither."""
    wire = await connect()
    answers = [
        await open_session(wire, application.app_id, "tom"),
        await wire.request(CommandType.session, OpType.query),
        await wire.request(CommandType.session, OpType.refresh),
        await wire.request(CommandType.room, OpType.join),
        await wire.request(CommandType.direct, directMessage=DirectCommand(cid="no conversation", msg="hello")),
        await wire.request(CommandType.session, OpType.close),
    ]

    for answer in answers:
        assert_addressed(answer, "tom")


@pytest.mark.parametrize(
    "command",
    [
        GenericCommand(cmd=CommandType.read, readMessage=ReadCommand(convs=[ReadTuple(cid="c")])),
        GenericCommand(cmd=CommandType.ack, ackMessage=AckCommand(cid="c", mid="m")),
        GenericCommand(cmd=CommandType.rcp, rcpMessage=RcpCommand(cid="c", id="m")),
    ],
)
@pytest.mark.parametrize("peer", ["tom", "nobody", None])
async def test_acks_and_reads_get_no_answer_even_with_a_serial(
    command: GenericCommand, peer: str | None, signed_in: SignIn
) -> None:
    """Checklist 7's exception. Java's `read` has a serial, and it takes any answer for another's (P3)."""
    tom = await signed_in("tom")
    sent = GenericCommand(i=5)
    if peer is not None:
        sent.peerId = peer
    sent.MergeFrom(command)

    await tom.wire.send(sent)
    await tom.request(CommandType.session, OpType.refresh)

    await tom.nothing_more()


async def test_a_direct_without_a_serial_gets_no_ack(signed_in: SignIn) -> None:
    """Realtime-protocol 3.1: JavaScript 3 sends transient messages so. Not even when they fail."""
    tom = await signed_in("tom")

    await tom.send(CommandType.direct, directMessage=DirectCommand(cid="no conversation", msg="hi", transient=True))
    await tom.request(CommandType.session, OpType.refresh)

    await tom.nothing_more()


async def test_goaway_goes_to_every_client_by_name(application: Application, connect: Connect) -> None:
    """Checklist 6. Java finds its client by `peerId`; no frame has an `i` (realtime-protocol 1.7)."""
    wire = await connect()
    await sign_in(wire, application.app_id, "tom")
    await sign_in(wire, application.app_id, "mary")
    silent = await connect()

    lifecycle.ask_everyone_to_leave()
    frames = [await wire.receive(), await wire.receive(), await silent.receive()]

    assert [frame.cmd for frame in frames] == [CommandType.goaway] * 3
    assert [frame.peerId for frame in frames] == ["tom", "mary", ""]
    assert [frame.service for frame in frames] == [2] * 3
    assert not any(frame.HasField("i") for frame in frames)


async def test_draining_closes_with_1001_those_who_do_not_leave(application: Application, connect: Connect) -> None:
    """Checklist 6. SDKs reconnect after 1001."""
    leaves, stays = await connect(), await connect()
    await sign_in(leaves, application.app_id, "tom")
    await sign_in(stays, application.app_id, "mary")

    draining = asyncio.create_task(lifecycle.drain(0.2))
    assert (await leaves.receive()).cmd == CommandType.goaway
    await leaves.close()
    await draining

    assert await stays.closed() == 1001


# Errors on the way


async def test_an_anticipated_failure_is_told_and_the_session_goes_on(
    signed_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Architecture 3.7: anticipated errors are counted, not logged."""

    async def refuse(context: Context, request: GenericCommand) -> GenericCommand:
        raise ConversationFull("There is no room.", client_ids=("mary",), app_code=7, app_message="full")

    tom = await signed_in("tom")

    with room_served_by(refuse):
        refused = await tom.request(*ROOM)

    assert_error(refused, 4304, "CONVERSATION_FULL")
    error = refused.errorMessage
    assert (error.detail, list(error.pids), error.appCode, error.appMsg) == ("There is no room.", ["mary"], 7, "full")
    assert not caplog.records
    assert (await tom.request(CommandType.session, OpType.refresh)).op == OpType.refreshed


async def test_an_unforeseen_failure_is_told_as_4200_without_a_word_more(
    signed_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Architecture 3.7: it is logged once with its traceback, and the connection goes on."""

    async def break_down(context: Context, request: GenericCommand) -> GenericCommand:
        raise RuntimeError("the secret detail")

    tom = await signed_in("tom")

    with room_served_by(break_down):
        refused = await tom.request(*ROOM)

    assert_error(refused, 4200, "INTERNAL_ERROR")
    assert {field.name for field, _ in refused.errorMessage.ListFields()} == {"code", "reason"}
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "room/join" in record.getMessage()
    assert record.exc_info
    assert (await tom.request(CommandType.session, OpType.refresh)).op == OpType.refreshed


async def test_an_unforeseen_failure_before_any_handler_is_told_as_4200_too(
    application: Application,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The application cannot be loaded while the database is away; the client may ask again on the same connection."""

    async def unavailable(app_id: str) -> None:
        raise RuntimeError("the secret detail")

    wire = await connect()
    with monkeypatch.context() as broken:
        broken.setattr(applications, "get", unavailable)
        refused = await open_session(wire, application.app_id, "tom", serial=4)

    assert_error(refused, 4200, "INTERNAL_ERROR")
    assert (refused.i, refused.errorMessage.detail) == (4, "")
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
    assert (await open_session(wire, application.app_id, "tom")).op == OpType.opened


async def test_a_command_that_takes_too_long_is_answered(
    settings: DjangoSettings, signed_in: SignIn
) -> None:
    """Nothing waits without a limit; the next command of the same client gets its turn."""
    is_cancelled = asyncio.Event()

    async def never(context: Context, request: GenericCommand) -> GenericCommand:
        try:
            await asyncio.Event().wait()
        finally:
            is_cancelled.set()
        raise AssertionError

    tom = await signed_in("tom")
    settings.COMMAND_SECONDS = 0.05

    with room_served_by(never):
        refused = await tom.request(*ROOM)

    settings.COMMAND_SECONDS = 15
    assert_error(refused, 4200, "INTERNAL_ERROR")
    assert is_cancelled.is_set()
    assert (await tom.request(CommandType.session, OpType.refresh)).op == OpType.refreshed


# Lanes


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
    assert attached[0] not in node.presence.all_local()


@pytest.mark.parametrize("frame", [None, b"\xff"], ids=["lost", "closed by us"])
async def test_a_connection_that_goes_before_its_open_is_stored_leaves_nothing_behind(
    frame: bytes | None, application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the presence table nor among the connections, whoever ended it."""
    from messaging.services import sessions

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
