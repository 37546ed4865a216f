"""The command line: see the package's docstring."""

import argparse
import resource
import sys
from pathlib import Path

from bench import contestants, measuring, report
from bench.generator import LoadFailed
from bench.measuring import FULL, QUICK, Effort
from bench.profiling import profile
from bench.wire import WireError
from tests.services import ServiceError, running_services


def main() -> int:
    """Read the command line and run what it asks for."""
    arguments = _arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        if arguments.action == "profile":
            profile(
                arguments.what,
                database=arguments.database,
                size=arguments.size or (report.MEMBERS if arguments.what == "fanout" else report.IN_FLIGHT)[-1],
                seconds=arguments.seconds,
                is_transient=arguments.transient,
                output=arguments.cprofile,
            )
            return 0
        effort = QUICK if arguments.quick else FULL
        for half in (_fanout, _one_to_one):
            if arguments.only in (None, half.__name__.strip("_")):
                half(effort, is_written=not arguments.quick)
    except (ServiceError, LoadFailed, WireError) as error:
        print("\n".join([str(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
        return 1
    return 0
