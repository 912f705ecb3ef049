"""Usage: the figures, their charts, the page and its files."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Role, User
from simulations.models import Assistant, Conversation, Simulation, Status
from simulations.quota import month_bounds
from simulations.usage.figures import Period, by_assistant, by_month, by_user, sum_up


@pytest.fixture
def this_month() -> datetime:
    return month_bounds(timezone.now())[0]


@pytest.fixture
def page(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def over(
    owner: User,
    asked: datetime,
    seconds: float = 20,
    status: Status = Status.COMPLETED,
    tokens: int | None = 100,
    assistant: Assistant | None = None,
) -> Simulation:
    return Simulation.objects.create(
        owner=owner,
        assistant=assistant or Assistant.objects.current(),
        conversation=Conversation.objects.create(owner=owner, protocol="responses"),
        query="Who?",
        status=status,
        tokens_used=tokens,
        created_at=asked,
        finished_at=asked + timedelta(seconds=seconds),
    )


@pytest.mark.django_db
def test_months_begin_and_end_in_utc(analyst: User, this_month: datetime) -> None:
    last = this_month - timedelta(microseconds=1)
    for asked in [this_month, last]:
        over(analyst, asked)
    before, now = by_month(Period.latest(2))
    assert now.name == f"{this_month:%Y-%m}"
    assert before.name == f"{last:%Y-%m}"
    assert (before.total, now.total) == (1, 1)
    assert [usage.total for usage in by_month(Period.latest(1))] == [1]


@pytest.mark.django_db
def test_a_year_has_twelve_months_also_where_nothing_was_asked(analyst: User) -> None:
    months = by_month(Period.latest(12))
    assert len({usage.name for usage in months}) == 12
    assert sum_up(months).total == 0


@pytest.mark.django_db
def test_outcomes_tokens_and_durations(analyst: User, this_month: datetime) -> None:
    for seconds in [10.4, 20, 30, 89.6]:
        over(analyst, this_month, seconds)
    over(analyst, this_month, 500, Status.FAILED, tokens=None)
    over(analyst, this_month, 1, Status.CANCELLED, tokens=None)
    [usage] = by_user(Period.latest(1))
    assert (usage.completed, usage.failed, usage.cancelled, usage.total) == (4, 1, 1, 6)
    assert usage.tokens == 400
    assert sorted(usage.durations) == [10, 20, 30, 90]
    assert (usage.median, usage.slow) == (20, 90)


@pytest.mark.django_db
def test_what_is_not_over_is_not_counted(analyst: User, this_month: datetime) -> None:
    Simulation.objects.filter(pk=over(analyst, this_month).pk).update(
        status=Status.PENDING, finished_at=None
    )
    assert by_user(Period.latest(1)) == []


@pytest.mark.django_db
def test_parts_come_by_size_and_have_the_same_sum(
    analyst: User, outsider: User, this_month: datetime
) -> None:
    desk = Assistant.objects.create(name="Travel desk")
    for owner, assistant in [(outsider, desk), (outsider, None), (analyst, None)]:
        over(owner, this_month, assistant=assistant)
    users, assistants = by_user(Period.latest(1)), by_assistant(Period.latest(1))
    assert [(usage.name, usage.total) for usage in users] == [("outsider", 2), ("analyst", 1)]
    assert [usage.name for usage in assistants] == ["Sitrep", "Travel desk"]
    assert sum_up(users) == sum_up(assistants)


@pytest.mark.django_db
def test_many_simulations_take_as_many_queries_as_few(
    page: Client, analyst: User, outsider: User, this_month: datetime
) -> None:
    over(analyst, this_month)
    with CaptureQueriesContext(connection) as few:
        page.get("/usage/")
    for number in range(20):
        over([analyst, outsider][number % 2], this_month, seconds=number)
    with CaptureQueriesContext(connection) as many:
        page.get("/usage/")
    assert len(many) == len(few) <= 7


@pytest.mark.django_db
def test_only_admins_see_usage(analyst: User) -> None:
    client = Client()
    client.force_login(analyst)
    for path in ["/usage/", "/usage/by-user.csv"]:
        response = client.get(path)
        assert response.status_code == 403
        assert "Requires role: ADMIN" in response.content.decode()


@pytest.mark.django_db
def test_the_page_has_a_table_for_each_chart(
    page: Client, analyst: User, this_month: datetime
) -> None:
    User.objects.filter(pk=analyst.pk).update(username="<b>")
    over(analyst, this_month, 12, tokens=4321)
    body = page.get("/usage/?months=1").content.decode()
    assert "&lt;b&gt;: completed 1, failed none, cancelled none" in body
    assert "<b>" not in body
    for by in ["month", "user", "assistant"]:
        table = body.partition(f'id="by-{by}"')[2].partition("</section>")[0]
        assert "<td>4,321</td>" in table
        assert "<title>" in table
    assert "style=" not in body


@pytest.mark.django_db
@pytest.mark.parametrize("months", ["2", "x", "-1"])
def test_a_period_that_is_none_is_refused_by_name(page: Client, months: str) -> None:
    for path in ["/usage/", "/usage/by-month.csv"]:
        response = page.get(path, {"months": months})
        assert response.status_code == 400
        assert "months: choose one of 1, 3, 12 and 24." in response.content.decode()


@pytest.mark.django_db
def test_a_file_has_all_rows_and_no_formulas(
    page: Client, analyst: User, this_month: datetime
) -> None:
    User.objects.filter(pk=analyst.pk).update(username="=HYPERLINK()")
    over(analyst, this_month, 12)
    over(User.objects.create(username="second"), this_month, status=Status.FAILED, tokens=None)
    response = page.get("/usage/by-user.csv?months=1")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "usage-by-user.csv" in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert rows[0] == {
        "user": "'=HYPERLINK()",
        "simulations": "1",
        "completed": "1",
        "failed": "0",
        "cancelled": "0",
        "tokens": "100",
        "median_seconds": "12",
        "p95_seconds": "12",
    }
    assert (rows[1]["user"], rows[1]["median_seconds"]) == ("second", "")
    assert page.get("/usage/by-nobody.csv").status_code == 404


@pytest.mark.django_db
def test_admins_alone_have_the_link(analyst: User, page: Client) -> None:
    assert 'href="/usage/"' in page.get("/usage/").content.decode()
    assert User.objects.filter(role=Role.ADMIN).count() == 1
    client = Client()
    client.force_login(analyst)
    assert 'href="/usage/"' not in client.get("/simulations/").content.decode()


def test_the_months_of_a_period() -> None:
    period = Period.latest(24)
    assert len(period.months) == 24
    assert list(period.months) == sorted(period.months)
    assert period.since.tzinfo == UTC
    assert f"{period.since:%Y-%m-%d %H:%M}" == f"{period.months[0]}-01 00:00"
