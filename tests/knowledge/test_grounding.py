"""The index of the database's keywords: its order, and that every change reaches it."""

import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from knowledge import grounding
from knowledge.grounding import READ_AT_ONCE, find_sources
from knowledge.models import Article, Keyword, KeywordArticle

pytestmark = pytest.mark.django_db


def found(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(source.article.slug, source.keywords) for source in find_sources(text)]


def test_articles_come_in_curated_order_with_the_keywords_that_brought_them(
    articles: dict[str, Article],
) -> None:
    assert found("A BADGE at the gate") == [
        ("beta-001", ("badge", "gate")),
        ("alpha-001", ("gate",)),
    ]
    assert found("a gate") == [("alpha-001", ("gate",)), ("beta-001", ("gate",))]
    assert found("nothing of the kind") == []


def test_drafts_leave_their_place_to_the_next(articles: dict[str, Article]) -> None:
    for number in range(4):
        extra = Article.objects.create(
            slug=f"extra-{number}", title="E", category="C", text="T", status="published"
        )
        Keyword.objects.get(phrase="badge").links.create(article=extra, position=10 + number)
    assert [slug for slug, _ in found("badge")] == ["beta-001", "extra-0", "extra-1"]


def change_phrase(keyword: Keyword) -> None:
    keyword.phrase = "portal"
    keyword.save()


def bulk_change(keyword: Keyword) -> None:
    Keyword.objects.filter(pk=keyword.pk).update(phrase="portal")


def change_by_hand(keyword: Keyword) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE knowledge_keyword SET phrase = 'portal' WHERE id = %s", [keyword.pk])


@pytest.mark.parametrize("change", [change_phrase, bulk_change, change_by_hand])
def test_a_changed_keyword_is_seen_whatever_changed_it(
    articles: dict[str, Article], change: object
) -> None:
    assert found("a gate")
    change(Keyword.objects.get(phrase="gate"))
    assert found("a gate") == []
    assert len(found("a portal")) == 2


def test_added_removed_and_reordered_links_are_seen(articles: dict[str, Article]) -> None:
    gate = Keyword.objects.get(phrase="gate")
    assert [slug for slug, _ in found("a gate")] == ["alpha-001", "beta-001"]
    gate.links.filter(article__slug="alpha-001").update(position=9)
    assert [slug for slug, _ in found("a gate")] == ["beta-001", "alpha-001"]
    KeywordArticle.objects.filter(article__slug="beta-001").delete()
    assert [slug for slug, _ in found("a gate")] == ["alpha-001"]
    gate.delete()
    assert found("a gate") == []


def test_publishing_is_seen_at_once(articles: dict[str, Article]) -> None:
    assert found("secret") == []
    Article.objects.filter(slug="gamma-001").update(status="published")
    assert [slug for slug, _ in found("secret")] == ["gamma-001"]


def test_a_whole_word_keyword_wants_the_whole_word(articles: dict[str, Article]) -> None:
    Keyword.objects.filter(phrase="gate").update(whole_word=True)
    assert found("investigate") == []
    assert len(found("the gate.")) == 2


def test_an_unchanged_curation_costs_one_query_to_know_it(
    articles: dict[str, Article], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    find_sources("a gate")
    with django_assert_num_queries(1):
        assert len(find_sources("a gate")) == 2


def test_a_curation_that_may_be_old_costs_none(
    articles: dict[str, Article], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert find_sources("secret") == []
    Article.objects.filter(slug="gamma-001").update(status="published")
    with django_assert_num_queries(0):
        assert find_sources("secret", max_age=timedelta(minutes=1)) == []
    time.sleep(0.02)
    assert find_sources("secret", max_age=timedelta(milliseconds=10))


def test_a_text_that_brings_many_articles_reads_only_some(
    articles: dict[str, Article], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    badge = Keyword.objects.get(phrase="badge")
    for number in range(3 * READ_AT_ONCE):
        status = "draft" if number < 2 * READ_AT_ONCE else "published"
        extra = Article.objects.create(
            slug=f"extra-{number}", title="E", category="C", text="T", status=status
        )
        badge.links.create(article=extra, position=10 + number)
    first = f"extra-{2 * READ_AT_ONCE}"
    assert [slug for slug, _ in found("badge")][:2] == ["beta-001", first]
    with django_assert_max_num_queries(2):
        assert len(find_sources("badge", limit=1)) == 1


def test_a_changed_article_is_seen(articles: dict[str, Article]) -> None:
    assert found("a gate")
    Article.objects.filter(slug="alpha-001").update(text="Another text.")
    assert find_sources("a gate")[0].article.text == "Another text."
    Article.objects.filter(slug="alpha-001").update(slug="delta-001")
    assert [slug for slug, _ in found("a gate")] == ["delta-001", "beta-001"]


@pytest.mark.parametrize("kept", [0, 1])
def test_only_so_many_articles_are_kept(
    articles: dict[str, Article], kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounding, "KEPT_ARTICLES", kept)
    for _ in range(3):
        assert len(found("a gate")) == 2


@pytest.mark.django_db(transaction=True)
def test_another_process_sees_a_change(articles: dict[str, Article]) -> None:
    assert found("portal") == []
    name = connection.settings_dict["NAME"]
    code = f"""
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {str(name)!r}
django.setup()
from knowledge.models import Keyword
Keyword.objects.filter(phrase="gate").update(phrase="portal")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(found("portal")) == 2


def test_a_new_link_comes_last(articles: dict[str, Article]) -> None:
    gate = Keyword.objects.get(phrase="gate")
    Article.objects.filter(slug="gamma-001").update(status="published")
    gate.links.create(article=articles["gamma-001"])
    assert [slug for slug, _ in found("a gate")] == ["alpha-001", "beta-001", "gamma-001"]
