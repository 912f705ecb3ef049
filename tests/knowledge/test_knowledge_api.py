"""Searching and adding articles over the API; drafts stay out of sight."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from knowledge.models import Article, Keyword
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

NO_LINKS = {"links-TOTAL_FORMS": "0", "links-INITIAL_FORMS": "0"}


def test_search_ranks_titles_first_and_marks_the_hits(
    analyst: User, articles: dict[str, Article]
) -> None:
    Article.objects.filter(slug="alpha-001").update(title="Badges and gates")
    body = ApiClient(analyst).get("/api/v1/knowledge/search?q=badge").json()
    assert [hit["slug"] for hit in body["results"]] == ["alpha-001", "beta-001"]
    assert "every <mark>badge</mark> at" in body["results"][0]["snippet_html"]


def test_every_word_must_be_there(analyst: User, articles: dict[str, Article]) -> None:
    client = ApiClient(analyst)
    assert client.get("/api/v1/knowledge/search?q=badge+convoy").json()["results"] == []
    assert len(client.get("/api/v1/knowledge/search?q=BADGE+guards").json()["results"]) == 2


def test_a_snippet_is_escaped(analyst: User, articles: dict[str, Article]) -> None:
    Article.objects.filter(slug="alpha-001").update(text="<script>alert(1)</script> convoy")
    [hit] = ApiClient(analyst).get("/api/v1/knowledge/search?q=convoy").json()["results"]
    assert hit["snippet_html"] == ("&lt;script&gt;alert(1)&lt;/script&gt; <mark>convoy</mark>")


def test_a_correction_is_told_and_pages_are_numbered(
    analyst: User, articles: dict[str, Article]
) -> None:
    body = ApiClient(analyst).get("/api/v1/knowledge/search?q=badgse").json()
    assert (body["query"], body["corrected_query"]) == ("badgse", "badge")
    assert (body["total"], body["total_is_complete"]) == (2, True)
    assert (body["page"], body["next_page"]) == (1, None)
    assert body["results"][0]["score"] == 1
    Article.objects.bulk_create(
        Article(slug=f"many-{n}", title="Many", text="Guards", status="published")
        for n in range(10)
    )
    first = ApiClient(analyst).get("/api/v1/knowledge/search?q=guards").json()
    second = ApiClient(analyst).get("/api/v1/knowledge/search?q=guards&page=2").json()
    assert (first["total"], first["next_page"], second["next_page"]) == (12, 2, None)
    assert (len(first["results"]), len(second["results"])) == (10, 2)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"q": "x" * 501}, "q"),
        ({"q": "a " * 33}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"q": "a", "page": "x"}, "page"),
        ({"q": "a", "page": "0"}, "page"),
        ({"q": "a", "page": "101"}, "page"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_by_field(
    analyst: User, parameters: dict[str, str], field: str
) -> None:
    response = ApiClient(analyst).get("/api/v1/knowledge/search", parameters)
    assert response.status_code == 400
    assert list(response.json()["details"]) == [field]


@pytest.mark.parametrize("query", ["", "   "])
def test_an_empty_search_is_refused_by_name(analyst: User, query: str) -> None:
    response = ApiClient(analyst).get("/api/v1/knowledge/search", {"q": query})
    assert response.status_code == 400
    assert "q" in response.json()["details"]


@pytest.mark.parametrize("query", ["élan", "Élan", "ÉCLAIR", "über", "ПОСТ"])
def test_search_ignores_case_in_every_script(analyst: User, query: str) -> None:
    Article.objects.create(
        slug="words-001",
        title="Élan vital",
        category="C",
        tags=["éclair"],
        text="Über den Пост",
        status="published",
    )
    response = ApiClient(analyst).get("/api/v1/knowledge/search", {"q": query})
    assert [hit["slug"] for hit in response.json()["results"]] == ["words-001"]


def test_drafts_never_leak(analyst: User, articles: dict[str, Article]) -> None:
    client = ApiClient(analyst)
    assert "gamma" not in client.get("/api/v1/knowledge/search?q=badge").content.decode()
    assert "gamma" not in client.get("/api/v1/knowledge/articles").content.decode()
    assert client.get("/api/v1/knowledge/articles/gamma-001").status_code == 404
    assert client.get("/api/v1/knowledge/articles/alpha-001").json()["text"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "Not A Slug"}, "slug"),
        ({"slug": "alpha-001"}, "slug"),
        ({"title": ""}, "title"),
        ({"tags": "one"}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"tags": ["a\0"]}, "tags"),
        ({"tags": ["a\ud800"]}, "tags"),
        ({"tags": [" "]}, "tags"),
        ({"status": "secret"}, "status"),
        ({"author": "me"}, "author"),
    ],
)
def test_a_wrong_article_is_refused_by_field(
    admin: User, articles: dict[str, Article], change: dict[str, object], field: str
) -> None:
    body = {"slug": "new-001", "title": "New", "category": "C", "tags": ["a"], "text": "T"}
    response = ApiClient(admin).post_json("knowledge/articles", body | change)
    assert response.status_code == 400
    assert field in response.json()["details"]
    assert Article.objects.count() == 3


@pytest.mark.parametrize(
    "tags", [["Sahel, West", "two"], ["[draft]"], [" spaced "], ['"', "a"], ["one", "two"], []]
)
def test_an_article_saved_in_the_admin_keeps_its_tags(
    admin: User, articles: dict[str, Article], tags: list[str]
) -> None:
    Article.objects.filter(slug="alpha-001").update(tags=tags)
    client = Client()
    client.force_login(admin)
    page = f"/admin/knowledge/article/{articles['alpha-001'].pk}/change/"
    shown = client.get(page).context["adminform"].form
    form = {bound.name: bound.value() for bound in shown} | NO_LINKS
    assert client.post(page, form | {"title": "Mended"}).status_code == 302
    article = Article.objects.get(slug="alpha-001")
    assert (article.title, article.tags) == ("Mended", tags)


@pytest.mark.parametrize("tags", ['["one", "two"', "[1]", "[[]]", "[" * 100_000, '["a\\u0000"]'])
def test_tags_that_are_no_list_of_texts_are_refused_in_the_admin(admin: User, tags: str) -> None:
    client = Client()
    client.force_login(admin)
    article = {"slug": "x-1", "title": "X", "category": "C", "tags": tags, "status": "draft"}
    answer = client.post("/admin/knowledge/article/add/", article | {"text": "T"} | NO_LINKS)
    assert answer.context["adminform"].form.errors.keys() == {"tags"}


def test_articles_and_keywords_are_curated_in_the_admin(admin: User) -> None:
    client = Client()
    client.force_login(admin)
    article = {
        "slug": "new-001",
        "title": "New",
        "category": "Testing",
        "tags": "one, two, one",
        "text": "Text.",
        "status": "published",
    } | NO_LINKS
    assert client.post("/admin/knowledge/article/add/", article).status_code == 302
    made = Article.objects.get()
    assert made.tags == ["one", "two"]
    keyword = {
        "phrase": " gate ",
        "position": "1",
        "links-TOTAL_FORMS": "1",
        "links-INITIAL_FORMS": "0",
        "links-0-article": str(made.pk),
        "links-0-position": "1",
    }
    assert client.post("/admin/knowledge/keyword/add/", keyword).status_code == 302
    assert made.keywords.get().phrase == "gate"
    keyword |= {"phrase": "GATE", "links-TOTAL_FORMS": "0"}
    page = client.post("/admin/knowledge/keyword/add/", keyword)
    assert "exists already" in page.content.decode()
    assert Keyword.objects.create(phrase="portal").position == 2


def test_links_in_the_admin_cost_no_queries_each_and_load_no_texts(
    admin: User, articles: dict[str, Article]
) -> None:
    client = Client()
    client.force_login(admin)
    gate, article = Keyword.objects.get(phrase="gate"), articles["alpha-001"]
    pages = [
        "/admin/knowledge/keyword/",
        f"/admin/knowledge/keyword/{gate.pk}/change/",
        f"/admin/knowledge/article/{article.pk}/change/",
    ]
    few = [queries_of(client, page) for page in pages]
    for number in range(9):
        more = Article.objects.create(slug=f"more-{number}", title="More", text="Text.")
        gate.links.create(article=more)
        Keyword.objects.create(phrase=f"word {number}").links.create(article=article)
    many = [queries_of(client, page) for page in pages]
    assert list(map(len, many)) == list(map(len, few))
    assert not [sql for page in many[:2] for sql in page if '"knowledge_article"."text"' in sql]
    assert ">More (more-8)</option>" in client.get(pages[1]).text


def queries_of(client: Client, page: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(page).status_code == 200
    return [query["sql"] for query in queries]
