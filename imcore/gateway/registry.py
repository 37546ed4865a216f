"""Which function serves which command.

A handler is an async function of two arguments, the context and the decoded command, that returns the reply or None
for a command that has none. It makes one service call; serial, address, errors and time limits are dispatch's
business (architecture 3.6).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from imcore.errors import ImError
from imcore.protocol.message_pb2 import CommandType, ErrorCommand, GenericCommand, OpType
from imcore.throttles import OPERATIONS, Throttle

if TYPE_CHECKING:
    from imcore.appsettings import ApplicationSnapshot
    from imcore.gateway.connection import Context, Session

Handler = Callable[["Context", GenericCommand], Awaitable[GenericCommand | None]]
Failure = Callable[[GenericCommand, ImError], GenericCommand]
HandlerT = TypeVar("HandlerT", bound=Handler)
SessionEnded = Callable[["ApplicationSnapshot", "Session"], None]
BeforeStop = Callable[[], Awaitable[None]]
BeforeStopT = TypeVar("BeforeStopT", bound=BeforeStop)
SessionEndedT = TypeVar("SessionEndedT", bound=SessionEnded)


def error_command(error: ImError) -> ErrorCommand:
    """Write an error as the protocol's body for it (realtime-protocol 11); `code` and `reason` are always there."""
    body = ErrorCommand(code=error.code, reason=error.reason, pids=error.client_ids)
    if error.detail:
        body.detail = error.detail
    if error.app_code is not None:
        body.appCode = error.app_code
        body.appMsg = error.app_message
    return body


def failed_with_error(command: GenericCommand, error: ImError) -> GenericCommand:
    """Tell a failure as an `error` command: what every request gets that has no shape of its own."""
    return GenericCommand(cmd=CommandType.error, errorMessage=error_command(error))


@dataclass(frozen=True, slots=True)
class Registration:
    """How one command is served.

    `needs_session`: refused with 4105 unless its client is signed in on the connection. `failure`: the shape its
    errors travel in. `answers_without_serial`: replies even to a request without `i` (Java's re-open). `throttle`: the
    rate its clients are held to, each command by itself; None for what clients cannot help sending.
    """

    handler: Handler
    needs_session: bool
    failure: Failure
    answers_without_serial: bool
    throttle: Throttle | None = None


_commands: dict[tuple[int, int | None], Registration] = {}
_session_ended: list[SessionEnded] = []
_before_stop: list[BeforeStop] = []


def command(
    cmd: CommandType,
    op: OpType | None = None,
    *,
    needs_session: bool = True,
    failure: Failure = failed_with_error,
    answers_without_serial: bool = False,
    throttle: Throttle | None = OPERATIONS,
) -> Callable[[HandlerT], HandlerT]:
    """Register a handler for a command; without `op`, for the command whatever its op (C# sends `logs` with one)."""

    def register(handler: HandlerT) -> HandlerT:
        if (cmd, op) in _commands:
            raise ValueError(f"{CommandType.Name(cmd)}/{op} has a handler already.")
        _commands[cmd, op] = Registration(handler, needs_session, failure, answers_without_serial, throttle)
        return handler

    return register


def session_ended(callback: SessionEndedT) -> SessionEndedT:
    """Register what is to be done when a session ends, signed out or cut off. It must neither wait nor raise."""
    _session_ended.append(callback)
    return callback


def session_ended_callbacks() -> list[SessionEnded]:
    """Return what is to be done when a session ends."""
    return _session_ended


def before_stop(callback: BeforeStopT) -> BeforeStopT:
    """Register what is to be waited for, up to a few seconds, when connections are gone and the process is to end."""
    _before_stop.append(callback)
    return callback


def before_stop_callbacks() -> list[BeforeStop]:
    """Return what is to be waited for before the process ends."""
    return _before_stop


def find(cmd: int, op: int | None) -> Registration | None:
    """Return how a command is served, or None if it is not."""
    return _commands.get((cmd, op)) or _commands.get((cmd, None))


def registered() -> dict[tuple[int, int | None], Registration]:
    """Return every registration by (cmd, op)."""
    return dict(_commands)
