"""Why simulations fail: one list of codes, in the code, in docs/api.md and in openapi.yaml."""

import re
from pathlib import Path

import pytest
import yaml

from accounts.models import User
from simulations import services
from simulations.models import ErrorCode, Simulation, Status
from simulations.providers.base import ProviderError, RunSnapshot, RunState
from simulations.turns.failures import MODEL_WORDS, describe_end, describe_refusal
from simulations.turns.outcomes import LONGEST_DETAIL, fail_simulation
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


def test_a_refusal_is_cleaned_and_shortened_for_users() -> None:
    refusal = "No \u202egnp\u202c\x1b[2J thanks. " + "x" * 400_000
    described = describe_end(RunSnapshot("run", "completed", RunState.COMPLETED, refusal=refusal))
    prefix = "The assistant declined to answer: "
    assert described["message"].startswith(f"{prefix}No gnp thanks. xxx")
    assert len(described["message"]) == len(prefix) + MODEL_WORDS
    assert described["error_detail"] == refusal


@pytest.mark.django_db
def test_what_a_provider_says_of_a_failure_is_kept_up_to_a_length(analyst: User) -> None:
    simulation = services.submit(analyst, "A question?")
    row = Simulation.objects.filter(pk=simulation.pk)
    fail_simulation(row, code=ErrorCode.REFUSED, message="No.", error_detail="x" * 400_000)
    assert row.get().error_detail == "x" * LONGEST_DETAIL


@pytest.mark.django_db
def test_a_failure_stands_for_the_status_of_its_code(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    emulator.arm("403", "open_conversation")
    simulation: Simulation = drive(services.submit(analyst, "A question?"))
    assert simulation.status == Status.FAILED
    assert simulation.error_status == ErrorCode(simulation.error_code).http_status == 503
