"""Fencing, the money gate and what happens to results that come too late."""

import threading
import time
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from simulations import services
from simulations.engine import Engine
from simulations.models import (
    ACTIVE,
    TRANSITIONS,
    Conversation,
    RemoteDeletion,
    Run,
    Simulation,
    Status,
)
from simulations.providers import get_provider
from simulations.providers.base import ProviderError, RunSnapshot, RunState, ToolRequest
from simulations.queue.admission import admit
from simulations.queue.claims import claim, claim_unwanted
from simulations.queue.pacing import MIN_INTERVAL, Pacing
from simulations.steps import DiscardRun, FetchRun, FindRun, StartRun, next_step
from simulations.steps.finding import LOOKS_BEFORE_NEW_RUN
from simulations.steps.starting import GATE_VALIDITY, keep
from simulations.turns.building import build_turn
from simulations.turns.tools import MAX_ROUNDS
from tests.conftest import make_due
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db

PACING = Pacing()
ACCEPTED = RunSnapshot("run_1", "queued", RunState.ACTIVE)
COMPLETED = RunSnapshot("run_1", "completed", RunState.COMPLETED, text="A long answer. " * 5)


@pytest.fixture
def opened(analyst: User) -> Simulation:
    """Claimed, and ready for the call that costs money."""
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).update(opened_at=Now(), prompt="A question?")
    admit()
    [claimed] = claim(1, PACING)
    return claimed


def test_what_was_opened_is_kept_where_its_run_is_left_to_others(
    analyst: User, emulator: EmulatorProcess
) -> None:
    services.submit(analyst, "A question?")
    admit()
    opening = next_step(claim(1, PACING)[0], PACING)
    assert opening.prepare()
    following = opening.apply(opening.call(get_provider("responses")))
    assert emulator.ledger()["runs"] == []
    following.give_back()
    [row] = claim(1, PACING)
    assert row.opened_at
    assert row.conversation.provider_id.startswith("conv_")
    assert type(next_step(row, PACING)) is StartRun


def test_what_was_opened_is_saved_with_the_intent(analyst: User, emulator: EmulatorProcess) -> None:
    simulation = services.submit(analyst, "A question?")
    admit()
    opening = next_step(claim(1, PACING)[0], PACING)
    assert opening.prepare()
    following = opening.apply(opening.call(get_provider("responses")))
    assert following.prepare()
    simulation.refresh_from_db()
    assert simulation.opened_at
    assert simulation.run.round == 1
    assert simulation.conversation.provider_id.startswith("conv_")


def test_of_two_workers_that_open_a_conversation_the_first_one_is_kept(
    analyst: User, emulator: EmulatorProcess, protocol: str
) -> None:
    simulation = services.submit(analyst, "A question?")
    admit()
    late = next_step(claim(1, PACING)[0], PACING)
    assert late.prepare()
    quick = next_step(reclaim(simulation), PACING)
    assert quick.prepare()
    first, second = (step.call(get_provider(protocol)) for step in (quick, late))
    assert quick.apply(first) is not None
    assert late.apply(second) is None
    assert Conversation.objects.get().provider_id == first.conversation_id
    assert RemoteDeletion.objects.get().provider_id == second.conversation_id


def test_a_conversation_that_was_saved_although_the_database_did_not_say_so_is_kept(
    analyst: User, emulator: EmulatorProcess
) -> None:
    simulation = services.submit(analyst, "A question?")
    assert keep(simulation.conversation, "conv_1")
    assert keep(simulation.conversation, "conv_1")
    assert not RemoteDeletion.objects.exists()


@pytest.fixture
def running(opened: Simulation) -> Simulation:
    step = StartRun(opened, PACING)
    assert step.prepare()
    assert step.apply(ACCEPTED) is None
    return reclaim(opened)


def reclaim(simulation: Simulation) -> Simulation:
    """Another worker's claim of the same row."""
    Simulation.objects.filter(pk=simulation.pk).update(due_at=Now())
    [claimed] = claim(1, PACING)
    assert claimed.pk == simulation.pk
    return claimed


def test_the_gate_writes_the_intent_and_renews_the_lease(opened: Simulation) -> None:
    Simulation.objects.filter(pk=opened.pk).update(due_at=Now())
    step = StartRun(opened, PACING)
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
    assert not StartRun(opened, PACING).prepare()
    assert not Run.objects.exists()


def test_the_gate_lets_one_call_through(opened: Simulation) -> None:
    first, second = StartRun(opened, PACING), StartRun(copy(opened), PACING)
    assert first.prepare()
    assert not second.prepare()
    assert Run.objects.count() == 1


def test_a_worker_held_up_behind_the_gate_sends_nothing(opened: Simulation) -> None:
    step = StartRun(opened, PACING)
    assert step.prepare()
    step.gate_passed_at = time.monotonic() - GATE_VALIDITY - 0.1
    with pytest.raises(ProviderError) as caught:
        step.call(provider=None)
    step.fail(caught.value)
    opened.refresh_from_db()
    assert opened.run is None
    assert Run.objects.get().outcome == Run.Outcome.REJECTED


def test_an_accepted_run_is_saved_although_the_row_moved_on(opened: Simulation) -> None:
    step = StartRun(opened, PACING)
    assert step.prepare()
    Simulation.objects.filter(pk=opened.pk).transition(Status.CANCELLED)

    step.apply(ACCEPTED)

    run = Run.objects.get()
    assert (run.provider_id, run.outcome) == ("run_1", Run.Outcome.UNWANTED)
    assert run.fault == Run.Fault.MOVED_ON
    assert claim_unwanted(1) == [run]


def test_a_run_that_ignores_its_cancel_is_asked_ever_more_seldom(opened: Simulation) -> None:
    step = StartRun(opened, PACING)
    assert step.prepare()
    Simulation.objects.filter(pk=opened.pk).transition(Status.CANCELLED)
    step.apply(ACCEPTED)
    waits = []
    for _ in range(7):
        Run.objects.update(discard_due_at=Now())
        [run] = claim_unwanted(1)
        DiscardRun(run, PACING).apply(ACCEPTED)
        due_at = Run.objects.get().discard_due_at
        waits.append((due_at - timezone.now()).total_seconds())
    assert waits == pytest.approx([1.2, 2.4, 4.8, 9.6, 19.2, 19.2, 19.2], abs=0.5)


def test_an_accepted_run_counts_although_another_worker_holds_the_row(opened: Simulation) -> None:
    step = StartRun(opened, PACING)
    assert step.prepare()
    reclaim(opened)
    assert step.apply(ACCEPTED) is None
    opened.refresh_from_db()
    assert opened.status == Status.RUNNING


def test_an_unwanted_run_is_cancelled_upstream(
    emulator: EmulatorProcess, engine: Engine, opened: Simulation
) -> None:
    emulator.control(latency=600)
    conversation = get_provider("responses").open_turn(build_turn(opened, 1)).conversation_id
    Conversation.objects.update(provider_id=conversation)
    step = StartRun(reclaim(opened), PACING)
    engine.start(step)
    Simulation.objects.filter(pk=opened.pk).transition(Status.CANCELLED)
    engine.drain(5)
    assert Run.objects.get().discard_due_at
    while Run.objects.to_discard().exists():
        make_due(engine)
        engine.run_slice(0.1)
    run = Run.objects.get()
    assert (run.outcome, run.discard_due_at) == (Run.Outcome.UNWANTED, None)
    assert run.finished_at
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_a_late_poll_does_not_reschedule_a_row_claimed_since(running: Simulation) -> None:
    late = FetchRun(running, PACING)
    late.prepare()
    reclaim(running)
    claimed = Simulation.objects.get(pk=running.pk)
    late.apply(replace(ACCEPTED, poll_after=20))
    running.refresh_from_db()
    assert running.due_at == claimed.due_at


def test_a_poll_that_finds_nothing_new_writes_nothing(
    running: Simulation, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    step = fetch(running)
    with django_assert_num_queries(0):
        step.apply(ACCEPTED)
    claimed = Simulation.objects.get(pk=running.pk)
    assert timedelta(0) < claimed.due_at - timezone.now() <= timedelta(seconds=MIN_INTERVAL)


@pytest.mark.parametrize(("age", "due"), [(50, 80), (80, 90), (100, 130)])
def test_a_late_next_poll_falls_on_the_deadline_that_is_to_come(
    running: Simulation, settings: Settings, age: int, due: int
) -> None:
    settings.RUN_TIMEOUT = timedelta(seconds=90)
    settings.POLLS_PER_SECOND = 1 / 30
    started_at = timezone.now() - timedelta(seconds=age)
    row = Simulation.objects.filter(pk=running.pk)
    row.update(round_started_at=started_at, due_at=Now())
    [claimed] = claim(1, Pacing())
    by_claim = row.get().due_at - started_at
    assert by_claim.total_seconds() == pytest.approx(due, abs=1)
    if age < 90:
        fetch(claimed).apply(replace(ACCEPTED, poll_after=3_600))
        by_poll = row.get().due_at - started_at
        assert by_poll.total_seconds() == pytest.approx(due, abs=1)


def test_queries_and_rows_agree_on_what_is_only_polled(running: Simulation) -> None:
    row = Simulation.objects.filter(pk=running.pk)
    for status in (Status.PENDING, Status.RUNNING):
        for stop_reason in ("", "cancel"):
            for awaits_outputs in (False, True):
                row.update(status=status, stop_reason=stop_reason, awaits_outputs=awaits_outputs)
                assert row.get().is_polled is row.filter(Simulation.POLLED).exists()


def test_a_poll_after_failed_ones_is_a_fresh_start(running: Simulation) -> None:
    Simulation.objects.filter(pk=running.pk).update(failed_attempts=3)
    fetch(reclaim(running)).apply(ACCEPTED)
    running.refresh_from_db()
    assert running.failed_attempts == 0


def test_a_late_poll_still_ends_a_finished_run(running: Simulation) -> None:
    late = FetchRun(running, PACING)
    late.prepare()
    reclaim(running)
    late.apply(COMPLETED)
    running.refresh_from_db()
    assert running.status == Status.COMPLETED


def test_a_run_that_ended_before_the_deadline_was_judged_is_kept(running: Simulation) -> None:
    age(running, timedelta(hours=1))
    step = FetchRun(reclaim(running), PACING)
    step.prepare()
    step.apply(COMPLETED)
    running.refresh_from_db()
    assert (running.status, running.stop_reason) == (Status.COMPLETED, "")


def test_a_deadline_is_judged_only_by_a_fetch_made_after_it(running: Simulation) -> None:
    early = fetch(reclaim(running))  # asked before the 90 s were over, answered after
    age(running, timedelta(seconds=91))
    early.apply(ACCEPTED)
    running.refresh_from_db()
    assert running.stop_reason == ""
    fetch(reclaim(running)).apply(ACCEPTED)
    running.refresh_from_db()
    assert running.stop_reason == "timeout"


def test_the_deadline_holds_although_another_worker_took_the_row(running: Simulation) -> None:
    """Polls slower than their interval: two workers take the row from each other for ever."""
    age(running, timedelta(seconds=91))
    slow = fetch(reclaim(running))
    reclaim(running)
    slow.apply(ACCEPTED)
    running.refresh_from_db()
    assert running.stop_reason == "timeout"


def test_a_late_poll_of_a_run_that_its_user_cancelled_does_not_fail_it(
    running: Simulation,
) -> None:
    late = fetch(running)
    services.cancel(Simulation.objects.get(pk=running.pk))
    late.apply(RunSnapshot("run_1", "cancelled", RunState.CANCELLED))
    running.refresh_from_db()
    assert (running.status, running.error_code) == (Status.CANCELLED, "")


def test_a_cancel_is_not_turned_into_the_tool_limit(running: Simulation) -> None:
    Simulation.objects.filter(pk=running.pk).update(tool_rounds=MAX_ROUNDS)
    late = fetch(reclaim(running))
    services.cancel(Simulation.objects.get(pk=running.pk))
    call = ToolRequest("call_1", "search_knowledge", "{}")
    late.apply(replace(ACCEPTED, state=RunState.CALLS_TOOLS, tool_calls=(call,)))
    running.refresh_from_db()
    assert running.stop_reason == "cancel"


def age(simulation: Simulation, by: timedelta) -> None:
    Simulation.objects.filter(pk=simulation.pk).update(round_started_at=timezone.now() - by)


def fetch(simulation: Simulation) -> FetchRun:
    step = FetchRun(simulation, PACING)
    step.prepare()
    return step


def test_a_run_found_twice_is_neither_lost_nor_discarded(opened: Simulation) -> None:
    """A create whose answer is late, and whose run was adopted under the next intent."""
    late = StartRun(opened, PACING)
    assert late.prepare()
    Run.objects.filter(pk=late.run.pk).update(looks=LOOKS_BEFORE_NEW_RUN)
    following = FindRun(reclaim(opened), PACING).apply(None)
    assert following.prepare()
    FindRun(reclaim(opened), PACING).apply(ACCEPTED)
    assert late.apply(ACCEPTED) is None
    opened.refresh_from_db()
    assert (opened.status, opened.run) == (Status.RUNNING, following.run)


def test_a_late_acceptance_leaves_a_run_adopted_by_its_text_as_it_is(opened: Simulation) -> None:
    late = StartRun(opened, PACING)
    assert late.prepare()
    FindRun(reclaim(opened), PACING).apply(replace(COMPLETED, id=""))
    assert late.apply(ACCEPTED) is None
    run = Run.objects.get()
    assert (run.provider_id, run.outcome, run.adopted) == ("run_1", "completed", True)


def test_terminal_states_absorb(running: Simulation) -> None:
    late = FetchRun(running, PACING)
    late.prepare()
    Simulation.objects.filter(pk=running.pk).transition(Status.CANCELLED)
    late.apply(COMPLETED)
    running.refresh_from_db()
    assert (running.status, running.answer) == (Status.CANCELLED, "")


def test_a_run_nobody_finds_is_counted_as_lost_before_the_next_one(opened: Simulation) -> None:
    start = StartRun(opened, PACING)
    assert start.prepare()
    start.fail(ProviderError("No answer", code="timeout", retryable=True, ambiguous=True))
    for _ in range(LOOKS_BEFORE_NEW_RUN - 1):
        assert FindRun(reclaim(opened), PACING).apply(None) is None
    following = FindRun(reclaim(opened), PACING).apply(None)
    assert following.prepare()
    assert Run.objects.count() == 2
    run = Run.objects.get(pk=start.run.pk)
    assert (run.outcome, run.fault) == (Run.Outcome.LOST, "timeout")
    assert run.fault_detail == "No answer"
    opened.refresh_from_db()
    assert opened.run == following.run


def test_after_a_restart_it_is_looked_for_again_before_a_new_run(opened: Simulation) -> None:
    start = StartRun(opened, PACING)
    assert start.prepare()
    Run.objects.filter(pk=start.run.pk).update(looks=LOOKS_BEFORE_NEW_RUN - 1)
    FindRun(reclaim(opened), PACING).apply(None)  # the worker ends here
    assert isinstance(next_step(reclaim(opened), PACING), FindRun)
    assert Run.objects.get().outcome == ""


@pytest.mark.django_db(transaction=True)
def test_what_is_claimed_is_read_before_anybody_can_change_it(analyst: User) -> None:
    """A row that was cancelled between its claim and its reading would be no step's business."""
    simulation = services.submit(analyst, "A question?")
    admit()
    threads = []

    def cancel_meanwhile(execute: Any, sql: str, *args: Any) -> Any:
        if not threads and '"accounts_user"' in sql:
            threads.append(threading.Thread(target=cancel_in_thread, args=(simulation,)))
            threads[0].start()
            threads[0].join(1)
        return execute(sql, *args)

    with connection.execute_wrapper(cancel_meanwhile):
        [claimed] = claim(1, PACING)
    threads[0].join(5)
    simulation.refresh_from_db()
    assert (claimed.status, simulation.status) == (Status.PENDING, Status.CANCELLED)


def cancel_in_thread(simulation: Simulation) -> None:
    try:
        services.cancel(Simulation.objects.get(pk=simulation.pk))
    finally:
        connections.close_all()


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
