"""Golden frames of connections and sessions, as each SDK's commands cause them."""

from collections.abc import Awaitable, Callable

from imcore.gateway import lifecycle
from imcore.models import Application
from imcore.protocol.message_pb2 import CommandType, GenericCommand, OpType, ReportCommand, SessionCommand
from messaging.services import sessions
from tests.imclient import InProcess
from tests.wire.golden import assert_golden

Connect = Callable[..., Awaitable[InProcess]]


async def assert_exchange(name: str, wire: InProcess, application: Application, *requests: GenericCommand) -> None:
    """Send commands one after the other, and assert that they and their answers are those of a golden file."""
    frames = []
    for request in requests:
        await wire.send(request)
        frames += [request, await wire.receive()]
    assert_golden(name, *frames, masks={application.app_id: "application"})


def opening(application: Application, *, i: int | None = 1, **session: object) -> GenericCommand:
    """Make tom's `session/open`."""
    body = SessionCommand(**session)  # type: ignore[arg-type]
    command = GenericCommand(
        cmd=CommandType.session, op=OpType.open, appId=application.app_id, peerId="tom", sessionMessage=body
    )
    if i is not None:
        command.i = i
    return command


async def test_javascripts_session(application: Application, connect: Connect) -> None:
    """Checklist 11, 21, 22 and 23: open, who is on line, refresh, close. Only the first command names the client."""
    await assert_exchange(
        "session_javascript",
        await connect(),
        application,
        opening(application, ua="js/5.0.0-rc.8", configBitmap=187, deviceId="d1", tag="web"),
        GenericCommand(
            cmd=CommandType.session,
            op=OpType.query,
            i=2,
            sessionMessage=SessionCommand(sessionPeerIds=["jerry", "tom"]),
        ),
        GenericCommand(cmd=CommandType.session, op=OpType.refresh, i=3, sessionMessage=SessionCommand(st="expired")),
        GenericCommand(cmd=CommandType.session, op=OpType.close, i=4),
    )


async def test_javas_session(application: Application, connect: Connect) -> None:
    """Checklist 14 and 24: push log-in, a re-open with a bad token and without a serial, and the open after it."""
    await assert_exchange(
        "session_java",
        await connect(),
        application,
        GenericCommand(cmd=CommandType.login, appId=application.app_id, installationId="installation"),
        opening(application, i=None, configBitmap=0xAF, deviceId="installation", st="a bad one", r=True),
        opening(application, i=-65535, configBitmap=0xAF, deviceId="installation"),
        GenericCommand(cmd=CommandType.session, op=OpType.close, i=0, peerId="tom"),
    )


async def test_refusals(application: Application, connect: Connect) -> None:
    """Checklist 7, 15 and 25: without a session, for a client id too long, for a bad token, and what is not served."""
    too_long = opening(application, configBitmap=187)
    too_long.peerId = "x" * 65
    await assert_exchange(
        "session_refused",
        await connect(),
        application,
        GenericCommand(cmd=CommandType.session, op=OpType.refresh, i=1),
        too_long,
        opening(application, i=3, st="a bad one", r=True),
        opening(application, i=4, configBitmap=187),
        GenericCommand(cmd=CommandType.room, op=OpType.join, i=5),
        GenericCommand(cmd=CommandType.session, op=OpType.query, i=6, appId="another application"),
    )


async def test_echoes(application: Application, connect: Connect) -> None:
    """Checklist 4: JavaScript's with a serial, C#'s with its application as client."""
    await assert_exchange(
        "echo",
        await connect(),
        application,
        GenericCommand(cmd=CommandType.echo, i=1),
        GenericCommand(cmd=CommandType.echo, appId=application.app_id, peerId=application.app_id),
    )


async def test_goaway(application: Application, connect: Connect) -> None:
    """Checklist 6: the server asks everyone to connect anew."""
    wire = await connect()
    await wire.send(opening(application, configBitmap=187))
    await wire.receive()

    lifecycle.ask_everyone_to_leave()

    assert_golden("goaway", await wire.receive())


async def test_a_conflict(application: Application, connect: Connect) -> None:
    """Checklist 16 to 18: a second device with the tag, the first when it is told, and when it comes back."""
    phone, pad = await connect(), await connect()
    frames = [
        opening(application, deviceId="phone", tag="mobile"),
        opening(application, deviceId="pad", tag="mobile", r=True),
        opening(application, deviceId="pad", tag="mobile"),
        opening(application, deviceId="phone", tag="mobile", r=True),
    ]
    exchanged = []
    for wire, request in zip((phone, pad, pad, phone), frames, strict=True):
        await wire.send(request)
        exchanged += [request, await wire.receive()]
        if request is frames[2]:
            exchanged.append(await phone.receive())

    assert_golden("session_conflict", *exchanged, masks={application.app_id: "application"})


async def test_a_kick(application: Application, connect: Connect) -> None:
    """4.1.2: `closed` with a code, a reason, and what the application says."""
    wire = await connect()
    await wire.send(opening(application))
    await wire.receive()

    await sessions.kick(application=application.pk, client_id="tom", reason="You have left the company.")

    assert_golden("session_kicked", await wire.receive())


async def test_a_token_upload(application: Application, connect: Connect) -> None:
    """4.16, as Swift sends it."""
    await assert_exchange(
        "report_upload",
        await connect(),
        application,
        opening(application),
        GenericCommand(
            cmd=CommandType.report,
            op=OpType.upload,
            i=2,
            reportMessage=ReportCommand(initiative=True, type="token", data="0a1b"),
        ),
    )
