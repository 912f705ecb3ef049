"""Which assistant answers, with which settings, and what happens where a provider refuses them."""

from typing import get_args

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from openai.types.shared import ReasoningEffort
from pytest_django import Settings

from accounts.models import User
from simulations import services
from simulations.models import Assistant, Effort, Run, Simulation, Status
from simulations.quota import Quota
from tests.conftest import ApiClient, Drive
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db


def sent_for(emulator: EmulatorProcess, simulation: Simulation) -> dict:
    [run] = emulator.runs(simulation=str(simulation.pk))
    return run


def test_efforts_are_those_of_the_sdk() -> None:
    [literal, _] = get_args(ReasoningEffort)
    assert Effort.values == list(get_args(literal))


def test_the_named_assistant_answers_and_goes_on_answering(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    default = Assistant.objects.get_or_create_default()
    chosen = Assistant.objects.create(
        name="Second", model="o4", instructions="Be brief.", reasoning_effort="low", tools=[]
    )
    first = drive(services.submit(analyst, "Who checks the gate?", assistant=chosen))
    sent = sent_for(emulator, first)
    assert (sent["model"], sent["instructions"]) == ("o4", "Be brief.")
    assert sent["settings"] == {"max_output_tokens": 4000, "reasoning": {"effort": "low"}}

    following = drive(services.follow_up(analyst, first, "And then?"))
    assert (following.assistant, following.runs.get().model) == (chosen, "o4")
    asked_of_default = drive(services.submit(analyst, "Who checks the gate?"))
    assert asked_of_default.assistant == default
    sent = sent_for(emulator, asked_of_default)["settings"]
    assert sent.keys() == {"max_output_tokens", "tools"}
    assert [tool["name"] for tool in sent["tools"]] == ["search_knowledge"]


def test_over_the_api_an_assistant_is_chosen_by_its_id(analyst: User, api: type[ApiClient]) -> None:
    client = api(analyst)
    off = Assistant.objects.create(name="Off", is_active=False)
    chosen = Assistant.objects.create(name="Zeta", instructions="Secret.")
    shown = client.get("/api/v1/assistants").json()
    assert [(one["name"], one["is_default"]) for one in shown] == [
        ("Sitrep", True),
        ("Zeta", False),
    ]
    assert set(shown[0]) == {"id", "name", "is_default"}

    accepted = client.post_json("simulations", {"query": "A?", "assistant": chosen.pk})
    assert (accepted.status_code, accepted.json()["assistant"]) == (202, chosen.pk)
    default = client.post_json("simulations", {"query": "A?", "assistant": None})
    assert default.json()["assistant"] == Assistant.objects.get_or_create_default().pk
    refused = client.post_json("simulations", {"query": "A?", "assistant": off.pk})
    assert (refused.status_code, refused.json()["error"]) == (409, "AssistantSwitchedOff")
    for unknown in (10_000, "Zeta", True):
        refused = client.post_json("simulations", {"query": "A?", "assistant": unknown})
        assert refused.status_code == 400
        assert list(refused.json()["details"]) == ["assistant"]
    assert Simulation.objects.count() == 2


def test_one_that_is_switched_off_takes_no_more_questions_but_replays(
    analyst: User, api: type[ApiClient]
) -> None:
    chosen = Assistant.objects.create(name="Second")
    client, key = api(analyst), {"Idempotency-Key": "once"}
    body = {"query": "A?", "assistant": chosen.pk}
    path, kind = "/api/v1/simulations", "application/json"
    first = client.post(path, body, content_type=kind, headers=key).json()
    simulation = Simulation.objects.get()
    Assistant.objects.filter(pk=chosen.pk).update(is_active=False)
    with pytest.raises(services.AssistantSwitchedOff):
        services.follow_up(analyst, simulation, "And then?")
    Simulation.objects.transition(Status.FAILED)
    simulation.refresh_from_db()
    with pytest.raises(services.AssistantSwitchedOff):
        services.retry(analyst, simulation)
    again = client.post(path, body, content_type=kind, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    other = body | {"assistant": Assistant.objects.get_or_create_default().pk}
    assert client.post(path, other, content_type=kind, headers=key).status_code == 422
    assert Simulation.objects.count() == 1


@pytest.mark.parametrize(
    ("settings_of_it", "message"),
    [
        (
            {"model": "no-such-model"},
            "The provider does not know “no-such-model”, which the assistant “Second” asks for. ",
        ),
        (
            {"model": "o4", "temperature": 0.0},
            "The provider refused the temperature that the assistant “Second” asks for. ",
        ),
        (
            {"model": "gpt-4.1", "reasoning_effort": "low"},
            "The provider refused the reasoning effort that the assistant “Second” asks for. ",
        ),
    ],
)
def test_settings_that_the_provider_refuses_are_a_clear_error(
    emulator: EmulatorProcess,
    drive: Drive,
    analyst: User,
    admin: User,
    settings_of_it: dict,
    message: str,
) -> None:
    Assistant.objects.get_or_create_default()
    chosen = Assistant.objects.create(name="Second", **settings_of_it)
    simulation = drive(services.submit(analyst, "A question?", assistant=chosen))
    assert simulation.error_code == "assistant_refused"
    assert simulation.error_message.startswith(message)
    assert Quota.of(analyst).used == 0
    assert Run.objects.get().outcome == Run.Outcome.REJECTED

    client = Client()
    client.force_login(admin)
    for path in ("", f"{chosen.pk}/change/"):
        page = client.get(f"/admin/simulations/assistant/{path}").content.decode()
        assert simulation.error_detail.replace("'", "&#x27;") in page
    Simulation.objects.filter(pk=simulation.pk).update(error_code="run_failed")
    page = client.get("/admin/simulations/assistant/").content.decode()
    assert simulation.error_detail.replace("'", "&#x27;") not in page


def test_a_remote_assistant_that_is_unknown_is_a_clear_error(
    emulator: EmulatorProcess, drive: Drive, analyst: User, settings: Settings
) -> None:
    settings.OPENAI_PROTOCOL = "assistants"
    unknown = Assistant.objects.create(name="Second", remote_id="asst_no_such_assistant")
    simulation = drive(services.submit(analyst, "A question?", assistant=unknown))
    assert simulation.error_code == "assistant_refused"
    assert "does not know “asst_no_such_assistant”" in simulation.error_message


def test_the_database_keeps_one_active_default() -> None:
    default = Assistant.objects.get_or_create_default()
    with pytest.raises(IntegrityError), transaction.atomic():
        Assistant.objects.create(name="Second", is_default=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Assistant.objects.filter(pk=default.pk).update(is_active=False)
