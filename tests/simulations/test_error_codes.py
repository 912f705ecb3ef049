"""Why simulations fail: one list of codes, in the code, in docs/api.md and in openapi.yaml."""

import re
from pathlib import Path

import pytest
import yaml

from accounts.models import User
from simulations import services
from simulations.models import ErrorCode, Simulation, Status
from simulations.providers.base import ProviderError, RunSnapshot, RunState
from simulations.turns.failures import describe_end, describe_refusal
from tests.conftest import Drive
from tests.emulator.process import EmulatorProcess

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `(\w+)` \| (\d{3}) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def test_the_documented_codes_are_those_of_the_code() -> None:
    _, _, section = (DOCS / "api.md").read_text(encoding="utf-8").partition("## Why a simulation")
    rows = [(code, int(status), meaning) for code, status, meaning, _ in ROW.findall(section)]
    assert rows == [(code.value, code.http_status, code.label) for code in ErrorCode]


def test_the_description_of_the_api_names_them() -> None:
    described = yaml.safe_load((DOCS / "openapi.yaml").read_text(encoding="utf-8"))
    failure = described["components"]["schemas"]["Failure"]["properties"]
    assert failure["code"]["enum"] == ErrorCode.values


@pytest.mark.parametrize("status", ["failed", "incomplete", "expired", "cancelled"])
def test_every_end_of_a_run_has_a_code(status: str) -> None:
    described = describe_end(RunSnapshot("run", status, RunState.FAILED))
    assert described["code"] in ErrorCode


def test_a_provider_s_own_code_stays_in_the_message() -> None:
    error = ProviderError("Says org-secret", code="context_length_exceeded", status=400)
    described = describe_refusal(error)
    assert described["code"] == ErrorCode.PROVIDER_REFUSED
    assert "(context_length_exceeded)" in described["message"]


@pytest.mark.django_db
def test_a_failure_stands_for_the_status_of_its_code(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    emulator.arm("403", "open_conversation")
    simulation: Simulation = drive(services.submit(analyst, "A question?"))
    assert simulation.status == Status.FAILED
    assert simulation.error_status == ErrorCode(simulation.error_code).http_status == 503
