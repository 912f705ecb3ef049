"""What an ADMIN without the module `knowledge-base` is not shown on the admin site."""

import pytest
from django.apps import apps
from django.test import Client

from accounts.admin import OF_KNOWLEDGE
from accounts.audit import AuditEntry
from accounts.models import User
from knowledge.models import Article, Keyword
from simulations import services
from simulations.models import Run, Simulation, ToolCall

pytestmark = pytest.mark.django_db

MISSING = "No access to module: knowledge-base"
TEXT = "Guards check every badge."


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def article() -> Article:
    return Article.objects.create(slug="gate-001", title="Gate", category="Testing", text=TEXT)


@pytest.fixture
def run(analyst: User, article: Article) -> Run:
    """Of a simulation that was sent an article, and whose assistant looked it up again."""
    simulation = services.submit(analyst, "Who checks the gate?")
    Simulation.objects.filter(pk=simulation.pk).update(prompt=f"Knowledge: {TEXT}")
    simulation.citations.create(position=1, article=article, slug="gate-001", title="G", text=TEXT)
    run = simulation.runs.create(outcome="completed")
    ToolCall.objects.create(run=run, round=1, position=1, name="search_knowledge", output=TEXT)
    return run


def test_simulations_are_shown_without_the_text_of_articles(
    run: Run, planner: User, admin: User
) -> None:
    for path, withheld in [
        (f"/admin/simulations/simulation/{run.simulation_id}/change/", 2),
        (f"/admin/simulations/run/{run.pk}/change/", 1),
    ]:
        shown = sign_in(planner).get(path).content.decode()
        assert (shown.count(TEXT), shown.count(MISSING)) == (0, withheld)
        shown = sign_in(admin).get(path).content.decode()
        assert (shown.count(TEXT), shown.count(MISSING)) == (withheld, 0)


def test_the_audit_log_is_shown_without_what_articles_say(
    article: Article, planner: User, admin: User
) -> None:
    of_article = AuditEntry.objects.get(noun="article")
    of_user = AuditEntry.objects.filter(noun="user").latest("pk")
    path = "/admin/accounts/auditentry/{}/change/".format
    assert TEXT in sign_in(admin).get(path(of_article.pk)).content.decode()
    shown = sign_in(planner).get(path(of_article.pk)).content.decode()
    assert TEXT not in shown
    assert MISSING in shown
    assert MISSING not in sign_in(planner).get(path(of_user.pk)).content.decode()


def test_the_nouns_of_knowledge_are_all_of_it() -> None:
    models = apps.get_app_config("knowledge").get_models()
    audited = {model._meta.verbose_name for model in models if hasattr(model, "audit_id")}
    assert audited == OF_KNOWLEDGE


def test_what_is_refused_names_the_module(article: Article, planner: User) -> None:
    client = sign_in(planner)
    Keyword.objects.create(phrase="gate", position=1)
    for path in ["knowledge/article/", f"knowledge/article/{article.pk}/change/", "curation/"]:
        response = client.get(f"/admin/{path}")
        assert response.status_code == 403
        assert MISSING in response.content.decode()
    terms = "app_label=knowledge&model_name=keywordarticle&field_name=article&term=gate"
    assert client.get(f"/admin/autocomplete/?{terms}").status_code == 403
    index = client.get("/admin/")
    assert index.status_code == 200
    assert "/admin/knowledge/" not in index.content.decode()
    assert "/admin/curation/" not in index.content.decode()
