"""A webhook makes its run's row due, at once, and that is all it does."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from simulations import services, webhooks
from simulations.engine import Engine
from simulations.models import Run, Simulation, Status, WebhookHint
from simulations.providers.base import RunSnapshot, RunState
from simulations.queue.admission import admit
from simulations.queue.claims import claim
from simulations.queue.pacing import SPARSE_INTERVAL, Pacing
from simulations.steps import FetchRun, StartRun
from tests import services as test_services
from tests.conftest import Drive
from tests.emulator.process import EmulatorProcess

PATH = "/webhooks/openai/"
SECRET = "whsec_" + base64.b64encode(b"a key for tests alone").decode()
PACING = Pacing()
ACCEPTED = RunSnapshot("resp_1", "queued", RunState.ACTIVE)


@pytest.fixture(autouse=True)
def configured(settings: Settings) -> None:
    settings.OPENAI_WEBHOOK_SECRET = SECRET


def event(run_id: object = "resp_1", kind: object = "response.completed") -> bytes:
    return json.dumps({"object": "event", "type": kind, "data": {"id": run_id}}).encode()


def signed(body: bytes, *, secret: str = SECRET, age: float = 0, ident: str = "evt_1") -> dict:
    timestamp = str(int(time.time() - age))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{ident}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": ident,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def post(body: bytes, headers: dict[str, str] | None = None) -> HttpResponse:
    sent = signed(body) if headers is None else headers
    client = Client(enforce_csrf_checks=True)
    return client.post(PATH, body, content_type="application/json", headers=sent)


@pytest.fixture
def starting(analyst: User) -> StartRun:
    """Behind the money gate: its run's id is not saved yet."""
    simulation = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=simulation.pk).update(opened_at=Now(), prompt="A question?")
    admit()
    [claimed] = claim(1, PACING)
    step = StartRun(claimed, PACING)
    assert step.prepare()
    return step


@pytest.fixture
def running(starting: StartRun) -> Simulation:
    starting.apply(ACCEPTED)
    starting.simulation.refresh_from_db()
    return starting.simulation


def is_due(simulation: Simulation) -> bool:
    return Simulation.objects.due().filter(pk=simulation.pk).exists()


# --- What a webhook does ----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["completed", "failed", "incomplete", "cancelled"])
def test_a_webhook_makes_its_row_due_in_one_query(
    running: Simulation, kind: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert not is_due(running)
    with django_assert_num_queries(1):
        response = post(event(kind=f"response.{kind}"))
    assert (response.status_code, response.content) == (204, b"")
    assert is_due(running)
    assert not WebhookHint.objects.exists()


@pytest.mark.django_db
def test_a_poll_under_way_does_not_put_off_the_next_one(running: Simulation) -> None:
    Simulation.objects.filter(pk=running.pk).update(due_at=Now())
    [claimed] = claim(1, PACING)
    poll = FetchRun(claimed, PACING)
    assert poll.prepare()
    post(event())
    poll.apply(RunSnapshot("resp_1", "in_progress", RunState.ACTIVE, poll_after=20.0))
    assert is_due(running)


@pytest.mark.django_db
def test_a_repeated_delivery_is_fine(running: Simulation) -> None:
    assert [post(event()).status_code for _ in range(2)] == [204, 204]
    assert [post(event("resp_unknown")).status_code for _ in range(2)] == [204, 204]
    assert WebhookHint.objects.get().run_id == "resp_unknown"


@pytest.mark.django_db
def test_what_is_over_stays_over(running: Simulation) -> None:
    Simulation.objects.filter(pk=running.pk).transition(Status.COMPLETED, answer="It.")
    assert post(event()).status_code == 204
    running.refresh_from_db()
    assert (running.status, running.due_at) == (Status.COMPLETED, None)


@pytest.mark.django_db
def test_a_webhook_for_a_run_not_known_yet_is_heeded_when_it_is(starting: StartRun) -> None:
    assert post(event()).status_code == 204
    assert not is_due(starting.simulation)
    starting.apply(ACCEPTED)
    assert is_due(starting.simulation)


@pytest.mark.django_db
def test_a_run_accepted_while_the_hint_is_written_is_seen_by_the_second_try(
    starting: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = webhooks.remember

    def accepted_first(run_id: str) -> None:
        starting.apply(ACCEPTED)  # it looks for the hint, in vain
        remember(run_id)

    monkeypatch.setattr(webhooks, "remember", accepted_first)
    post(event())
    assert is_due(starting.simulation)


@pytest.mark.django_db
def test_hints_are_forgotten_after_five_minutes() -> None:
    for run_id, age in [("resp_old", 301), ("resp_recent", 290)]:
        received_at = timezone.now() - timedelta(seconds=age)
        WebhookHint.objects.create(run_id=run_id, received_at=received_at)
    post(event("resp_new"))
    assert set(WebhookHint.objects.values_list("run_id", flat=True)) == {"resp_recent", "resp_new"}


@pytest.mark.skipif(not test_services.ON_POSTGRESQL, reason="SQLite's writers take turns")
@pytest.mark.django_db(transaction=True)
def test_a_run_that_ends_while_the_webhook_waits_for_its_row(running: Simulation) -> None:
    answers: list[int] = []
    delivery = threading.Thread(target=deliver, args=(answers,))
    with transaction.atomic():
        Simulation.objects.filter(pk=running.pk).transition(Status.COMPLETED, answer="It.")
        delivery.start()
        wait_until(somebody_waits_for_us)
    delivery.join()
    assert answers == [204]
    running.refresh_from_db()
    assert (running.status, running.due_at) == (Status.COMPLETED, None)


def deliver(answers: list[int]) -> None:
    client = Client(raise_request_exception=False)
    body = event()
    response = client.post(PATH, body, content_type="application/json", headers=signed(body))
    answers.append(response.status_code)
    connection.close()


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks "
            "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return cursor.fetchone() is not None


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "It did not happen in time"
        time.sleep(0.02)
    return found


# --- What is refused or passed over -----------------------------------------------------------


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in signed(event()).items() if key != name}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "make_headers",
    [
        dict,
        lambda: without("webhook-id"),
        lambda: without("webhook-timestamp"),
        lambda: without("webhook-signature"),
        lambda: signed(event(), secret="whsec_" + base64.b64encode(b"another key").decode()),
        lambda: signed(event("resp_2")),
        lambda: signed(event(), age=400),
        lambda: signed(event(), age=-400),
        lambda: signed(event()) | {"webhook-id": "evt_2"},
        lambda: signed(event()) | {"webhook-timestamp": "now"},
        lambda: signed(event()) | {"webhook-signature": "v1,"},
        lambda: signed(event()) | {"webhook-signature": "v1,\xe9"},
    ],
)
def test_a_webhook_without_a_valid_signature_is_refused(
    running: Simulation, make_headers: Callable[[], dict[str, str]]
) -> None:
    response = post(event(), make_headers())
    assert response.status_code == 400
    assert response.json().items() >= {"error": "InvalidSignature", "statusCode": 400}.items()
    assert not is_due(running)
    assert not WebhookHint.objects.exists()


@pytest.mark.django_db
def test_a_body_that_is_not_text_is_refused() -> None:
    assert post(b"\xff").status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        event(kind="response.created"),
        event(kind="batch.completed"),
        event(kind=["response.completed"]),
        event(None),
        event(7),
        event(""),
        event("resp_\0"),
        event("resp_\ud800"),
        event("r" * 513),
        b'{"type": "response.completed"}',
        b'{"type": "response.completed", "data": "resp_1"}',
        b"[]",
        b"no JSON",
    ],
)
def test_any_other_event_is_passed_over(
    running: Simulation, body: bytes, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert post(body).status_code == 204
    assert not is_due(running)
    assert not WebhookHint.objects.exists()


@pytest.mark.django_db
def test_a_large_body_is_refused_before_its_signature_is_looked_at() -> None:
    assert post(b" " * 65_537, {}).status_code == 413
    assert post(b" " * 65_536, {}).status_code == 400


@pytest.mark.django_db
def test_without_a_secret_there_is_no_such_page(settings: Settings) -> None:
    settings.OPENAI_WEBHOOK_SECRET = ""
    response = post(event())
    assert response.status_code == 404
    assert response.json()["error"] == "NotFound"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(method: str) -> None:
    assert Client().generic(method, PATH).status_code == 405


@pytest.mark.django_db
def test_no_key_and_no_session_is_needed(settings: Settings) -> None:
    settings.OPENAI_API_KEY = ""
    webhooks._verifier.cache_clear()
    response = post(event())
    assert response.status_code == 204
    assert not response.cookies


# --- With a provider that sends them ----------------------------------------------------------


@pytest.fixture
def hooked(emulator: EmulatorProcess, live_server: LiveServer) -> EmulatorProcess:
    """An emulator that sends its webhooks here."""
    emulator.control(webhook_url=live_server.url + PATH, webhook_secret=SECRET)
    return emulator


def work_until(
    engine: Engine, simulation: Simulation, reached: Callable[[Simulation], Any], seconds: float = 8
) -> Simulation:
    """The engine on its own clock: nothing is made due by the test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        engine.run_slice(0.05)
        simulation.refresh_from_db()
        if reached(simulation):
            return simulation
        time.sleep(0.02)
    pytest.fail(f"Still {simulation.status}, due at {simulation.due_at}, after {seconds} s")


def is_terminal(simulation: Simulation) -> bool:
    return simulation.is_terminal


def is_running(simulation: Simulation) -> bool:
    return simulation.status == Status.RUNNING


@pytest.mark.django_db(transaction=True)
def test_a_run_that_ends_is_fetched_at_once_and_once(
    analyst: User, engine: Engine, hooked: EmulatorProcess
) -> None:
    hooked.control(latency=0.5)
    simulation = work_until(engine, services.submit(analyst, "A question?"), is_running)
    assert not is_due(simulation)
    assert work_until(engine, simulation, is_terminal).status == Status.COMPLETED
    assert hooked.counts()["fetch_run"] == 1
    assert not WebhookHint.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_run_that_ends_before_its_id_is_saved(
    analyst: User, engine: Engine, hooked: EmulatorProcess
) -> None:
    hooked.arm("slow", "start_run", seconds=0.6)
    simulation = services.submit(analyst, "A question?")
    assert work_until(engine, simulation, is_terminal).status == Status.COMPLETED
    assert WebhookHint.objects.get().received_at < simulation.run.accepted_at
    assert hooked.counts()["fetch_run"] == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_webhook_only_delays(
    analyst: User, engine: Engine, emulator: EmulatorProcess, drive: Drive
) -> None:
    simulation = work_until(engine, services.submit(analyst, "A question?"), is_running)
    later = (simulation.due_at - simulation.round_started_at).total_seconds()
    assert later == pytest.approx(SPARSE_INTERVAL, abs=1)
    assert drive(simulation).status == Status.COMPLETED


@pytest.mark.django_db
def test_polls_are_sparse_and_end_with_the_deadline(
    running: Simulation, settings: Settings
) -> None:
    age = timedelta(seconds=80)
    started_at = timezone.now() - age
    polled = Simulation.objects.filter(pk=running.pk)
    for timeout, expected in [(600, age.seconds + SPARSE_INTERVAL), (90, 90), (60, 110)]:
        settings.RUN_TIMEOUT = timedelta(seconds=timeout)
        polled.update(due_at=Now(), round_started_at=started_at)
        assert claim(1, PACING)
        next_poll = (polled.get().due_at - started_at).total_seconds()
        assert next_poll == pytest.approx(expected, abs=1)


@pytest.mark.django_db(transaction=True)
def test_the_deadline_is_kept_although_polls_are_sparse(
    analyst: User, engine: Engine, hooked: EmulatorProcess, settings: Settings
) -> None:
    settings.RUN_TIMEOUT = timedelta(seconds=2)
    hooked.control(latency=60)
    simulation = work_until(engine, services.submit(analyst, "A question?"), is_running)
    Simulation.objects.filter(pk=simulation.pk).update(due_at=Now())  # its first poll
    work_until(engine, simulation, is_terminal)
    assert (simulation.status, simulation.error_code) == (Status.FAILED, "run_timeout")


@pytest.mark.django_db(transaction=True)
def test_a_lost_run_is_found_by_its_webhook_with_its_tokens(
    analyst: User, engine: Engine, hooked: EmulatorProcess, drive: Drive
) -> None:
    hooked.arm("drop", "start_run")
    simulation = services.submit(analyst, "A question?")
    work_until(engine, simulation, lambda _: WebhookHint.objects.exists())
    assert drive(simulation).status == Status.COMPLETED

    [sent] = hooked.runs(simulation=str(simulation.pk))
    run = Run.objects.get()
    assert (run.adopted, run.provider_id, run.outcome) == (True, sent["id"], Run.Outcome.COMPLETED)
    assert simulation.tokens_used == run.total_tokens == sent["usage"]["total_tokens"]
