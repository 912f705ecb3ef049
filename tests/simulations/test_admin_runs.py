"""What administrators see of runs, and how they cancel."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from simulations import services
from simulations.models import Run, Simulation, Status, ToolCall

pytestmark = pytest.mark.django_db

SIMULATIONS = "/admin/simulations/simulation/"
RUNS = "/admin/simulations/run/"


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def billed_twice(analyst: User) -> Simulation:
    """Its first run was lost, its second one answered, with the help of a tool."""
    simulation = services.submit(analyst, "Asked and billed twice?")
    simulation.runs.create(
        outcome="lost", fault="timeout", fault_detail="No answer in time", looks=3
    )
    run = simulation.runs.create(outcome="completed", provider_id="resp_2", adopted=True)
    ToolCall.objects.create(
        run=run, round=1, position=1, name="search_knowledge", arguments="{}", output="Found it."
    )
    Simulation.objects.filter(pk=simulation.pk).transition(Status.COMPLETED, run=run)
    return simulation


def run_it(simulation: Simulation) -> None:
    run = simulation.runs.create(provider_id=f"resp_{simulation.pk}")
    now = timezone.now()
    Simulation.objects.filter(pk=simulation.pk).update(
        status=Status.RUNNING, run=run, admitted_at=now, due_at=now
    )


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        page(client, path)
    return len(captured)


def test_extra_runs_are_counted_and_filtered(
    curator: Client, analyst: User, billed_twice: Simulation
) -> None:
    billed_twice.runs.create(outcome="unwanted")
    services.submit(analyst, "Billed once?").runs.create(outcome="completed")
    everything = page(curator, SIMULATIONS)
    assert "Billed once?" in everything
    assert '<td class="field-extra_runs">2</td>' in everything
    with_extra = page(curator, f"{SIMULATIONS}?extra_runs=yes")
    assert "billed twice?" in with_extra
    assert "Billed once?" not in with_extra
    without = page(curator, f"{SIMULATIONS}?extra_runs=no")
    assert "Billed once?" in without
    assert "billed twice?" not in without


def test_a_simulation_shows_its_runs_and_its_engine_columns(
    curator: Client, billed_twice: Simulation
) -> None:
    billed_twice.runs.create(outcome="unwanted", discard_due_at=timezone.now())
    shown = page(curator, f"{SIMULATIONS}{billed_twice.pk}/change/")
    for run in billed_twice.runs.all():
        assert f"{RUNS}{run.pk}/change/" in shown
    for name in ["admitted_at", "round_started_at", "tool_rounds", "awaits_outputs"]:
        assert f"field-{name}" in shown
    for name in ["retry_of", "idempotency_key", "looks", "discard_due_at"]:
        assert f"field-{name}" in shown


def test_runs_are_listed_by_outcome_with_their_simulation(
    curator: Client, billed_twice: Simulation
) -> None:
    assert "?outcome__exact=lost" in page(curator, RUNS)
    lost = page(curator, f"{RUNS}?outcome__exact=lost")
    assert "No answer in time" in lost
    assert f'href="{SIMULATIONS}{billed_twice.pk}/change/"' in lost
    assert "1 run" in lost
    completed = page(curator, f"{RUNS}?outcome__exact=completed")
    assert "No answer in time" not in completed


def test_a_run_shows_its_tool_calls(curator: Client, billed_twice: Simulation) -> None:
    run = billed_twice.runs.get(outcome="completed")
    shown = page(curator, f"{RUNS}{run.pk}/change/")
    assert "search_knowledge" in shown
    assert "Found it." in shown


@pytest.mark.parametrize("page_of", ["change", "delete"])
def test_runs_and_simulations_are_read_only(
    curator: Client, billed_twice: Simulation, page_of: str
) -> None:
    run = billed_twice.runs.first()
    for path in [f"{RUNS}{run.pk}/", f"{SIMULATIONS}{billed_twice.pk}/"]:
        assert curator.post(f"{path}{page_of}/", {"post": "yes"}).status_code == 403
    assert curator.get(f"{RUNS}add/").status_code == 403
    assert Run.objects.count() == 2


def test_the_selected_simulations_are_cancelled(
    curator: Client, analyst: User, billed_twice: Simulation
) -> None:
    waiting, running, left_alone = (services.submit(analyst, f"Question {n}?") for n in range(3))
    run_it(running)
    selected = [str(one.pk) for one in (waiting, running, billed_twice)]
    form = {"action": "cancel", "_selected_action": selected}
    shown = curator.post(SIMULATIONS, form, follow=True).content.decode()
    assert "Cancelled, or being ended at the provider: 2." in shown
    assert "Over before, with nothing to cancel: 1." in shown
    for simulation in (waiting, running, left_alone, billed_twice):
        simulation.refresh_from_db()
    assert waiting.status == Status.CANCELLED
    assert running.is_stopping
    assert left_alone.status == Status.PENDING
    assert billed_twice.status == Status.COMPLETED


def more_simulations(analyst: User, simulation: Simulation) -> None:
    for number in range(5):
        services.submit(analyst, f"Question {number}?").runs.create(outcome="lost")


def more_runs(analyst: User, simulation: Simulation) -> None:
    for _ in range(5):
        simulation.runs.create(outcome="unwanted")


def more_tool_calls(analyst: User, simulation: Simulation) -> None:
    for position in range(5):
        run = simulation.runs.get(outcome="completed")
        ToolCall.objects.create(run=run, round=2, position=position, name="search_knowledge")


@pytest.mark.parametrize(
    ("path", "make_more"),
    [
        (SIMULATIONS, more_simulations),
        (f"{SIMULATIONS}{{simulation}}/change/", more_runs),
        (RUNS, more_simulations),
        (f"{RUNS}{{run}}/change/", more_tool_calls),
    ],
)
def test_more_rows_cost_no_more_queries(
    curator: Client,
    analyst: User,
    billed_twice: Simulation,
    path: str,
    make_more: Callable[[User, Simulation], None],
) -> None:
    run = billed_twice.runs.get(outcome="completed")
    path = path.format(simulation=billed_twice.pk, run=run.pk)
    few = queries(curator, path)
    make_more(analyst, billed_twice)
    assert queries(curator, path) == few
