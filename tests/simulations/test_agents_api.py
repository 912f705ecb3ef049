"""Agents over the API and on their pages: for administrators alone."""

import pytest
from django.test import Client

from accounts.models import Module, User
from simulations import services
from simulations.models import Agent, AgentRun, Assistant, Simulation, Status
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

JSON = "application/json"
BODY = {
    "name": "Gate watch",
    "query": "Who checks the gate?",
    "owner": "analyst",
    "schedule": "0 9 * * 1-5",
    "time_zone": "Europe/Vienna",
}


@pytest.fixture
def client(admin: User, analyst: User) -> ApiClient:
    return ApiClient(admin)


def test_an_agent_from_its_making_to_its_end(client: ApiClient, analyst: User) -> None:
    made = client.post_json("agents", BODY)
    assert made.status_code == 201, made.content
    shown = client.get(made.headers["Location"])
    assert shown.json() == made.json()
    agent = shown.json()
    assert agent["schedule_in_words"] == "At 09:00 on Monday through Friday (Europe/Vienna)"
    assert agent["next_run_at"]
    assert (agent["assistant"], agent["is_enabled"]) == (None, True)

    path = made.headers["Location"]
    changed = client.patch(path, {"schedule": ""}, content_type=JSON, headers={"If-Match": "*"})
    assert changed.status_code == 200, changed.content
    assert changed.json()["next_run_at"] is None
    seen = {"If-Match": shown.headers["ETag"]}
    assert client.patch(path, {"name": "X"}, content_type=JSON, headers=seen).status_code == 412
    assert [one["name"] for one in client.get("/api/v1/agents").json()["results"]] == ["Gate watch"]
    services.run_agent(Agent.objects.get())
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert Simulation.objects.get().owner == analyst


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule": "every day"}, "schedule"),
        ({"time_zone": "Vienna"}, "time_zone"),
        ({"time_zone": "EST"}, "time_zone"),
        ({"owner": "nobody"}, "owner"),
        ({"owner": "reader"}, "owner"),
        ({"assistant": 10_000}, "assistant"),
        ({"query": "x" * 12_001}, "query"),
        ({"name": "Taken"}, "name"),
        ({"next_run_at": "2026-01-01T00:00Z"}, "next_run_at"),
        ({"cron": "* * * * *"}, "cron"),
    ],
)
def test_bad_input_is_refused_by_field(client: ApiClient, changes: dict, field: str) -> None:
    reader = User.objects.create_user("reader", modules=[Module.KNOWLEDGE_BASE])
    Agent.objects.create(name="Taken", query="?", owner=reader)
    refused = client.post_json("agents", BODY | changes)
    assert refused.status_code == 400
    assert list(refused.json()["details"]) == [field]
    assert Agent.objects.count() == 1


def test_run_answers_202_with_the_simulation_and_replays(client: ApiClient, analyst: User) -> None:
    agent = Agent.objects.create(
        name="Gate watch",
        query="?",
        owner=analyst,
        assistant=Assistant.objects.get_or_create_default(),
    )
    path, key = f"/api/v1/agents/{agent.pk}/run", {"Idempotency-Key": "once"}
    # The owner's keys are not the administrator's.
    services.submit(analyst, "?", idempotency_key="once")
    first = client.post(path, content_type=JSON, headers=key)
    assert first.status_code == 202
    assert first.headers["Location"].endswith(f"/api/v1/simulations/{first.json()['id']}")
    again = client.post(path, content_type=JSON, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert AgentRun.objects.count() == 1

    refused = client.post(path, content_type=JSON)
    assert (refused.status_code, refused.json()["error"]) == (409, "AgentCannotRun")
    assert refused.json()["message"] == "Its run before is still active."
    Simulation.objects.transition(Status.FAILED)
    other = Agent.objects.create(name="Second", query="?", owner=analyst)
    assert (
        client.post(f"/api/v1/agents/{other.pk}/run", content_type=JSON, headers=key).status_code
        == 422
    )

    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=0)
    assert client.post(path, content_type=JSON).status_code == 429
    [run] = client.get(f"/api/v1/agents/{agent.pk}/runs").json()["results"]
    assert (run["status"], run["started_by"], run["skipped"]) == ("FAILED", "admin", "")


def test_the_pages_show_schedule_history_and_reasons(admin: User, analyst: User) -> None:
    agent = Agent.objects.create(**BODY | {"owner": analyst})
    page = Client()
    page.force_login(admin)
    path = f"/agents/{agent.pk}/"
    ran = page.post(f"{path}run/", follow=True).content.decode()
    assert "It runs." in ran
    assert "started by admin" in ran
    refused = page.post(f"{path}run/", follow=True).content.decode()
    assert "It did not run: Its run before is still active." in refused
    agent.note_skip("Its owner is away.")
    agent.note_skip("Its owner is away.")
    shown = page.get(path).content.decode()
    assert "At 09:00 on Monday through Friday (Europe/Vienna)" in shown
    assert shown.count(", 09:00 CE") == 3
    assert "Its owner is away." in shown
    assert "2 times in a row" in shown
    assert "Skipped" in page.get("/agents/").content.decode()


def test_agents_are_made_in_the_admin(admin: User, analyst: User) -> None:
    page = Client()
    page.force_login(admin)
    path = "/admin/simulations/agent/"
    form = BODY | {"owner": analyst.pk, "is_enabled": "on"}
    refused = page.post(f"{path}add/", form | {"schedule": "daily"}).content.decode()
    assert "Give five fields" in refused
    assert page.post(f"{path}add/", form).status_code == 302
    agent = Agent.objects.get()
    assert agent.next_run_at
    shown = page.get(f"{path}{agent.pk}/change/").content.decode()
    assert "At 09:00 on Monday through Friday (Europe/Vienna)" in shown
    assert f'href="/agents/{agent.pk}/"' in shown


def test_a_time_zone_that_names_no_place_stays_until_it_is_changed(
    client: ApiClient, admin: User, analyst: User
) -> None:
    agent = Agent.objects.create(**BODY | {"owner": analyst, "time_zone": "EST"})
    path = f"/api/v1/agents/{agent.pk}"
    renamed = client.patch(path, {"name": "B"}, content_type=JSON, headers={"If-Match": "*"})
    assert (renamed.status_code, renamed.json()["time_zone"]) == (200, "EST")
    page = Client()
    page.force_login(admin)
    edit = f"/admin/simulations/agent/{agent.pk}/change/"
    shown = page.get(edit)
    assert '<option value="EST" selected>' in shown.text
    form = shown.context["adminform"].form.initial | {"is_enabled": "on", "assistant": ""}
    assert page.post(edit, form | {"name": "C"}).status_code == 302
    agent.refresh_from_db()
    assert (agent.name, agent.time_zone) == ("C", "EST")
    refused = page.post("/admin/simulations/agent/add/", form | {"time_zone": "Japan"})
    assert "Select a valid choice. Japan is not one" in refused.text
