"""A short soak in the ordinary suite; `make chaos` is the long one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.faults import AFTER, BEFORE
from scripts.service import ROOT
from tests import services
from tests.chaos.controls import CONTROLS
from tests.chaos.faults import KINDS, PROVIDER_FAULTS
from tests.chaos.plan import RATES, Plan
from tests.chaos.services import missing
from tests.chaos.soak import soak

# With these a row fails for good, as it should: nothing to recover from.
REFUSALS = {"401", "403", "404", "no_quota"}

SHORT = Plan(
    seed=1,
    simulations=60,
    seconds=11,
    calm=2,
    patience=60,
    users=8,
    # Per minute, of which there are 0.15; each kind happens at least once.
    rates={
        "kill_worker": 10,
        "kill_worker_child": 10,
        "kill_beat": 5,
        "kill_web_child": 5,
        "flush_redis": 5,
        "stop_redis": 2,
        "stop_postgresql": 2,
        "drop_connections": 5,
        "fail_provider": 100,
    },
)


def test_every_fault_that_the_provider_knows_is_injected() -> None:
    assert set(PROVIDER_FAULTS) == {*BEFORE, *AFTER} - REFUSALS


def test_every_kind_of_fault_happens_in_a_full_run() -> None:
    assert set(RATES) == set(KINDS)


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    again = Plan(**vars(SHORT))
    assert SHORT.questions() == again.questions()
    assert SHORT.faults() == again.faults()
    assert {fault.kind for fault in SHORT.faults()} == set(SHORT.rates)


@pytest.mark.skipif(services.ON_POSTGRESQL, reason="It asks no database: once is enough")
@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_still_finds_the_rule_that_it_takes_out(control: str) -> None:
    """In a process of its own, which is sabotaged from then on."""
    code = f"import tests.chaos.sabotage.{control}"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.chaos.settings"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


@pytest.mark.timeout(240)
@pytest.mark.skipif(not services.ON_POSTGRESQL, reason="The soak runs on PostgreSQL and Redis only")
@pytest.mark.skipif(bool(missing()), reason=missing() or "All there")
def test_nothing_is_lost_or_paid_twice_while_things_die(tmp_path: Path) -> None:
    report = asyncio.run(soak(SHORT, tmp_path / "log.txt"))
    assert not report["broken"], report["invariants"]
    assert report["counts"]["accepted"] >= SHORT.simulations
    assert report["counts"]["kills"] >= 4
