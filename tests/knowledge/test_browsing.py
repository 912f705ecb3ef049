"""The knowledge base without a search: its shelves, by category and by tag."""

import pytest
from django.test import Client

from accounts.models import User
from knowledge import browsing
from knowledge.browsing import browse
from knowledge.models import Article

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(analyst: User) -> Client:
    client = Client()
    client.force_login(analyst)
    return client


def shelve(slug: str, category: str, tags: list[str], **fields: str) -> Article:
    fields = {"title": slug, "text": f"# Head\n\n**The text** of {slug}.", "status": "published"}
    return Article.objects.create(slug=slug, category=category, tags=tags, **fields)


@pytest.fixture
def shelves(db: None) -> None:
    shelve("convoy", "Movement", ["road", "radio"])
    shelve("airport", "Movement", ["hotel"])
    shelve("check-in", "Communications", ["radio"])
    draft = shelve("pontoon", "Rivers", ["boat"])
    Article.objects.filter(pk=draft.pk).update(status="draft")


def slugs(**where: object) -> list[str]:
    return [article.slug for article in browse(**where).articles]


@pytest.mark.usefixtures("shelves")
def test_published_articles_by_category_and_tag() -> None:
    assert slugs() == ["airport", "check-in", "convoy"]
    assert slugs(category="Movement") == ["airport", "convoy"]
    assert slugs(tag="radio") == ["check-in", "convoy"]
    assert slugs(category="Movement", tag="radio") == ["convoy"]
    assert slugs(category="Rivers") == []


@pytest.mark.usefixtures("shelves")
def test_categories_are_counted_in_all_and_tags_in_the_chosen_one() -> None:
    everything, movement = browse(), browse(category="Movement")
    assert everything.categories == [("Communications", 1), ("Movement", 2)]
    assert movement.categories == everything.categories
    assert everything.tags == [("hotel", 1), ("radio", 2), ("road", 1)]
    assert movement.tags == [("hotel", 1), ("radio", 1), ("road", 1)]


@pytest.mark.usefixtures("shelves")
def test_a_shelf_comes_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "PAGE_SIZE", 2)
    first, second = browse(), browse(page=2)
    assert (len(first.articles), first.has_next) == (2, True)
    assert (len(second.articles), second.has_next) == (1, False)


@pytest.mark.usefixtures("shelves")
def test_the_page_leads_on(page: Client) -> None:
    body = page.get("/knowledge/", {"category": "Movement"}).content.decode()
    assert 'href="/knowledge/articles/convoy/"' in body
    assert "Head The text of convoy." in body
    assert 'href="?category=Movement&amp;tag=radio"' in body
    assert 'href="?category=Communications"' in body
    assert "/knowledge/articles/check-in/" not in body


@pytest.mark.usefixtures("shelves")
def test_an_empty_shelf_says_so(page: Client) -> None:
    body = page.get("/knowledge/", {"category": "<Rivers>"}).content.decode()
    assert "No article is here" in body
    assert "&lt;Rivers&gt;" in body


@pytest.mark.parametrize(
    ("where", "field"), [({"page": "0"}, "page"), ({"page": "x"}, "page"), ({"tag": "\0"}, "tag")]
)
def test_what_names_no_shelf_is_refused(page: Client, where: dict[str, str], field: str) -> None:
    response = page.get("/knowledge/", where)
    assert response.status_code == 400
    assert f"{field}: " in response.content.decode()
