"""What Prometheus reads, and who may."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from simulations import services
from simulations.models import Assistant, Conversation, Run, Simulation, Status, ToolCall
from simulations.turns import tools

pytestmark = pytest.mark.django_db

TOKEN = "metrics-for-tests"


@pytest.fixture(autouse=True)
def configured(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def get(authorization: str | None = f"Bearer {TOKEN}", **headers: str) -> HttpResponse:
    if authorization is not None:
        headers["Authorization"] = authorization
    return Client().get("/metrics", headers=headers)


def value(name: str, **labels: str) -> float:
    families = text_string_to_metric_families(get().content.decode())
    samples = [sample for family in families for sample in family.samples]
    [found] = [it.value for it in samples if (it.name, it.labels) == (f"sitrep_{name}", labels)]
    return found


@pytest.fixture
def make(analyst: User) -> Callable[..., Simulation]:
    def make(status: Status, **fields: object) -> Simulation:
        conversation = Conversation.objects.create(owner=analyst, protocol="responses")
        simulation = Simulation.objects.create(
            owner=analyst,
            assistant=Assistant.objects.get_or_create_default(),
            conversation=conversation,
            query="A question?",
        )
        if status == Status.RUNNING:
            fields["run"] = Run.objects.create(simulation=simulation)
        Simulation.objects.filter(pk=simulation.pk).update(status=status, **fields)
        return simulation

    return make


@pytest.fixture
def done(make: Callable[..., Simulation]) -> Simulation:
    return make(Status.COMPLETED)


def seconds_ago(seconds: float) -> dict[str, object]:
    moment = timezone.now() - timedelta(seconds=seconds)
    return {"admitted_at": moment, "due_at": moment}


# --- Who may ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer \xe9",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
    ],
)
def test_metrics_need_the_token(
    authorization: str | None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = get(authorization)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"] == "Unauthorized"


@pytest.mark.parametrize("authorization", [None, "Bearer ", f"Bearer {TOKEN}"])
def test_without_a_token_there_are_no_metrics(
    settings: Settings, authorization: str | None
) -> None:
    settings.METRICS_TOKEN = ""
    assert get(authorization).status_code == 404


def test_an_administrators_session_is_not_enough(admin: User) -> None:
    client = Client()
    client.force_login(admin)
    assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4;q=0.5", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_the_format_is_what_the_scraper_asks_for(accept: str, content_type: str) -> None:
    response = get(Accept=accept)
    assert response["Content-Type"].startswith(content_type)
    parse = text_string_to_metric_families
    if "openmetrics" in content_type:
        parse = openmetrics.text_string_to_metric_families
    assert {family.name for family in parse(response.content.decode())} == {
        "sitrep_simulations",
        "sitrep_simulations_in_flight",
        "sitrep_simulations_queued",
        "sitrep_engine_lag_seconds",
        "sitrep_engine_looked_seconds_ago",
        "sitrep_engine_claimed_seconds_ago",
        "sitrep_engine_ticked_seconds_ago",
        "sitrep_steps",
        "sitrep_polls",
        "sitrep_provider_errors",
        "sitrep_tokens",
        "sitrep_queue_age_seconds",
        "sitrep_runs",
        "sitrep_extra_runs",
        "sitrep_failed_runs",
        "sitrep_runs_to_discard",
        "sitrep_tool_calls",
    }


# --- What they say ----------------------------------------------------------------------------


def test_simulations_by_status_queued_and_in_flight(make: Callable[..., Simulation]) -> None:
    queued = make(Status.PENDING, created_at=timezone.now() - timedelta(seconds=100))
    make(Status.PENDING)
    make(Status.PENDING, **seconds_ago(40))
    make(Status.RUNNING, **seconds_ago(30))
    make(Status.COMPLETED, created_at=timezone.now() - timedelta(days=1))
    assert value("simulations", status="PENDING") == 3
    assert value("simulations", status="RUNNING") == 1
    assert value("simulations", status="COMPLETED") == 1
    assert value("simulations", status="FAILED") == 0
    assert value("simulations_queued") == 2
    assert value("simulations_in_flight") == 2
    assert value("engine_lag_seconds") == pytest.approx(40, abs=3)
    assert value("queue_age_seconds") == pytest.approx(100, abs=3)
    services.cancel(queued)
    assert value("queue_age_seconds") < 5


def test_nothing_is_late_where_nothing_is_due(make: Callable[..., Simulation]) -> None:
    assert value("engine_lag_seconds") == 0
    assert value("queue_age_seconds") == 0
    make(Status.RUNNING, **seconds_ago(-20))
    assert value("engine_lag_seconds") == 0


def test_runs_by_outcome(done: Simulation) -> None:
    for outcome, adopted in [("completed", False), ("completed", True), ("rejected", False)]:
        done.runs.create(outcome=outcome, adopted=adopted)
    done.runs.create()
    assert value("runs", outcome="completed", adopted="False") == 1
    assert value("runs", outcome="completed", adopted="True") == 1
    assert value("runs", outcome="rejected", adopted="False") == 1
    assert value("runs", outcome="open", adopted="False") == 1
    assert value("runs", outcome="lost", adopted="False") == 0


def test_extra_runs_by_fault(done: Simulation) -> None:
    for outcome, fault in [
        ("lost", "timeout"),
        ("unwanted", "timeout"),
        ("lost", "made_up_by_a_server"),
        ("lost", ""),
        ("rejected", "http_500"),
    ]:
        done.runs.create(outcome=outcome, fault=fault)
    assert value("extra_runs", fault="timeout") == 2
    assert value("extra_runs", fault="other") == 2
    assert value("extra_runs", fault="http_500") == 0


def test_failed_runs_by_the_provider_s_reason(done: Simulation) -> None:
    for fault in ["rate_limit_exceeded", "rate_limit_exceeded", "made_up_by_a_server"]:
        done.runs.create(outcome="failed", fault=fault)
    assert value("failed_runs", reason="rate_limit_exceeded") == 2
    assert value("failed_runs", reason="other") == 1


@pytest.mark.parametrize("fault", Run.Fault)
def test_every_fault_of_the_engine_has_a_series_of_its_own(
    done: Simulation, fault: Run.Fault
) -> None:
    done.runs.create()
    done.runs.discard(fault)
    assert value("extra_runs", fault=fault.value) == 1
    assert value("extra_runs", fault="other") == 0


def test_unwanted_runs_still_to_be_ended(done: Simulation) -> None:
    done.runs.create(outcome="unwanted", discard_due_at=timezone.now())
    done.runs.create(outcome="unwanted")
    assert value("runs_to_discard") == 1


def test_tool_calls_by_name_and_answer(done: Simulation, analyst: User) -> None:
    run = done.runs.create()
    answers = [
        (
            "search_knowledge",
            tools.answer_call(Assistant(), analyst, "search_knowledge", '{"query": "gate"}'),
        ),
        (
            "search_knowledge",
            tools.answer_call(Assistant(), analyst, "search_knowledge", "no JSON"),
        ),
        ("search_knowledge", ""),
        ("made_up", tools.answer_call(Assistant(), analyst, "made_up", "{}")),
        ("search_knowledge", json.dumps({"articles": [{"error": "Said so."}]})),
    ]
    for position, (name, output) in enumerate(answers):
        ToolCall.objects.create(run=run, round=1, position=position, name=name, output=output)
    assert value("tool_calls", tool="search_knowledge", answer="ok") == 2
    assert value("tool_calls", tool="search_knowledge", answer="error") == 1
    assert value("tool_calls", tool="search_knowledge", answer="none") == 1
    assert value("tool_calls", tool="other", answer="error") == 1


def test_a_scrape_costs_ten_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(10):
        assert get().status_code == 200
