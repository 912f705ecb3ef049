"""What a text brings and why, as a value and over the API; drafts stay out of sight."""

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from knowledge.context import ARTICLE_LIMIT, QUERY_LIMIT
from knowledge.grounding import MAX_ARTICLES, find_sources
from knowledge.models import Article, Keyword
from knowledge.preview import MAX_SHOWN, Part, preview
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db


def add_articles(keyword: str, count: int, status: str = "published") -> None:
    for number in range(count):
        article = Article.objects.create(
            slug=f"more-{status}-{number:02}", title="M", category="C", text="T", status=status
        )
        Keyword.objects.get(phrase=keyword).links.create(article=article)


def places(text: str, **options: bool) -> list[tuple[str, int | None, bool]]:
    found = preview(text, **options).articles
    return [(article.article.slug, article.place, article.is_sent) for article in found]


@pytest.mark.parametrize("text", ["A BADGE at the gate", "gate", "secret badge", "none of it", ""])
@pytest.mark.parametrize("include_drafts", [False, True])
def test_what_is_said_to_be_sent_is_what_is_sent(
    articles: dict[str, Article], text: str, include_drafts: bool
) -> None:
    add_articles("badge", 3)
    sources = [(source.article.slug, source.keywords) for source in find_sources(text)]
    found = preview(text, include_drafts=include_drafts)
    assert [(article.article.slug, article.keywords) for article in found.sent] == sources


def test_what_search_finds_is_shown_where_no_keyword_brings_any(
    articles: dict[str, Article], settings: Settings
) -> None:
    text = "Which guards check whom, and where is the text?"
    assert preview(text).sent == []
    settings.GROUND_BY_SEARCH = True
    sources = [(source.article.slug, source.found_by) for source in find_sources(text)]
    assert [found_by for _, found_by in sources] == ["search", "search"]
    sent = preview(text).sent
    assert [(article.article.slug, article.found_by) for article in sent] == sources
    assert [article.place for article in sent] == [1, 2]


def test_what_falls_outside_the_first_three_is_shown_behind_them(
    articles: dict[str, Article],
) -> None:
    add_articles("badge", 3)
    assert places("badge at the gate") == [
        ("beta-001", 1, True),
        ("more-published-00", 2, True),
        ("more-published-01", 3, True),
        ("more-published-02", 4, False),
        ("alpha-001", 5, False),
    ]


def test_drafts_are_shown_in_their_order_without_a_place(articles: dict[str, Article]) -> None:
    assert places("badge", include_drafts=True) == [
        ("gamma-001", None, False),
        ("beta-001", 1, True),
    ]
    assert places("badge") == [("beta-001", 1, True)]


def test_what_is_archived_is_not_shown(articles: dict[str, Article]) -> None:
    Article.objects.filter(slug="beta-001").update(status="archived")
    assert places("badge", include_drafts=True) == [("gamma-001", None, False)]
    assert places("badge") == []


def test_what_is_sent_is_shown_behind_any_number_of_drafts(articles: dict[str, Article]) -> None:
    add_articles("secret", MAX_SHOWN, status="draft")
    add_articles("secret", MAX_ARTICLES + 1)
    found = preview("secret", include_drafts=True)
    assert len(found.sent) == MAX_ARTICLES
    assert len(found.articles) == MAX_SHOWN + MAX_ARTICLES
    assert found.more_articles == 2


def test_the_end_of_a_long_article_is_said_to_be_cut(articles: dict[str, Article]) -> None:
    Article.objects.filter(slug="beta-001").update(text="😀" * (ARTICLE_LIMIT // 2) + "😀end")
    [beta] = preview("badge").articles
    assert (beta.cut_off, beta.cut_length) == ("😀end", 5)
    assert [article.cut_length for article in preview("gate").articles] == [0, 5]


def test_a_part_of_a_word_names_the_word(articles: dict[str, Article]) -> None:
    [found] = preview("We investigate éagateß!").keywords
    assert (found.keyword, found.count, found.inside) == ("gate", 2, "investigate")
    [found] = preview("We investigate the gate").keywords
    assert found.inside == ""


def test_overlapping_keywords_are_highlighted_as_one_piece(articles: dict[str, Article]) -> None:
    Keyword.objects.create(phrase="the gat").links.create(article=articles["alpha-001"])
    Keyword.objects.create(phrase="aße").links.create(article=articles["alpha-001"])
    assert preview("İ At the gates, Straße").parts == [
        Part("İ At "),
        Part("the gate", ("the gat", "gate")),
        Part("s, Str"),
        Part("aße", ("aße",)),
    ]
    assert preview("gategate").parts == [Part("gate", ("gate",))] * 2
    assert preview("").parts == []


def test_a_longer_text_is_read_as_far_as_a_question_is(articles: dict[str, Article]) -> None:
    padding = "x" * (QUERY_LIMIT - 4)
    assert [found.is_truncated for found in (preview(padding + "gate"),)] == [False]
    assert preview(padding + "gate").articles
    cut = preview(padding + " gate")
    assert (cut.is_truncated, cut.articles, len(cut.text)) == (True, (), QUERY_LIMIT)


def test_it_costs_three_queries_whatever_it_finds(
    articles: dict[str, Article], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    add_articles("badge", 30)
    preview("badge")
    with django_assert_num_queries(3):  # the stamp, the places, the articles shown
        found = preview("badge at the gate", include_drafts=True)
    assert (len(found.articles), found.more_articles) == (MAX_SHOWN, 13)


# --- The API ----------------------------------------------------------------------------------


def test_the_api_says_all_of_it(analyst: User, articles: dict[str, Article]) -> None:
    response = ApiClient(analyst).post_json("knowledge/match", {"text": " İ gate, investigated"})
    assert response.json() == {
        "text_truncated": False,
        "articles": [
            {
                "slug": slug,
                "title": f"Title of {slug}",
                "category": "Testing",
                "status": "published",
                "place": place,
                "is_sent": True,
                "keywords": ["gate"],
                "found_by": "keyword",
                "cut_length": 0,
            }
            for place, slug in enumerate(["alpha-001", "beta-001"], start=1)
        ],
        "more_articles": 0,
        "keywords": [
            {
                "keyword": "gate",
                "articles": ["alpha-001", "beta-001"],
                "count": 2,
                "positions": [
                    {"start": 3, "end": 7, "whole_word": True},
                    {"start": 16, "end": 20, "whole_word": False},
                ],
            }
        ],
    }


def test_drafts_and_their_keywords_are_for_curators_who_ask(
    analyst: User, admin: User, articles: dict[str, Article]
) -> None:
    body = {"text": "a secret badge"}
    for user in (analyst, admin):
        answer = ApiClient(user).post_json("knowledge/match", body).content.decode()
        assert "beta-001" in answer
        assert "gamma" not in answer
        assert '"secret"' not in answer
    body["include_drafts"] = True
    answer = ApiClient(admin).post_json("knowledge/match", body).json()
    assert [article["status"] for article in answer["articles"]] == ["draft", "published"]
    assert [found["keyword"] for found in answer["keywords"]] == ["badge", "secret"]
    refused = ApiClient(analyst).post_json("knowledge/match", body)
    assert (refused.status_code, refused.json()["message"]) == (403, "Requires role: ADMIN")


def test_a_longer_text_is_cut_and_the_answer_says_so(
    analyst: User, articles: dict[str, Article]
) -> None:
    body = {"text": "x" * QUERY_LIMIT + " gate"}
    answer = ApiClient(analyst).post_json("knowledge/match", body).json()
    assert (answer["text_truncated"], answer["articles"]) == (True, [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": 1}, "text"),
        ({"text": None}, "text"),
        ({"text": "a\0"}, "text"),
        ({"text": "a", "include_drafts": "maybe"}, "include_drafts"),
        ({"text": "a", "drafts": True}, "drafts"),
    ],
)
def test_a_wrong_body_is_refused_by_field(
    analyst: User, body: dict[str, object], field: str
) -> None:
    response = ApiClient(analyst).post_json("knowledge/match", body)
    assert response.status_code == 400
    assert field in response.json()["details"]


def test_it_needs_the_module(trainee: User) -> None:
    body = {"text": "gate"}
    assert ApiClient().post_json("knowledge/match", body).status_code == 401
    assert ApiClient(trainee).post_json("knowledge/match", body).status_code == 403
