"""The knowledge base on the page: searching it, and reading an article."""

import pytest
from django.test import Client

from accounts.models import User
from knowledge.models import Article
from knowledge.search import articles as search

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(analyst: User, articles: dict[str, Article]) -> Client:
    client = Client()
    client.force_login(analyst)
    return client


def read(client: Client, query: str, **parameters: object) -> str:
    return client.get("/knowledge/", {"q": query, **parameters}).content.decode()


def test_without_a_search_the_shelves_are_shown(page: Client) -> None:
    for parameters in ({}, {"q": ""}):
        body = page.get("/knowledge/", parameters)
        assert body.status_code == 200
        assert "results-heading" not in body.content.decode()
        assert "Title of alpha-001" in body.content.decode()


def test_hits_are_highlighted_and_lead_to_the_article(page: Client) -> None:
    body = read(page, "badges alpha")
    assert "1 article" in body
    assert "Title of <mark>alpha</mark>-001</a>" in body
    assert "every <mark>badge</mark> at" in body
    article = page.get("/knowledge/articles/alpha-001/").content.decode()
    assert "<p>Guards check every badge" in article


def test_titles_and_snippets_are_escaped(page: Client) -> None:
    Article.objects.filter(slug="alpha-001").update(
        title="<script>x</script> alpha", text="<img src=x> <mark>badge</mark>"
    )
    body = read(page, "badge alpha")
    assert "&lt;img src=x&gt; &lt;mark&gt;<mark>badge</mark>&lt;/mark&gt;" in body
    assert "<script>x" not in body
    assert "<img src=x" not in body


def test_a_correction_is_announced(page: Client) -> None:
    body = read(page, "badgse <>")
    assert "Nothing was found for <q>badgse &lt;&gt;</q>" in body
    assert "results for <strong>badge</strong>" in body


def test_nothing_found_says_what_to_do(page: Client) -> None:
    body = read(page, "xyzzyqwert")
    assert "No article matches" in body
    assert "Try fewer or other words" in body


def test_too_long_a_query_is_refused_in_the_form(page: Client) -> None:
    for query in ("x" * 501, "a " * 33):
        response = page.get("/knowledge/", {"q": query})
        assert response.status_code == 400
        assert "at most" in response.content.decode()


def test_pages_are_linked_and_bounded(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    Article.objects.bulk_create(
        Article(slug=f"many-{n}", title="Many guards", text="-", status="published")
        for n in range(15)
    )
    first, second = read(page, "guards -badge"), read(page, "guards -badge", page=2)
    assert first.count('class="source"') == 10
    assert 'rel="next" href="?q=guards+-badge&amp;page=2"' in first
    assert second.count('class="source"') == 5
    assert 'rel="prev"' in second
    for number in ("0", "-1", "x", "²", "9" * 30):
        assert page.get("/knowledge/", {"q": "guards", "page": number}).status_code == 200
    monkeypatch.setattr(search, "MAX_RANKED", 3)
    assert "More articles match" in read(page, "guards")


def test_drafts_can_be_read_by_those_who_curate_alone(page: Client, admin: User) -> None:
    path = "/knowledge/articles/gamma-001/"
    assert page.get(path).status_code == 404
    page.force_login(admin)
    body = page.get(path).content.decode()
    assert "Draft" in body
    assert "/admin/knowledge/article/" in body


@pytest.mark.parametrize("path", ["/knowledge/", "/knowledge/articles/alpha-001/"])
def test_the_pages_are_for_the_module(path: str, page: Client, trainee: User) -> None:
    page.force_login(trainee)
    response = page.get(path)
    assert response.status_code == 403
    assert "No access to module: knowledge-base" in response.content.decode()
    assert 'href="/knowledge/"' not in page.get("/simulations/").content.decode()
    page.logout()
    assert page.get(path).headers["Location"] == f"/sign-in/?next={path}"
