"""The short form of the history checker: some messages through every fault, and no rule broken (`make check-history`).

SEED repeats a run, as far as processes that run at the same time can.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.history.cluster import Cluster, running_cluster
from tests.faults.history.scenarios import EMBEDDED, PRODUCTION, Scenario, run

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.journey]

MESSAGES = 3000
# Each engine has faults of its own.
SCENARIOS = PRODUCTION if os.environ.get("DATABASE_URL") else EMBEDDED


@pytest.fixture
def cluster(scenario: Scenario, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Servers of the test's own."""
    services = request.getfixturevalue("services") if scenario in PRODUCTION else None
    with running_cluster(tmp_path, services, has_clock=scenario.has_clock) as running:
        yield running


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_no_rule_is_broken(scenario: Scenario, cluster: Cluster, tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing is kept or seen twice, and all see one order (checker.py)."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"SEED={seed}")

    report = await run(scenario, cluster, seed=seed, messages=MESSAGES, directory=tmp_path)

    print(report)
    assert not report.violations, str(report)
