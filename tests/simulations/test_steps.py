"""Fencing, the money gate and what happens to results that come too late."""

import time
from copy import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from simulations import services
from simulations.engine import Engine, claim
from simulations.models import ACTIVE, TRANSITIONS, Run, Simulation, Status
from simulations.providers.base import ProviderError, RunSnapshot, RunState
from simulations.steps import DiscardRun, FetchRun, FindRun, StartRun, next_step
from simulations.steps.pending import GATE_VALIDITY, LOOKS_BEFORE_NEW_RUN
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db

ACCEPTED = RunSnapshot("run_1", "queued", RunState.ACTIVE)
COMPLETED = RunSnapshot("run_1", "completed", RunState.COMPLETED, text="A long answer. " * 5)


@pytest.fixture
def opened(analyst: User) -> Simulation:
    """Claimed, and ready for the call that costs money."""
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).update(opened_at=Now(), prompt="A question?")
    [claimed] = claim(1)
    return claimed


@pytest.fixture
def running(opened: Simulation) -> Simulation:
    step = StartRun(opened, 1.2)
    assert step.prepare()
    assert step.apply(ACCEPTED) is None
    return reclaim(opened)


def reclaim(simulation: Simulation) -> Simulation:
    """Another worker's claim of the same row."""
    Simulation.objects.filter(pk=simulation.pk).update(due_at=Now())
    [claimed] = claim(1)
    assert claimed.pk == simulation.pk
    return claimed


def test_the_gate_writes_the_intent_and_renews_the_lease(opened: Simulation) -> None:
    Simulation.objects.filter(pk=opened.pk).update(due_at=Now())
    step = StartRun(opened, 1.2)
    assert step.prepare()
    opened.refresh_from_db()
    assert opened.run == step.run
    assert step.run.provider_id == ""
    assert opened.due_at > timezone.now() + timedelta(seconds=10)
    assert Simulation.objects.charged().count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"step_number": 99},
        {"stop_reason": "cancel"},
        {"status": Status.CANCELLED, "due_at": None},
    ],
)
def test_the_gate_is_shut_for_a_row_that_moved_on(
    opened: Simulation, change: dict[str, object]
) -> None:
    Simulation.objects.filter(pk=opened.pk).update(**change)
    assert not StartRun(opened, 1.2).prepare()
    assert not Run.objects.exists()


def test_the_gate_lets_one_call_through(opened: Simulation) -> None:
    first, second = StartRun(opened, 1.2), StartRun(copy(opened), 1.2)
    assert first.prepare()
    assert not second.prepare()
    assert Run.objects.count() == 1


def test_a_worker_held_up_behind_the_gate_sends_nothing(opened: Simulation) -> None:
    step = StartRun(opened, 1.2)
    assert step.prepare()
    step.gate_passed_at = time.monotonic() - GATE_VALIDITY - 0.1
    with pytest.raises(ProviderError) as caught:
        step.call(provider=None)
    step.fail(caught.value)
    opened.refresh_from_db()
    assert opened.run is None
    assert Run.objects.get().outcome == Run.Outcome.REJECTED


def test_an_accepted_run_is_saved_although_the_row_moved_on(opened: Simulation) -> None:
    step = StartRun(opened, 1.2)
    assert step.prepare()
    Simulation.objects.filter(pk=opened.pk).update(status=Status.CANCELLED, due_at=None)

    following = step.apply(ACCEPTED)

    run = Run.objects.get()
    assert (run.provider_id, run.outcome) == ("run_1", Run.Outcome.UNWANTED)
    assert isinstance(following, DiscardRun)


def test_an_accepted_run_counts_although_another_worker_holds_the_row(opened: Simulation) -> None:
    step = StartRun(opened, 1.2)
    assert step.prepare()
    reclaim(opened)
    assert step.apply(ACCEPTED) is None
    opened.refresh_from_db()
    assert opened.status == Status.RUNNING


def test_an_unwanted_run_is_cancelled_upstream(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.control(latency=600)
    emulator.arm("429", "start_run")
    simulation = services.submit(analyst, "A question?")
    engine.run_slice(0.5)
    step = StartRun(reclaim(simulation), 1.2)
    engine.start(step)
    Simulation.objects.filter(pk=simulation.pk).transition(Status.CANCELLED)
    engine.drain(5)
    assert Run.objects.get(pk=step.run.pk).outcome == Run.Outcome.UNWANTED
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_a_late_poll_does_not_reschedule_a_row_claimed_since(running: Simulation) -> None:
    late = FetchRun(running, 1.2)
    late.prepare()
    newer = reclaim(running)
    late.apply(ACCEPTED)
    running.refresh_from_db()
    assert running.due_at == newer.due_at


def test_a_late_poll_still_ends_a_finished_run(running: Simulation) -> None:
    late = FetchRun(running, 1.2)
    late.prepare()
    reclaim(running)
    late.apply(COMPLETED)
    running.refresh_from_db()
    assert running.status == Status.COMPLETED


def test_a_run_that_ended_before_the_deadline_was_judged_is_kept(running: Simulation) -> None:
    Simulation.objects.filter(pk=running.pk).update(started_at=timezone.now() - timedelta(hours=1))
    step = FetchRun(reclaim(running), 1.2)
    step.prepare()
    step.apply(COMPLETED)
    running.refresh_from_db()
    assert (running.status, running.stop_reason) == (Status.COMPLETED, "")


def test_a_deadline_is_judged_only_by_a_fetch_made_after_it(running: Simulation) -> None:
    Simulation.objects.filter(pk=running.pk).update(
        started_at=timezone.now() - timedelta(seconds=91)
    )
    step = FetchRun(reclaim(running), 1.2)
    step.prepare()
    step.prepared_at -= 5  # asked before the 90 s were over, answered after
    step.apply(ACCEPTED)
    running.refresh_from_db()
    assert running.stop_reason == ""
    fetch(reclaim(running)).apply(ACCEPTED)
    running.refresh_from_db()
    assert running.stop_reason == "timeout"


def fetch(simulation: Simulation) -> FetchRun:
    step = FetchRun(simulation, 1.2)
    step.prepare()
    return step


def test_a_run_found_twice_is_neither_lost_nor_discarded(opened: Simulation) -> None:
    """A create whose answer is late, and whose run was adopted under the next intent."""
    late = StartRun(opened, 1.2)
    assert late.prepare()
    Run.objects.filter(pk=late.run.pk).update(looks=LOOKS_BEFORE_NEW_RUN)
    following = FindRun(reclaim(opened), 1.2).apply(None)
    assert following.prepare()
    FindRun(reclaim(opened), 1.2).apply(ACCEPTED)
    assert late.apply(ACCEPTED) is None
    opened.refresh_from_db()
    assert (opened.status, opened.run) == (Status.RUNNING, following.run)


def test_a_late_acceptance_leaves_a_run_adopted_by_its_text_as_it_is(opened: Simulation) -> None:
    late = StartRun(opened, 1.2)
    assert late.prepare()
    FindRun(reclaim(opened), 1.2).apply(replace(COMPLETED, id=""))
    assert late.apply(ACCEPTED) is None
    run = Run.objects.get()
    assert (run.provider_id, run.outcome, run.adopted) == ("run_1", "completed", True)


def test_terminal_states_absorb(running: Simulation) -> None:
    late = FetchRun(running, 1.2)
    late.prepare()
    Simulation.objects.filter(pk=running.pk).transition(Status.CANCELLED)
    late.apply(COMPLETED)
    running.refresh_from_db()
    assert (running.status, running.answer) == (Status.CANCELLED, "")


def test_a_run_nobody_finds_is_counted_as_lost_before_the_next_one(opened: Simulation) -> None:
    start = StartRun(opened, 1.2)
    assert start.prepare()
    start.fail(ProviderError("No answer", code="timeout", retryable=True, ambiguous=True))
    for _ in range(LOOKS_BEFORE_NEW_RUN - 1):
        assert FindRun(reclaim(opened), 1.2).apply(None) is None
    following = FindRun(reclaim(opened), 1.2).apply(None)
    assert following.prepare()
    assert Run.objects.count() == 2
    run = Run.objects.get(pk=start.run.pk)
    assert (run.outcome, run.fault) == (Run.Outcome.LOST, "timeout: No answer")
    opened.refresh_from_db()
    assert opened.run == following.run


def test_after_a_restart_it_is_looked_for_again_before_a_new_run(opened: Simulation) -> None:
    start = StartRun(opened, 1.2)
    assert start.prepare()
    Run.objects.filter(pk=start.run.pk).update(looks=LOOKS_BEFORE_NEW_RUN - 1)
    FindRun(reclaim(opened), 1.2).apply(None)  # the worker ends here
    assert isinstance(next_step(reclaim(opened), 1.2), FindRun)
    assert Run.objects.get().outcome == ""


def test_only_the_transitions_written_down_happen(opened: Simulation) -> None:
    assert set(TRANSITIONS) == set(ACTIVE) == {Status.PENDING, Status.RUNNING}
    row = Simulation.objects.filter(pk=opened.pk)
    assert row.transition(Status.FAILED, error_code="x")
    for status in Status:
        assert not row.transition(status)
    opened.refresh_from_db()
    assert opened.finished_at
    assert opened.due_at is None


@pytest.mark.parametrize(
    ("seconds", "failed_attempts", "answer"),
    [(-3, 0, 1), (1.2, 0, 1), (3.4, 0, 3), (16, 0, 1), (25, 3, 5)],
)
def test_when_asking_again_is_worth_it(
    analyst: User, seconds: float, failed_attempts: int, answer: int
) -> None:
    due_at = timezone.now() + timedelta(seconds=seconds)
    simulation = Simulation(due_at=due_at, failed_attempts=failed_attempts)
    assert simulation.seconds_until_due == answer
