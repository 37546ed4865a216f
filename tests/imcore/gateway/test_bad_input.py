"""What cannot be understood or is not allowed: each gets its code, and nobody else feels it."""

import logging
from base64 import b64encode

import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from imcore.appsettings import applications
from imcore.bridge import in_database
from imcore.gateway import connection as connection_module
from imcore.models import Application, GatewaySettings
from imcore.protocol.message_pb2 import CommandType, ConvCommand, GenericCommand, OpType, SessionCommand
from tests.conftest import SignIn
from tests.imclient import Closed, open_session, sign_in
from tests.imcore.gateway.support import Connect, ObeySettings, assert_error

BINARY = "lc.protobuf2.3"
TEXT = "lc.proto2base64.3"

INVALID_UTF8 = GenericCommand(cmd=CommandType.echo, peerId="??").SerializeToString().replace(b"??", b"\xff\xfe")


@pytest.mark.parametrize(
    ("subprotocol", "frame"),
    [
        (BINARY, b"\xff"),
        (BINARY, b"\x08"),
        (BINARY, b"not a command"),
        (BINARY, b"\x00" * 100),
        (BINARY, INVALID_UTF8),
        (BINARY, GenericCommand(cmd=CommandType.echo, peerId="tom").SerializeToString()[:-1]),
        (BINARY, "text"),
        (BINARY, b64encode(GenericCommand(cmd=CommandType.echo).SerializeToString()).decode()),
        (BINARY, ""),
        (TEXT, GenericCommand(cmd=CommandType.echo).SerializeToString()),
        (TEXT, b""),
        (TEXT, "@@@@"),
        (TEXT, "CAA"),
        (TEXT, "CA A="),
        (TEXT, "CAAQ\n"),
        (TEXT, "汤姆"),
        (TEXT, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        (TEXT, b64encode(b"\xff").decode()),
        (TEXT, b64encode(INVALID_UTF8).decode()),
    ],
)
async def test_a_frame_that_is_no_command_closes_its_connection_alone_with_4114(
    subprotocol: str, frame: bytes | str, application: Application, connect: Connect, signed_in: SignIn
) -> None:
    """Realtime-protocol 4.16. Also text where frames are binary, bytes where they are text, and invalid UTF-8."""
    mary = await signed_in("mary")
    wire = await connect((subprotocol,))
    await sign_in(wire, application.app_id, "tom")

    await wire.send_raw(frame)

    assert await wire.closed() == 4114
    assert (await mary.request(CommandType.session, OpType.refresh)).op == OpType.refreshed


async def test_nothing_is_served_after_a_frame_that_is_no_command(connect: Connect) -> None:
    """What was sent behind it is dropped."""
    wire = await connect()

    await wire.send_raw(b"\xff")
    await wire.send(GenericCommand(cmd=CommandType.echo, i=1))

    with pytest.raises(Closed) as closed:
        await wire.receive()
    assert closed.value.code == 4114


async def test_an_empty_frame_is_an_empty_command_and_is_ignored(connect: Connect, signed_in: SignIn) -> None:
    """Protobuf reads no bytes as a message without fields; it has no serial that could be answered."""
    tom = await signed_in("tom")

    await tom.wire.send_raw(b"")

    await tom.nothing_more()


@pytest.mark.parametrize("subprotocol", [BINARY, TEXT])
async def test_a_frame_over_the_bound_closes_with_4109(
    subprotocol: str, settings: DjangoSettings, connect: Connect
) -> None:
    """Realtime-protocol 4.16. At the bound it is served."""
    command = GenericCommand(cmd=CommandType.echo, i=1, installationId="x" * 200)
    raw = command.SerializeToString()
    settings.FRAME_MAX_BYTES = len(b64encode(raw)) if subprotocol == TEXT else len(raw)
    wire = await connect((subprotocol,))

    at_the_bound = await wire.request(CommandType.echo, installationId="x" * 200)
    await wire.send(GenericCommand(cmd=CommandType.echo, i=1, installationId="x" * 204))

    assert at_the_bound.cmd == CommandType.echo
    assert await wire.closed() == 4109


async def test_a_frame_of_many_members_is_within_the_bound(signed_in: SignIn) -> None:
    """500 members with ids of 64 four-byte characters make 128 KiB; what they are told is not this layer's business."""
    tom = await signed_in("tom")
    members = [f"{number:03}" + "🙂" * 61 for number in range(500)]

    answer = await tom.request(CommandType.conv, OpType.status, convMessage=ConvCommand(m=members))

    assert answer.errorMessage.code == 4200


@pytest.mark.parametrize(
    "command",
    [
        GenericCommand(cmd=CommandType.conv, op=OpType.start, i=1),
        GenericCommand(cmd=CommandType.direct, i=1, peerId="tom"),
        GenericCommand(cmd=CommandType.session, op=OpType.refresh, i=1),
        GenericCommand(cmd=CommandType.room, op=OpType.join, i=1),
        GenericCommand(i=1),
    ],
)
@pytest.mark.parametrize("names_application", [False, True])
async def test_a_command_before_open_is_refused_with_4105(
    command: GenericCommand, names_application: bool, application: Application, connect: Connect
) -> None:
    """Realtime-protocol 4.16. The connection goes on. C# names its application in every command."""
    wire = await connect()
    sent = GenericCommand(appId=application.app_id) if names_application else GenericCommand()
    sent.MergeFrom(command)

    await wire.send(sent)
    refused = await wire.receive()

    assert_error(refused, 4105, "SESSION_REQUIRED")
    assert refused.i == 1
    assert (await sign_in(wire, application.app_id, "tom")).token


async def test_a_push_login_without_an_application_is_refused_with_4105(connect: Connect) -> None:
    """There is nothing yet that it could belong to."""
    wire = await connect()

    assert_error(await wire.request(CommandType.login), 4105, "SESSION_REQUIRED")


async def test_a_command_for_a_client_that_is_not_here_is_refused_with_4105(signed_in: SignIn) -> None:
    """Realtime-protocol 3.3. On other connections it may well be."""
    await signed_in("mary")
    tom = await signed_in("tom")

    refused = await tom.wire.request(CommandType.conv, OpType.count, peerId="mary")

    assert_error(refused, 4105, "SESSION_REQUIRED")
    assert refused.peerId == "mary"


@pytest.mark.parametrize("app_id", ["no application", "", "\0", "x" * 1000, "汤"])
async def test_an_unknown_application_is_told_and_the_connection_closed_with_4100(
    app_id: str, connect: Connect
) -> None:
    """Realtime-protocol 3.3 and 1.7: clients stay away for good."""
    wire = await connect()

    refused = await open_session(wire, app_id, "tom", serial=3)

    assert_error(refused, 4100, "APP_NOT_AVAILABLE")
    assert (refused.i, refused.peerId) == (3, "tom")
    assert await wire.closed() == 4100


async def test_an_unknown_application_closes_also_a_connection_that_asks_without_a_serial(connect: Connect) -> None:
    """Java's push log-in has none."""
    wire = await connect()

    await wire.send(GenericCommand(cmd=CommandType.login, appId="no application"))

    with pytest.raises(Closed) as closed:
        await wire.receive()
    assert closed.value.code == 4100


async def test_an_application_that_is_switched_off_is_not_available(
    application: Application, connect: Connect, signed_in: SignIn
) -> None:
    """The same for new connections and, with their next command, for those that are there."""
    tom = await signed_in("tom")
    application.is_active = False
    await in_database(application.save)
    await applications.refresh()
    wire = await connect()

    assert_error(await open_session(wire, application.app_id, "mary"), 4100, "APP_NOT_AVAILABLE")
    assert await wire.closed() == 4100
    assert_error(await tom.request(CommandType.session, OpType.refresh), 4100, "APP_NOT_AVAILABLE")
    assert await tom.wire.closed() == 4100


async def test_an_application_that_is_deleted_is_not_available(application: Application, signed_in: SignIn) -> None:
    """Its connections end with their next command."""
    tom = await signed_in("tom")
    await in_database(application.delete)
    await applications.refresh()

    assert_error(await tom.request(CommandType.session, OpType.refresh), 4100, "APP_NOT_AVAILABLE")
    assert await tom.wire.closed() == 4100


async def test_a_connection_belongs_to_the_application_it_named_first(signed_in: SignIn) -> None:
    """Realtime-protocol 3.3."""
    other = await in_database(lambda: Application.objects.create(name="other"))
    tom = await signed_in("tom")

    refused = await open_session(tom.wire, other.app_id, "tom")

    assert_error(refused, 4100, "APP_NOT_AVAILABLE")
    assert await tom.wire.closed() == 4100


async def test_one_client_too_many_on_a_connection_is_refused(
    application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are there go on, may open again, and make room when they leave."""
    monkeypatch.setattr(connection_module, "CLIENTS_PER_CONNECTION", 2)
    wire = await connect()
    tom = await sign_in(wire, application.app_id, "tom")
    await sign_in(wire, application.app_id, "mary")

    refused = await open_session(wire, application.app_id, "jerry")
    again = await open_session(wire, application.app_id, "mary")
    await tom.request(CommandType.session, OpType.close)
    accepted = await open_session(wire, application.app_id, "jerry")

    assert_error(refused, 4103, "INVALID_LOGIN")
    assert again.op == accepted.op == OpType.opened


async def test_an_open_that_fails_leaves_no_client_behind(
    application: Application, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else made-up tokens would use the connection's places up, and take commands without a client for their own."""
    monkeypatch.setattr(connection_module, "CLIENTS_PER_CONNECTION", 1)
    wire = await connect()

    refused = [await open_session(wire, application.app_id, f"client {n}", st="wrong") for n in range(3)]
    opened = await open_session(wire, application.app_id, "tom")

    assert [frame.errorMessage.code for frame in refused] == [4112] * 3
    assert opened.op == OpType.opened
    assert (await wire.request(CommandType.session, OpType.refresh)).peerId == "tom"


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://chat.example.com", True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("http://chat.example.com", False),
        ("https://chat.example.com:8443", False),
        ("https://evil.example.com", False),
        ("https://localhost.evil.com", False),
        ("null", False),
        ("http://[", False),
        ("汤", False),
        (None, True),
    ],
)
async def test_a_web_page_of_another_origin_is_closed_with_4110(
    origin: str | None,
    is_allowed: bool,
    application: Application,
    connect: Connect,
    obey_settings: ObeySettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Realtime-protocol 11. Apps and Node.js send no origin and are none of a browser's business."""
    await obey_settings(GatewaySettings, allowed_origins="https://chat.example.com\nhttps://other.example.com")
    wire = await connect(headers={} if origin is None else {"Origin": origin})

    answer = await open_session(wire, application.app_id, "tom")

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    if is_allowed:
        assert answer.op == OpType.opened
    else:
        assert_error(answer, 4110, "INVALID_ORIGIN")
        assert await wire.closed() == 4110


async def test_without_a_list_every_origin_may_connect(application: Application, connect: Connect) -> None:
    """An application without web security domains is open to all pages."""
    wire = await connect(headers={"Origin": "https://anywhere.example.com"})

    assert (await open_session(wire, application.app_id, "tom")).op == OpType.opened


async def test_a_silent_connection_is_closed_with_4108(settings: DjangoSettings, connect: Connect) -> None:
    """Realtime-protocol 1.6. An echo is no log-in."""
    settings.LOGIN_SECONDS = 0.1
    wire = await connect()
    await wire.request(CommandType.echo)

    assert await wire.closed() == 4108


async def test_a_refused_login_is_no_login(
    settings: DjangoSettings, application: Application, connect: Connect
) -> None:
    """Realtime-protocol 1.6: 4108 comes all the same."""
    settings.LOGIN_SECONDS = 0.2
    wire = await connect()

    assert_error(await open_session(wire, application.app_id, "tom", st="wrong"), 4112, "SESSION_TOKEN_EXPIRED")

    assert await wire.closed() == 4108


@pytest.mark.parametrize("is_push", [False, True])
async def test_a_connection_that_has_logged_in_stays(
    is_push: bool, settings: DjangoSettings, application: Application, connect: Connect
) -> None:
    """Realtime-protocol 1.6. Java logs in for push at once and opens a session perhaps much later."""
    settings.LOGIN_SECONDS = 0.2
    wire = await connect()
    silent = await connect()

    if is_push:
        await wire.request(CommandType.login, appId=application.app_id)
    else:
        await open_session(wire, application.app_id, "tom")

    assert await silent.closed() == 4108
    assert (await wire.request(CommandType.echo)).cmd == CommandType.echo


async def test_a_session_body_that_is_missing_is_an_empty_one(application: Application, connect: Connect) -> None:
    """Presence of a body means nothing: protobuf's defaults are what it says."""
    wire = await connect()

    await wire.send(GenericCommand(cmd=CommandType.session, op=OpType.open, i=1, appId=application.app_id, peerId="t"))
    opened = await wire.receive()
    answer = await wire.request(CommandType.session, OpType.query)

    assert opened.op == OpType.opened
    assert answer.op == OpType.query_result
    assert answer.sessionMessage == SessionCommand()
