"""A person's own data, to take away."""

import io
import json
import zipfile

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, User
from simulations import services
from simulations.models import Agent, Feedback, Simulation, Status

pytestmark = pytest.mark.django_db


def export(user: User) -> dict[str, object]:
    client = Client()
    client.force_login(user)
    response = client.get("/account/export/")
    assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
    assert response.streaming
    archive = zipfile.ZipFile(io.BytesIO(response.getvalue()))
    assert archive.testzip() is None
    return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_it_holds_all_of_ones_own_and_nothing_of_anybody_elses(
    analyst: User, outsider: User
) -> None:
    mine = [services.submit(analyst, f"Question {number}") for number in range(3)]
    services.submit(outsider, "Another's")
    Simulation.objects.filter(pk=mine[0].pk).update(
        status=Status.COMPLETED, answer="An answer", finished_at=timezone.now()
    )
    Feedback.objects.create(simulation=mine[0], is_useful=False, reason="Too short")
    Agent.objects.create(name="Watch", query="What is new?", owner=analyst)
    _, secret = ApiToken.objects.create(user=analyst, name="laptop")

    files = export(analyst)

    questions = {name for name in files if name.startswith("simulations/")}
    assert questions == {f"simulations/{simulation.pk}.json" for simulation in mine}
    first = files[f"simulations/{mine[0].pk}.json"]
    assert first["simulation"]["query"] == "Question 0"
    assert first["answer"]["clean"] == "An answer"
    assert first["feedback"]["reason"] == "Too short"
    assert files["account.json"]["username"] == "analyst"
    assert files["agents.json"][0]["query"] == "What is new?"
    assert [token["name"] for token in files["tokens.json"]] == ["laptop"]
    everything = json.dumps(files)
    assert "Another's" not in everything
    assert secret not in everything
    assert analyst.password not in everything


def test_it_shows_no_more_than_the_pages_do(trainee: User) -> None:
    simulation = services.submit(trainee, "Why?")
    manifest = export(trainee)[f"simulations/{simulation.pk}.json"]
    assert "prompt" not in manifest
    assert "No access to module: knowledge-base" in json.dumps(manifest["omitted"])


def test_the_account_page_leads_there(analyst: User) -> None:
    client = Client()
    client.force_login(analyst)
    assert b'href="/account/export/"' in client.get("/account/").content
    assert Client().get("/account/export/").status_code == 302
