"""The command line: see the package's docstring."""

import argparse
import resource
import signal
import sys
from pathlib import Path

from bench import contestants, measuring, report
from bench.contestants import running_postgres
from bench.generator import LoadFailed
from bench.measuring import FULL, QUICK
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
            sizes = report.MEMBERS if arguments.what == "fanout" else report.IN_FLIGHT
            profile(
                arguments.what,
                database=arguments.database,
                size=arguments.size or sizes[-1],
                seconds=arguments.seconds,
                is_transient=arguments.transient,
                output=arguments.cprofile,
            )
            return 0
        if arguments.only in (None, "fanout"):
            _fanout(is_quick=arguments.quick)
        if arguments.only in (None, "stored"):
            _stored(is_quick=arguments.quick)
    except (ServiceError, LoadFailed, WireError) as error:
        print("\n".join([str(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks beside other servers.")
    parser.add_argument("--quick", action="store_true", help="one short round; docs/benchmarks.md stays as it is")
    parser.add_argument("--only", choices=("fanout", "stored"), help="one half of the benchmarks")
    parser.set_defaults(action="bench")
    profiling = parser.add_subparsers(metavar="profile").add_parser("profile", help="imcore alone, for a profiler")
    profiling.set_defaults(action="profile")
    profiling.add_argument("what", choices=("fanout", "stored"))
    profiling.add_argument("--database", choices=("SQLite", "PostgreSQL"), default="SQLite")
    profiling.add_argument("--size", type=int, help="members of the room, or messages in flight")
    profiling.add_argument("--seconds", type=float, default=60.0)
    profiling.add_argument("--transient", action="store_true", help="fan-out of messages that are not stored")
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


def _tell(section: str, text: str, *, is_kept: bool) -> None:
    print(f"\n{text}\n", flush=True)
    if is_kept:
        report.write(section, text)


if __name__ == "__main__":
    sys.exit(main())
