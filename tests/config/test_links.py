"""Absolute links over the API begin with FRONTEND_URL, whatever Host a proxy passes on."""

import pytest
from pytest_django import Settings

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.models import Agent
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

SITE = "https://sitrep.example:8443"
# As it arrives behind a proxy that drops the port and speaks http.
BEHIND = {"Host": "sitrep.example"}


@pytest.fixture
def client(admin: User, settings: Settings) -> ApiClient:
    settings.FRONTEND_URL = SITE
    settings.ALLOWED_HOSTS = ["sitrep.example"]
    return ApiClient(admin)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("simulations", {"query": "Who checks the gate?"}),
        ("knowledge/keywords", {"phrase": "gate"}),
        (
            "knowledge/articles",
            {"slug": "gate-001", "title": "Gate", "category": "Testing", "text": "Guards."},
        ),
        ("agents", {"name": "Gate watch", "query": "Who checks the gate?", "owner": "admin"}),
        ("answer-rules", {"phrase": "Field notes"}),
    ],
)
def test_what_is_made_is_where_people_reach_the_site(
    client: ApiClient, path: str, body: dict[str, str]
) -> None:
    path = f"/api/v1/{path}"
    made = client.post(path, body, content_type="application/json", headers=BEHIND)
    assert made.headers["Location"].startswith(f"{SITE}{path}/"), made.content


@pytest.mark.parametrize("path", ["simulations", "knowledge/articles", "agents"])
def test_so_are_pages(client: ApiClient, admin: User, path: str) -> None:
    for number in range(26):
        services.submit(admin, f"Question {number}?")
        Article.objects.create(slug=f"gate-{number}", title="Gate", category="Testing", text="T")
        Agent.objects.create(name=f"Watch {number}", query="Who?", owner=admin)
    first = client.get(f"/api/v1/{path}", headers=BEHIND).json()
    assert first["next"].startswith(f"{SITE}/api/v1/{path}?cursor=")
    second = client.get(first["next"], headers=BEHIND).json()
    assert len(second["results"]) == 1
    assert second["previous"].startswith(f"{SITE}/api/v1/{path}?cursor=")
