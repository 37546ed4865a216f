"""The command line: see the package's docstring."""

import argparse
import json
import resource
import signal
import sys
from pathlib import Path

from bench import contestants, measuring, report, storm
from bench.contestants import running_postgres
from bench.generator import LoadFailed
from bench.measuring import FULL, LONG_FILLING, MANY_CASES, MANY_ONLINE, QUICK
from bench.profiling import profile
from bench.wire import WireError
from tests.services import ServiceError


def main() -> int:
    """Read the command line and run what it asks for."""
    arguments = _arguments()
    # Whatever ends this, the servers are ended too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        if arguments.action == "profile":
            sizes = {"fanout": report.MEMBERS, "rooms": report.LISTENERS, "stored": report.IN_FLIGHT, "storm": (1000,)}[
                arguments.what
            ]
            profile(
                arguments.what,
                database=arguments.database,
                size=arguments.size or sizes[-1],
                seconds=arguments.seconds,
                is_transient=arguments.transient,
                output=arguments.cprofile,
            )
            return 0
        for name, benchmark in BENCHMARKS.items():
            if arguments.only in (None, name):
                benchmark(is_quick=arguments.quick)
    except (ServiceError, LoadFailed, WireError) as error:
        print("\n".join([str(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks beside other servers.")
    parser.add_argument("--quick", action="store_true", help="one short round; docs/benchmarks.md stays as it is")
    parser.add_argument("--only", choices=BENCHMARKS, help="one of the benchmarks")
    parser.set_defaults(action="bench")
    profiling = parser.add_subparsers(metavar="profile").add_parser("profile", help="imcore alone, for a profiler")
    profiling.set_defaults(action="profile")
    profiling.add_argument("what", choices=("fanout", "stored", "rooms", "storm"))
    profiling.add_argument("--database", choices=("SQLite", "PostgreSQL"), default="SQLite")
    profiling.add_argument("--size", type=int, help="members or listeners of the room, messages in flight, or clients")
    profiling.add_argument("--seconds", type=float, default=60.0)
    profiling.add_argument(
        "--transient", action="store_true", help="fan-out of messages that are not stored, in rooms too"
    )
    profiling.add_argument("--cprofile", type=Path, metavar="FILE", help="write cProfile's statistics of the server")
    return parser.parse_args()


def _fanout(*, is_quick: bool) -> None:
    sizes, effort = (report.QUICK_MEMBERS, QUICK) if is_quick else (report.MEMBERS, FULL)
    results = measuring.run(contestants.FANOUT, sizes=sizes, effort=effort)
    text = report.section(results, report.fanout_table(results), report.fanout_verdicts(results))
    _tell("fanout", text, is_kept=not is_quick)


def _stored(*, is_quick: bool) -> None:
    sizes, effort = (report.QUICK_IN_FLIGHT, QUICK) if is_quick else (report.IN_FLIGHT, FULL)
    with running_postgres() as postgres:
        results = measuring.run(contestants.ONE_TO_ONE, sizes=sizes, effort=effort, postgres=postgres)
    text = report.section(results, report.one_to_one_table(results), report.one_to_one_verdicts(results))
    _tell("stored", text, is_kept=not is_quick)


def _rooms(*, is_quick: bool) -> None:
    sizes, effort = (report.QUICK_LISTENERS, QUICK) if is_quick else (report.LISTENERS, FULL)
    deliveries = measuring.run(contestants.ROOMS, sizes=sizes, effort=effort)
    crossings = measuring.run(contestants.CROSSINGS, sizes=sizes, effort=effort)
    tables = [report.fanout_table(deliveries, who="listeners"), report.crossing_table(crossings)]
    verdicts = report.fanout_verdicts(deliveries, sizes=report.LISTENERS, who="listeners")
    text = report.section(deliveries | crossings, "\n\n".join(tables), verdicts)
    _tell("rooms", text, is_kept=not is_quick)


def _queries(*, is_quick: bool) -> None:
    sizes, effort = (report.QUICK_CONVERSATIONS, QUICK) if is_quick else (report.CONVERSATIONS, MANY_CASES)
    with running_postgres() as postgres:
        results = measuring.run([contestants.QUERIES], sizes=sizes, effort=effort, postgres=postgres)
        with contestants.started(contestants.QUERIES, postgres=postgres, size=sizes[0]) as server:
            plans = json.loads(contestants.crowding(server.environment, "plans"))
    # With few conversations a scan is the best plan; that says nothing.
    verdicts = [] if is_quick else report.query_verdicts(plans)
    text = report.section(results, report.query_table(results, plans), verdicts)
    _tell("queries", text, is_kept=not is_quick)


def _storm(*, is_quick: bool) -> None:
    with running_postgres() as postgres:
        results, footprints = storm.run(storm.QUICK if is_quick else storm.FULL, postgres=postgres)
    table, verdicts = report.storm_table(results, footprints), report.storm_verdicts(results, footprints)
    _tell("storm", report.section(results, table, verdicts), is_kept=not is_quick)


def _rest(*, is_quick: bool) -> None:
    callers, effort = (report.QUICK_CALLERS, QUICK) if is_quick else (report.CALLERS, FULL)
    with running_postgres() as postgres:
        calls = measuring.run(contestants.CALLS, sizes=callers, effort=effort, postgres=postgres)
        effort = QUICK if is_quick else LONG_FILLING
        pages = measuring.run([contestants.PAGES], sizes=report.READERS, effort=effort, postgres=postgres)
    table = "\n\n".join([report.calls_table(calls), report.calls_table(pages)])
    verdicts = [] if is_quick else report.call_verdicts(calls, pages)
    _tell("rest", report.section(calls | pages, table, verdicts), is_kept=not is_quick)


def _broadcast(*, is_quick: bool) -> None:
    known, effort = (report.QUICK_KNOWN, QUICK) if is_quick else (report.KNOWN, MANY_ONLINE)
    results: measuring.Results = {}
    with running_postgres() as postgres:
        for clients in known:
            results |= measuring.run([contestants.BROADCASTS], sizes=(clients,), effort=effort, postgres=postgres)
    verdicts = [] if is_quick else report.broadcast_verdicts(results)
    text = report.section(results, report.broadcast_table(results), verdicts)
    _tell("broadcast", text, is_kept=not is_quick)


def _tell(section: str, text: str, *, is_kept: bool) -> None:
    print(f"\n{text}\n", flush=True)
    if is_kept:
        report.write(section, text)


BENCHMARKS = {
    "fanout": _fanout,
    "stored": _stored,
    "rooms": _rooms,
    "queries": _queries,
    "rest": _rest,
    "broadcast": _broadcast,
    "storm": _storm,
}

if __name__ == "__main__":
    sys.exit(main())
