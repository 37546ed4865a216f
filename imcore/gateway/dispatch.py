"""Guard → handler → reply; error → code.

Every request with an `i` gets exactly one answer, whatever happens (C# waits for ever, realtime-protocol 3.1), except
the commands that have none by protocol. Anticipated errors are told and counted; unforeseen ones are logged here, once,
and told as 4200 without a word more.
"""

import asyncio
import logging
from time import monotonic

from imcore import identifiers, limits, metrics, throttles
from imcore.appsettings import ApplicationSnapshot, applications
from imcore.delivery.encoding import IM_SERVICE
from imcore.errors import (
    ApplicationNotAvailable,
    ApplicationUnknown,
    ImError,
    InternalError,
    InvalidLogin,
    InvalidOrigin,
    SendTimeout,
    SessionRequired,
)
from imcore.gateway import overdue, registry
from imcore.gateway.connection import Connection, Context, Lane
from imcore.models import GatewaySettings
from imcore.protocol.message_pb2 import CommandType, GenericCommand, LoggedinCommand, OpType

logger = logging.getLogger(__name__)

PUSH_SERVICE = 0
LIVE_QUERY_SERVICE = 1
_ECHO, _SESSION, _OPEN = CommandType.echo, CommandType.session, OpType.open
_LOGIN_COMMANDS = frozenset({CommandType.login, CommandType.logout})
# Java puts an `i` into `read` and takes any answer for that of another request (realtime-protocol 8.1, P3).
NEVER_ANSWERED = frozenset({CommandType.ack, CommandType.read, CommandType.rcp})


_buckets = throttles.Buckets()


async def receive(connection: Connection, command: GenericCommand) -> None:
    """Take one decoded command: answer it at once, or put it into its client's lane.

    Waits only for the application to be loaded (once per connection), never for a handler.
    """
    if command.cmd == _ECHO and command.HasField("cmd"):
        _answer_echo(connection, command)
        return
    try:
        await _bind(connection, command)
        lane = _lane(connection, command)
    except ImError as error:
        _refuse(connection, command, error)
        return
    except Exception as error:  # noqa: BLE001 - logged once, here
        _log_unforeseen(command, error)
        _refuse(connection, command, InternalError())
        return
    if lane is None:
        _answer_login(connection, command)
        return
    connection.enqueue(lane, command)
    if lane.worker is None:
        lane.worker = asyncio.create_task(_work(connection, lane), name="lane")


def _answer_echo(connection: Connection, command: GenericCommand) -> None:
    """Copy `i` and `peerId` if they are there; C# sends its app id as the latter (realtime-protocol 1.6)."""
    reply = GenericCommand(cmd=CommandType.echo, service=IM_SERVICE)
    if command.HasField("i"):
        reply.i = command.i
    if command.HasField("peerId"):
        reply.peerId = command.peerId
    connection.send(reply)


async def _bind(connection: Connection, command: GenericCommand) -> None:
    if connection.is_bound:
        application = connection.application
        if application is None or not application.is_active:
            raise ApplicationUnknown
        if command.HasField("appId") and command.appId != application.app_id:
            raise ApplicationUnknown("This connection belongs to another application.")
        return
    if not command.HasField("appId"):
        raise SessionRequired
    found = await applications.get(command.appId)
    if found is None or not found.is_active:
        raise ApplicationUnknown
    if not found.of(GatewaySettings).admits(connection.origin):
        raise InvalidOrigin
    connection.bind(found)


def _lane(connection: Connection, command: GenericCommand) -> Lane | None:
    """Return the lane that serves a command, or None for push and LiveQuery log-ins, which have no session."""
    if command.cmd in _LOGIN_COMMANDS and command.HasField("cmd"):
        return None
    if command.cmd == _SESSION and command.op == _OPEN and command.HasField("op"):
        return connection.lane_for_open(_client_id(command))
    lane = connection.lane_of(command)
    if lane is None:
        raise SessionRequired
    return lane


def _client_id(command: GenericCommand) -> str:
    if not command.HasField("peerId"):
        return identifiers.anonymous_client_id()
    client_id = command.peerId
    if not client_id or len(client_id) > limits.CLIENT_ID_MAX_CHARACTERS or "\0" in client_id:
        raise InvalidLogin(f"A client id has 1 to {limits.CLIENT_ID_MAX_CHARACTERS} characters.")
    return client_id


def _refuse(connection: Connection, command: GenericCommand, error: ImError) -> None:
    """Answer a command that did not get as far as a lane, and end the connection where the error says so."""
    registration = registry.find(command.cmd, command.op if command.HasField("op") else None)
    reply = None
    if command.HasField("i") and command.cmd not in NEVER_ANSWERED:
        reply = registry.failed_with_error(command, error)
        reply.i = command.i
    elif registration is not None and registration.answers_without_serial:
        reply = registration.failure(command, error)
    if reply is not None:
        reply.service = IM_SERVICE
        if command.HasField("peerId"):
            reply.peerId = command.peerId
        connection.send(reply)
    metrics.count(f"error.{error.code}")
    if isinstance(error, ApplicationUnknown):
        error = ApplicationNotAvailable(error.detail)
    if isinstance(error, ApplicationNotAvailable | InvalidOrigin):
        connection.close(error.code, error.reason)


def _answer_login(connection: Connection, command: GenericCommand) -> None:
    """Answer the push log-in Java makes on every connect, and LiveQuery's (realtime-protocol 4.1.4)."""
    is_login = command.cmd == CommandType.login
    reply = GenericCommand(
        cmd=CommandType.loggedin if is_login else CommandType.loggedout,
        service=command.service if command.HasField("service") else PUSH_SERVICE,
    )
    if command.HasField("i"):
        reply.i = command.i
    if reply.service == LIVE_QUERY_SERVICE and command.HasField("installationId"):
        reply.installationId = command.installationId
    if is_login:
        # An explicit `true` would stop Java from ever reconnecting (P18).
        reply.loggedinMessage.CopyFrom(LoggedinCommand(pushDisabled=False))
        connection.logged_in()
    connection.send(reply)


async def _work(connection: Connection, lane: Lane) -> None:
    """Run the commands of a lane one after the other until none waits."""
    try:
        while lane.backlog:
            await _run(connection, lane, connection.dequeue(lane))
    finally:
        lane.worker = None
        # An open that failed leaves nothing behind; nor does one that came through when the connection had ended.
        if connection.has_ended or (lane.session is None and not connection.is_closing):
            connection.close_session(lane)


async def _run(connection: Connection, lane: Lane, command: GenericCommand) -> None:
    registration = registry.find(command.cmd, command.op if command.HasField("op") else None)
    failure = registry.failed_with_error if registration is None else registration.failure
    context = None
    reply: GenericCommand | None
    try:
        application = connection.application
        if application is None:
            raise ApplicationUnknown
        if registration is None or not command.HasField("cmd"):
            raise InternalError("This server does not support the command.")
        if registration.needs_session and lane.session is None:
            raise SessionRequired
        if application.limits_rates:
            _check_rate(application, lane, registration)
        context = Context(connection, lane, application)
        overdue.begin(lane)
        try:
            reply = await registration.handler(context, command)
        finally:
            overdue.end(lane)
    except ImError as error:
        metrics.count(f"error.{error.code}")
        reply = failure(command, error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not lane.is_overdue or task is None:
            raise
        lane.is_overdue = False
        task.uncancel()
        metrics.count(f"error.{SendTimeout.code}")
        late = SendTimeout if command.cmd == CommandType.direct else InternalError
        reply = failure(command, late("The server did not manage in time."))
    except Exception as error:  # noqa: BLE001 - logged once, here
        _log_unforeseen(command, error)
        reply = failure(command, InternalError())
    if reply is not None:
        _reply(connection, lane, command, reply, registration)
    if context is not None:
        for callback in context.after_reply:
            callback()


def _check_rate(application: ApplicationSnapshot, lane: Lane, registration: registry.Registration) -> None:
    if registration.throttle is None:
        return
    throttles.check(
        _buckets,
        registration.throttle,
        # The handler stands for the command: an op is the client's to vary (C# sends `logs` with one).
        (application.pk, lane.client_id, registration.handler),
        settings=application.of(GatewaySettings),
        now=monotonic(),
    )


def _reply(
    connection: Connection,
    lane: Lane,
    command: GenericCommand,
    reply: GenericCommand,
    registration: registry.Registration | None,
) -> None:
    if command.cmd in NEVER_ANSWERED:
        return
    if command.HasField("i"):
        reply.i = command.i
    elif registration is None or not registration.answers_without_serial:
        return
    reply.peerId = lane.client_id
    reply.service = IM_SERVICE
    connection.send(reply)


def _log_unforeseen(command: GenericCommand, error: Exception) -> None:
    name = f"{_name(CommandType, command.cmd)}/{_name(OpType, command.op)}"
    logger.error("Unforeseen error in %s", name, exc_info=error)


def _name(enum: type[CommandType] | type[OpType], number: int) -> str:
    return enum.Name(number) if number in enum.values() else str(number)
