"""One simulation's life through both protocols, against the emulator over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from knowledge.context import build_kb_context
from knowledge.models import Article
from simulations import services
from simulations.engine import Engine
from simulations.models import Assistant, Run, Simulation, Status
from simulations.queue import pacing
from simulations.queue.admission import admit
from simulations.queue.claims import claim
from simulations.queue.pacing import (
    COUNTED_EVERY,
    ENOUGH_RUNS,
    LONGEST_QUIET,
    MIN_INTERVAL,
    REMEMBERED_RUNS,
    Pacing,
    poll_interval,
)
from tests.conftest import Drive, make_due
from tests.emulator.process import EmulatorProcess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("protocol")]

QUERY = "Who checks the badge at the gate?"


def test_grounds_asks_cleans_and_cites(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    simulation = drive(services.submit(analyst, QUERY))

    assert simulation.status == Status.COMPLETED
    [run] = emulator.ledger()["runs"]
    grounding = [articles["beta-001"], articles["alpha-001"]]
    assert run["input"] == simulation.prompt
    assert run["input"] == f"{QUERY}\n{build_kb_context(grounding, 'standard')}"
    assert run["metadata"] == {"simulation": str(simulation.pk), "round": "1"}
    assert "Guards check every badge" in simulation.answer
    assert "Executive Summary" in simulation.raw_answer
    assert "Executive Summary" not in simulation.answer
    assert "Note on Risk" not in simulation.answer
    assert "†" not in simulation.raw_answer
    assert simulation.tokens_used == run["usage"]["total_tokens"] > 0
    citations = simulation.citations.values_list("slug", "keywords", "text", "truncated")
    assert list(citations) == [
        ("beta-001", ["badge", "gate"], articles["beta-001"].text, False),
        ("alpha-001", ["gate"], articles["alpha-001"].text, False),
    ]
    assert simulation.created_at <= simulation.started_at <= simulation.finished_at


def test_a_draft_is_never_sent(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    simulation = drive(services.submit(analyst, "What is secret?"))
    assert simulation.prompt == "What is secret?"
    assert not simulation.citations.exists()


def test_an_admins_context_is_advanced(
    emulator: EmulatorProcess, drive: Drive, admin: User, articles: dict[str, Article]
) -> None:
    assert "[User Level: advanced]" in drive(services.submit(admin, QUERY)).prompt


def test_citations_keep_the_text_that_was_sent(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    sent = articles["alpha-001"].text
    simulation = drive(services.submit(analyst, "gate"))
    Article.objects.filter(slug="alpha-001").update(text="Rewritten.")
    articles["alpha-001"].delete()
    assert simulation.citations.first().text == sent


def test_a_citation_of_a_long_article_is_what_was_sent(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    Article.objects.filter(slug="alpha-001").update(text="---\n" + "x" * 5_000)
    simulation = drive(services.submit(analyst, "gate"))
    citation = simulation.citations.first()
    assert citation.truncated
    assert citation.text.startswith("\\---\n")
    assert citation.text.endswith("x\n\n[...truncated]")
    assert citation.text in simulation.prompt


def test_independent_servers_are_understood(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    emulator.control(profile="independent")
    simulation = drive(services.submit(analyst, QUERY))
    assert simulation.status == Status.COMPLETED
    assert "Guards check every badge" in simulation.answer
    assert simulation.tokens_used is None


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        ("failed", "run_failed", "Assistant run failed with status: failed"),
        ("incomplete", "run_incomplete", "Ask a narrower question"),
        ("refusal", "refused", "declined to answer: I'm sorry"),
        ("empty", "empty_answer", "Rephrase the query"),
    ],
)
def test_a_run_that_ends_badly_fails_with_a_reason_and_advice(
    emulator: EmulatorProcess, drive: Drive, analyst: User, outcome: str, code: str, words: str
) -> None:
    emulator.control(next_outcome=outcome)
    simulation = drive(services.submit(analyst, QUERY))
    assert (simulation.status, simulation.error_code) == (Status.FAILED, code)
    assert simulation.error_status == 502
    assert words in simulation.error_message
    assert simulation.answer == ""
    assert simulation.runs.get().finished_at


def test_users_see_a_reason_in_one_word_and_administrators_any(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    emulator.control(next_outcome="failed")
    failed = drive(services.submit(analyst, QUERY))
    assert "had an error processing" in failed.error_detail
    assert failed.error_detail not in failed.error_message
    emulator.control(next_outcome="incomplete")
    incomplete = drive(services.submit(analyst, QUERY))
    word = incomplete.error_detail
    assert word.startswith("max_")
    assert f"status: incomplete ({word})." in incomplete.error_message


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("server_error", "Retry it."),
        ("rate_limit_exceeded", "Wait a few minutes, then retry it."),
        ("insufficient_quota", "Retrying does not help before an administrator"),
        ("invalid_prompt", "Retrying it as it is does not help"),
    ],
)
def test_the_code_of_a_failed_run_is_kept_and_chooses_the_advice(
    emulator: EmulatorProcess,
    drive: Drive,
    analyst: User,
    protocol: str,
    code: str,
    advice: str,
) -> None:
    emulator.control(next_outcome=f"failed:{code}")
    simulation = drive(services.submit(analyst, QUERY))
    assert (simulation.error_code, simulation.error_status) == ("run_failed", 502)
    assert f"status: failed ({code}). " in simulation.error_message
    assert advice in simulation.error_message
    run = simulation.runs.get()
    assert (run.outcome, run.fault) == (Run.Outcome.FAILED, code)
    assert run.fault_detail == simulation.error_detail != ""
    assert simulation.error_detail not in simulation.error_message


def test_an_expired_run_fails_with_advice(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    """A response has no such status: it fails instead."""
    emulator.control(next_outcome="expired")
    simulation = drive(services.submit(analyst, QUERY))
    expected = {
        "assistants": ("run_expired", "Retry it later"),
        "responses": ("run_failed", "Retry it"),
    }
    code, words = expected[protocol]
    assert (simulation.error_code, simulation.error_status) == (code, 502)
    assert words in simulation.error_message


@pytest.mark.parametrize("outcome", ["stuck", "strange"])
def test_a_run_that_never_ends_is_ended_when_its_time_is_over(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, outcome: str
) -> None:
    """`strange`: a status that nobody has seen before."""
    emulator.control(latency=0, next_outcome=outcome)
    simulation = start(engine, services.submit(analyst, QUERY))
    for _ in range(3):
        make_due(engine)
        engine.run_slice(0.05)
    simulation.refresh_from_db()
    assert simulation.status == Status.RUNNING
    long_ago = timezone.now() - timedelta(seconds=91)
    Simulation.objects.filter(pk=simulation.pk).update(round_started_at=long_ago)
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("run_timeout", 504)
    assert "no answer within 90 s" in simulation.error_message
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_what_no_database_can_hold_is_replaced(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    emulator.control(next_outcome="unclean")
    simulation = drive(services.submit(analyst, QUERY))
    assert simulation.status == Status.COMPLETED
    assert simulation.raw_answer.endswith("\ufffd\ufffd")


@pytest.mark.parametrize("operation", ["open_conversation", "start_run", "fetch_run"])
def test_a_rate_limit_is_waited_for(
    emulator: EmulatorProcess, drive: Drive, analyst: User, operation: str
) -> None:
    emulator.arm("429", operation, count=2, retry_after=0.1)
    assert drive(services.submit(analyst, QUERY)).status == Status.COMPLETED
    assert len(emulator.ledger()["runs"]) == 1


def test_retry_after_is_honoured(emulator: EmulatorProcess, engine: Engine, analyst: User) -> None:
    emulator.arm("429", "open_conversation", retry_after=300)
    simulation = services.submit(analyst, QUERY)
    for _ in range(20):  # the call may take longer than a slice
        engine.run_slice(0.5)
        simulation.refresh_from_db()
        if simulation.failed_attempts:
            break
    assert simulation.due_at - timezone.now() > timedelta(seconds=280)


@pytest.mark.parametrize("operation", ["open_conversation", "fetch_run"])
@pytest.mark.parametrize("kind", ["500", "drop"])
def test_an_outage_is_survived(
    emulator: EmulatorProcess, drive: Drive, analyst: User, operation: str, kind: str
) -> None:
    emulator.arm(kind, operation, count=2)
    assert drive(services.submit(analyst, QUERY)).status == Status.COMPLETED
    assert len(emulator.ledger()["runs"]) == 1


def test_a_run_whose_acceptance_was_lost_is_adopted_not_paid_twice(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    emulator.arm("drop", "start_run")
    simulation = drive(services.submit(analyst, QUERY))

    assert simulation.status == Status.COMPLETED
    [ledger_run] = emulator.ledger()["runs"]
    adopted = simulation.runs.get(adopted=True)
    assert simulation.run == adopted
    assert simulation.runs.first().fault == "connection_error"
    if protocol == "assistants":
        assert adopted.provider_id == ledger_run["id"]
        assert simulation.tokens_used == ledger_run["usage"]["total_tokens"]
    else:
        assert simulation.tokens_used is None


def test_a_lost_run_that_holds_the_lock_is_waited_for(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    """On responses a lost run shows only when it is done; till then the lock gives it away."""
    emulator.control(latency=60)
    emulator.arm("drop", "start_run")
    simulation = services.submit(analyst, QUERY)
    for _ in range(40):
        engine.run_slice(0.1)
        make_due(engine)
    engine.drain(5)
    emulator.release()
    assert drive(simulation).status == Status.COMPLETED
    assert len(emulator.ledger()["runs"]) == 1


def test_a_create_that_was_not_accepted_is_repeated_and_counted(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    emulator.arm("500", "start_run")
    simulation = drive(services.submit(analyst, QUERY))
    assert simulation.status == Status.COMPLETED
    assert list(simulation.runs.values_list("outcome", flat=True)) == [
        Run.Outcome.LOST,
        Run.Outcome.COMPLETED,
    ]
    assert simulation.runs.first().fault == "http_500"


def test_refused_credentials_fail_at_once_and_say_what_to_do(
    emulator: EmulatorProcess, drive: Drive, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_API_KEY = "sk-invalid"
    simulation = drive(services.submit(analyst, QUERY), slices=5)
    assert (simulation.error_code, simulation.error_status) == ("provider_auth", 503)
    assert "OPENAI_API_KEY" in simulation.error_message
    assert "sk-invalid" not in simulation.error_message
    assert not Simulation.objects.charged().exists()


def test_out_of_time_is_cancelled_upstream(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, settings: Settings
) -> None:
    settings.RUN_TIMEOUT = timedelta(0)
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, QUERY))
    emulator.control(latency=0.05)
    drive(simulation)
    assert (simulation.status, simulation.error_code) == (Status.FAILED, "run_timeout")
    assert simulation.error_status == 504
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


def test_a_run_that_finished_while_no_worker_ran_is_kept(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = start(engine, services.submit(analyst, QUERY))
    long_ago = timezone.now() - timedelta(minutes=5)
    Simulation.objects.filter(pk=simulation.pk).update(round_started_at=long_ago)
    emulator.release()
    assert drive(simulation).status == Status.COMPLETED


def test_an_answer_that_came_before_the_cancel_is_kept(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = start(engine, services.submit(analyst, QUERY))
    emulator.release()
    Simulation.objects.filter(pk=simulation.pk).update(
        stop_reason="timeout", stop_requested_at=timezone.now()
    )
    assert drive(simulation).status == Status.COMPLETED


def test_a_provider_out_of_reach_fails_it_after_the_start_timeout_uncharged(
    drive: Drive, engine: Engine, emulator: EmulatorProcess, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_BASE_URL = "http://127.0.0.1:9/v1"
    simulation = services.submit(analyst, QUERY)
    engine.run_slice(0.5)
    simulation.refresh_from_db()
    assert simulation.status == Status.PENDING
    assert simulation.failed_attempts == 1

    settings.START_TIMEOUT = timedelta(0)
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("start_timeout", 503)
    assert not Simulation.objects.charged().exists()


def test_one_run_at_a_time_in_a_conversation(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    first = start(engine, services.submit(analyst, QUERY))
    second = services.submit(analyst, "And then?")
    Simulation.objects.filter(pk=second.pk).update(
        conversation=first.conversation, opened_at=timezone.now(), prompt="And then?"
    )
    for _ in range(5):
        engine.run_slice(0.1)
        make_due(engine)
    assert len(emulator.ledger()["runs"]) == 1
    emulator.control(latency=0.05)  # the second may start as soon as the first is over
    emulator.release()
    drive(first)
    assert drive(second).status == Status.COMPLETED


def test_an_idle_tick_costs_one_query_and_opens_no_transaction(
    engine: Engine, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert engine.run_slice() is False


def test_a_claimed_row_is_not_claimed_again(analyst: User) -> None:
    simulation = services.submit(analyst, QUERY)
    admit()
    [claimed] = claim(10, Pacing())
    simulation.refresh_from_db()
    assert claimed.step_number == simulation.step_number == 1
    assert simulation.due_at > timezone.now() + timedelta(seconds=10)
    assert claim(10, Pacing()) == []


# --- Pacing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "polled", "seconds"),
    [
        (60, 0, 1.2),
        (60, 72, 1.2),
        (60, 120, 2.0),
        (15, 300, 20.0),
        (15, 450, 30.0),
        (15, 900, 30.0),
    ],
)
def test_the_poll_interval_grows_with_the_load(
    budget: float, polled: int, seconds: float, settings: Settings
) -> None:
    settings.POLLS_PER_SECOND = budget
    assert poll_interval(polled) == pytest.approx(seconds)


def test_the_interval_stays_while_the_load_fills_it(
    emulator: EmulatorProcess,
    engine: Engine,
    analyst: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.POLLS_PER_SECOND = 0.5
    emulator.control(latency=600)
    for _ in range(3):
        start(engine, services.submit(analyst, QUERY))
    clock, paced = 1_000.0, Pacing()
    monkeypatch.setattr(pacing.time, "monotonic", lambda: clock)
    for due_in, interval in [(1, 6.0), (5, 6.0), (7, MIN_INTERVAL)]:
        due_at = timezone.now() + timedelta(seconds=due_in)
        Simulation.objects.filter(Simulation.POLLED).update(due_at=due_at)
        clock += COUNTED_EVERY + 1
        assert paced.interval == pytest.approx(interval)
    # Runs that end now may have been polled last when it was longer.
    assert paced.longest_interval_of("assistants") == pytest.approx(6.0)


@pytest.mark.parametrize(("named", "expected"), [(None, 1.2), (7, 7), (3_600, 30)])
def test_the_provider_names_the_first_poll_when_it_accepts_a_run(
    emulator: EmulatorProcess,
    engine: Engine,
    analyst: User,
    named: float | None,
    expected: float,
) -> None:
    emulator.control(latency=600, poll_after_ms=named and named * 1000)
    simulation = start(engine, services.submit(analyst, QUERY))
    wait = (simulation.due_at - simulation.round_started_at).total_seconds()
    assert wait == pytest.approx(expected, abs=0.01)


def test_the_load_is_what_will_soon_be_polled(
    emulator: EmulatorProcess, engine: Engine, analyst: User, settings: Settings
) -> None:
    settings.POLLS_PER_SECOND = 0.5
    assert Pacing().interval == MIN_INTERVAL
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, QUERY))
    assert Pacing().interval == pytest.approx(2.0)
    quiet = timezone.now() + timedelta(seconds=20)
    Simulation.objects.filter(pk=simulation.pk).update(due_at=quiet)
    assert Pacing().interval == MIN_INTERVAL


def test_the_load_is_counted_once_a_second(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    pacing = Pacing()
    with django_assert_num_queries(1):
        assert pacing.interval == pacing.interval == MIN_INTERVAL


def test_a_run_is_first_looked_at_when_the_quickest_ones_end() -> None:
    pacing = Pacing()
    for seconds in range(10, 10 + ENOUGH_RUNS - 1):
        pacing.learn(1, seconds)
    assert pacing.first_look(1, "responses") == MIN_INTERVAL
    pacing.learn(1, 9)
    assert pacing.first_look(1, "responses") == 10  # one run in twenty ended before
    assert pacing.first_look(2, "responses") == MIN_INTERVAL


def test_the_quiet_time_grows_shrinks_and_has_a_limit() -> None:
    pacing = Pacing()
    for seconds, expected in [(8, 8), (20, 20), (500, LONGEST_QUIET), (3, 3), (0, MIN_INTERVAL)]:
        for _ in range(REMEMBERED_RUNS):
            pacing.learn(1, seconds)
        assert pacing.first_look(1, "responses") == expected


def test_runs_teach_how_long_they_take(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    assistant = Assistant.objects.get_or_create_default().pk
    for _ in range(ENOUGH_RUNS):
        engine.pacing.learn(assistant, 7)
    simulations = [start(engine, services.submit(analyst, QUERY)) for _ in range(2)]
    for simulation in simulations:
        wait = simulation.due_at - simulation.round_started_at
        assert wait.total_seconds() == pytest.approx(7, abs=0.1)
    emulator.release()
    for simulation in simulations:
        drive(simulation)
    assert engine.pacing.first_look(assistant, "responses") == MIN_INTERVAL


@pytest.mark.parametrize(("asked_ms", "seconds"), [(300, 0.3), (9_000, 9.0), (600_000, 30.0)])
def test_a_provider_that_names_the_next_poll_is_heeded(
    emulator: EmulatorProcess, engine: Engine, analyst: User, asked_ms: int, seconds: float
) -> None:
    emulator.control(latency=600, poll_after_ms=asked_ms)
    simulation = start(engine, services.submit(analyst, QUERY))
    make_due(engine)
    asked_at = timezone.now()
    engine.run_slice(0.05)
    engine.drain(5)
    simulation.refresh_from_db()
    wait = (simulation.due_at - asked_at).total_seconds()
    assert seconds <= wait <= seconds + 1


def start(engine: Engine, simulation: Simulation) -> Simulation:
    """Drives a simulation until its run was accepted."""
    for _ in range(50):
        engine.run_slice(0.1)
        simulation.refresh_from_db()
        if simulation.status == Status.RUNNING:
            return simulation
    pytest.fail(f"Still {simulation.status}")
