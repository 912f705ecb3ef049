from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.permissions import sign_in_required
from config.errors import NotFound
from knowledge.exchange.formats import write_csv
from simulations.models import sees_all
from simulations.usage import charts
from simulations.usage.charts import Chart, Series
from simulations.usage.figures import Period, Report, Usage, sum_up

MONTHS = {1: "This month", 3: "3 months", 12: "12 months", 24: "24 months"}
DEFAULT_MONTHS = 12
FIRST_YEAR = 2000
# A page is for reading: the file has all of them.
MAX_SHOWN = 25
MILLIONTH = Decimal("0.000001")
COLUMNS = [
    *("simulations", "completed", "failed", "cancelled"),
    *("tokens", "input_tokens", "output_tokens", "cost", "currency"),
    *("runs", "runs_without_tokens", "runs_without_price"),
    *("median_seconds", "p95_seconds"),
]
FILES = {
    "month": (["month"], Report.by_month),
    "user": (["user"], Report.by_user),
    "assistant": (["assistant"], Report.by_assistant),
    "user-and-month": (["user", "month"], Report.by_user_and_month),
}


class PeriodForm(forms.Form):
    """The latest `months`, or one `month`."""

    months = forms.TypedChoiceField(
        choices=list(MONTHS.items()),
        coerce=int,
        required=False,
        empty_value=None,
        error_messages={"invalid_choice": "months: choose one of 1, 3, 12 and 24."},
    )
    month = forms.DateField(
        input_formats=["%Y-%m"],
        required=False,
        error_messages={"invalid": "month: give year and month, such as 2026-10."},
    )

    def clean_month(self) -> date | None:
        month, now = self.cleaned_data["month"], timezone.now()
        if month and not date(FIRST_YEAR, 1, 1) <= month <= now.date():
            raise forms.ValidationError(
                f"month: choose one from {FIRST_YEAR}-01 to {now:%Y-%m}, which is this month (UTC)."
            )
        return month

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("months") and self.cleaned_data.get("month"):
            raise forms.ValidationError("Give months or month, not both.")
        return self.cleaned_data

    @property
    def period(self) -> Period:
        """The default one where what was given is wrong."""
        given = self.cleaned_data if self.is_valid() else {}
        if month := given.get("month"):
            return Period.of(month)
        return Period.latest(given.get("months") or DEFAULT_MONTHS)

    @property
    def wrong(self) -> list[str]:
        return [message for messages in self.errors.values() for message in messages]


@dataclass(frozen=True)
class Division:
    """A part of the page: `rows` are the first of `count`; `by` is what they are divided by."""

    by: str
    title: str
    rows: Sequence[Usage]
    count: int
    charts: Sequence[Chart]


@require_safe
@sign_in_required
def usage_page(request: HttpRequest) -> HttpResponse:
    form = PeriodForm(request.GET)
    period, reads_all = form.period, sees_all(request.user)
    report = Report(period, request.user)
    monthly = report.by_month()
    total = sum_up(monthly)
    has_costs = bool(report.prices)
    divisions = [divide("assistant", report.by_assistant(), has_costs)]
    if reads_all:
        divisions.insert(0, divide("user", report.by_user(), has_costs))
    if len(monthly) > 1:
        charted = charts_of_months(monthly, has_costs)
        division = Division("month", "By month", monthly[::-1], len(monthly), charted)
        divisions.insert(0, division)
    context = {
        "errors": form.wrong,
        "period": period,
        "month_after": period.after if period.until <= timezone.now() else None,
        "periods": offered_periods(),
        "sees_all": reads_all,
        "total": total,
        "has_costs": has_costs,
        "currency": settings.USAGE_CURRENCY,
        "unpriced": total.bill.unpriced.most_common(),
        "divisions": divisions,
    }
    status = 400 if form.wrong else 200
    return render(request, "simulations/usage/page.html", context, status=status)


@require_safe
@sign_in_required
def usage_file(request: HttpRequest, by: str) -> HttpResponse:
    """A CSV with a row for each month, user or assistant; `by` is one of FILES."""
    form = PeriodForm(request.GET)
    if form.wrong:
        return HttpResponse(form.wrong[0], status=400, content_type="text/plain; charset=utf-8")
    if by not in FILES:
        raise NotFound
    parts, divided = FILES[by]
    usages = divided(Report(form.period, request.user))
    content = write_csv([*parts, *COLUMNS], map(cells, usages))
    disposition = f'attachment; filename="usage-by-{by}.csv"'
    headers = {"Content-Disposition": disposition}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def cells(usage: Usage) -> list[object]:
    """In the order of COLUMNS; empty where nothing is known."""
    bill, cost = usage.bill, usage.bill.cost
    row = [
        *usage.names,
        *(usage.total, usage.completed, usage.failed, usage.cancelled),
        *(bill.tokens, bill.input_tokens, bill.output_tokens),
        *(None if cost is None else cost.quantize(MILLIONTH), settings.USAGE_CURRENCY),
        *(bill.runs, bill.untold, bill.without_price),
        *(usage.median, usage.slow),
    ]
    return ["" if cell is None else cell for cell in row]


def offered_periods() -> list[tuple[str, Period]]:
    periods = [(label, Period.latest(count)) for count, label in MONTHS.items()]
    return [periods[0], ("Last month", Period.latest(1).before), *periods[1:]]


def divide(by: str, usages: Sequence[Usage], has_costs: bool) -> Division:
    shown = usages[:MAX_SHOWN]
    names = [usage.name for usage in shown]
    drawn = [charts.bars(by, f"Simulations by {by}", names, outcomes(shown), number=charts.short)]
    if has_costs:
        name, title = f"{by}-cost", f"Cost by {by}, {settings.USAGE_CURRENCY}"
        drawn.append(charts.bars(name, title, names, [costs(shown)], number=charts.money))
    return Division(by, f"By {by}", shown, len(usages), drawn)


def charts_of_months(usages: Sequence[Usage], has_costs: bool) -> list[Chart]:
    labels = [f"{date.fromisoformat(f'{usage.name}-01'):%b}" for usage in usages]
    tokens = [
        Series("Input", "tokens", [usage.bill.input_tokens for usage in usages]),
        Series("Output", "output", [usage.bill.output_tokens for usage in usages]),
    ]
    durations = [
        Series("95th percentile", "slow", [usage.slow or 0 for usage in usages]),
        Series("Median", "median", [usage.median or 0 for usage in usages]),
    ]
    drawn = [
        charts.columns("asked", "Simulations", labels, outcomes(usages), number=charts.short),
        charts.columns("tokens", "Tokens", labels, tokens, number=charts.short),
    ]
    if has_costs:
        title = f"Cost, {settings.USAGE_CURRENCY}"
        drawn.append(
            charts.columns("cost", title, labels, [costs(usages)], number=charts.money, least=0.02)
        )
    drawn.append(
        charts.columns(
            "durations",
            "Time to an answer",
            labels,
            durations,
            number=charts.seconds,
            stacked=False,
        )
    )
    return drawn


def outcomes(usages: Sequence[Usage]) -> list[Series]:
    return [
        Series("Completed", "completed", [usage.completed for usage in usages]),
        Series("Failed", "failed", [usage.failed for usage in usages]),
        Series("Cancelled", "cancelled", [usage.cancelled for usage in usages]),
    ]


def costs(usages: Sequence[Usage]) -> Series:
    """For drawing alone: whoever counts money has decimals."""
    return Series("Cost", "cost", [float(usage.bill.cost or 0) for usage in usages])
