"""imcore alone under load, for as long as a profiler wants to look at it."""

import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.clients import ours
from bench.contestants import RETURNING, Connect, imcore, running_postgres, started
from bench.measuring import QUICK, measure
from bench.storm import returning

UNITS = {"stored": "message", "storm": "client that comes back"}


def profile(what: str, *, database: str, size: int, seconds: float, is_transient: bool, output: Path | None) -> None:
    """Run imcore under one load, telling its process id, rate and CPU cost every few seconds.

    With `output`, the server's event loop thread runs under cProfile, whose statistics go into that file: they show
    where time goes, not how much, for cProfile more than doubles it.
    """
    loads: dict[str, Connect] = {
        "fanout": partial(ours.fanout, transient=is_transient),
        "rooms": partial(ours.room, transient=is_transient),
        "stored": ours.pairs,
        "storm": returning,
    }
    contestant = RETURNING if what == "storm" else imcore(database, {what: loads[what]})
    with ExitStack() as running:
        postgres = running.enter_context(running_postgres()) if contestant.database == "PostgreSQL" else None
        server = running.enter_context(started(contestant, postgres=postgres, size=size, profile_into=output))
        load = running.enter_context(loads[what](server.port, size))
        print(f"process {server.server}", flush=True)
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            sample = measure(load, server, replace(QUICK, seconds=min(5.0, left)))
            print(f"{sample.cpu_us:.1f} us CPU per {UNITS.get(what, 'delivery')}", flush=True)
