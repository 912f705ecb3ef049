"""Each change of curated content is a revision, whatever made it; nothing else is one."""

from importlib import import_module

import pytest
from django.db import NotSupportedError, connection
from django.test import Client

from accounts.models import User
from knowledge.grounding import find_sources
from knowledge.models import (
    Article,
    ArticleRevision,
    Keyword,
    KeywordArticle,
    KeywordArticleRevision,
)
from knowledge.search.articles import search_articles
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def alpha(articles: dict[str, Article]) -> Article:
    return articles["alpha-001"]


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def texts(article: Article) -> list[str]:
    """Of its revisions, the latest first."""
    return list(article.revisions.values_list("text", flat=True))


def test_a_change_is_a_revision_and_saving_without_one_is_not(alpha: Article) -> None:
    first = alpha.text
    alpha.save()
    Article.objects.get(pk=alpha.pk).save()
    assert texts(alpha) == [first]
    alpha.text = "Changed."
    alpha.save()
    assert texts(alpha) == ["Changed.", first]


def test_a_revision_is_what_was_saved_and_no_more(alpha: Article) -> None:
    alpha.title, alpha.text = "New title", "Never saved."
    alpha.save(update_fields=["title"])
    latest = alpha.revisions.latest()
    assert (latest.title, latest.text) == ("New title", Article.objects.get(pk=alpha.pk).text)


def test_bulk_changes_leave_revisions(articles: dict[str, Article], alpha: Article) -> None:
    Article.objects.filter(slug__in=["alpha-001", "beta-001"]).update(text="Bulk.")
    assert texts(alpha)[0] == "Bulk."
    assert texts(articles["beta-001"])[0] == "Bulk."
    assert len(texts(articles["gamma-001"])) == 1
    alpha.text = "One by one."
    Article.objects.bulk_update([alpha], ["text"])
    assert texts(alpha)[0] == "One by one."
    made = Article(slug="made-001", title="Made", category="C", text="In bulk.")
    Article.objects.bulk_create([made])
    assert [revision.history_type for revision in made.revisions.all()] == ["+"]
    with pytest.raises(NotSupportedError):
        Article.objects.bulk_create([made], ignore_conflicts=True)


def test_a_bulk_update_changes_what_matches_and_counts_it(alpha: Article) -> None:
    assert Article.objects.filter(status="published", slug="gamma-001").update(title="No") == 0
    assert Article.objects.filter(slug="alpha-001").update(title="Yes") == 1


def test_what_comes_to_match_during_a_bulk_update_is_left_alone(
    articles: dict[str, Article],
) -> None:
    """It would be changed without a revision."""

    def publish_all_first(execute, sql, params, many, context):
        if sql.startswith('UPDATE "knowledge_article"'):
            execute("UPDATE knowledge_article SET status = 'published'", (), many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(publish_all_first):
        assert Article.objects.filter(status="published").update(title="Changed") == 2
    gamma = Article.objects.get(slug="gamma-001")
    assert gamma.title == gamma.revisions.latest().title == "Title of gamma-001"


def test_a_revision_is_saved_with_its_change_or_neither_is(alpha: Article) -> None:
    with connection.execute_wrapper(refuse_revisions):
        for change in (alpha.save, lambda: Article.objects.update(text="Lost.")):
            alpha.text = "Lost."
            with pytest.raises(ZeroDivisionError):
                change()
    assert Article.objects.get(pk=alpha.pk).text != "Lost."
    assert len(texts(alpha)) == 1


def refuse_revisions(execute, sql, params, many, context):
    if sql.startswith('INSERT INTO "knowledge_articlerevision"'):
        raise ZeroDivisionError
    return execute(sql, params, many, context)


def test_a_deletion_is_a_revision_and_keeps_the_others(alpha: Article) -> None:
    pk = alpha.pk
    alpha.delete()
    kept = Article.revisions.filter(id=pk)
    assert [revision.history_type for revision in kept] == ["-", "+"]
    assert kept[1].text.startswith("Guards check")


def test_keywords_and_their_links_have_revisions(articles: dict[str, Article]) -> None:
    gate = Keyword.objects.get(phrase="gate")
    gate.save()
    gate.phrase = "portal"
    gate.save()
    assert list(gate.revisions.values_list("phrase", flat=True)) == ["portal", "gate"]
    gate.links.filter(article__slug="alpha-001").update(position=9)
    KeywordArticle.objects.filter(article__slug="beta-001", keyword=gate).delete()
    links = KeywordArticleRevision.objects.filter(keyword_id=gate.pk)
    assert [(link.history_type, link.position) for link in links] == [
        ("-", 2),
        ("~", 9),
        ("+", 2),
        ("+", 1),
    ]


def test_who_made_it_on_a_page_and_over_the_api(admin: User, curator: Client) -> None:
    body = {"slug": "api-001", "title": "New", "category": "C", "tags": ["a"], "text": "T"}
    assert ApiClient(admin).post_json("knowledge/articles", body).status_code == 201
    made = Article.objects.get()
    assert made.revisions.get().history_user == admin
    form = {"action": "publish", "_selected_action": [str(made.pk)]}
    curator.post("/admin/knowledge/article/", form)
    assert [revision.history_user for revision in made.revisions.all()] == [admin, admin]
    made.title = "By a script"
    made.save()
    assert made.revisions.latest().history_user is None


@pytest.mark.parametrize(
    ("action", "status"),
    [("publish", "published"), ("archive", "archived"), ("turn_into_drafts", "draft")],
)
def test_status_actions_leave_revisions(
    articles: dict[str, Article], curator: Client, action: str, status: str
) -> None:
    before = ArticleRevision.objects.count()
    unlike = Article.objects.exclude(status=status).count()
    form = {"action": action, "_selected_action": [str(one.pk) for one in articles.values()]}
    page = curator.post("/admin/knowledge/article/", form, follow=True)
    assert f"{unlike} of the 3 selected" in page.content.decode()
    assert set(Article.objects.values_list("status", flat=True)) == {status}
    assert ArticleRevision.objects.count() == before + unlike
    curator.post("/admin/knowledge/article/", form)
    assert ArticleRevision.objects.count() == before + unlike


def test_archived_articles_are_out_of_sight_for_readers(
    articles: dict[str, Article], alpha: Article, analyst: User, admin: User
) -> None:
    Article.objects.filter(pk=alpha.pk).change_status(Article.Status.ARCHIVED)
    assert [source.article.slug for source in find_sources("a gate")] == ["beta-001"]
    assert [hit.article.slug for hit in search_articles("badge").hits] == ["beta-001"]
    reader = ApiClient(analyst)
    assert "alpha" not in reader.get("/api/v1/knowledge/articles").content.decode()
    assert reader.get("/api/v1/knowledge/articles/alpha-001").status_code == 404
    assert ApiClient(admin).get("/api/v1/knowledge/articles/alpha-001").status_code == 200


def test_what_is_there_already_gets_its_first_revision_once(articles: dict[str, Article]) -> None:
    migration = import_module("knowledge.migrations.0005_first_revisions")
    ArticleRevision.objects.filter(slug="alpha-001").delete()
    for _ in range(2):
        migration.add_first_revisions(Article, ArticleRevision)
    alpha = articles["alpha-001"]
    first = alpha.revisions.get()
    assert (first.text, first.tags, first.history_type) == (alpha.text, alpha.tags, "+")
    assert first.history_date == Article.objects.get(pk=alpha.pk).updated_at
    alpha.save()
    assert alpha.revisions.count() == 1


def test_sources_know_the_revision_they_were_read_with(alpha: Article) -> None:
    [source, _] = find_sources("a gate")
    assert source.article.revision_id == alpha.revisions.get().pk
    alpha.text = "Changed."
    alpha.save()
    [source, _] = find_sources("a gate")
    assert source.article.revision_id == alpha.revisions.latest().pk
    assert source.article.text == alpha.revisions.latest().text
