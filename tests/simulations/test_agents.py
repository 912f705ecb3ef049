"""Agents: each time of a schedule is one run, on the owner's quota, or one skip that says why."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Module, User
from simulations import services
from simulations.agents import schedules
from simulations.agents.schedules import run_due_agents
from simulations.engine import Engine
from simulations.models import Agent, AgentRun, Assistant, Simulation, Status
from simulations.queue.claims import look_for_work
from simulations.quota import Quota
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(analyst: User) -> Agent:
    return Agent.objects.create(
        name="Gate watch", query="Who checks the gate?", owner=analyst, schedule="* * * * *"
    )


def make_agent_due(missed: timedelta = timedelta(seconds=1)) -> None:
    Agent.objects.exclude(next_run_at=None).update(next_run_at=timezone.now() - missed)


def skips() -> list[tuple[str, int]]:
    return list(AgentRun.objects.exclude(skipped="").values_list("skipped", "times"))


def test_a_due_agent_asks_its_question_once(agent: Agent, analyst: User) -> None:
    assert not run_due_agents()
    make_agent_due(missed=timedelta(days=3))  # no worker for 4,320 times of it
    assert run_due_agents()
    assert not run_due_agents()
    simulation = Simulation.objects.get()
    assert (simulation.owner, simulation.query) == (analyst, "Who checks the gate?")
    assert Quota.of(analyst).used == 1
    run = AgentRun.objects.get()
    assert (run.simulation, run.started_by, run.skipped) == (simulation, None, "")
    agent.refresh_from_db()
    assert timedelta(0) < agent.next_run_at - timezone.now() <= timedelta(minutes=1)


def test_the_page_of_what_it_asked_names_it(agent: Agent, admin: User) -> None:
    own = services.submit(agent.owner, "Who opens the barrier?")
    make_agent_due()
    run_due_agents()
    for user, link in [(agent.owner, False), (admin, True)]:
        client = Client()
        client.force_login(user)
        page = client.get(f"/simulations/{agent.runs.get().simulation_id}/").text
        assert "through the agent" in page
        assert "Gate watch" in page
        assert (f'href="/agents/{agent.pk}/"' in page) == link
        assert "through the agent" not in client.get(f"/simulations/{own.pk}/").text


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_runs_it(agent: Agent) -> None:
    """Both read the agent as due before either claims it."""
    make_agent_due()
    both_have_read = threading.Barrier(2)
    results = []

    def work() -> None:
        [due] = Agent.objects.due().annotate(now=Now())
        both_have_read.wait(10)
        results.append(schedules.run_scheduled(due))
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results) == [False, True]
    assert Simulation.objects.count() == AgentRun.objects.count() == 1


def disable_owner(agent: Agent, settings: Settings) -> None:
    User.objects.update(is_active=False)


def take_module_away(agent: Agent, settings: Settings) -> None:
    User.objects.update(modules=[Module.KNOWLEDGE_BASE])


def use_up_quota(agent: Agent, settings: Settings) -> None:
    User.objects.update(monthly_simulation_limit=0)


def switch_assistant_off(agent: Agent, settings: Settings) -> None:
    agent.assistant = Assistant.objects.create(name="Second", is_active=False)
    agent.save()


def keep_run_active(agent: Agent, settings: Settings) -> None:
    services.run_agent(agent)


def take_key_away(agent: Agent, settings: Settings) -> None:
    settings.OPENAI_CONFIGURED = False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (disable_owner, "Its owner is disabled."),
        (take_module_away, "Its owner has no access to module: simulations."),
        (use_up_quota, "Monthly simulation limit reached: 0 of 0 used."),
        (switch_assistant_off, "The assistant “Second” is switched off."),
        (keep_run_active, "Its run before is still active."),
        (take_key_away, "OpenAI not configured"),
    ],
)
def test_a_run_that_cannot_be_is_skipped_and_says_why(
    agent: Agent, settings: Settings, change: object, reason: str
) -> None:
    change(agent, settings)
    simulations = Simulation.objects.count()
    for _ in range(3):
        make_agent_due()
        assert not run_due_agents()
    assert Simulation.objects.count() == simulations
    [(why, times)] = skips()
    assert why.startswith(reason)
    assert times == 3
    assert not Agent.objects.due().exists()
    with pytest.raises(services.AppError):
        services.run_agent(agent)
    assert len(skips()) == 1, "who asks for a run is told so, and needs no history of it"


def test_after_a_skip_it_runs_again(agent: Agent) -> None:
    services.run_agent(agent)
    make_agent_due()
    assert not run_due_agents()
    Simulation.objects.transition(Status.COMPLETED)
    make_agent_due()
    assert run_due_agents()
    assert [run.outcome for run in agent.runs.all()] == ["Waiting", "Skipped", "Completed"]


def test_one_that_cannot_be_run_does_not_stop_the_others(
    agent: Agent, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Agent.objects.create(name="Second", query="?", owner=analyst, schedule="* * * * *")
    run = services.run_agent
    broken = lambda it: 1 / 0 if it.pk == agent.pk else run(it)  # noqa: E731
    monkeypatch.setattr(services, "run_agent", broken)
    make_agent_due()
    assert run_due_agents()
    assert AgentRun.objects.get(agent=other).simulation
    [(why, _)] = skips()
    assert why.startswith("Something went wrong inside Sitrep.")


@pytest.mark.parametrize("gone", [{"time_zone": "US/Gone"}, {"schedule": "no longer cron"}])
def test_a_schedule_that_cannot_be_read_stops_nobody_else(
    agent: Agent, analyst: User, admin: User, gone: dict[str, str]
) -> None:
    other = Agent.objects.create(name="Second", query="?", owner=analyst, schedule="* * * * *")
    question = services.submit(analyst, "Who opens the barrier?")
    Agent.objects.filter(pk=agent.pk).update(**gone)
    make_agent_due()
    engine = Engine(1, run_due_agents)
    engine.run_slice(0.1)
    engine.pool.shutdown()
    question.refresh_from_db()
    assert question.admitted_at
    assert AgentRun.objects.get(agent=other).simulation
    [(why, times)] = skips()
    assert why.startswith("Its schedule, ")
    assert all(value in why for value in gone.values())
    assert times == 1
    agent.refresh_from_db()
    assert agent.next_run_at is None


def test_an_unknown_time_zone_is_mended_by_choosing_another(agent: Agent, admin: User) -> None:
    Agent.objects.update(time_zone="US/Gone")
    page = Client()
    page.force_login(admin)
    path = f"/admin/simulations/agent/{agent.pk}/change/"
    assert page.get(f"/agents/{agent.pk}/").status_code == 200
    make_agent_due()
    run_due_agents()
    assert "in the time zone US/Gone" in page.get(f"/agents/{agent.pk}/").text
    form = page.get(path).context["adminform"].form.initial | {"is_enabled": "on", "assistant": ""}
    assert "This time zone is not known" in page.post(path, form).text
    assert page.post(path, form | {"time_zone": "UTC"}).status_code == 302
    agent.refresh_from_db()
    assert agent.next_run_at


def test_a_time_zone_that_came_back_counts_from_the_next_change_on(agent: Agent) -> None:
    Agent.objects.update(next_run_at=None)
    agent.save()
    assert Agent.objects.get().next_run_at


def test_an_idle_tick_costs_one_query_with_agents_too(agent: Agent, engine: Engine) -> None:
    look_for_work()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert not engine.run_slice(0.1)
    assert len(queries) == 1


def test_due_agents_are_found_by_an_index(agent: Agent) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert "agent_due" in Agent.objects.due().order_by("next_run_at").explain()


def test_the_engine_runs_what_is_due(agent: Agent, emulator: EmulatorProcess) -> None:
    engine = Engine(1, run_due_agents)
    make_agent_due()
    while not Simulation.objects.filter(status=Status.COMPLETED).exists():
        engine.run_slice(0.1)
        Simulation.objects.in_flight().exclude(pk__in=engine.under_way()).update(due_at=Now())
    engine.pool.shutdown()
    assert AgentRun.objects.get().outcome == "Completed"


def test_a_changed_plan_sets_the_next_time_and_nothing_else_does(agent: Agent) -> None:
    first = agent.next_run_at
    stale = Agent.objects.get(pk=agent.pk)
    make_agent_due()
    due_at = Agent.objects.get().next_run_at
    stale.name = "Renamed"
    stale.save()
    assert stale.next_run_at == due_at != first, "what is due stays due"
    stale.time_zone = "Asia/Kolkata"
    stale.schedule = "0 0 1 1 *"
    stale.save()
    assert f"{stale.next_run_at:%m-%d %H:%M %Z}" == "01-01 00:00 IST"
    for changes in ({"is_enabled": False}, {"is_enabled": True, "schedule": ""}):
        for name, value in changes.items():
            setattr(stale, name, value)
        stale.save()
        assert Agent.objects.get().next_run_at is None
    with pytest.raises(IntegrityError), transaction.atomic():
        Agent.objects.update(next_run_at=Now())


def test_who_owns_agents_cannot_be_deleted_nor_can_their_assistants(agent: Agent) -> None:
    agent.assistant = Assistant.objects.get_or_create_default()
    agent.save()
    for needed in (agent.owner, agent.assistant):
        with pytest.raises(ProtectedError):
            needed.delete()
