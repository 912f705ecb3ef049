"""Curating articles and keywords over the API: who may, what is refused, what it costs."""

import json
from base64 import b64encode
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Module, User
from knowledge.models import Article, Keyword
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db
ARTICLES, KEYWORDS = "/api/v1/knowledge/articles", "/api/v1/knowledge/keywords"
ALPHA, GAMMA = f"{ARTICLES}/alpha-001", f"{ARTICLES}/gamma-001"
NEW: dict[str, Any] = {"slug": "new-001", "title": "New", "category": "C", "text": "T"}
JSON = "application/json"


@pytest.fixture
def curator(admin: User, articles: dict[str, Article]) -> ApiClient:
    return ApiClient(admin)


@pytest.fixture
def reader(analyst: User, articles: dict[str, Article]) -> ApiClient:
    return ApiClient(analyst)


def keyword_path(phrase: str) -> str:
    return f"{KEYWORDS}/{Keyword.objects.get(phrase=phrase).pk}"


# --- Who may ----------------------------------------------------------------------------------

READ, WRITE = (401, 403, 200, 403, 200), (401, 403, 403, 403, None)


@pytest.mark.parametrize(
    ("method", "path", "body", "statuses", "done"),
    [
        ("get", ARTICLES, None, READ, 200),
        ("get", ALPHA, None, READ, 200),
        ("get", GAMMA, None, (401, 403, 404, 403, 200), 200),
        ("post", ARTICLES, NEW, WRITE, 201),
        ("patch", ALPHA, {"title": "T"}, WRITE, 200),
        ("patch", GAMMA, {"title": "T"}, WRITE, 200),
        ("delete", ALPHA, None, WRITE, 204),
        ("get", KEYWORDS, None, READ, 200),
        ("get", "gate", None, READ, 200),
        ("get", "secret", None, (401, 403, 404, 403, 200), 200),
        ("post", KEYWORDS, {"phrase": "new"}, WRITE, 201),
        ("patch", "gate", {"phrase": "gates"}, WRITE, 200),
        ("delete", "secret", None, WRITE, 204),
    ],
)
def test_who_may_do_what(
    articles: dict[str, Article],
    trainee: User,
    analyst: User,
    admin: User,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    statuses: tuple[int | None, ...],
    done: int,
) -> None:
    path = path if path.startswith("/") else keyword_path(path)
    bare = User.objects.create_user("bare", role=admin.role, modules=[Module.SIMULATIONS])
    clients = [Client(), *map(ApiClient, (trainee, analyst, bare, admin))]
    for client, status in zip(clients, statuses, strict=True):
        response = client.generic(method.upper(), path, _json(body), JSON)
        assert response.status_code == (status or done)
        if response.status_code >= 400:
            assert response.json()["statusCode"] == response.status_code
            assert "gamma" not in response.content.decode()


def _json(body: object) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_no_text_that_is_not_published_reaches_readers(reader: ApiClient, status: str) -> None:
    Article.objects.filter(slug="gamma-001").update(status=status, category="Hidden", tags=["hid"])
    paths = [ARTICLES, f"{ARTICLES}?status={status}", f"{ARTICLES}?category=Hidden", GAMMA]
    paths += [f"{ARTICLES}?tag=hid", KEYWORDS, f"{KEYWORDS}?article=gamma-001"]
    paths += [keyword_path("badge"), keyword_path("secret")]
    for path in paths:
        content = reader.get(path).content.decode()
        assert "gamma" not in content
        assert "secret" not in content


def test_readers_do_not_learn_which_keywords_a_draft_has(
    reader: ApiClient, curator: ApiClient
) -> None:
    """One of them brings a published article as well, and is theirs to see by that one."""
    path = f"{KEYWORDS}?article=gamma-001"
    assert len(curator.get(path).json()["results"]) == 2
    assert reader.get(path).json()["results"] == []


# --- Articles ---------------------------------------------------------------------------------


def test_a_list_is_filtered_and_has_no_texts(curator: ApiClient) -> None:
    Article.objects.filter(slug="beta-001").update(category="Other", tags=["b,c", "é\"'"])

    def slugs(**filters: str) -> list[str]:
        return [row["slug"] for row in curator.get(ARTICLES, filters).json()["results"]]

    assert slugs() == ["alpha-001", "beta-001", "gamma-001"]
    assert slugs(category="Other") == ["beta-001"]
    assert slugs(tag="one") == ["alpha-001", "gamma-001"]
    assert slugs(tag="one", status="draft") == ["gamma-001"]
    assert slugs(tag="b,c") == slugs(tag="é\"'") == ["beta-001"]
    assert slugs(tag="b") == slugs(tag="on") == slugs(status="archived") == []
    assert "text" not in curator.get(ARTICLES).json()["results"][0]


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("?colour=red", "colour", "Unknown field. Use: cursor, category, tag, status."),
        ("?status=secret", "status", "Use one of: draft, published, archived."),
        ("?tag=%00", "tag", "Null characters are not allowed."),
    ],
)
def test_a_wrong_filter_is_refused_by_name(
    curator: ApiClient, query: str, field: str, said: str
) -> None:
    response = curator.get(ARTICLES + query)
    assert (response.status_code, response.json()["details"]) == (400, {field: [said]})


@pytest.mark.parametrize(
    ("path", "position"),
    [(ARTICLES, "%00"), (ARTICLES, "A_b"), (KEYWORDS, "x"), (KEYWORDS, "9" * 20)],
)
def test_a_wrong_cursor_is_404(curator: ApiClient, path: str, position: str) -> None:
    cursor = b64encode(f"p={position}".encode()).decode()
    assert curator.get(path, {"cursor": cursor}).status_code == 404
    assert curator.get(path, {"cursor": "é"}).status_code == 404


def test_pages_hold_all_articles_and_keywords_once(
    curator: ApiClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        article = Article.objects.create(slug=f"n-{number:02}", title="N", category="C", text="T")
        Keyword.objects.create(phrase=f"p {number}", position=number // 30).link_articles(
            ["alpha-001", article.slug]
        )
    curator.get(ARTICLES)  # notes the token's use, once in a while
    for path, name, total, cost in [(ARTICLES, "slug", 63, 2), (KEYWORDS, "phrase", 63, 3)]:
        found, page = [], path
        while page:
            with django_assert_num_queries(cost):
                body = curator.get(page).json()
            found += [row[name] for row in body["results"]]
            page = body["next"]
        assert len(found) == len(set(found)) == total


def test_an_article_is_made_changed_and_archived(curator: ApiClient, admin: User) -> None:
    made = curator.post(ARTICLES, NEW | {"text": "  T\r\n"}, content_type=JSON)
    assert made.status_code == 201
    assert made.json().items() >= {"status": "draft", "tags": [], "text": "  T\r\n"}.items()
    location = made.headers["Location"]
    changed = curator.patch(location, {"status": "published", "slug": "new-001"}, JSON)
    assert changed.json()["status"] == "published"
    assert changed.json()["title"] == "New"
    assert curator.delete(location).status_code == 204
    assert curator.delete(location).status_code == 204
    assert curator.get(location).json()["status"] == "archived"
    revisions = Article.revisions.filter(slug="new-001")
    assert [row.status for row in revisions] == ["archived", "published", "draft"]
    assert {row.history_user for row in revisions} == {admin}
    assert curator.patch(location, {"status": "published"}, JSON).status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slug": "other"}, "slug: A slug can't be changed"),
        ({"updated_at": "2026-01-01"}, "updated_at: This can't be set. Leave it out."),
        ({"author": "me"}, "author: Unknown field. Use: slug, title"),
        ({"title": ""}, "title: This field may not be blank."),
        ({"title": 5}, "title: Not a valid string."),
        ({"title": "a\0"}, "title: Null characters are not allowed."),
        ({"text": "\ud800"}, "text: Surrogate characters are not allowed"),
        ({"text": " \n"}, "text: Give a text."),
        ({"tags": "one"}, "tags: Give a list of tags"),
        ({"tags": ["\ud800"]}, "tags: Give a list of tags"),
        ({"status": "secret"}, "status: Use one of: draft, published, archived."),
        ({"category": "x" * 101}, "category: Ensure this field has no more than 100"),
    ],
)
def test_a_wrong_change_is_refused_by_field(
    curator: ApiClient, change: dict[str, Any], said: str
) -> None:
    before = curator.get(ALPHA).json()
    response = curator.patch(ALPHA, _json(change), JSON)
    assert response.status_code == 400
    assert response.json()["message"].startswith(said)
    assert curator.get(ALPHA).json() == before


@pytest.mark.parametrize("body", ["[]", "null", "5", '"x"', "{", "[" * 100_000])
@pytest.mark.parametrize("path", [ALPHA, "gate"])
def test_a_body_that_is_no_object_is_400(curator: ApiClient, path: str, body: str) -> None:
    path = path if path.startswith("/") else keyword_path(path)
    assert curator.patch(path, body, JSON).status_code == 400


@pytest.mark.parametrize("path", [ALPHA, "gate"])
def test_nobody_overwrites_what_they_have_not_seen(curator: ApiClient, path: str) -> None:
    path = path if path.startswith("/") else keyword_path(path)
    change = {"title": "First"} if path == ALPHA else {"articles": []}
    seen = curator.get(path).headers["ETag"]
    first = curator.patch(path, change, JSON, headers={"If-Match": f'"x", {seen}'})
    assert first.status_code == 200
    second = curator.patch(path, {}, JSON, headers={"If-Match": seen})
    assert second.status_code == 412
    assert second.json()["error"] == "PreconditionFailed"
    assert "Read it again" in second.json()["message"]
    assert second.headers["ETag"] == first.headers["ETag"] == curator.get(path).headers["ETag"]
    assert curator.delete(path, headers={"If-Match": seen}).status_code == 412
    for match in (f"W/{first.headers['ETag']}", "nonsense"):
        refused = curator.patch(path, {}, JSON, headers={"If-Match": match})
        assert refused.status_code == 412
    assert curator.patch(path, {}, JSON, headers={"If-Match": "*"}).status_code == 200
    assert curator.patch(path, {}, JSON).status_code == 200


def test_a_change_to_the_same_is_not_saved(curator: ApiClient) -> None:
    before = curator.get(ALPHA)
    title = before.json()["title"]
    assert curator.patch(ALPHA, {"title": title}, JSON).headers["ETag"] == before.headers["ETag"]


# --- Keywords ---------------------------------------------------------------------------------


def test_a_keyword_is_made_changed_and_deleted(curator: ApiClient) -> None:
    body = {"phrase": " checkpoint ", "articles": ["beta-001", "alpha-001"]}
    made = curator.post(KEYWORDS, body, content_type=JSON)
    assert made.status_code == 201
    location, made = made.headers["Location"], made.json()
    assert made | {"id": 0} == {
        "id": 0,
        "phrase": "checkpoint",
        "whole_word": False,
        "position": 4,
        "articles": ["beta-001", "alpha-001"],
    }
    change = {"articles": ["alpha-001", "gamma-001", "beta-001"], "position": 0}
    curator.patch(location, change, JSON)
    assert curator.get(location).json() == made | change
    curator.patch(location, {"whole_word": True, "phrase": "CheckPoint"}, JSON)
    again = made | change | {"whole_word": True, "phrase": "CheckPoint"}
    assert curator.get(KEYWORDS).json()["results"][0] == again
    assert curator.delete(location).status_code == 204
    assert curator.get(location).status_code == 404


def test_readers_see_a_keyword_s_published_articles(reader: ApiClient) -> None:
    rows = reader.get(KEYWORDS).json()["results"]
    assert [(row["phrase"], row["articles"]) for row in rows] == [
        ("badge", ["beta-001"]),
        ("gate", ["alpha-001", "beta-001"]),
    ]
    found = reader.get(KEYWORDS, {"article": "alpha-001"}).json()["results"]
    assert [row["phrase"] for row in found] == ["gate"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phrase": "GATE"}, "phrase: This keyword exists already"),
        ({"phrase": "  "}, "phrase: This field may not be blank."),
        ({"phrase": "a\0"}, "phrase: Null characters"),
        ({"articles": ["nowhere"]}, "articles: There is no article nowhere. Add it first."),
        ({"articles": ["alpha-001", "alpha-001"]}, "articles: Name each article once: alpha-001."),
        ({"articles": "alpha-001"}, 'articles: Expected a list of items but got type "str".'),
        ({"articles": [f"a-{n}" for n in range(101)]}, "articles: Name at most 100 articles."),
        ({"position": 2**31}, "position: Ensure this value is less than or equal to"),
        ({"position": -1}, "position: Ensure this value is greater"),
        ({"whole_word": "perhaps"}, "whole_word: Must be a valid boolean."),
        ({"id": 5}, "id: This can't be set."),
        ({"weight": 5}, "weight: Unknown field. Use: id, phrase"),
    ],
)
@pytest.mark.parametrize("method", ["post", "patch"])
def test_a_wrong_keyword_is_refused_by_field(
    curator: ApiClient, method: str, change: dict[str, Any], said: str
) -> None:
    before = curator.get(KEYWORDS).json()
    path = KEYWORDS if method == "post" else keyword_path("badge")
    body = {"phrase": "new"} | change if method == "post" else change
    response = curator.generic(method.upper(), path, _json(body), JSON)
    assert response.status_code == 400
    assert response.json()["message"].replace(".0:", ":").startswith(said)
    assert curator.get(KEYWORDS).json() == before


def test_an_impossible_id_is_404(curator: ApiClient) -> None:
    assert curator.get(f"{KEYWORDS}/{10**30}").status_code == 404
    assert curator.patch(f"{KEYWORDS}/{10**30}", {}, JSON).status_code == 404


def test_a_change_of_a_keyword_costs_few_queries(
    curator: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    path = keyword_path("gate")
    curator.get(path)  # notes the token's use, once in a while
    with django_assert_max_num_queries(3):
        curator.get(path)
    with django_assert_max_num_queries(9):
        curator.patch(path, {"whole_word": False}, JSON)
