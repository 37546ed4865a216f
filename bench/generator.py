"""The load: lanes of connections, each with one message outstanding, driven by drive.c on a core of its own."""

import ctypes
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from bench.processes import on_core

SOURCE = Path(__file__).with_name("drive.c")
COUNTER = b"00000000"
STALL_SECONDS = 20.0
MAX_LATENCIES = 500_000
OUTCOMES = {
    1: "stalled: {culprit} frames have not arrived",
    2: "connection {culprit} was closed",
    3: "connection {culprit} got a frame too many",
    4: "connection {culprit}: error {error}",
    5: "connection {culprit} got a frame that is too long",
}


class Framing(IntEnum):
    """How frames are told apart; the numbers are drive.c's."""

    WEBSOCKET = 0
    ENGINE_IO = 1
    MQTT = 2


class Connection(Protocol):
    """A connected client, as far as the generator needs it."""

    def fileno(self) -> int:
        """Return the socket's descriptor."""

    def close(self) -> None:
        """Close the socket."""


AnyConnection = TypeVar("AnyConnection", bound=Connection, covariant=True)


@dataclass(frozen=True)
class Lane(Generic[AnyConnection]):
    """A sender, whoever receives what it sends, and the message as it goes onto the wire.

    Where the message contains COUNTER, each copy gets a number of its own.
    """

    sender: AnyConnection
    receivers: Sequence[AnyConnection]
    message: bytes


@dataclass(frozen=True)
class Run:
    """What a run of the generator saw."""

    messages: int
    seconds: float
    generator_seconds: float
    p50_ms: float
    p99_ms: float


class LoadFailed(Exception):
    """The server closed a connection, fell silent, or sent something else than it should."""


class Drivable(Protocol):
    """What can be measured: it does something over and over, or once, in units that `deliveries` of make a message."""

    deliveries: int
    is_stored: bool

    def prepare(self) -> None:
        """Make ready for a run, in time that is not measured."""

    def run(self, seconds: float) -> Run:
        """Run for some seconds."""


class Load:
    """Lanes that are connected and quiet, ready to be driven; closes their connections at the end of the block."""

    def __init__(
        self, *, framing: Framing, lanes: Sequence[Lane[Connection]], deliveries: int, is_stored: bool = False
    ) -> None:
        self.framing = framing
        self.lanes = lanes
        self.deliveries = deliveries  # of one message: the units it counts for
        self.is_stored = is_stored
        members = [(lane, number) for number, of in enumerate(lanes) for lane in (of.sender, *of.receivers)]
        self._connections = (_Connection * len(members))(
            *(_Connection(socket=connection.fileno(), lane=number) for connection, number in members)
        )
        self._messages = [ctypes.create_string_buffer(lane.message, len(lane.message)) for lane in lanes]
        self._lanes = (_Lane * len(lanes))(
            *(
                _Lane(
                    sender=lane.sender.fileno(),
                    connections=1 + len(lane.receivers),
                    length=len(lane.message),
                    counter_at=lane.message.find(COUNTER),
                    message=ctypes.addressof(message),
                )
                for lane, message in zip(lanes, self._messages, strict=True)
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in self.lanes:
            for connection in (lane.sender, *lane.receivers):
                connection.close()

    def prepare(self) -> None:
        """Make ready for a run, in time that is not measured."""

    def run(self, seconds: float) -> Run:
        """Drive all lanes for some seconds and until their last message is everywhere; raise LoadFailed if it fails."""
        result = _Result()
        latencies = (ctypes.c_uint32 * MAX_LATENCIES)()
        with on_core(1):
            before = own_seconds()
            outcome = _drive()(
                int(self.framing),
                self._lanes,
                len(self._lanes),
                self._connections,
                len(self._connections),
                int(seconds * 1e9),
                int(STALL_SECONDS * 1e9),
                latencies,
                MAX_LATENCIES,
                ctypes.byref(result),
            )
            used_seconds = own_seconds() - before
        if outcome:
            raise LoadFailed(OUTCOMES[outcome].format(culprit=result.culprit, error=result.error))
        percentiles = statistics.quantiles(latencies[: max(result.latencies, 2)], n=100)
        return Run(
            messages=result.messages,
            seconds=result.elapsed_ns / 1e9,
            generator_seconds=used_seconds,
            p50_ms=percentiles[49] / 1000,
            p99_ms=percentiles[98] / 1000,
        )


class Surge(Load):
    """Clients that all do one thing at once, each once a run, and undo it when the next run is prepared."""

    def __init__(
        self, *, framing: Framing, forth: Sequence[Lane[Connection]], back: Sequence[Lane[Connection]]
    ) -> None:
        super().__init__(framing=framing, lanes=forth, deliveries=1)
        self._back = Load(framing=framing, lanes=back, deliveries=1)

    def prepare(self) -> None:
        """Undo what the last run did."""
        self._back.run(0.0)

    def run(self, seconds: float) -> Run:
        """Let all do it once, however long that takes."""
        return super().run(0.0)


class _Lane(ctypes.Structure):
    _fields_ = (
        ("sender", ctypes.c_int32),
        ("connections", ctypes.c_int32),
        ("length", ctypes.c_int32),
        ("counter_at", ctypes.c_int32),
        ("message", ctypes.c_void_p),
        ("sent_ns", ctypes.c_int64),
        ("number", ctypes.c_int32),
        ("sent", ctypes.c_int32),
        ("due", ctypes.c_int32),
    )


class _Connection(ctypes.Structure):
    _fields_ = (
        ("socket", ctypes.c_int32),
        ("lane", ctypes.c_int32),
        ("received", ctypes.c_int32),
        ("held", ctypes.c_int32),
        ("buffer", ctypes.c_ubyte * 16384),
    )


class _Result(ctypes.Structure):
    _fields_ = (
        ("messages", ctypes.c_int64),
        ("elapsed_ns", ctypes.c_int64),
        ("latencies", ctypes.c_int64),
        ("culprit", ctypes.c_int32),
        ("error", ctypes.c_int32),
    )


@cache
def _drive() -> Callable[..., int]:
    """Compile drive.c and return its function."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadFailed("The load generator needs a C compiler: install gcc.")
    with tempfile.TemporaryDirectory(prefix="imcore-bench-") as directory:
        library_path = Path(directory, "drive.so")
        command = [compiler, "-O2", "-Wall", "-shared", "-fPIC", str(SOURCE), "-o", str(library_path)]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(str(library_path))
    if library.connection_size() != ctypes.sizeof(_Connection) or library.lane_size() != ctypes.sizeof(_Lane):
        raise LoadFailed("generator.py and drive.c disagree about their structures.")
    library.drive.argtypes = (
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int),
        *(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
    )
    drive: Callable[..., int] = library.drive
    return drive


def own_seconds() -> float:
    """Return the CPU time this process has used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
