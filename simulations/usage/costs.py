"""What runs cost: their tokens summed in the database, multiplied by prices here.

SQLite has no decimals, so it is given nothing to multiply.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Case, Count, Q, Sum, Value, When

from simulations.models import Price, Run, SimulationQuerySet
from simulations.usage.moments import Month

TOLD = Q(runs__input_tokens__isnull=False, runs__output_tokens__isnull=False)


class Item(NamedTuple):
    """The runs of one model that have one price: `era` is for a PriceList to find it.

    `told`: how many of the runs have numbers of tokens, which are the sums' alone.
    """

    month: str
    user: int
    assistant: int
    model: str
    era: int
    runs: int
    told: int
    input_tokens: int
    output_tokens: int


class PriceList:
    """Each day on which a price begins, of whichever model, begins an era, counted from 1."""

    def __init__(self, prices: Sequence[Price]) -> None:
        self.days = sorted({price.valid_from for price in prices})
        oldest_first = sorted(prices, key=lambda price: price.valid_from)
        self.known = {
            (price.model, era): price
            for era, day in enumerate(self.days, start=1)
            for price in oldest_first
            if price.valid_from <= day
        }

    @classmethod
    def load(cls) -> "PriceList":
        return cls(Price.objects.all())

    def __bool__(self) -> bool:
        return bool(self.days)

    def era_of(self, moment: str) -> Case:
        """For annotations: the era that the moment in a column is in; 0 before the first."""
        begins = [(datetime.combine(day, time(), UTC), n) for n, day in enumerate(self.days, 1)]
        passed = [When(**{f"{moment}__gte": begin}, then=era) for begin, era in reversed(begins)]
        return Case(*passed, default=Value(0))

    def find(self, item: Item) -> Price | None:
        return self.known.get((item.model, item.era))


def items_of(simulations: SimulationQuerySet, prices: PriceList) -> list[Item]:
    """Of every run that may be billed, whatever became of it and of its simulation."""
    rows = (
        simulations.filter(runs__outcome__in=Run.Outcome.billed())
        .order_by()
        .values_list(
            Month("created_at"),
            "owner_id",
            "assistant_id",
            "runs__model",
            prices.era_of("runs__requested_at"),
        )
        .annotate(
            count=Count("*"),
            told=Count("runs", filter=TOLD),
            input_tokens=Sum("runs__input_tokens", filter=TOLD, default=0),
            output_tokens=Sum("runs__output_tokens", filter=TOLD, default=0),
        )
    )
    return [Item(*row) for row in rows]


@dataclass
class Bill:
    """`amount` is of the runs that have tokens and a price; the others are counted.

    `untold`: runs whose tokens are unknown. `unpriced`: by model, those that have tokens, but no
    price for their day.
    """

    runs: int = 0
    untold: int = 0
    unpriced: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    amount: Decimal = Decimal(0)

    def add(self, item: Item, prices: PriceList) -> None:
        self.runs += item.runs
        self.untold += item.runs - item.told
        self.input_tokens += item.input_tokens
        self.output_tokens += item.output_tokens
        if price := prices.find(item):
            self.amount += price.of(item.input_tokens, item.output_tokens)
        elif item.told:
            self.unpriced[item.model] += item.told

    def include(self, other: "Bill") -> None:
        self.runs += other.runs
        self.untold += other.untold
        self.unpriced.update(other.unpriced)
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.amount += other.amount

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def without_price(self) -> int:
        return self.unpriced.total()

    @property
    def left_out(self) -> int:
        """The runs that the cost does not have."""
        return self.untold + self.without_price

    @property
    def cost(self) -> Decimal | None:
        """None where nothing is known of it."""
        return self.amount if self.runs > self.left_out else None
