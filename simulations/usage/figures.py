"""The figures: counted in the database, one statement for each way to divide them, and one for
what the runs cost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from math import ceil
from typing import Any

from django.db.models import Count, F
from django.utils import timezone

from accounts.models import User
from simulations.models import Assistant, Simulation, SimulationQuerySet, Status
from simulations.quota import month_bounds
from simulations.usage.costs import Bill, Item, PriceList, items_of
from simulations.usage.moments import Month, Seconds

# What figures are divided by, and the column of simulations that tells it.
PARTS = {"month": Month("created_at"), "user": F("owner_id"), "assistant": F("assistant_id")}


@dataclass
class Usage:
    """What became of some simulations, and what all of their runs cost.

    `names`: of the month, user or assistant, one for each part that they were divided by.
    `durations`: how many of the completed ones took so many seconds, from question to answer.
    """

    names: tuple[str, ...]
    statuses: Counter[str] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    bill: Bill = field(default_factory=Bill)

    def add(self, status: str, seconds: int, count: int) -> None:
        self.statuses[status] += count
        if status == Status.COMPLETED:
            self.durations[seconds] += count

    @property
    def name(self) -> str:
        return self.names[0]

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
    """Whole calendar months in UTC, the oldest first, such as 2026-11; the last may go on."""

    months: tuple[str, ...]

    @classmethod
    def latest(cls, count: int) -> "Period":
        now = timezone.now()
        last = now.year * 12 + now.month - 1
        numbers = range(last - count + 1, last + 1)
        return cls(tuple(f"{number // 12}-{number % 12 + 1:02}" for number in numbers))

    @classmethod
    def of(cls, day: date) -> "Period":
        """The month that a day is in."""
        return cls((f"{day:%Y-%m}",))

    @property
    def since(self) -> datetime:
        return first_instant(self.months[0])

    @property
    def until(self) -> datetime:
        """The first instant that is not in it any more."""
        return month_bounds(first_instant(self.months[-1]))[1]

    @property
    def before(self) -> "Period":
        """The month before it."""
        return Period.of(self.since - timedelta(days=1))

    @property
    def after(self) -> "Period":
        return Period.of(self.until)

    @property
    def query(self) -> str:
        """What asks a page for it."""
        return f"months={count}" if (count := len(self.months)) > 1 else f"month={self.months[0]}"


def first_instant(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)


class Report:
    """Of the simulations asked in a period that `reader` may see, and that are over: the others
    have no outcome yet, and are a matter of seconds."""

    def __init__(self, period: Period, reader: User) -> None:
        self.period, self.reader = period, reader

    @property
    def simulations(self) -> SimulationQuerySet:
        asked = Simulation.objects.visible_to(self.reader).filter(
            created_at__gte=self.period.since, created_at__lt=self.period.until
        )
        return asked.filter(finished_at__isnull=False)

    @cached_property
    def prices(self) -> PriceList:
        return PriceList.load()

    @cached_property
    def items(self) -> list[Item]:
        return items_of(self.simulations, self.prices)

    def by_month(self) -> list[Usage]:
        """One for each month, also where nothing was asked."""
        by_name = {usage.name: usage for usage in self.divide("month")}
        return [by_name.get(month, Usage((month,))) for month in self.period.months]

    def by_user(self) -> list[Usage]:
        return most_first(self.divide("user"))

    def by_assistant(self) -> list[Usage]:
        return most_first(self.divide("assistant"))

    def by_user_and_month(self) -> list[Usage]:
        return sorted(self.divide("user", "month"), key=lambda usage: usage.names)

    def divide(self, *parts: str) -> list[Usage]:
        """Equal durations are counted together, so that few rows come of many simulations."""
        rows = (
            self.simulations.order_by()
            .values_list(
                *(PARTS[part] for part in parts),
                "status",
                Seconds("finished_at", "created_at"),
            )
            .annotate(count=Count("*"))
        )
        found: dict[tuple[Any, ...], Usage] = defaultdict(lambda: Usage(()))
        for row in rows:
            found[row[: len(parts)]].add(*row[len(parts) :])
        for item in self.items:
            found[tuple(getattr(item, part) for part in parts)].bill.add(item, self.prices)
        name_all(found, parts)
        return list(found.values())


def name_all(usages: Mapping[tuple[Any, ...], Usage], parts: Sequence[str]) -> None:
    names = [names_of(part, {key[n] for key in usages}) for n, part in enumerate(parts)]
    for key, usage in usages.items():
        usage.names = tuple(known[value] for known, value in zip(names, key, strict=True))


def names_of(part: str, values: Iterable[Any]) -> Mapping[Any, str]:
    if part == "user":
        return dict(User.objects.filter(pk__in=values).values_list("pk", "username"))
    if part == "assistant":
        return dict(Assistant.objects.filter(pk__in=values).values_list("pk", "name"))
    return {month: month for month in values}


def most_first(usages: Iterable[Usage]) -> list[Usage]:
    return sorted(usages, key=lambda usage: (-usage.total, usage.name))


def sum_up(usages: Iterable[Usage]) -> Usage:
    total = Usage(("All",))
    for usage in usages:
        total.statuses.update(usage.statuses)
        total.durations.update(usage.durations)
        total.bill.include(usage.bill)
    return total
