"""Servers that fail, lie or hang: every row still ends, and the others go on."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest
from django.utils import timezone
from kombu import Producer
from pytest_django import Settings

from accounts.models import User
from simulations import services
from simulations.engine import Engine
from simulations.models import Run, Simulation, Status, WebhookHint
from simulations.providers import get_provider
from simulations.providers.base import ProviderError, RunReference
from simulations.providers.client import OPENAI_URL, DeadlineTransport, build_client, get_client
from simulations.queue.admission import admit
from simulations.queue.claims import claim
from simulations.steps import next_step, starting
from simulations.steps.base import REFUSALS_OUTLIVED
from simulations.steps.finding import MAX_HINTS
from simulations.turns import building
from simulations.turns.building import ground
from tests.conftest import ApiClient, Drive, make_due
from tests.emulator.process import EmulatorProcess
from tests.simulations.test_engine import start

pytestmark = pytest.mark.django_db


def test_an_empty_base_url_in_the_environment_is_openai(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    settings.OPENAI_BASE_URL = None
    build_client.cache_clear()
    client = get_client()
    client.close()
    build_client.cache_clear()
    assert str(client.base_url) == f"{OPENAI_URL}/"


def test_a_key_removed_while_rows_wait_fails_them_and_says_so(
    emulator: EmulatorProcess, drive: Drive, analyst: User, settings: Settings
) -> None:
    simulation = services.submit(analyst, "A question?")
    settings.OPENAI_API_KEY = ""
    drive(simulation, slices=5)
    assert (simulation.error_code, simulation.error_status) == ("provider_auth", 503)


def test_the_providers_words_go_to_administrators_only(
    emulator: EmulatorProcess, drive: Drive, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_MODEL = "no-such-model"
    simulation = drive(services.submit(analyst, "A question?"), slices=10)
    assert simulation.error_code == "assistant_refused"
    assert "does not exist" not in simulation.error_message
    assert "does not exist" in simulation.error_detail
    assert not Simulation.objects.charged().exists()


def test_one_row_that_cannot_be_worked_on_does_not_stop_the_others(
    emulator: EmulatorProcess, drive: Drive, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *good = [services.submit(analyst, query) for query in ("bad", "one?", "two?")]
    broken = lambda it: 1 / 0 if it.pk == bad.pk else ground(it)  # noqa: E731
    monkeypatch.setattr(starting, "ground", broken)
    assert {drive(it).status for it in good} == {Status.COMPLETED}
    assert drive(bad).error_code == "internal_error"


def test_a_running_row_that_cannot_be_worked_on_fails_and_its_run_is_ended(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    monkeypatch.setattr(building, "answer_call", lambda *args: 1 / 0)
    bad = services.follow_up(analyst, earlier, "And? [[tool:search_knowledge]]")
    following = services.follow_up(analyst, earlier, "And then?")
    assert drive(bad).error_code == "internal_error"
    assert drive(following).status == Status.COMPLETED
    assert not bad.runs.filter(finished_at=None).exists()
    [run] = emulator.runs(simulation=str(bad.pk))
    assert run["cancelled_by_request"] is (protocol == "assistants")


def test_creates_that_fail_for_ever_end_as_failed_and_charged(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, settings: Settings
) -> None:
    emulator.arm("500", "start_run", count=100)
    simulation = services.submit(analyst, "A question?")
    for _ in range(100):
        engine.run_slice(0.1)
        make_due(engine)
        if simulation.runs.filter(outcome=Run.Outcome.LOST).count() >= 2:
            break
    else:
        pytest.fail("No second run was requested")
    settings.START_TIMEOUT = timedelta(0)
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("start_timeout", 503)
    end_unwanted_runs(engine)
    assert not simulation.runs.exclude(outcome=Run.Outcome.LOST).exists()
    assert Simulation.objects.charged().count() == 1


def test_an_exhausted_quota_is_told_at_once_and_charged_to_nobody(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    emulator.arm("no_quota", "start_run")
    simulation = drive(services.submit(analyst, "A question?"))
    assert (simulation.error_code, simulation.error_status) == ("provider_refused", 502)
    assert "(insufficient_quota). This site's quota" in simulation.error_message
    assert not Simulation.objects.charged().exists()


def test_waits_grow_while_creates_fail(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.arm("500", "start_run", count=100)
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).update(opened_at=timezone.now(), failed_attempts=5)
    engine.run_slice(0.5)
    simulation.refresh_from_db()
    assert simulation.due_at - timezone.now() > timedelta(seconds=10)


def test_polls_that_fail_for_ever_end_it_and_cancel_the_run(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, settings: Settings
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("500", "fetch_run", count=100_000)
    for _ in range(3):
        make_due(engine)
        engine.run_slice(0.1)
    simulation.refresh_from_db()
    assert simulation.status == Status.RUNNING
    settings.RUN_TIMEOUT = settings.START_TIMEOUT = timedelta(0)
    drive(simulation)
    assert simulation.error_code == "run_timeout"
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


@pytest.mark.parametrize("kind", ["500", "429", "drop"])
def test_an_outage_longer_than_the_deadline_does_not_lose_a_paid_answer(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    settings: Settings,
    kind: str,
) -> None:
    simulation = start(engine, services.submit(analyst, "A question?"))
    settings.RUN_TIMEOUT = timedelta(0)
    emulator.release()
    emulator.arm(kind, "fetch_run", count=3)
    assert drive(simulation).status == Status.COMPLETED
    assert simulation.stop_reason == ""


def test_a_run_outlives_a_few_refusals(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("401", "fetch_run")
    emulator.arm("403", "fetch_run")
    emulator.arm("404", "fetch_run", count=REFUSALS_OUTLIVED - 2)
    assert drive(simulation).status == Status.COMPLETED


def test_a_gateway_that_comes_back_with_a_404_does_not_lose_a_run(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    """Other failures are no refusals, and an answer between refusals makes a fresh start."""
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    for _ in range(2):
        emulator.arm("500", "fetch_run", count=REFUSALS_OUTLIVED + 1)
        emulator.arm("404", "fetch_run", count=REFUSALS_OUTLIVED)
        while emulator.request("GET", "/faults")["faults"]:
            make_due(engine)
            engine.run_slice(0.05)
        make_due(engine)
        engine.run_slice(0.1)
        assert Run.objects.get().refusals == 0
    emulator.release()
    assert drive(simulation).status == Status.COMPLETED


def end_unwanted_runs(engine: Engine) -> None:
    for _ in range(50):
        if not Run.objects.to_discard().exists():
            return
        make_due(engine)
        engine.run_slice(0.1)
    pytest.fail("A run that nobody wants was not ended")


def lose_run(emulator: EmulatorProcess, engine: Engine, simulation: Simulation) -> str:
    """The id of a run that was accepted without anybody here hearing of it."""
    emulator.arm("drop", "start_run")
    for _ in range(50):
        engine.run_slice(0.05)
        if runs := emulator.runs(simulation=str(simulation.pk)):
            return runs[0]["id"]
    pytest.fail("No run was asked for")


@pytest.mark.parametrize("kind", ["401", "403", "404"])
def test_a_lost_run_is_looked_for_through_a_few_refusals(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    protocol: str,
    kind: str,
) -> None:
    simulation = services.submit(analyst, "A question?")
    lose_run(emulator, engine, simulation)
    emulator.arm(kind, "list", count=REFUSALS_OUTLIVED)
    assert drive(simulation).status == Status.COMPLETED
    assert len(emulator.ledger()["runs"]) == 1
    assert Run.objects.get().adopted


@pytest.mark.parametrize(("kind", "code"), [("401", "provider_auth"), ("404", "conversation_gone")])
def test_a_lost_run_that_may_not_be_looked_for_is_ended_when_it_can_be(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    settings: Settings,
    kind: str,
    code: str,
) -> None:
    settings.OPENAI_PROTOCOL, settings.OPENAI_ASSISTANT_ID = "assistants", "asst_tests"
    emulator.control(latency=600)
    simulation = services.submit(analyst, "A question?")
    lose_run(emulator, engine, simulation)
    emulator.arm(kind, "list", count=REFUSALS_OUTLIVED + 1)
    assert drive(simulation).error_code == code
    assert Run.objects.get().discard_due_at
    emulator.control(latency=0.05)
    end_unwanted_runs(engine)
    assert Run.objects.get().outcome == Run.Outcome.UNWANTED
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_a_hint_at_a_run_that_is_unknown_here_is_passed_over(
    emulator: EmulatorProcess, drive: Drive, analyst: User, settings: Settings
) -> None:
    """A webhook is told of every application's runs."""
    settings.OPENAI_WEBHOOK_SECRET = "whsec_aaaa"
    emulator.arm("drop", "start_run")
    simulation = services.submit(analyst, "A question?")
    WebhookHint.objects.create(run_id="resp_1", received_at=timezone.now() + timedelta(seconds=9))
    assert drive(simulation).status == Status.COMPLETED
    assert Run.objects.get().adopted


def test_hints_at_many_other_runs_do_not_hide_a_later_one(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_WEBHOOK_SECRET = "whsec_aaaa"
    simulation = services.submit(analyst, "A question?")
    lost = lose_run(emulator, engine, simulation)
    now = timezone.now()
    for number in range(MAX_HINTS + 1):
        at = now + timedelta(seconds=number)
        WebhookHint.objects.create(run_id=f"resp_{number}", received_at=at)
    WebhookHint.objects.create(run_id=lost, received_at=now + timedelta(minutes=1))
    assert drive(simulation).status == Status.COMPLETED
    assert simulation.run.provider_id == lost


@pytest.mark.parametrize("is_unwanted", [False, True])
def test_a_404_does_not_keep_a_run_from_being_ended(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, is_unwanted: bool
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("404", "cancel_run")
    if is_unwanted:
        Simulation.objects.all().transition(Status.FAILED)
        Run.objects.all().discard(Run.Fault.MOVED_ON)
    else:
        services.cancel(simulation)
        drive(simulation)
    end_unwanted_runs(engine)
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_a_run_whose_polls_stay_refused_fails_and_is_ended_when_it_can_be(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("403", count=1_000)
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("provider_auth", 503)
    assert "OPENAI_API_KEY" in simulation.error_message
    polls = [hit for hit in emulator.hits() if hit["operation"] == "fetch_run"]
    assert len(polls) == REFUSALS_OUTLIVED + 1
    for _ in range(5):
        make_due(engine)
        engine.run_slice(0.1)
    assert Run.objects.to_discard().count() == 1

    emulator.request("DELETE", "/faults")
    emulator.control(latency=0.05)
    for _ in range(10):
        make_due(engine)
        engine.run_slice(0.1)
    assert not Run.objects.to_discard().exists()
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_a_run_the_provider_forgot_fails(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.reset()
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("run_lost", 502)
    assert Run.objects.to_discard().exists()
    end_unwanted_runs(engine)
    run = simulation.runs.get()
    assert (run.outcome, run.fault) == (Run.Outcome.UNWANTED, Run.Fault.FORGOTTEN)


def test_a_run_whose_polls_answer_404_is_ended_when_it_is_known_again(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("404", "fetch_run", count=REFUSALS_OUTLIVED + 1)
    assert drive(simulation).error_code == "run_lost"
    emulator.control(latency=0.05)
    end_unwanted_runs(engine)
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_waits_named_by_the_provider_have_a_limit(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.arm("429", "open_conversation", retry_after=86_400)
    waiting = services.submit(analyst, "A question?")
    engine.run_slice(0.5)
    waiting.refresh_from_db()
    assert waiting.due_at - timezone.now() <= timedelta(seconds=300)
    Simulation.objects.all().transition(Status.CANCELLED)

    emulator.control(latency=600, poll_after_ms=86_400_000)
    running = start(engine, services.submit(analyst, "A question?"))
    make_due(engine)
    engine.run_slice(0.3)
    running.refresh_from_db()
    assert running.due_at - timezone.now() <= timedelta(seconds=30)


def test_a_drain_starts_nothing_new(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = services.submit(analyst, "A question?")
    admit()
    [claimed] = claim(1, engine.pacing)
    engine.start(next_step(claimed, engine.pacing))
    engine.drain(5)
    simulation.refresh_from_db()
    assert simulation.opened_at
    assert simulation.due_at <= timezone.now()
    assert len(emulator.ledger()["conversations"]) == 1
    assert emulator.ledger()["runs"] == []
    assert drive(simulation).status == Status.COMPLETED


def test_two_engines_share_the_work_and_pay_once(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    other = Engine(slots=4)
    simulations = [services.submit(analyst, f"Question {n}?") for n in range(20)]
    for _ in range(60):
        for each in (engine, other):
            each.run_slice(0.02)
        Simulation.objects.in_flight().exclude(
            pk__in=[*engine.under_way(), *other.under_way()]
        ).update(due_at=timezone.now())
    other.pool.shutdown()
    assert Simulation.objects.filter(status=Status.COMPLETED).count() == len(simulations)
    assert len(emulator.ledger()["runs"]) == len(simulations)


def test_what_is_under_way_here_is_not_claimed_again(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.arm("timeout", "open_conversation", seconds=1)
    simulation = services.submit(analyst, "A question?")
    engine.run_slice(0.1)
    Simulation.objects.update(due_at=timezone.now())
    assert engine.under_way() == [simulation.pk]
    assert claim(1, engine.pacing, engine.under_way()) == []
    engine.drain(5)


@pytest.mark.parametrize("kind", ["401", "403"])
def test_a_refused_create_fails_at_once_uncharged_and_says_what_to_do(
    emulator: EmulatorProcess, drive: Drive, analyst: User, kind: str
) -> None:
    emulator.arm(kind, "start_run", count=100)
    simulation = drive(services.submit(analyst, "A question?"), slices=10)
    assert (simulation.error_code, simulation.error_status) == ("provider_auth", 503)
    assert "OPENAI_API_KEY" in simulation.error_message
    assert emulator.counts()["start_run"] == 1
    assert not Simulation.objects.charged().exists()


@pytest.mark.parametrize("kind", ["truncated", "accept_then_hang"])
def test_a_create_whose_answer_is_cut_or_late_is_found_and_not_paid_twice(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str, kind: str
) -> None:
    emulator.arm(kind, "start_run", seconds=0.1)
    simulation = drive(services.submit(analyst, "A question?"))
    assert simulation.status == Status.COMPLETED
    assert simulation.runs.get().adopted
    assert simulation.runs.get().fault
    assert len(emulator.ledger()["runs"]) == 1


@pytest.mark.parametrize("kind", ["truncated", "timeout"])
def test_a_poll_whose_answer_is_cut_or_late_is_made_again(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str, kind: str
) -> None:
    emulator.arm(kind, "fetch_run", count=2, seconds=0.05)
    assert drive(services.submit(analyst, "A question?")).status == Status.COMPLETED
    assert [hit["kind"] for hit in emulator.hits()] == [kind, kind]
    assert len(emulator.ledger()["runs"]) == 1


def test_a_question_posted_to_a_thread_before_is_not_posted_again(
    emulator: EmulatorProcess, drive: Drive, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_PROTOCOL, settings.OPENAI_ASSISTANT_ID = "assistants", "asst_tests"
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.arm("drop", "add_message")
    assert drive(services.follow_up(analyst, earlier, "And then?")).status == Status.COMPLETED
    assert emulator.counts()["add_message"] == 2


def test_a_follow_up_outlives_a_few_404_of_its_conversation(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    emulator.arm("404", "list", count=REFUSALS_OUTLIVED)
    assert drive(services.follow_up(analyst, earlier, "And then?")).status == Status.COMPLETED


def test_a_rate_limited_poll_waits_as_asked_but_not_for_ever(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    for asked, waits in [(12, 12), (86_400, 30)]:
        Simulation.objects.update(failed_attempts=0)
        emulator.arm("429", "fetch_run", retry_after=asked)
        make_due(engine)
        engine.run_slice(0.3)
        engine.drain(5)
        simulation.refresh_from_db()
        seconds = (simulation.due_at - timezone.now()).total_seconds()
        assert waits - 5 < seconds <= waits


def test_a_call_that_hangs_delays_nobody(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    hung = start(engine, services.submit(analyst, "A question?"))
    emulator.arm("timeout", "fetch_run", seconds=2.5)
    make_due(engine)
    engine.run_slice(0.1)
    assert engine.under_way() == [hung.pk]
    others = [services.submit(analyst, f"Question {n}?") for n in range(3)]
    assert {drive(it).status for it in others} == {Status.COMPLETED}
    assert engine.under_way() == [hung.pk]
    assert drive(hung).status == Status.COMPLETED


def test_what_a_slice_did_not_get_to_is_given_back(
    emulator: EmulatorProcess, analyst: User
) -> None:
    """Rows are claimed in batches: those behind a slow call must not wait for their lease."""
    engine = Engine(slots=1)
    emulator.arm("timeout", "open_conversation", seconds=1)
    simulations = [services.submit(analyst, f"Question {n}?") for n in range(2)]
    engine.run_slice(0.2)
    first, second = (Simulation.objects.get(pk=simulation.pk) for simulation in simulations)
    assert engine.under_way() == [first.pk]
    assert (first.step_number, second.step_number) == (1, 1)
    assert first.due_at > timezone.now()
    assert second.due_at <= timezone.now()
    engine.drain(5)
    engine.pool.shutdown()


def test_a_poll_slower_than_its_interval_does_not_keep_a_run_from_ending(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.release()
    emulator.arm("slow", "fetch_run", seconds=0.5)
    while not engine.under_way():
        make_due(engine)
        engine.run_slice(0.1)
    Simulation.objects.update(due_at=timezone.now())
    assert len(claim(10, engine.pacing)) == 1  # another worker's
    engine.drain(5)
    simulation.refresh_from_db()
    assert simulation.status == Status.COMPLETED


def test_workers_that_were_down_for_two_minutes_time_nobody_out(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    emulator.control(latency=600)
    simulations = [services.submit(analyst, "A question?")]
    simulations += [services.submit(analyst, f"{n}? [[tool:search_knowledge]]") for n in range(2)]
    for simulation in simulations:
        start(engine, simulation)
    emulator.release()
    emulator.control(latency=0.05)
    two_minutes_ago = timezone.now() - timedelta(minutes=2)
    Simulation.objects.update(
        round_started_at=two_minutes_ago, started_at=two_minutes_ago, due_at=two_minutes_ago
    )
    assert {drive(simulation).status for simulation in simulations} == {Status.COMPLETED}
    assert not any(run["cancelled_by_request"] for run in emulator.ledger()["runs"])


def test_two_hundred_wait_for_a_provider_that_is_down_and_go_on_when_it_is_back(
    emulator: EmulatorProcess, engine: Engine, analyst: User, settings: Settings
) -> None:
    """Nine and a half minutes into its outage."""
    settings.MAX_RUNS_PER_USER = analyst.monthly_simulation_limit = number = 200
    analyst.save()
    simulations = [services.submit(analyst, f"Question {n}?") for n in range(number)]
    assert admit() == number
    Simulation.objects.update(
        admitted_at=timezone.now() - timedelta(seconds=570), failed_attempts=8
    )
    emulator.arm("500", "open_conversation", count=100_000)
    began = timezone.now()
    while engine.run_slice(0.2):
        pass
    assert engine.run_slice(0.2) is False
    assert emulator.counts() == {"open_conversation": number}
    due = [row.due_at for row in Simulation.objects.in_flight()]
    assert len(due) == number
    assert min(due) - began > timedelta(seconds=5)
    assert max(due) - timezone.now() <= timedelta(seconds=30)

    emulator.request("DELETE", "/faults")
    emulator.control(latency=0)
    for _ in range(100):
        make_due(engine)
        if not engine.run_slice(0.2) and not Simulation.objects.active().exists():
            break
    assert Simulation.objects.filter(status=Status.COMPLETED).count() == len(simulations)
    assert len(emulator.ledger()["runs"]) == Run.objects.count() == number


def test_submitting_talks_to_the_database_alone(
    analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No broker and no provider that is down can fail it. libpq has sockets of its own."""
    client = ApiClient(analyst)
    for place, action in [(socket.socket, "connect"), (Producer, "publish")]:
        monkeypatch.setattr(place, action, lambda *args, **kwargs: pytest.fail("It calls out"))
    answer = client.post_json("simulations", {"query": "A question?"})
    assert answer.status_code == 202
    for action in ("follow-ups", "cancel"):
        path = f"simulations/{answer.json()['id']}/{action}"
        body = {"query": "And then?"} if action == "follow-ups" else {}
        assert client.post_json(path, body).status_code in {200, 202}


@pytest.fixture
def dripping_server() -> Iterator[str]:
    """Answers at once, and then sends its body byte by byte without end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not done.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        done.set()
        thread.join(5)


@pytest.mark.timeout(10)
def test_a_body_that_drips_for_ever_ends_with_the_calls_timeout(dripping_server: str) -> None:
    with (
        httpx2.Client(transport=DeadlineTransport(), timeout=0.3) as client,
        pytest.raises(httpx2.ReadTimeout),
    ):
        client.get(dripping_server)


@pytest.mark.timeout(20)
def test_such_a_server_is_a_timeout_to_the_engine(
    dripping_server: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OPENAI_BASE_URL = dripping_server
    build_client.cache_clear()
    with pytest.raises(ProviderError) as caught:
        get_provider("responses").fetch_run(RunReference("conv_1", "resp_1"))
    get_client().close()
    build_client.cache_clear()
    assert (caught.value.retryable, caught.value.ambiguous) == (True, True)
