"""Servers that fail, lie or hang: every row still ends, and the others go on."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from simulations import services
from simulations.engine import Engine, claim
from simulations.models import Run, Simulation, Status
from simulations.providers import get_provider
from simulations.providers.base import ProviderError
from simulations.providers.client import OPENAI_URL, DeadlineTransport, build_client, get_client
from simulations.steps import next_step, pending
from simulations.turns import ground
from tests.conftest import Drive, make_due
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
    assert simulation.error_code == "model_not_found"
    assert "no-such-model" not in simulation.error_message
    assert "no-such-model" in simulation.error_detail
    assert not Simulation.objects.charged().exists()


def test_one_row_that_cannot_be_worked_on_does_not_stop_the_others(
    emulator: EmulatorProcess, drive: Drive, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *good = [services.submit(analyst, query) for query in ("bad", "one?", "two?")]
    broken = lambda it: 1 / 0 if it.pk == bad.pk else ground(it)  # noqa: E731
    monkeypatch.setattr(pending, "ground", broken)
    assert {drive(it).status for it in good} == {Status.COMPLETED}
    assert drive(bad).error_code == "internal_error"


def test_creates_that_fail_for_ever_end_as_failed_and_charged(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, settings: Settings
) -> None:
    emulator.arm("500", "start_run", count=100)
    simulation = services.submit(analyst, "A question?")
    for _ in range(12):
        engine.run_slice(0.1)
        make_due(engine)
    assert simulation.runs.filter(outcome=Run.Outcome.LOST).count() >= 2
    settings.START_TIMEOUT = timedelta(0)
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("start_timeout", 503)
    assert not simulation.runs.exclude(outcome=Run.Outcome.LOST).exists()
    assert Simulation.objects.charged().count() == 1


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


def test_a_run_the_provider_forgot_fails(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.control(latency=600)
    simulation = start(engine, services.submit(analyst, "A question?"))
    emulator.reset()
    drive(simulation)
    assert (simulation.error_code, simulation.error_status) == ("run_lost", 502)
    assert simulation.runs.get().outcome == Run.Outcome.FAILED


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
    [claimed] = claim(1)
    engine.start(next_step(claimed, 1.2))
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
        Simulation.objects.active().exclude(
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
    assert claim(1, engine.under_way()) == []
    engine.drain(5)


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

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        done.set()
        thread.join()


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
        get_provider("responses").fetch_run("conv_1", "resp_1")
    get_client().close()
    build_client.cache_clear()
    assert (caught.value.retryable, caught.value.ambiguous) == (True, True)
