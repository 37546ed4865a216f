"""From a command to its one answer, whatever happens on the way."""

import asyncio
import logging

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.appsettings import applications
from imcore.errors import ConversationFull
from imcore.gateway import lifecycle
from imcore.gateway.connection import Context
from imcore.models import Application
from imcore.protocol.message_pb2 import (
    AckCommand,
    CommandType,
    DirectCommand,
    GenericCommand,
    OpType,
    RcpCommand,
    ReadCommand,
    ReadTuple,
)
from tests.conftest import SignIn
from tests.imclient import assert_addressed, open_session, sign_in
from tests.imcore.gateway.support import ROOM, Connect, assert_error, room_served_by

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


async def test_a_command_that_takes_too_long_is_answered(settings: DjangoSettings, signed_in: SignIn) -> None:
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
