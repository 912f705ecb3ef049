"""Grounding by full-text search: which questions bring articles, and which bring none."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from knowledge.grounding import FoundBy, find_sources
from knowledge.models import Article
from knowledge.search import questions
from knowledge.search.questions import find_by_question, significant_words

pytestmark = pytest.mark.django_db


@pytest.fixture
def seed() -> None:
    """Takes longer than all questions of a test."""
    call_command("seed_knowledge", verbosity=0)


def slugs(question: str, limit: int = 3) -> list[str]:
    return [article.slug for article in find_by_question(question, limit)]


@pytest.mark.usefixtures("seed")
def test_a_question_brings_what_it_is_about() -> None:
    first = {
        "What do we do when a convoy gets stuck at a checkpoint?": "convoy-movement-001",
        "How do we protect laptops when crossing a border?": "infosec-intro-001",
        "Which first hours matter after an abduction?": "abduction-response-001",
    }
    found = {question: slugs(question) for question in first}
    assert {question: "".join(brought[:1]) for question, brought in found.items()} == first
    assert max(map(len, found.values())) <= 3


@pytest.mark.usefixtures("seed")
def test_an_unrelated_question_brings_nothing() -> None:
    questions = [
        "How do I bake a chocolate cake for the office?",
        "What is the capital of France?",
        "Write me a poem about the sea.",
        "Kann ich morgen fahren?",
        "What should we do about it, and when?",
        "?",
        "",
        '"\0\ud800 (* OR',
    ]
    found = {question: slugs(question) for question in questions}
    assert {question: brought for question, brought in found.items() if brought} == {}


def publish(slug: str, text: str, title: str = "Title", status: str = "published") -> None:
    Article.objects.create(slug=slug, title=title, text=text, status=status)


def test_rare_words_decide_and_the_title_counts_most() -> None:
    for number in range(5):
        publish(f"common-{number}", "Staff and vehicles.")
    publish("text-001", "Staff meet the helicopter.")
    publish("title-001", "Staff meet it.", title="Helicopter")
    assert slugs("Where do staff meet a helicopter?") == ["title-001", "text-001"]
    assert slugs("staff vehicles helicopter meet")[:2] == ["title-001", "text-001"]
    assert slugs("Where do staff meet a helicopter?", limit=1) == ["title-001"]


def test_one_word_is_enough_for_a_question_of_one_word() -> None:
    publish("one-001", "Malaria.")
    assert slugs("Malaria?") == ["one-001"]
    assert slugs("Malaria in Mozambique?") == []


def test_words_that_too_many_articles_hold_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MAX_ARTICLES_OF_WORD", 2)
    for number in range(3):
        publish(f"many-{number}", "Guards at the gate.")
    assert slugs("Guards at the gate?") == []
    publish("rare-001", "Guards with torches patrol.")
    assert slugs("Which guards patrol with torches?") == ["rare-001"]


def test_only_so_many_words_are_looked_up() -> None:
    question = " ".join(f"word{number}" for number in range(2_000))
    assert len(significant_words(question)) == questions.MAX_WORDS
    with CaptureQueriesContext(connection) as queries:
        assert slugs(question) == []
    searches = [query for query in queries if "@@" in query["sql"] or "MATCH" in query["sql"]]
    assert len(searches) == questions.MAX_WORDS


@pytest.mark.parametrize("status", sorted(set(Article.Status) - {Article.Status.PUBLISHED}))
def test_what_is_not_published_is_not_brought(status: str) -> None:
    publish("hidden-001", "Guards with torches.", status=status)
    assert slugs("guards torches") == []


# --- The setting ------------------------------------------------------------------------------


def test_with_the_setting_search_steps_in_where_keywords_bring_nothing(
    articles: dict[str, Article], settings: Settings
) -> None:
    settings.GROUND_BY_SEARCH = True
    for question in ("Do guards check this?", "Do guards check the secret?"):
        found = find_sources(question)
        assert {source.article.slug for source in found} == {"alpha-001", "beta-001"}
        assert {(source.found_by, source.keywords) for source in found} == {(FoundBy.SEARCH, ())}
    [one] = find_sources("Do guards check this?", limit=1)
    assert one.found_by == FoundBy.SEARCH
    by_keyword = find_sources("Do guards check the gate?")
    assert {source.found_by for source in by_keyword} == {FoundBy.KEYWORD}


def test_without_the_setting_nothing_is_searched_for(
    articles: dict[str, Article],
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    assert settings.GROUND_BY_SEARCH is False
    find_sources("a gate")
    with django_assert_num_queries(1):  # the stamp
        assert find_sources("Do guards check this?") == []
