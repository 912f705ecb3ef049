from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Role
from accounts.permissions import role_required
from config.errors import NotFound
from knowledge.exchange.formats import write_csv
from simulations.usage import charts
from simulations.usage.charts import Chart, Series
from simulations.usage.figures import (
    Period,
    Usage,
    by_assistant,
    by_month,
    by_user,
    sum_up,
)

MONTHS = {1: "This month", 3: "3 months", 12: "12 months", 24: "24 months"}
DEFAULT_MONTHS = 12
# A page is for reading: the file has all of them.
MAX_SHOWN = 25
COLUMNS = [
    *("simulations", "completed", "failed", "cancelled", "tokens"),
    *("median_seconds", "p95_seconds"),
]
DIVISIONS: dict[str, Callable[[Period], list[Usage]]] = {
    "month": by_month,
    "user": by_user,
    "assistant": by_assistant,
}


class PeriodForm(forms.Form):
    months = forms.TypedChoiceField(
        choices=list(MONTHS.items()),
        coerce=int,
        required=False,
        empty_value=DEFAULT_MONTHS,
        error_messages={"invalid_choice": "months: choose one of 1, 3, 12 and 24."},
    )


@dataclass(frozen=True)
class Division:
    """A part of the page: `rows` are the first of `count`; `by` is what they are divided by."""

    by: str
    title: str
    rows: Sequence[Usage]
    count: int
    charts: Sequence[Chart]


@require_safe
@role_required(Role.ADMIN)
def usage_page(request: HttpRequest) -> HttpResponse:
    form = PeriodForm(request.GET)
    months = form.cleaned_data["months"] if form.is_valid() else DEFAULT_MONTHS
    period = Period.latest(months)
    monthly = by_month(period)
    context = {
        "form": form,
        "choices": MONTHS,
        "months": months,
        "since": period.since,
        "total": sum_up(monthly),
        "divisions": [
            Division("month", "By month", monthly[::-1], len(monthly), charts_of_months(monthly)),
            divide("user", "By user", by_user(period)),
            divide("assistant", "By assistant", by_assistant(period)),
        ],
    }
    status = 200 if form.is_valid() else 400
    return render(request, "simulations/usage/page.html", context, status=status)


@require_safe
@role_required(Role.ADMIN)
def usage_file(request: HttpRequest, by: str) -> HttpResponse:
    """A CSV with a row for each month, user or assistant; `by` is one of DIVISIONS."""
    form = PeriodForm(request.GET)
    if not form.is_valid():
        return HttpResponse(
            form.errors["months"][0], status=400, content_type="text/plain; charset=utf-8"
        )
    if by not in DIVISIONS:
        raise NotFound
    usages = DIVISIONS[by](Period.latest(form.cleaned_data["months"]))
    content = write_csv([by, *COLUMNS], map(cells, usages))
    disposition = f'attachment; filename="usage-by-{by}.csv"'
    headers = {"Content-Disposition": disposition}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def cells(usage: Usage) -> list[object]:
    counts = [usage.name, usage.total, usage.completed, usage.failed, usage.cancelled, usage.tokens]
    durations = [usage.median, usage.slow]
    return counts + ["" if seconds is None else seconds for seconds in durations]


def divide(by: str, title: str, usages: Sequence[Usage]) -> Division:
    shown = usages[:MAX_SHOWN]
    names = [usage.name for usage in shown]
    chart = charts.bars(
        by, f"Simulations {title.lower()}", names, outcomes(shown), number=charts.short
    )
    return Division(by, title, shown, len(usages), [chart])


def charts_of_months(usages: Sequence[Usage]) -> list[Chart]:
    labels = [f"{date.fromisoformat(f'{usage.name}-01'):%b}" for usage in usages]
    tokens = [Series("Tokens", "tokens", [usage.tokens for usage in usages])]
    durations = [
        Series("95th percentile", "slow", [usage.slow or 0 for usage in usages]),
        Series("Median", "median", [usage.median or 0 for usage in usages]),
    ]
    return [
        charts.columns("asked", "Simulations", labels, outcomes(usages), number=charts.short),
        charts.columns("tokens", "Tokens", labels, tokens, number=charts.short),
        charts.columns(
            "durations",
            "Time to an answer",
            labels,
            durations,
            number=charts.seconds,
            stacked=False,
        ),
    ]


def outcomes(usages: Sequence[Usage]) -> list[Series]:
    return [
        Series("Completed", "completed", [usage.completed for usage in usages]),
        Series("Failed", "failed", [usage.failed for usage in usages]),
        Series("Cancelled", "cancelled", [usage.cancelled for usage in usages]),
    ]
