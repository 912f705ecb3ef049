"""Each invariant says so when it does not hold."""

from dataclasses import replace

import pytest
from django.db.models.functions import Now

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.models import Run, Simulation, Status
from tests.conftest import Drive
from tests.crashpoints.databases import log_status_changes
from tests.crashpoints.invariants import Ended, violations
from tests.emulator.process import EmulatorProcess

QUERY = "Who checks the badge at the gate?"


@pytest.fixture
def ended(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> Ended:
    log_status_changes()
    simulation = drive(services.submit(analyst, QUERY))
    ledger = emulator.runs(simulation=str(simulation.pk))
    return Ended(simulation, ledger, ends={Status.COMPLETED}, faults=0)


def again(ended: Ended) -> Ended:
    """The same, as the database has it now."""
    return replace(ended, simulation=Simulation.objects.get(pk=ended.simulation.pk))


def test_a_life_as_it_should_be_violates_nothing(ended: Ended) -> None:
    assert violations(ended) == []


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"status": Status.COMPLETED}, "did not end exactly once"),
        ({"status": Status.CANCELLED}, "it ended CANCELLED"),
        ({"status": Status.CANCELLED, "stop_reason": "cancel"}, "was not ended upstream"),
        ({"raw_answer": "Something else."}, "its answer is not the provider's"),
        ({"raw_answer": ""}, "its answer is not the provider's"),
        ({"answer": "Something else."}, "its answer is not the cleaned one"),
        ({"tokens_used": 1}, "it counts 1 tokens"),
        ({"tokens_used": None}, "it counts None tokens"),
    ],
)
def test_what_the_simulation_says(ended: Ended, fields: dict[str, object], violation: str) -> None:
    Simulation.objects.filter(pk=ended.simulation.pk).update(**fields)
    assert_says(again(ended), violation)


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"outcome": ""}, "a run's row has no outcome"),
        ({"outcome": Run.Outcome.LOST}, "a run whose id was saved counts as lost"),
        ({"outcome": Run.Outcome.UNWANTED}, "attributed to no fault"),
        ({"provider_id": "another"}, "runs without a row"),
    ],
)
def test_what_its_run_says(ended: Ended, fields: dict[str, object], violation: str) -> None:
    ended.simulation.runs.update(**fields)
    assert_says(again(ended), violation)


def test_a_citation_is_missing(ended: Ended) -> None:
    ended.simulation.citations.first().delete()
    assert_says(ended, "it cites ['alpha-001']")


def test_a_run_goes_on_upstream(ended: Ended) -> None:
    [run] = ended.ledger
    assert_says(replace(ended, ledger=[run | {"status": "in_progress"}]), "still in_progress")


def test_a_question_was_posted_twice(ended: Ended) -> None:
    assert violations(replace(ended, questions=1)) == []
    assert_says(replace(ended, questions=2), "its question is 2 times in its thread")


def test_a_tool_call_is_missing_or_unanswered(ended: Ended) -> None:
    assert_says(replace(ended, tool_calls=1), "it notes 0 tool calls")
    ended.simulation.run.tool_calls.create(round=1, position=1, call_id="call", name="tool")
    assert_says(replace(ended, tool_calls=1), "a tool call has no output")


def test_a_run_is_still_to_be_ended(ended: Ended) -> None:
    ended.simulation.runs.update(discard_due_at=Now())
    assert_says(ended, "still to be ended upstream")


def test_a_second_run_is_billed(ended: Ended) -> None:
    twice = replace(ended, ledger=[*ended.ledger, ended.ledger[0] | {"id": "another"}])
    assert_says(twice, "billed twice: 1 extra runs for 0 faults")
    assert_says(twice, "1 extra runs, 0 counted")
    assert_says(twice, "runs without a row: ['another']")


def test_a_second_run_is_allowed_to_a_fault_that_it_is_attributed_to(ended: Ended) -> None:
    twice = replace(ended, ledger=[*ended.ledger, ended.ledger[0] | {"id": "another"}], faults=1)
    lost = ended.simulation.runs.create(outcome=Run.Outcome.LOST, fault=Run.Fault.NO_ANSWER)
    assert violations(again(twice)) == []
    Run.objects.filter(pk=lost.pk).update(fault="")
    assert_says(again(twice), "an extra run is attributed to no fault")


def assert_says(ended: Ended, violation: str) -> None:
    assert [said for said in violations(ended) if violation in said], violations(ended)
