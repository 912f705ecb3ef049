"""An article's page: its text, its keywords, and where it was used."""

import pytest
from django.test import Client

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.curation import article_views
from simulations.models import Simulation

pytestmark = pytest.mark.django_db
PATH = "/knowledge/articles/alpha-001/"


def read(user: User, path: str = PATH) -> str:
    client = Client()
    client.force_login(user)
    return client.get(path).content.decode()


def cite(owner: User, article: Article, query: str, **fields: object) -> Simulation:
    simulation = services.submit(owner, query)
    fields = {"position": 1, "slug": article.slug, "title": article.title, "text": "…"} | fields
    simulation.citations.create(article=article, keywords=["gate"], **fields)
    return simulation


def test_keywords_lead_to_what_they_bring(analyst: User, articles: dict[str, Article]) -> None:
    body = read(analyst)
    assert 'href="/knowledge/preview/?text=gate"' in body
    assert 'href="/knowledge/articles/alpha-001/reach/"' in body
    assert "text=badge" not in body
    assert 'href="/knowledge/?category=Testing"' in body
    assert 'href="/knowledge/?tag=one"' in body


def test_readers_see_their_own_uses_and_admins_all(
    analyst: User, outsider: User, admin: User, articles: dict[str, Article]
) -> None:
    mine = cite(analyst, articles["alpha-001"], "Who opens <my> gate?")
    theirs = cite(outsider, articles["alpha-001"], "Who opens their gate?")
    other = cite(analyst, articles["beta-001"], "Who opens the other gate?")
    body = read(analyst)
    assert f"/simulations/{mine.pk}/" in body
    assert "Who opens &lt;my&gt; gate?" in body
    assert str(theirs.pk) not in body
    assert str(other.pk) not in body
    body = read(admin)
    assert f"/simulations/{theirs.pk}/" in body
    assert "outsider" in body


def test_the_latest_uses_come_first_and_the_rest_is_said(
    analyst: User, articles: dict[str, Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(article_views, "MAX_USES", 2)
    made = [cite(analyst, articles["alpha-001"], f"Gate {n}?") for n in range(3)]
    uses = article_views.uses_of(articles["alpha-001"], analyst)
    assert [use.simulation_id for use in uses["uses"]] == [made[2].pk, made[1].pk]
    assert "These are the latest." in read(analyst)


def test_who_may_not_open_simulations_sees_no_uses(
    analyst: User, articles: dict[str, Article]
) -> None:
    cite(analyst, articles["alpha-001"], "Who opens the gate?")
    User.objects.filter(pk=analyst.pk).update(modules=["knowledge-base"])
    body = read(analyst)
    assert "This is the text of alpha-001." in body
    assert "Where it was used" not in body


def test_drafts_are_the_curators(analyst: User, admin: User, articles: dict[str, Article]) -> None:
    draft = "/knowledge/articles/gamma-001/"
    assert "There is nothing here" in read(analyst, draft)
    assert "no question gets it" in read(admin, draft)
