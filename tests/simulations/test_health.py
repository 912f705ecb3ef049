"""/readyz, and the signs of life that it reads."""

from datetime import timedelta

import pytest
from celery import Celery
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from simulations import services, tasks
from simulations.models import EnginePulse, Simulation, Tally
from simulations.monitoring.metrics import POLL
from simulations.monitoring.pulse import Pulse, pulse
from simulations.providers.base import ProviderError
from simulations.steps.running import FetchRun
from tests.conftest import Drive
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db
TOKEN = "a-token-for-metrics"


def ready(query: str = "") -> tuple[int, dict]:
    response = Client(headers={"Authorization": f"Bearer {TOKEN}"}).get(f"/readyz{query}")
    return response.status_code, response.json()


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.fixture
def alive() -> None:
    fresh = Pulse()
    fresh.note_tick()
    fresh.write()


def age(**seconds: float) -> None:
    moments = {name: Now() - timedelta(seconds=value) for name, value in seconds.items()}
    EnginePulse.objects.update(**moments)


def test_before_any_worker_was_there_it_is_not_ready() -> None:
    status, body = ready()
    assert (status, body["status"]) == (503, "failing")
    assert body["checks"]["database"] == body["checks"]["broker"] == "ok"
    assert body["checks"]["engine"].startswith("No worker looks for work")


@pytest.mark.usefixtures("alive")
def test_it_is_ready_while_worker_and_beat_give_signs_of_life() -> None:
    status, body = ready()
    assert (status, body["status"], set(body["checks"].values())) == (200, "ok", {"ok"})
    assert body["figures"]["in_flight"] == 0
    assert body["figures"]["seconds_since_claim"] is None
    assert 0 <= body["figures"]["seconds_since_look"] < 30


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(("silent", "check"), [("looked_at", "engine"), ("ticked_at", "beat")])
def test_silence_is_told_by_who_is_silent(silent: str, check: str) -> None:
    age(**{silent: 31})
    status, body = ready()
    failing = {name for name, found in body["checks"].items() if found != "ok"}
    assert (status, failing) == (503, {check})
    assert ready(f"?exclude={check}")[0] == 200


@pytest.mark.usefixtures("alive")
def test_overdue_work_is_told(analyst: User) -> None:
    simulation = services.submit(analyst, "Why?")
    due = Now() - timedelta(seconds=40)
    Simulation.objects.filter(pk=simulation.pk).update(admitted_at=due, due_at=due)
    status, body = ready()
    assert (status, body["checks"]["engine"]) == (503, "Work is overdue. Start more workers.")
    assert body["figures"]["oldest_due_seconds"] >= 40
    assert body["figures"]["in_flight"] == 1


@pytest.mark.usefixtures("alive")
def test_without_the_token_there_are_no_figures() -> None:
    assert "figures" not in Client().get("/readyz").json()


@pytest.mark.usefixtures("alive")
def test_a_broker_that_is_away_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMBEDDED_BROKER = False
    monkeypatch.setattr("simulations.monitoring.health.app", broker_at("redis://127.0.0.1:9/0"))
    status, body = ready()
    assert (status, body["checks"]["broker"][:22]) == (503, "It can't be reached. Q")


def broker_at(url: str) -> Celery:
    return Celery("elsewhere", broker=url)


def test_a_database_that_is_away_is_told() -> None:
    def refuse(*args: object) -> None:
        raise OperationalError("refused")

    with connection.execute_wrapper(refuse):
        status, body = ready()
    assert (status, body["checks"]["database"][:19]) == (503, "It can't be reached")


@pytest.mark.django_db(transaction=True)
def test_a_worker_writes_down_what_it_did(
    emulator: EmulatorProcess, analyst: User, drive: Drive
) -> None:
    pulse.counts.clear()
    pulse.seen.clear()
    emulator.arm("500", "fetch_run")
    simulation = drive(services.submit(analyst, "Why?"))
    pulse.write()
    found = {(tally.kind, tally.label): tally.total for tally in Tally.objects.all()}
    assert found["steps", "OpenTurn"] == found["steps", "StartOpenedTurn"] == 1
    assert found["steps", POLL] >= 2
    assert found["provider_errors", "http_500"] == 1
    assert found["tokens", "input"] + found["tokens", "output"] == simulation.tokens_used
    assert EnginePulse.objects.get().claimed_at
    pulse.write()
    assert Tally.objects.get(label="OpenTurn").total == 1, "nothing is counted twice"


def test_the_step_that_polls_is_named_as_the_metrics_name_it() -> None:
    assert FetchRun.__name__ == POLL


def test_counts_of_two_workers_add_up_and_outlast_an_outage() -> None:
    one, other = Pulse(), Pulse()
    error = ProviderError("words", code="their_own_code", status=400)
    for worker in (one, other):
        worker.count_error(error)

    def refuse(*args: object) -> None:
        raise OperationalError("refused")

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        one.write()
    one.write()
    other.write()
    assert Tally.objects.get(kind="provider_errors", label="http_400").total == 2


@pytest.mark.parametrize(("sent_by_beat", "seen"), [(True, True), (False, False)])
def test_only_beat_s_own_ticks_are_its_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, sent_by_beat: bool, seen: bool
) -> None:
    fresh = Pulse()
    monkeypatch.setattr(tasks, "pulse", fresh)
    tasks.advance_due.push_request(**({"celery_beat_task": True} if sent_by_beat else {}))
    tasks.advance_due.run()
    tasks.advance_due.pop_request()
    assert (EnginePulse.objects.get().ticked_at is not None) is seen
