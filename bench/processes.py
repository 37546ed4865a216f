"""Servers as subprocesses: started on a core of their own, awaited, their CPU time read, ended."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.services import ServiceError, free_port

__all__ = [
    "CORES",
    "ServerFailed",
    "cpu_seconds",
    "free_port",
    "machine_seconds",
    "memory_kib",
    "on_core",
    "running",
    "wait_until_idle",
]

START_SECONDS = 60.0
STOP_SECONDS = 15.0
CORES = sorted(os.sched_getaffinity(0))
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerFailed(ServiceError):
    """A server did not start."""


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Run the block, and the processes started in it, on the given one of our cores; on a single core do nothing."""
    before = os.sched_getaffinity(0)
    if len(CORES) > 1:
        os.sched_setaffinity(0, {CORES[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    command: Sequence[str],
    *,
    directory: Path,
    port: int,
    environment: dict[str, str],
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """Run a server on the first core for the length of the block, and give its process id once its port answers.

    Raise ServerFailed with the end of its log if it does not come up.
    """
    log = directory / "log"
    with on_core(0), log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        if not _wait(lambda: process.poll() is not None or _answers(port), START_SECONDS) or process.poll() is not None:
            raise ServerFailed(f"{' '.join(command)} did not start:\n{_tail(log)}")
        try:
            yield process.pid
        except Exception as error:
            error.add_note(f"The server's log ends with:\n{_tail(log)}")
            raise
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(roots: Sequence[int]) -> float:
    """Return the CPU time, user and system, that these processes and all their descendants have used so far.

    A descendant that has ended is counted by the parent that waited for it, so the sum never goes back.
    """
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(entry))
        ticks[int(entry)] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    total, pending = 0, list(roots)
    while pending:
        pid = pending.pop()
        total += ticks.get(pid, 0)
        pending += children.get(pid, ())
    return total / TICKS_PER_SECOND


def memory_kib(pid: int) -> int:
    """Return the memory of a process that is in use (RSS), in KiB; its children's is not counted."""
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def machine_seconds() -> float:
    """Return the CPU time, user, system and interrupts, that everything on this machine has used so far."""
    user, nice, system, _idle, _wait, interrupts, soft_interrupts = map(
        int, Path("/proc/stat").read_text().split()[1:8]
    )
    return (user + nice + system + interrupts + soft_interrupts) / TICKS_PER_SECOND


def yardstick_ms() -> float:
    """Return the CPU time that a loop of a million turns in Python takes on the servers' core."""
    with on_core(0):
        began = time.thread_time()
        for _ in range(1_000_000):
            pass
        return (time.thread_time() - began) * 1000


def wait_until_idle(roots: Sequence[int], *, limit_seconds: float = 20.0) -> None:
    """Return when these processes have done next to nothing for a moment, or after the limit."""

    def is_idle() -> bool:
        before = cpu_seconds(roots)
        time.sleep(0.2)
        return cpu_seconds(roots) - before <= 0.02

    _wait(is_idle, limit_seconds)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
