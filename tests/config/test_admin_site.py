"""The admin site: its groups, its pages of large tables, and its colours."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from config.admin import GROUPS, LargeTable, MoreThan
from knowledge.models import Article
from simulations.models import Assistant, Conversation, Simulation, Status

CSS = Path(__file__).resolve().parents[2] / "static" / "css"
COLOUR = re.compile(r"#[0-9a-f]{3,8}\b")


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def test_every_model_is_in_one_group() -> None:
    grouped = [model for group in GROUPS for model in group.models]
    assert sorted(grouped) == sorted(model._meta.label for model in admin.site._registry)


@pytest.mark.django_db
def test_the_index_is_grouped_by_what_admins_do(curator: Client) -> None:
    body = curator.get("/admin/").content.decode()
    main = body.partition('id="content-main"')[2]
    places = [main.index(f'<span class="section">{group.name}</span>') for group in GROUPS]
    assert places == sorted(places)
    for link in ["/admin/knowledge/keyword/add/", "/admin/curation/", "/usage/"]:
        assert f'href="{link}"' in main
    assert "Sitrep administration" in body
    assert "style=" not in body


@pytest.mark.django_db
def test_the_page_of_one_application_goes_on_working(curator: Client) -> None:
    body = curator.get("/admin/knowledge/").content.decode()
    assert 'href="/admin/knowledge/article/"' in body


@pytest.mark.django_db
def test_a_large_table_is_shown_in_pages_without_counting_it(curator: Client, admin: User) -> None:
    make_simulations(admin, 2 * LargeTable.list_per_page + 1)
    pages = {}
    for number in [1, 2, 3]:
        with CaptureQueriesContext(connection) as queries:
            path = f"/admin/simulations/simulation/?_facets=True&p={number}"
            pages[number] = curator.get(path).content.decode()
        counting = [query["sql"] for query in queries if "COUNT(*)" in query["sql"]]
        assert counting == []
    assert "50+ simulations" in pages[1]
    assert "p=2" in pages[1]
    assert "p=3" not in pages[1]
    assert "101 simulations" in pages[3]
    assert [page.count('class="action-select"') for page in pages.values()] == [50, 50, 1]
    for beyond in [4, 9, 10**30]:
        response = curator.get(f"/admin/simulations/simulation/?p={beyond}")
        assert response["Location"].endswith("?e=1")


@pytest.mark.django_db
def test_the_search_boxes_of_other_admins_find_what_is_in_it(
    curator: Client, articles: dict[str, Article]
) -> None:
    field = {"app_label": "knowledge", "model_name": "keywordarticle", "field_name": "article"}
    found = curator.get("/admin/autocomplete/", {**field, "term": "alpha", "page": 1}).json()
    assert [result["id"] for result in found["results"]] == [str(articles["alpha-001"].pk)]
    assert found["pagination"] == {"more": False}


def make_simulations(owner: User, count: int) -> None:
    now = timezone.now()
    assistant = Assistant.objects.get_or_create_default()
    made = [
        Simulation(
            owner=owner,
            assistant=assistant,
            conversation=Conversation(owner=owner, protocol="responses"),
            query=f"Question {number}",
            status=Status.CANCELLED,
            created_at=now - timedelta(minutes=number),
            finished_at=now,
        )
        for number in range(count)
    ]
    Conversation.objects.bulk_create(simulation.conversation for simulation in made)
    Simulation.objects.bulk_create(made)


def test_a_count_that_is_not_whole_says_so() -> None:
    assert f"{MoreThan(101)}" == str(MoreThan(101)) == "100+"
    assert MoreThan(101) > 100


def test_the_admin_has_the_colours_of_the_site() -> None:
    """Its own rules would leave it behind when the site's change."""
    rules = (CSS / "admin.css").read_text().partition("html:root {")[2].partition("}")[0]
    tokens = set(COLOUR.findall(rules))
    site = set(COLOUR.findall((CSS / "sitrep.css").read_text().partition("}")[0]))
    assert len(tokens) > 5
    assert tokens - site == set()
