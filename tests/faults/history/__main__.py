"""The long form: `python -m tests.faults.history --messages 100000`, or `make check-history`.

Runs every scenario (or those named by --only) on servers of its own, shows progress, and ends with 1 if a rule was
broken. --seed repeats a run.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.faults.history.cluster import running_cluster
from tests.faults.history.crowd import Crowd
from tests.faults.history.scenarios import ALL, PRODUCTION, Report, Scenario, run
from tests.services import ServiceError, running_services

WATCH_SECONDS = 5.0


async def _watch(crowd: Crowd) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        counts = crowd.counts
        print(f"  {counts['acked']} of {crowd.messages} acknowledged, {counts['live']} pushed", flush=True)


def _run_all(scenarios: list[Scenario], *, seed: int, messages: int, directory: Path) -> list[Report]:
    reports = []
    for scenario in scenarios:
        print(f"{scenario.name}: {scenario.what}", flush=True)
        folder = directory / scenario.name.replace(" ", "-")
        with ExitStack() as running:
            services = running.enter_context(running_services()) if scenario in PRODUCTION else None
            cluster = running.enter_context(running_cluster(folder, services, has_clock=scenario.has_clock))
            each = messages // len(scenarios)
            report = asyncio.run(run(scenario, cluster, seed=seed, messages=each, directory=folder, watch=_watch))
        print(report, *(f"  {note}" for note in report.notes[:5]), sep="\n", flush=True)
        reports.append(report)
    return reports


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Clients that record what they see, faults, and what must hold.")
    parser.add_argument("--messages", type=int, default=100_000, help="in all, over the scenarios (100000)")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or random.randrange(2**32)))
    parser.add_argument("--only", action="append", choices=[scenario.name for scenario in ALL])
    arguments = parser.parse_args()
    scenarios = [scenario for scenario in ALL if arguments.only is None or scenario.name in arguments.only]
    print(f"SEED={arguments.seed}", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="imcore-history-") as name:
            reports = _run_all(scenarios, seed=arguments.seed, messages=arguments.messages, directory=Path(name))
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    sent = sum(report.counts["sent"] for report in reports)
    broken = sum(len(report.violations) for report in reports)
    print(f"{sent} messages in {len(reports)} scenarios, {broken} violations (SEED={arguments.seed})")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
