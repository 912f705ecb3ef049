"""Cancel, retry and follow up, on both protocols, and who may do it."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import Settings

from accounts.models import User
from simulations import services
from simulations.engine import Engine
from simulations.models import Run, Simulation, Status
from simulations.quota import MonthlyLimitReached, Quota
from tests.conftest import ApiClient, Drive, make_due
from tests.emulator.process import EmulatorProcess
from tests.simulations.test_engine import start

pytestmark = pytest.mark.django_db
both_protocols = pytest.mark.usefixtures("protocol")

CALLS_A_TOOL = 'Who guards it? [[tool:search_knowledge {"query": "guards"}]]'


def take_step(engine: Engine) -> None:
    """At most one step of every row, whatever it would have waited for."""
    make_due(engine)
    engine.run_slice(0.02)
    engine.drain(5)


def take_steps_until(engine: Engine, condition: Callable[[], bool], limit: int = 100) -> None:
    for _ in range(limit):
        if condition():
            return
        take_step(engine)
        time.sleep(0.02)
    pytest.fail(f"Not within {limit} steps")


def call_under_way(engine: Engine, simulation: Simulation) -> None:
    """Runs the engine until the call that costs money was sent, and not answered yet."""
    for _ in range(50):
        engine.run_slice(0.05)
        simulation.refresh_from_db()
        if simulation.run and not simulation.run.is_known:
            time.sleep(0.05)
            return
    pytest.fail("No run was asked for")


def runs_of(emulator: EmulatorProcess, simulation: Simulation) -> list[dict[str, object]]:
    return emulator.runs(simulation=str(simulation.pk))


@pytest.fixture
def failed(emulator: EmulatorProcess, drive: Drive, analyst: User) -> Simulation:
    emulator.control(next_outcome="failed")
    return drive(services.submit(analyst, "A question?"))


# --- Cancel -----------------------------------------------------------------------------------


def test_a_queued_one_is_cancelled_at_once_for_nothing(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    simulation = services.submit(analyst, "A question?")
    services.cancel(simulation)
    assert (simulation.status, simulation.is_queued) == (Status.CANCELLED, False)
    assert simulation.finished_at
    assert Quota.of(analyst).used == 0
    assert engine.run_slice() is False
    assert emulator.counts() == {}


def test_one_that_waits_for_its_next_try_is_cancelled_at_once_for_nothing(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.arm("429", "start_run")
    simulation = services.submit(analyst, "A question?")
    take_steps_until(engine, Run.objects.exists)
    services.cancel(simulation)
    assert simulation.status == Status.CANCELLED
    take_step(engine)
    assert emulator.ledger()["runs"] == []
    assert Quota.of(analyst).used == 0


@both_protocols
def test_a_running_one_is_cancelled_once_it_is_ended_upstream(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("500", "cancel_run")
    services.cancel(simulation)
    assert (simulation.status, simulation.is_stopping) == (Status.RUNNING, True)
    take_step(engine)
    simulation.refresh_from_db()
    assert (simulation.status, simulation.is_stopping) == (Status.RUNNING, True)

    emulator.control(latency=0.05)
    drive(simulation)
    assert (simulation.status, simulation.is_stopping) == (Status.CANCELLED, False)
    assert simulation.error_code == ""
    assert simulation.runs.get().outcome == Run.Outcome.CANCELLED
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


@both_protocols
def test_an_answer_that_came_before_the_cancel_is_kept(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.release()
    services.cancel(simulation)
    drive(simulation)
    assert simulation.status == Status.COMPLETED
    assert simulation.answer


def test_cancelling_again_changes_nothing(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    services.cancel(simulation)
    first = simulation.stop_requested_at
    services.cancel(simulation)
    assert simulation.stop_requested_at == first
    emulator.control(latency=0.05)
    assert drive(simulation).status == Status.CANCELLED
    with pytest.raises(services.InvalidState):
        services.cancel(simulation)


@pytest.mark.parametrize(
    "status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED], ids=str.lower
)
def test_what_is_over_cannot_be_cancelled(analyst: User, status: Status) -> None:
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).transition(status)
    response = act(analyst, simulation, "cancel")
    assert (response.status_code, response.json()["error"]) == (409, "InvalidState")
    simulation.refresh_from_db()
    assert simulation.status == status


def test_a_user_who_waited_long_enough_is_let_go_and_the_run_still_ended(
    emulator: EmulatorProcess, engine: Engine, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    services.cancel(simulation)
    emulator.arm("500", "cancel_run", count=2)
    monkeypatch.setattr("simulations.steps.running.STOP_PATIENCE", timedelta(0))
    take_step(engine)
    simulation.refresh_from_db()
    assert simulation.status == Status.CANCELLED
    assert not runs_of(emulator, simulation)[0]["cancelled_by_request"]
    emulator.control(latency=0.05)
    take_steps_until(engine, lambda: not Run.objects.to_discard().exists())
    assert runs_of(emulator, simulation)[0]["cancelled_by_request"]


@both_protocols
def test_cancelled_during_the_create_call_the_run_is_saved_and_ended(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.control(latency=600)
    emulator.arm("slow", "start_run", seconds=0.6)
    simulation = services.follow_up(analyst, earlier, "And then?")
    following = services.follow_up(analyst, earlier, "And after that?")
    call_under_way(engine, simulation)
    services.cancel(simulation)
    assert simulation.status == Status.CANCELLED

    engine.drain(5)
    [upstream] = runs_of(emulator, simulation)
    [run] = Run.objects.extra()
    assert (run.simulation_id, run.provider_id) == (simulation.pk, upstream["id"])
    assert run.fault == Run.Fault.CANCELLED
    assert run.discard_due_at
    emulator.arm("500", "cancel_run")
    take_step(engine)
    following.refresh_from_db()
    assert following.is_queued

    emulator.control(latency=0.05)
    assert drive(following).status == Status.COMPLETED
    assert runs_of(emulator, simulation)[0]["cancelled_by_request"]
    run.refresh_from_db()
    assert (run.outcome, run.discard_due_at) == (Run.Outcome.UNWANTED, None)
    assert run.finished_at


@both_protocols
def test_cancelled_during_a_create_call_that_is_never_answered(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    """Assistants list it, and it is ended; on responses it can't be found, but blocks nobody."""
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.control(latency=600)
    emulator.arm("accept_then_hang", "start_run", seconds=0.6)
    simulation = services.follow_up(analyst, earlier, "And then?")
    following = services.follow_up(analyst, earlier, "And after that?")
    call_under_way(engine, simulation)
    services.cancel(simulation)
    engine.drain(5)
    assert Run.objects.to_discard().count() == 1

    emulator.control(latency=0.05)
    take_steps_until(engine, lambda: not Run.objects.to_discard().exists())
    [run] = simulation.runs.all()
    is_found = protocol == "assistants"
    assert run.outcome == (Run.Outcome.UNWANTED if is_found else Run.Outcome.LOST)
    assert run.fault == Run.Fault.CANCELLED
    assert runs_of(emulator, simulation)[0]["cancelled_by_request"] is is_found
    for _ in range(6):
        take_step(engine)
    emulator.release()
    assert drive(following).status == Status.COMPLETED
    assert Run.objects.extra().count() == 1


@both_protocols
def test_cancelled_during_a_create_call_that_is_refused_it_costs_nothing(
    emulator: EmulatorProcess, engine: Engine, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_MODEL, settings.OPENAI_ASSISTANT_ID = "no-such-model", "asst_no_such_assistant"
    emulator.arm("slow", "start_run", seconds=0.4)
    simulation = services.submit(analyst, "A question?")
    call_under_way(engine, simulation)
    services.cancel(simulation)
    assert Quota.of(analyst).used == 1
    engine.drain(5)
    [run] = simulation.runs.all()
    assert (run.outcome, run.discard_due_at) == (Run.Outcome.REJECTED, None)
    assert Quota.of(analyst).used == 0


@both_protocols
def test_a_cancel_between_a_tool_call_and_its_output_does_not_poison_the_conversation(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    simulation = services.follow_up(analyst, earlier, CALLS_A_TOOL)
    take_steps_until(engine, Simulation.objects.filter(awaits_outputs=True).exists)
    simulation.refresh_from_db()
    services.cancel(simulation)
    assert drive(simulation).status == Status.CANCELLED

    following = drive(services.follow_up(analyst, earlier, "And then?"))
    assert following.status == Status.COMPLETED
    [run] = runs_of(emulator, following)
    assert run["conversation_id"] == earlier.conversation.provider_id


@pytest.mark.parametrize("kind", ["slow", "accept_then_hang"])
def test_cancelled_during_the_create_call_of_a_later_round(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, kind: str
) -> None:
    """On responses; what is never answered can't be ended there, but is counted."""
    earlier = drive(services.submit(analyst, "A question?"))
    simulation = services.follow_up(analyst, earlier, CALLS_A_TOOL)
    take_steps_until(engine, Simulation.objects.filter(awaits_outputs=True).exists)
    emulator.control(latency=600)
    emulator.arm(kind, "start_run", seconds=0.6)
    make_due(engine)
    call_under_way(engine, simulation)
    services.cancel(simulation)
    assert (simulation.status, simulation.is_stopping) == (Status.RUNNING, True)

    engine.drain(5)
    emulator.control(latency=0.05)
    assert drive(simulation).status == Status.CANCELLED
    _, second = runs_of(emulator, simulation)
    assert second["cancelled_by_request"] is (kind == "slow")
    assert Run.objects.extra().count() == (0 if kind == "slow" else 1)
    assert not simulation.runs.filter(finished_at=None).exists()
    following = services.follow_up(analyst, earlier, "And then?")
    take_step(engine)
    emulator.release()
    assert drive(following).status == Status.COMPLETED


@both_protocols
def test_a_follow_up_is_cancelled_and_the_next_one_goes_on(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.control(latency=600)
    simulation = start(engine, services.follow_up(analyst, earlier, "And then?"))
    waiting = services.follow_up(analyst, earlier, "And after that?")
    services.cancel(simulation)
    emulator.control(latency=0.05)
    assert drive(simulation).status == Status.CANCELLED
    assert drive(waiting).status == Status.COMPLETED
    services.cancel(queued := services.follow_up(analyst, earlier, "One more?"))
    assert queued.status == Status.CANCELLED
    assert runs_of(emulator, queued) == []


# --- Retry ------------------------------------------------------------------------------------


@both_protocols
def test_a_failed_one_is_retried_as_another_that_names_it(
    emulator: EmulatorProcess, drive: Drive, analyst: User, failed: Simulation
) -> None:
    Simulation.objects.filter(pk=failed.pk).update(query_truncated=True)
    failed.refresh_from_db()
    again = services.retry(analyst, failed)
    assert (again.retry_of, again.query, again.query_truncated) == (failed, failed.query, True)
    assert drive(again).status == Status.COMPLETED
    failed.refresh_from_db()
    assert failed.status == Status.FAILED
    assert failed.conversation != again.conversation
    first, second = emulator.ledger()["runs"]
    assert first["conversation_id"] != second["conversation_id"]


def test_the_second_retry_is_409_and_names_the_first(analyst: User, failed: Simulation) -> None:
    again = act(analyst, failed, "retry").json()
    assert again["retry_of"] == str(failed.pk)
    response = act(analyst, failed, "retry")
    assert response.status_code == 409
    assert response.json()["details"] == {"retried_as": again["id"]}
    assert Simulation.objects.count() == 2


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.CANCELLED, None], ids=str)
def test_only_what_failed_is_retried(analyst: User, status: Status | None) -> None:
    simulation = services.submit(analyst, "A question?")
    if status:
        Simulation.objects.filter(pk=simulation.pk).transition(status)
    assert act(analyst, simulation, "retry").status_code == 409
    assert Simulation.objects.count() == 1


def test_a_retry_counts(analyst: User, failed: Simulation) -> None:
    analyst.monthly_simulation_limit = 1
    analyst.save()
    with pytest.raises(MonthlyLimitReached):
        services.retry(analyst, failed)
    analyst.monthly_simulation_limit = 2
    analyst.save()
    services.retry(analyst, failed)
    assert Quota.of(analyst).used == 2


@both_protocols
def test_a_retried_follow_up_stays_in_its_conversation(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.control(next_outcome="failed")
    follow_up = drive(services.follow_up(analyst, earlier, "And then?"))
    assert follow_up.status == Status.FAILED
    again = drive(services.retry(analyst, follow_up))
    assert again.status == Status.COMPLETED
    assert again.conversation == earlier.conversation
    assert len({run["conversation_id"] for run in emulator.ledger()["runs"]}) == 1


# --- Follow up --------------------------------------------------------------------------------


@both_protocols
def test_a_follow_up_goes_on_in_the_same_conversation(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    following = drive(services.follow_up(analyst, earlier, "And then?"))
    assert following.status == Status.COMPLETED
    assert following.conversation == earlier.conversation
    first, second = emulator.ledger()["runs"]
    assert first["conversation_id"] == second["conversation_id"]
    assert second["input"] == "And then?"
    assert second["metadata"]["simulation"] == str(following.pk)
    assert len(emulator.ledger()["conversations"]) == 1


@both_protocols
def test_each_answer_in_a_conversation_is_its_own(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, object]
) -> None:
    earlier = drive(services.submit(analyst, "Who guards the gate?"))
    following = drive(services.follow_up(analyst, earlier, "And then?"))
    assert "Guards check every badge" in earlier.answer
    assert "Guards check every badge" not in following.answer


@both_protocols
def test_a_follow_up_waits_for_the_question_before_it(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    earlier = start(engine, services.submit(analyst, "A question?"))
    following = services.follow_up(analyst, earlier, "And then?")
    for _ in range(3):
        take_step(engine)
    following.refresh_from_db()
    assert (following.is_queued, following.step_number) == (True, 0)
    emulator.release()
    emulator.control(latency=0.05)
    assert drive(earlier).status == Status.COMPLETED
    assert drive(following).status == Status.COMPLETED
    assert set(Run.objects.values_list("outcome", "fault")) == {("completed", "")}


@both_protocols
def test_a_conversation_that_stays_busy_is_waited_for(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    """A run that nobody here knows, as one whose create call was never answered."""
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.control(latency=600)
    stranger = start(engine, services.follow_up(analyst, earlier, "Somebody else's"))
    Simulation.objects.filter(pk=stranger.pk).transition(Status.FAILED)
    following = services.follow_up(analyst, earlier, "And then?")
    for _ in range(6):
        take_step(engine)
    following.refresh_from_db()
    assert (following.status, following.is_queued) == (Status.PENDING, False)
    assert runs_of(emulator, following) == []
    emulator.release()
    emulator.control(latency=0.05)
    assert drive(following).status == Status.COMPLETED
    assert [run.outcome for run in following.runs.all()] == [Run.Outcome.COMPLETED]


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED], ids=str.lower)
def test_without_an_answer_there_is_nothing_to_follow_up(analyst: User, status: Status) -> None:
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).transition(status)
    response = act(analyst, simulation, "follow-ups")
    assert (response.status_code, response.json()["error"]) == (409, "InvalidState")
    assert Simulation.objects.count() == 1


def test_a_follow_up_counts(analyst: User, drive: Drive, emulator: EmulatorProcess) -> None:
    analyst.monthly_simulation_limit = 1
    analyst.save()
    earlier = drive(services.submit(analyst, "A question?"))
    with pytest.raises(MonthlyLimitReached):
        services.follow_up(analyst, earlier, "And then?")


@both_protocols
def test_a_conversation_deleted_upstream_says_so(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.reset()
    following = drive(services.follow_up(analyst, earlier, "And then?"), slices=10)
    assert (following.error_code, following.error_status) == ("conversation_gone", 502)
    assert services.retry(analyst, following).conversation != earlier.conversation
    assert "new question" in following.error_message
    assert not following.runs.exists()


def test_a_conversation_keeps_the_protocol_that_opened_it(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str, settings: Settings
) -> None:
    settings.OPENAI_ASSISTANT_ID = "asst_tests"
    earlier = drive(services.submit(analyst, "A question?"))
    others = {"responses": "assistants", "assistants": "responses"}
    settings.OPENAI_PROTOCOL = others[protocol]
    assert drive(services.follow_up(analyst, earlier, "And then?")).status == Status.COMPLETED
    assert {run["protocol"] for run in emulator.ledger()["runs"]} == {protocol}


# --- Who may ----------------------------------------------------------------------------------


def act(user: User, simulation: Simulation, action: str) -> object:
    body = {"query": "And then?"} if action == "follow-ups" else {}
    return ApiClient(user).post_json(f"simulations/{simulation.pk}/{action}", body)


@pytest.mark.parametrize("action", ["cancel", "retry", "follow-ups"])
def test_strangers_learn_nothing(outsider: User, failed: Simulation, action: str) -> None:
    response = act(outsider, failed, action)
    assert (response.status_code, response.json()["error"]) == (404, "NotFound")


@pytest.mark.parametrize(
    ("action", "status"), [("retry", Status.FAILED), ("follow-ups", Status.COMPLETED)]
)
def test_only_the_owner_spends_the_owners_limit(
    analyst: User, admin: User, action: str, status: Status
) -> None:
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).transition(status)
    response = act(admin, simulation, action)
    assert (response.status_code, response.json()["error"]) == (403, "Forbidden")
    assert Simulation.objects.count() == 1
    assert act(analyst, simulation, action).status_code == 202


@pytest.mark.parametrize("who", ["analyst", "admin"])
def test_the_owner_and_an_admin_may_cancel(
    emulator: EmulatorProcess,
    engine: Engine,
    analyst: User,
    who: str,
    request: pytest.FixtureRequest,
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    response = act(request.getfixturevalue(who), simulation, "cancel")
    body = response.json()
    assert (response.status_code, body["status"], body["is_stopping"]) == (200, "RUNNING", True)
    assert response.headers["Retry-After"] == "1"


def test_without_the_module_nothing_is_done(analyst: User, failed: Simulation) -> None:
    analyst.modules = []
    analyst.save()
    for action in ("cancel", "retry", "follow-ups"):
        assert act(analyst, failed, action).status_code == 403
    assert Simulation.objects.count() == 1
