"""Curation health: what is found, what one look costs, who sees it, and where it leads."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from knowledge.models import Article, Keyword
from simulations.curation import health
from simulations.curation.terms import frequent_terms, terms_of
from simulations.models import Assistant, Conversation, Simulation

pytestmark = pytest.mark.django_db

PAGE = "/admin/curation/"


def ask(owner: User, *queries: str, days_ago: int = 0, **fields: object) -> list[Simulation]:
    conversation = Conversation.objects.create(owner=owner, protocol="responses")
    return [
        Simulation.objects.create(
            owner=owner,
            assistant=Assistant.objects.get_or_create_default(),
            conversation=conversation,
            status="CANCELLED",
            query=query,
            created_at=timezone.now() - timedelta(days=days_ago),
            **fields,
        )
        for query in queries
    ]


def add_article(slug: str, *phrases: str, text: str = "T", status: str = "published") -> Article:
    article = Article.objects.create(
        slug=slug, title=slug.title(), category="C", text=text, status=status
    )
    for phrase in phrases:
        keyword, _ = Keyword.objects.get_or_create(phrase=phrase)
        keyword.links.create(article=article)
    return article


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- Terms ------------------------------------------------------------------------------------


def test_terms_are_words_and_neighbouring_pairs_without_stop_words() -> None:
    assert terms_of("Is the Pontoon crossing safe? Crossing, or don’t we: 3x UN anti-drone") == {
        *("pontoon", "crossing", "safe", "anti-drone"),
        *("pontoon crossing", "crossing safe"),
    }
    assert terms_of("W" * 12_000) == set()


def test_frequent_terms_count_texts_and_a_pair_stands_for_its_words() -> None:
    texts = ["pontoon crossing drones drones", "Pontoon crossing", "drones", "ferry"]
    assert frequent_terms(texts) == [("pontoon crossing", 2), ("drones", 2)]
    assert frequent_terms([*texts, "pontoon"])[0] == ("pontoon", 3)


# --- Findings ---------------------------------------------------------------------------------


def test_keywords_without_a_published_article(articles: dict[str, Article]) -> None:
    Keyword.objects.create(phrase="nothing")
    assert health.examine().idle_keywords == ["secret", "nothing"]


def test_published_articles_that_no_question_gets(articles: dict[str, Article]) -> None:
    add_article("lonely")
    for number in range(4):
        add_article(f"crowd-{number}", "crowd")
    add_article("draft", status="draft")
    found = health.examine().unreached
    assert [(unreached.article.slug, unreached.has_keywords) for unreached in found] == [
        ("crowd-3", True),
        ("lonely", False),
    ]


def test_keywords_that_never_change_anything(articles: dict[str, Article]) -> None:
    late = Keyword.objects.create(phrase="the gatehouse")
    late.links.create(article=articles["beta-001"])
    [found] = health.examine().shadowed
    assert (found.keyword, found.by) == ("the gatehouse", ("gate",))


def test_articles_too_long_and_what_is_cut(articles: dict[str, Article]) -> None:
    add_article("fits", text="x" * 4000)
    add_article("long", text="x" * 4010)
    add_article("longer", text="😀" * 2100, status="draft")
    found = health.examine().long_articles
    assert [(long.article.slug, long.length, long.cut) for long in found] == [
        ("longer", 4200, 200),
        ("long", 4010, 10),
    ]


def test_questions_that_nothing_matches_now(
    analyst: User, outsider: User, articles: dict[str, Article]
) -> None:
    ask(analyst, "At the gate", "A secret place", "How wide is the river?")
    ask(outsider, "how  wide is the RIVER?", "Which river?")
    ask(analyst, "The river of old", days_ago=31)
    ask(analyst, "A retry about the river", retry_of=ask(analyst, "badge")[0])
    found = health.examine().unmatched
    assert (found.read, found.is_all, found.count) == (6, True, 4)
    assert [(query.query, query.count, query.phrase) for query in found.queries] == [
        ("how  wide is the RIVER?", 2, "river"),
        ("Which river?", 1, "river"),
        ("A secret place", 1, "secret place"),
    ]
    assert found.terms == [("river", 3), ("wide", 2)]
    add_article("river", "river")
    assert [query.query for query in health.examine().unmatched.queries] == ["A secret place"]


def test_only_the_latest_questions_are_read(
    analyst: User, articles: dict[str, Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_QUERIES", 2)
    ask(analyst, "The oldest", days_ago=2)
    ask(analyst, "Older", days_ago=1)
    assert health.examine().unmatched.is_all
    ask(analyst, "Latest")
    found = health.examine().unmatched
    assert (found.read, found.is_all) == (2, False)
    assert [query.query for query in found.queries] == ["Latest", "Older"]


def test_one_look_costs_a_handful_of_queries(
    analyst: User, articles: dict[str, Article], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask(analyst, *(f"Question {number}" for number in range(30)))
    health.examine()
    with django_assert_num_queries(
        5
    ):  # the stamp, published slugs, long articles, questions, feedback
        health.examine()
    add_article("lonely")
    health.examine()
    with django_assert_num_queries(6):  # and the unreached ones
        health.examine()


# --- The page ---------------------------------------------------------------------------------


def test_it_shows_findings_and_starts_keywords_from_them(
    admin: User, analyst: User, articles: dict[str, Article]
) -> None:
    ask(analyst, "<b>Fish & chips</b>", "Fish & chips")
    add_article("lonely")
    client = signed_in(admin)
    page = client.get(PAGE).content.decode()
    assert "&lt;b&gt;Fish &amp; chips&lt;/b&gt;" in page
    assert "all 2 questions since" in page
    assert "Has no keyword" in page
    assert "/admin/knowledge/keyword/add/?phrase=chips" in page
    form = client.get("/admin/knowledge/keyword/add/?phrase=chips").content.decode()
    assert 'value="chips"' in form
    assert PAGE in client.get("/admin/").content.decode()


def test_it_says_how_many_questions_it_left_out(
    admin: User, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_QUERIES", 1)
    ask(analyst, "One", "Two")
    assert "only the latest 1 question since" in signed_in(admin).get(PAGE).content.decode()


def test_a_long_list_is_cut_and_says_so(admin: User) -> None:
    Keyword.objects.bulk_create(
        Keyword(phrase=f"idle {number:03}", position=number) for number in range(60)
    )
    page = signed_in(admin).get(PAGE).content.decode()
    assert "The first 50 of 60." in page
    assert "idle 049" in page
    assert "idle 050" not in page


def test_without_findings_it_says_that_all_is_well(admin: User) -> None:
    page = signed_in(admin).get(PAGE).content.decode()
    assert page.count('class="health-fine"') == 6


def test_it_is_for_admins_alone(analyst: User) -> None:
    assert Client().get(PAGE).status_code == 302
    answer = signed_in(analyst).get(PAGE, follow=True)
    assert answer.status_code == 403
    assert "Requires role: ADMIN" in answer.content.decode()
