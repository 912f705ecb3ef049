"""What a simulation used stays known: its citations and runs name the revisions they were sent."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.models import Assistant, AssistantRevision, Simulation
from simulations.queue.admission import admit
from simulations.queue.claims import claim
from simulations.queue.pacing import Pacing
from simulations.steps import next_step
from tests.conftest import Drive
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def answered(
    analyst: User, articles: dict[str, Article], emulator: EmulatorProcess, drive: Drive
) -> Callable[[], Simulation]:
    return lambda: drive(services.submit(analyst, "Who opens the gate?"))


def test_every_model_with_content_has_revisions() -> None:
    revised = {model.__name__ for model in apps.get_models() if hasattr(model, "revisions")}
    assert revised == {"AnswerRule", "Article", "Assistant", "Keyword", "KeywordArticle"}


def test_an_assistant_has_revisions(admin: User) -> None:
    assistant, other = (
        Assistant.objects.get_or_create_default(),
        Assistant.objects.create(name="Second"),
    )
    Assistant.objects.make_default(other)
    assistant.refresh_from_db()
    assistant.save()
    assert AssistantRevision.objects.count() == 2
    assistant.instructions = "Be brief."
    assistant.save()
    Assistant.objects.filter(pk=other.pk).update(model="gpt-6")
    assert assistant.revisions.latest().instructions == "Be brief."
    assert other.revisions.latest().model == "gpt-6"
    assert AssistantRevision.objects.count() == 4


def test_a_simulation_pins_what_it_was_sent(
    answered: Callable[[], Simulation], protocol: str, settings: Settings
) -> None:
    simulation = answered()
    citation, later = simulation.citations.all()
    sent = citation.article.revisions.get()
    assert citation.revision == sent
    run = simulation.runs.get()
    assert run.assistant_revision == simulation.assistant.revisions.get()
    assert run.model == {"responses": settings.OPENAI_MODEL, "assistants": "asst_tests"}[protocol]

    Article.objects.filter(pk=citation.article_id).update(text="A gate is a gate.")
    Article.objects.get(pk=later.article_id).delete()
    Assistant.objects.update(instructions="Be brief.")
    [again] = answered().citations.all()
    assert again.revision.text == "A gate is a gate."
    assert again.simulation.runs.get().assistant_revision.instructions == "Be brief."
    for old in simulation.citations.all():
        assert old.text == old.revision.text
    assert simulation.runs.get().assistant_revision.instructions != "Be brief."


def test_what_is_pinned_cannot_be_deleted(answered: Callable[[], Simulation]) -> None:
    simulation = answered()
    with pytest.raises(ProtectedError):
        simulation.citations.first().revision.delete()
    with pytest.raises(ProtectedError):
        simulation.runs.get().assistant_revision.delete()


def test_pinning_costs_the_engine_no_query(analyst: User, articles: dict[str, Article]) -> None:
    """The revisions come with the rows that are read anyhow."""
    services.submit(analyst, "Who opens the gate?")
    admit()
    with CaptureQueriesContext(connection) as queries:
        [claimed] = claim(1, Pacing())
        assert next_step(claimed, Pacing()).prepare()
    reading = [query["sql"] for query in queries if "articlerevision" in query["sql"]]
    reading += [query["sql"] for query in queries if "assistantrevision" in query["sql"]]
    assert [sql.split(".")[0] for sql in reading] == [
        'SELECT "knowledge_article"',
        'SELECT "simulations_simulation"',
    ]
    assert claimed.assistant_revision_id == claimed.assistant.revisions.get().pk
    assert all(citation.revision_id for citation in claimed.citations.all())
