"""Submitting: what is accepted, what is refused, and that a refusal creates nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from simulations import services
from simulations.models import Run, Simulation, Status
from simulations.quota import MonthlyLimitReached, Quota, month_bounds

pytestmark = pytest.mark.django_db


def test_a_query_is_accepted_as_a_pending_row_that_waits_for_its_turn(analyst: User) -> None:
    simulation = services.submit(analyst, "A question?")
    simulation.refresh_from_db()
    assert simulation.status == Status.PENDING
    assert simulation.is_queued
    assert simulation.due_at is None
    assert not simulation.query_truncated


def test_a_long_query_is_cut_and_says_so(analyst: User) -> None:
    at_limit = services.submit(analyst, "x" * 12_000)
    over = services.submit(analyst, "x" * 12_001)
    assert (len(at_limit.query), at_limit.query_truncated) == (12_000, False)
    assert (len(over.query), over.query_truncated) == (12_000, True)


def test_an_endless_query_is_refused(analyst: User) -> None:
    services.submit(analyst, "x" * 100_000)
    with pytest.raises(services.QueryTooLong):
        services.submit(analyst, "x" * 100_001)
    assert Simulation.objects.count() == 1


def test_without_a_key_it_is_refused_and_nothing_is_created(
    analyst: User, settings: Settings
) -> None:
    settings.OPENAI_CONFIGURED = False
    with pytest.raises(services.OpenAINotConfigured) as caught:
        services.submit(analyst, "A question?")
    assert caught.value.status_code == 503
    assert caught.value.message.startswith("OpenAI not configured")
    assert not Simulation.objects.exists()


def test_the_month_after_the_limit_is_refused_with_the_reset_date(analyst: User) -> None:
    analyst.monthly_simulation_limit = 2
    analyst.save()
    for _ in range(2):
        services.submit(analyst, "A question?")
    with pytest.raises(MonthlyLimitReached) as caught:
        services.submit(analyst, "A question?")
    assert Simulation.objects.count() == 2
    reset = month_bounds(timezone.now())[1]
    assert f"{reset:%Y-%m-%d}" in caught.value.message
    assert caught.value.message.startswith("Monthly simulation limit reached")
    seconds = int(caught.value.headers["Retry-After"])
    assert abs((reset - timezone.now()).total_seconds() - seconds) < 5


def test_the_limit_of_new_users_is_fifty(analyst: User) -> None:
    assert analyst.monthly_simulation_limit == 50


def test_last_months_simulations_do_not_count(analyst: User) -> None:
    analyst.monthly_simulation_limit = 1
    analyst.save()
    last_month = month_bounds(timezone.now())[0] - timedelta(seconds=1)
    old = services.submit(analyst, "A question?")
    Simulation.objects.filter(pk=old.pk).update(created_at=last_month)
    assert services.submit(analyst, "A question?")


def test_others_simulations_do_not_count(analyst: User, outsider: User) -> None:
    services.submit(outsider, "A question?")
    assert Quota.of(analyst).used == 0


@pytest.mark.parametrize(
    ("outcome", "charged"),
    [(None, 0), (Run.Outcome.REJECTED, 0), (Run.Outcome.LOST, 1), (Run.Outcome.FAILED, 1)],
)
def test_a_failure_is_charged_only_if_it_may_have_been_billed(
    analyst: User, outcome: str | None, charged: int
) -> None:
    simulation = services.submit(analyst, "A question?")
    assert Quota.of(analyst).used == 1
    if outcome:
        Run.objects.create(simulation=simulation, outcome=outcome)
    Simulation.objects.filter(pk=simulation.pk).transition(Status.FAILED)
    assert Quota.of(analyst).used == charged


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-11-22T12:00", "2026-11-01", "2026-12-01"),
        ("2026-12-31T23:59", "2026-12-01", "2027-01-01"),
        ("2028-02-29T00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_months_are_calendar_months_in_utc(moment: str, start: str, end: str) -> None:
    bounds = month_bounds(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert [f"{bound:%Y-%m-%d}" for bound in bounds] == [start, end]
