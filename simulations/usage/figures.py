"""The figures: counted in the database, one statement for each way to divide them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from django.db import models
from django.db.models import Count, F, Sum
from django.utils import timezone

from accounts.models import User
from simulations.models import Assistant, Simulation, Status
from simulations.quota import month_bounds


class Month(models.Func):
    """A moment's month in UTC, such as 2026-11. Django's own is slow on SQLite."""

    output_field = models.CharField()
    template = "SUBSTR(%(expressions)s, 1, 7)"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM')"
        return self.as_sql(compiler, connection, **{"template": template} | context)


class Seconds(models.Func):
    """Whole seconds from the second moment to the first one; slow in Django's way, too."""

    output_field = models.IntegerField()
    arg_joiner = ") - JULIANDAY("
    template = "CAST(ROUND(86400 * (JULIANDAY(%(expressions)s))) AS INTEGER)"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "CAST(ROUND(EXTRACT(EPOCH FROM (%(expressions)s))) AS INTEGER)"
        context = {"template": template, "arg_joiner": " - "} | context
        return self.as_sql(compiler, connection, **context)


@dataclass
class Usage:
    """What became of the simulations of one month, user or assistant, or of all of them.

    `durations`: how many of the completed ones took so many seconds, from question to answer.
    """

    name: str
    statuses: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    durations: Counter[int] = field(default_factory=Counter)

    def add(self, status: str, seconds: int, count: int, tokens: int | None) -> None:
        self.statuses[status] += count
        self.tokens += tokens or 0
        if status == Status.COMPLETED:
            self.durations[seconds] += count

    @property
    def total(self) -> int:
        return self.statuses.total()

    @property
    def completed(self) -> int:
        return self.statuses[Status.COMPLETED]

    @property
    def failed(self) -> int:
        return self.statuses[Status.FAILED]

    @property
    def cancelled(self) -> int:
        return self.statuses[Status.CANCELLED]

    @property
    def median(self) -> int | None:
        return self.percentile(50)

    @property
    def slow(self) -> int | None:
        """One in twenty took longer."""
        return self.percentile(95)

    def percentile(self, percent: int) -> int | None:
        """By nearest rank; None where nothing was completed."""
        rank = ceil(self.durations.total() * percent / 100)
        for seconds, count in sorted(self.durations.items()):
            rank -= count
            if rank <= 0:
                return seconds
        return None


@dataclass(frozen=True)
class Period:
    """Whole calendar months in UTC, the oldest first, such as 2026-11; the last one goes on."""

    since: datetime
    months: tuple[str, ...]

    @classmethod
    def latest(cls, count: int) -> "Period":
        now = timezone.now()
        last = now.year * 12 + now.month - 1
        numbers = range(last - count + 1, last + 1)
        months = tuple(f"{number // 12}-{number % 12 + 1:02}" for number in numbers)
        return cls(month_bounds(datetime.fromisoformat(f"{months[0]}-01T00:00Z"))[0], months)

    @property
    def simulations(self) -> models.QuerySet[Simulation]:
        """Those that are over: the others have no outcome yet, and are a matter of seconds."""
        return Simulation.objects.filter(finished_at__isnull=False, created_at__gte=self.since)


def by_month(period: Period) -> list[Usage]:
    """One for each month, also where nothing was asked."""
    found = divide(period, Month("created_at"), lambda months: {month: month for month in months})
    by_name = {usage.name: usage for usage in found}
    return [by_name.get(month, Usage(month)) for month in period.months]


def by_user(period: Period) -> list[Usage]:
    return most_first(divide(period, F("owner_id"), names_of_users))


def by_assistant(period: Period) -> list[Usage]:
    return most_first(divide(period, F("assistant_id"), names_of_assistants))


def names_of_users(pks: Iterable[int]) -> dict[int, str]:
    return dict(User.objects.filter(pk__in=pks).values_list("pk", "username"))


def names_of_assistants(pks: Iterable[int]) -> dict[int, str]:
    return dict(Assistant.objects.filter(pk__in=pks).values_list("pk", "name"))


def most_first(usages: Iterable[Usage]) -> list[Usage]:
    return sorted(usages, key=lambda usage: (-usage.total, usage.name))


def divide(
    period: Period,
    part: models.F | models.Func,
    names_of: Callable[[Iterable[Any]], Mapping[Any, str]],
) -> list[Usage]:
    """Equal durations are counted together, so that few rows come of many simulations."""
    rows = (
        period.simulations.order_by()
        .annotate(part=part, seconds=Seconds("finished_at", "created_at"))
        .values_list("part", "status", "seconds")
        .annotate(count=Count("*"), tokens=Sum("tokens_used"))
    )
    counted: dict[Any, list[Any]] = defaultdict(list)
    for key, *figures in rows:
        counted[key].append(figures)
    names = names_of(list(counted))
    usages = []
    for key, parts in counted.items():
        usage = Usage(names[key])
        for figures in parts:
            usage.add(*figures)
        usages.append(usage)
    return usages


def sum_up(usages: Iterable[Usage]) -> Usage:
    total = Usage("All")
    for usage in usages:
        total.statuses.update(usage.statuses)
        total.durations.update(usage.durations)
        total.tokens += usage.tokens
    return total
