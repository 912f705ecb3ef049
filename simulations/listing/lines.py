"""The list of simulations: which of them, and as much of each as a line shows."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.db.models import CharField, Count, Exists, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Left

from accounts.models import User
from simulations.forms import FilterForm
from simulations.listing.filters import asks
from simulations.listing.paging import PAGE_SIZE, Cursor, page_of
from simulations.models import ACTIVE, Citation, Simulation, SimulationQuerySet

EXCERPT_LENGTH = 200
# What a line needs of the row itself; questions and answers can be long.
FIELDS = [
    *("status", "stop_reason", "tokens_used", "created_at", "finished_at"),
    *("due_at", "failed_attempts", "awaits_outputs", "owner__username"),
]


class LinePage(NamedTuple):
    """The cursors of its neighbours are empty at the ends."""

    lines: list[Simulation]
    newer: str
    older: str


def filtered(simulations: SimulationQuerySet, form: FilterForm) -> SimulationQuerySet:
    """Those that the form asks for; none, where it can't be understood."""
    if not form.is_valid():
        return simulations.none()
    wanted = form.cleaned_data
    if wanted["q"]:
        simulations = simulations.filter(asks(wanted["q"]))
    if wanted["status"]:
        statuses = ACTIVE if wanted["status"] == FilterForm.ACTIVE else [wanted["status"]]
        simulations = simulations.filter(status__in=statuses)
    if wanted.get("owner"):
        simulations = simulations.filter(owner=wanted["owner"])
    return simulations


def read_page(simulations: SimulationQuerySet, cursor: str) -> LinePage:
    """Two queries: which rows, and as much of them as is shown. Raises NotFound if `cursor` is not
    valid."""
    places = simulations.values("id", "created_at")
    page = page_of(places, Cursor.parse(cursor) if cursor else None)
    shown = as_lines(Simulation.objects.filter(pk__in=[row["id"] for row in page.rows]))
    newer, older = (str(cursor or "") for cursor in (page.previous, page.next))
    return LinePage(list(shown), newer, older)


def as_lines(simulations: SimulationQuerySet) -> QuerySet[Simulation]:
    """With what a line shows, and `stage`, which changes with whatever it shows but the time."""
    earlier = Simulation.objects.filter(
        conversation=OuterRef("conversation"), created_at__lt=OuterRef("created_at")
    )
    citations = Citation.objects.filter(simulation=OuterRef("pk")).order_by().values("simulation")
    counted = citations.annotate(count=Count("pk")).values("count")
    return (
        simulations.select_related("owner")
        .only(*FIELDS)
        .annotate(
            excerpt=Left(F("query"), EXCERPT_LENGTH),
            is_follow_up=Exists(earlier),
            source_count=Coalesce(Subquery(counted), 0),
            stage=Concat(
                *("status", Value("-"), "stop_reason", Value("-")),
                Cast("source_count", CharField()),
                output_field=CharField(),
            ),
        )
    )


def read_seen(values: Iterable[str]) -> dict[UUID, str]:
    """The stage that a page shows of each of its active rows, from `id.stage`.

    What is none is left out, and so is what no page has room for.
    """
    seen = {}
    for value in list(values)[:PAGE_SIZE]:
        key, _, stage = value.partition(".")
        try:
            seen[UUID(key)] = stage
        except ValueError:
            continue
    return seen


def poll_after(simulations: Iterable[Simulation]) -> int:
    """In how many seconds the first active one may have changed; 0 if none is."""
    waits = [line.seconds_until_due for line in simulations if not line.is_terminal]
    return min(waits, default=0)


def usernames() -> QuerySet[User]:
    """Of everybody who has simulations."""
    asked = Simulation.objects.filter(owner=OuterRef("pk"))
    found = User.objects.filter(Exists(asked)).order_by("username")
    return found.values_list("username", flat=True)
