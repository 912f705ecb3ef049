"""No text of an article that is not published leaves by any way that searches."""

import json

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.models import Assistant, Simulation
from simulations.turns.building import ground
from simulations.turns.tools import answer_call
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

HIDDEN = sorted(set(Article.Status) - {Article.Status.PUBLISHED})
QUERIES = ["zanzibar", "zanzibr", "guards", "guards zanzibar", "gaurds", "guards OR zanzibar"]
QUESTION = "Which guards protect the convoy to Zanzibar?"


@pytest.fixture(params=HIDDEN)
def hidden(request: pytest.FixtureRequest) -> Article:
    """Once published, then withdrawn; with all its words, beside one that is published."""
    article = Article.objects.create(
        slug="hidden-001",
        title="Zanzibar guards",
        tags=["zanzibar"],
        category="Zanzibar",
        text="Guards protect the Zanzibar convoy.",
        status=Article.Status.PUBLISHED,
    )
    article.status = request.param
    article.save()
    Article.objects.create(
        slug="open-001", title="Guards", text="Guards protect the convoy.", status="published"
    )
    return article


@pytest.fixture
def asked(analyst: User, settings: Settings) -> Simulation:
    settings.GROUND_BY_SEARCH = True
    return services.submit(analyst, QUESTION)


@pytest.mark.parametrize("query", QUERIES)
def test_not_by_the_api(hidden: Article, analyst: User, admin: User, query: str) -> None:
    for user in (analyst, admin):
        response = ApiClient(user).get("/api/v1/knowledge/search", {"q": query})
        found = response.json()
        assert found["total"] == len(found["results"])
        assert {hit["slug"] for hit in found["results"]} <= {"open-001"}
        assert "anzibar" not in json.dumps(found | {"query": ""})


@pytest.mark.parametrize("query", QUERIES)
def test_not_by_the_page(hidden: Article, analyst: User, query: str) -> None:
    client = Client()
    client.force_login(analyst)
    body = client.get("/knowledge/", {"q": query}).content.decode()
    assert "anzibar" not in body.replace(query, "")


@pytest.mark.parametrize("query", QUERIES)
def test_not_by_the_tool(hidden: Article, analyst: User, admin: User, query: str) -> None:
    for user in (analyst, admin):
        output = answer_call(Assistant(), user, "search_knowledge", json.dumps({"query": query}))
        assert "articles" in json.loads(output)
        assert "anzibar" not in output


def test_not_by_a_prompt(hidden: Article, asked: Simulation) -> None:
    prompt, citations = ground(asked)
    assert [(citation.slug, citation.found_by) for citation in citations] == [
        ("open-001", "search")
    ]
    assert "anzibar" not in prompt.replace(QUESTION, "")


def test_how_an_article_came_is_told(hidden: Article, asked: Simulation, analyst: User) -> None:
    prompt, citations = ground(asked)
    Simulation.objects.filter(pk=asked.pk).update(prompt=prompt)
    for citation in citations:
        citation.save()
    [source] = ApiClient(analyst).get(f"/api/v1/simulations/{asked.pk}").json()["citations"]
    assert (source["found_by"], source["keywords"]) == ("search", [])
    client = Client()
    client.force_login(analyst)
    page = client.get(f"/simulations/{asked.pk}/").content.decode()
    assert "Found by full-text search" in page
    assert "Brought by" not in page
