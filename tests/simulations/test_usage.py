"""Usage: the figures, their charts, the page and its files."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from simulations.models import Assistant, Conversation, Price, Run, Simulation, Status
from simulations.quota import month_bounds
from simulations.usage.figures import Period, Report, sum_up


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
    simulation = Simulation.objects.create(
        owner=owner,
        assistant=assistant or Assistant.objects.get_or_create_default(),
        conversation=Conversation.objects.create(owner=owner, protocol="responses"),
        query="Who?",
        status=status,
        created_at=asked,
        finished_at=asked + timedelta(seconds=seconds),
    )
    if tokens is not None:
        run(simulation, tokens - 10, 10)
    return simulation


def run(
    simulation: Simulation,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    outcome: str = Run.Outcome.COMPLETED,
    **fields: Any,
) -> Run:
    return simulation.runs.create(
        **{"model": "gpt-5.1", "requested_at": simulation.created_at} | fields,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        outcome=outcome,
    )


def price(
    valid_from: datetime, input_price: str, output_price: str, model: str = "gpt-5.1"
) -> None:
    Price.objects.create(
        model=model,
        valid_from=valid_from.date(),
        input_price=Decimal(input_price),
        output_price=Decimal(output_price),
    )


@pytest.fixture
def months(admin: User) -> Callable[[int], Report]:
    """The report of the latest months, as an admin reads it."""
    return lambda count: Report(Period.latest(count), admin)


Months = Callable[[int], Report]


def table(response: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


@pytest.mark.django_db
def test_months_begin_and_end_in_utc(months: Months, analyst: User, this_month: datetime) -> None:
    last = this_month - timedelta(microseconds=1)
    for asked in [this_month, last]:
        over(analyst, asked)
    before, now = months(2).by_month()
    assert now.name == f"{this_month:%Y-%m}"
    assert before.name == f"{last:%Y-%m}"
    assert (before.total, now.total) == (1, 1)
    assert [usage.total for usage in months(1).by_month()] == [1]


@pytest.mark.django_db
def test_a_year_has_twelve_months_also_where_nothing_was_asked(months: Months) -> None:
    year = months(12).by_month()
    assert len({usage.name for usage in year}) == 12
    assert sum_up(year).total == 0


@pytest.mark.django_db
def test_outcomes_tokens_and_durations(months: Months, analyst: User, this_month: datetime) -> None:
    for seconds in [10.4, 20, 30, 89.6]:
        over(analyst, this_month, seconds)
    over(analyst, this_month, 500, Status.FAILED, tokens=None)
    over(analyst, this_month, 1, Status.CANCELLED, tokens=None)
    [usage] = months(1).by_user()
    assert (usage.completed, usage.failed, usage.cancelled, usage.total) == (4, 1, 1, 6)
    assert usage.bill.tokens == 400
    assert sorted(usage.durations) == [10, 20, 30, 90]
    assert (usage.median, usage.slow) == (20, 90)


@pytest.mark.django_db
def test_what_is_not_over_is_not_counted(
    months: Months, analyst: User, this_month: datetime
) -> None:
    Simulation.objects.filter(pk=over(analyst, this_month).pk).update(
        status=Status.PENDING, finished_at=None
    )
    assert months(1).by_user() == []


@pytest.mark.django_db
def test_parts_come_by_size_and_have_the_same_sum(
    months: Months, analyst: User, outsider: User, this_month: datetime
) -> None:
    desk = Assistant.objects.create(name="Travel desk")
    for owner, assistant in [(outsider, desk), (outsider, None), (analyst, None)]:
        over(owner, this_month, assistant=assistant)
    users, assistants = months(1).by_user(), months(1).by_assistant()
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
        price(this_month - timedelta(days=number), "1", "1", model=f"gpt-{number}")
    with CaptureQueriesContext(connection) as many:
        page.get("/usage/")
    assert len(many) == len(few) <= 9


@pytest.mark.django_db
def test_users_see_their_own_usage_and_admins_all(
    page: Client, analyst: User, outsider: User, this_month: datetime
) -> None:
    over(analyst, this_month, tokens=1_111)
    over(outsider, this_month, tokens=2_222)
    client = Client()
    client.force_login(analyst)
    body = client.get("/usage/").content.decode()
    assert "1,111" in body
    assert "Your questions" in body
    for foreign in ["2,222", "3,333", "outsider", "/admin/"]:
        assert foreign not in body
    for by in ["user", "month", "assistant", "user-and-month"]:
        rows = table(client.get(f"/usage/by-{by}.csv?months=1"))
        assert [row["tokens"] for row in rows] == ["1111"]
        rows = table(page.get(f"/usage/by-{by}.csv?months=1"))
        assert sum(int(row["tokens"]) for row in rows) == 3_333


@pytest.mark.django_db
def test_the_page_has_a_table_for_each_chart(
    page: Client, analyst: User, this_month: datetime
) -> None:
    User.objects.filter(pk=analyst.pk).update(username="<b>")
    over(analyst, this_month, 12, tokens=4321)
    body = page.get("/usage/?months=3").content.decode()
    assert "&lt;b&gt;: completed 1, failed none, cancelled none" in body
    assert "<b>" not in body
    for by in ["month", "user", "assistant"]:
        part = body.partition(f'id="by-{by}"')[2].partition("</section>")[0]
        assert "<td>4,321</td>" in part
        assert "<title>" in part
    assert "style=" not in body


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("months=2", "months: choose one of 1, 3, 12 and 24."),
        ("months=x", "months: choose one of 1, 3, 12 and 24."),
        ("month=October", "month: give year and month, such as 2026-10."),
        ("month=2026-13", "month: give year and month, such as 2026-10."),
        ("month=9999-12", "month: choose one from 2000-01 to 20"),
        ("month=0001-01", "month: choose one from 2000-01 to 20"),
        ("month=2026-10&months=3", "Give months or month, not both."),
    ],
)
def test_a_period_that_is_none_is_refused_by_name(page: Client, query: str, message: str) -> None:
    for path in ["/usage/", "/usage/by-month.csv"]:
        response = page.get(f"{path}?{query}")
        assert response.status_code == 400
        assert message in response.content.decode()


@pytest.mark.django_db
def test_one_month_is_chosen_whichever_it_is(
    page: Client, analyst: User, outsider: User, this_month: datetime
) -> None:
    for asked in [datetime(2025, 9, 30, 23, 59, tzinfo=UTC), datetime(2025, 11, 1, tzinfo=UTC)]:
        over(outsider, asked)
    for asked in [datetime(2025, 10, 1, tzinfo=UTC), datetime(2025, 10, 31, 23, 59, tzinfo=UTC)]:
        over(analyst, asked)
    [row] = table(page.get("/usage/by-user-and-month.csv?month=2025-10"))
    assert (row["user"], row["month"], row["simulations"]) == ("analyst", "2025-10", "2")
    body = page.get("/usage/?month=2025-10").content.decode()
    assert "outsider" not in body
    assert "analyst: completed 2" in body
    for neighbour in ["?month=2025-09", "?month=2025-11"]:
        assert f'href="{neighbour}"' in body
    body = page.get(f"/usage/?month={this_month:%Y-%m}").content.decode()
    assert f'href="?{Period.of(this_month).after.query}"' not in body, "it has not begun"


@pytest.mark.django_db
def test_each_month_of_each_user_has_a_row(
    page: Client, analyst: User, outsider: User, this_month: datetime
) -> None:
    last = this_month - timedelta(days=1)
    for owner, asked in [(outsider, this_month), (analyst, last), (outsider, last)]:
        over(owner, asked)
    rows = table(page.get("/usage/by-user-and-month.csv?months=3"))
    before, now = f"{last:%Y-%m}", f"{this_month:%Y-%m}"
    found = [(row["user"], row["month"], row["tokens"]) for row in rows]
    assert found == [
        ("analyst", before, "100"),
        ("outsider", before, "100"),
        ("outsider", now, "100"),
    ]


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
    rows = table(response)
    assert rows[0] == {
        "user": "'=HYPERLINK()",
        "simulations": "1",
        "completed": "1",
        "failed": "0",
        "cancelled": "0",
        "tokens": "100",
        "input_tokens": "90",
        "output_tokens": "10",
        "cost": "",
        "currency": "USD",
        "runs": "1",
        "runs_without_tokens": "0",
        "runs_without_price": "1",
        "median_seconds": "12",
        "p95_seconds": "12",
    }
    assert (rows[1]["user"], rows[1]["median_seconds"]) == ("second", "")
    assert page.get("/usage/by-nobody.csv").status_code == 404


@pytest.mark.django_db
def test_users_of_simulations_have_the_link(analyst: User, page: Client) -> None:
    assert 'href="/usage/"' in page.get("/usage/").content.decode()
    client = Client()
    client.force_login(analyst)
    assert 'href="/usage/"' in client.get("/account/").content.decode()
    User.objects.filter(pk=analyst.pk).update(modules=[])
    assert 'href="/usage/"' not in client.get("/account/").content.decode()


def test_the_months_of_a_period() -> None:
    period = Period.latest(24)
    assert len(period.months) == 24
    assert list(period.months) == sorted(period.months)
    assert period.since.tzinfo == UTC
    assert f"{period.since:%Y-%m-%d %H:%M}" == f"{period.months[0]}-01 00:00"


@pytest.mark.django_db
def test_each_run_costs_what_was_valid_when_it_was_requested(
    months: Months, analyst: User, this_month: datetime
) -> None:
    last = this_month - timedelta(days=1)
    price(last, "1.10", "10")
    price(this_month, "2", "20.50")
    price(this_month, "1000", "1000", model="gpt-6")
    simulation = over(analyst, last, tokens=None)
    run(simulation, 1_000_000, 0)
    run(simulation, 3, 1, requested_at=this_month - timedelta(microseconds=1))
    run(simulation, 3, 1, requested_at=this_month)
    [usage] = months(2).by_user()
    assert usage.bill.cost == Decimal("1.10") + Decimal("0.0000133") + Decimal("0.0000265")
    assert usage.bill.left_out == 0


@pytest.mark.django_db
def test_every_run_that_may_be_billed_is_counted(
    months: Months, analyst: User, this_month: datetime
) -> None:
    price(this_month, "1", "1")
    simulation = over(analyst, this_month, tokens=None, status=Status.CANCELLED)
    for outcome in ["", *Run.Outcome.values]:
        run(simulation, 500_000, 500_000, outcome)
    [usage] = months(1).by_user()
    assert usage.total == 1
    not_billed = {Run.Outcome.REJECTED, Run.Outcome.SAME}
    assert usage.bill.runs == 1 + len(set(Run.Outcome) - not_billed)
    assert usage.bill.cost == usage.bill.runs


@pytest.mark.django_db
def test_what_can_not_be_priced_is_said_and_is_not_zero(
    page: Client, months: Months, analyst: User, this_month: datetime
) -> None:
    price(this_month, "1", "1")
    simulation = over(analyst, this_month, tokens=None)
    run(simulation, None, 7, Run.Outcome.LOST)
    run(simulation, None, None, model="gpt-6")
    run(simulation, 400, 0, model="gpt-6&co")
    run(simulation, 1, 0, requested_at=this_month - timedelta(microseconds=1))
    [usage] = months(1).by_user()
    assert usage.bill.cost is None
    assert (usage.bill.untold, usage.bill.without_price, usage.bill.tokens) == (2, 2, 401)
    run(simulation, 2_000_000, 0)
    [usage] = months(1).by_user()
    assert (usage.bill.cost, usage.bill.left_out) == (2, 4)
    [row] = table(page.get("/usage/by-user.csv?months=1"))
    assert (row["cost"], row["currency"]) == ("2.000000", "USD")
    counts = [row[name] for name in ["runs", "runs_without_tokens", "runs_without_price"]]
    assert counts == ["5", "2", "2"]
    body = page.get("/usage/?months=1").content.decode()
    assert "2 runs whose number of tokens is unknown are not in tokens and cost." in body
    assert '1 run of <a href="/admin/simulations/price/add/?model=gpt-6%26co">' in body
    assert "without 4 runs" in body
    assert "<td>2.00</td>" in body


@pytest.mark.django_db
def test_without_prices_no_cost_is_shown_and_admins_read_where_they_are_entered(
    page: Client, analyst: User, this_month: datetime
) -> None:
    over(analyst, this_month)
    body = page.get("/usage/").content.decode()
    assert (
        'No costs are shown, since no prices are entered. <a href="/admin/simulations/price/'
        in body
    )
    assert "Cost, USD" not in body
    client = Client()
    client.force_login(analyst)
    assert "No costs" not in client.get("/usage/").content.decode()


@pytest.mark.django_db
def test_costs_are_exact_however_many_they_are(
    months: Months, analyst: User, this_month: datetime
) -> None:
    price(this_month, "0.1", "0.2")
    simulation = over(analyst, this_month, tokens=None)
    for _ in range(30):
        run(simulation, 1, 1)
    for usages in [months(1).by_user(), months(1).by_month(), months(1).by_assistant()]:
        assert sum_up(usages).bill.cost == Decimal("0.000009")
