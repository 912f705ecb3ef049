"""SQL that is kept writes what the ORM would have written."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.forms import model_to_dict
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from knowledge.models import Article
from simulations import services
from simulations.models import Citation, Run, Simulation
from simulations.prepared import PreparedInsert
from simulations.queue.claims import take

pytestmark = pytest.mark.django_db

insert_citations = PreparedInsert(Citation)
insert_runs = PreparedInsert(Run)


@pytest.fixture
def simulation(analyst: User) -> Simulation:
    return services.submit(analyst, "A question?")


def citation(simulation: Simulation, position: int, **fields: Any) -> Citation:
    return Citation(
        simulation=simulation,
        position=position,
        slug=f"article-{position}",
        title="50 % of 'quotes', \"all\" kinds: %s {0} ü 🜁",
        category="Testing",
        tags=["ü", "%s"],
        text="One\n\nTwo",
        truncated=position == 1,
        keywords=[],
        **fields,
    )


def written(rows: Any) -> list[dict[str, Any]]:
    return [model_to_dict(row, exclude=["id"]) for row in rows]


@pytest.mark.parametrize("count", [1, 3])
def test_rows_are_as_the_orm_writes_them(simulation: Simulation, count: int) -> None:
    article = Article.objects.create(slug="article-1", title="T", category="C", text="T")
    for attempt in range(2):  # the second time with the SQL of the first
        rows = [
            citation(simulation, number, article=article if number == 2 else None)
            for number in range(1 + attempt, 1 + attempt + count)
        ]
        insert_citations(rows)
        stored = written(simulation.citations.all())
        simulation.citations.all().delete()
        Citation.objects.bulk_create(rows)
        assert stored == written(simulation.citations.all())
        assert len(stored) == count
        simulation.citations.all().delete()


def test_what_the_database_fills_in_is_filled_in(simulation: Simulation) -> None:
    run = Run(simulation=simulation, round=2)
    insert_runs([run])
    stored = Run.objects.get(pk=run.pk)
    assert (stored.round, stored.outcome, stored.total_tokens) == (2, "", None)
    assert stored.requested_at


def test_lists_may_have_any_length(analyst: User) -> None:
    rows = [services.submit(analyst, f"Question {number}?").pk for number in range(3)]
    Simulation.objects.update(admitted_at=Now(), due_at=Now())
    second = timedelta(seconds=1)
    for count in (1, 3, 2, 3):
        assert take(rows[:count], second, second, second) == count
    steps = Simulation.objects.in_bulk(rows)
    assert [steps[pk].step_number for pk in rows] == [4, 3, 2]


def test_no_rows_are_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        insert_citations([])
