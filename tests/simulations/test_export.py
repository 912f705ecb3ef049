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
from tests.conftest import ApiClient

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
    for name, password in [("analyst", "wrong"), ("outsider", "wrong"), ("outsider", "pw")]:
        ApiClient().post_json("auth/login", {"username": name, "password": password})
    # From another address, since a sign-in makes its own address's failures forgotten.
    body = {"username": "analyst", "password": "pw"}
    Client(REMOTE_ADDR="192.0.2.7").post("/api/v1/auth/login", body, "application/json")

    files = export(analyst)

    assert set(files) == {
        "account.json",
        "tokens.json",
        "failed-sign-ins.json",
        "audit-log.json",
        "agents.json",
        *(f"simulations/{simulation.pk}.json" for simulation in mine),
    }
    assert all(files.values())
    (failed,) = files["failed-sign-ins.json"]
    assert (failed["ip_address"], failed["failures_since_start"]) == ("127.0.0.1", 1)
    (done,) = files["audit-log.json"]
    assert (done["action"], done["object_name"]) == ("created", "API sign-in of analyst")
    first = files[f"simulations/{mine[0].pk}.json"]
    assert first["simulation"]["query"] == "Question 0"
    assert first["answer"]["clean"] == "An answer"
    assert first["feedback"]["reason"] == "Too short"
    assert files["account.json"]["username"] == "analyst"
    assert files["agents.json"][0]["query"] == "What is new?"
    assert {token["name"] for token in files["tokens.json"]} == {"laptop", "API sign-in"}
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
