"""What the page of a simulation asks every few seconds: has anything changed? In one statement."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Left

from accounts.models import User
from config.errors import NotFound
from simulations.listing.lines import poll_after
from simulations.models import Simulation, SimulationQuerySet, sees_all
from simulations.prepared import PreparedSelect

# What stages and waits are told by. Of the prompt only whether there is one.
WATCHED = {"id", "status", "stop_reason", "due_at", "failed_attempts", "awaits_outputs"}
WATCHED |= {"tool_rounds", "opened_at", "admitted_at", "prompt"}
# In the order in which `from_db` takes them.
FIELDS = [field.attname for field in Simulation._meta.concrete_fields if field.attname in WATCHED]


class Watch(NamedTuple):
    stage: str
    poll_after: int


def watch(reader: User, pk: UUID) -> Watch:
    """As the page has it in `seen`. NotFound also for what the reader may not see."""
    rows = _of_anyone(pk) if sees_all(reader) else _of_owner(pk, reader.pk)
    conversation = [_simulation(row) for row in rows]
    simulation = next((it for it in conversation if it.pk == pk), None)
    if simulation is None:
        raise NotFound
    return Watch(stage_of(simulation, conversation), poll_after(conversation))


def stage_of(simulation: Simulation, conversation: Sequence[Simulation]) -> str:
    """Its own and, after a full stop, that of the other questions; oldest first in both."""
    place = conversation.index(simulation)
    earlier, later = conversation[:place], conversation[place + 1 :]
    return f"{_own_stage(simulation, earlier)}.{_stage_of_all([*earlier, *later])}"


def _own_stage(simulation: Simulation, earlier: Sequence[Simulation]) -> str:
    """Changes with whatever the page shows of it, but for the passing time."""
    seen = [
        simulation.status,
        str(simulation.queue_position or ""),
        "grounded" if simulation.prompt else "",
        "opened" if simulation.opened_at else "",
        str(simulation.failed_attempts),
        str(simulation.tool_rounds),
        "searching" if simulation.awaits_outputs else "",
        "behind" if earlier and not earlier[-1].is_terminal else "",
        simulation.stop_reason,
    ]
    return "-".join(seen)


def _stage_of_all(questions: Sequence[Simulation]) -> str:
    return "-".join(question.status[:2] + question.stop_reason[:1] for question in questions)


def _simulation(row: Sequence[Any]) -> Simulation:
    simulation = Simulation.from_db(None, FIELDS, row[:-1])
    simulation.queue_position = row[-1]
    return simulation


def _rows(visible: SimulationQuerySet, pk: UUID) -> QuerySet[Simulation, Any]:
    conversation = Simulation.objects.filter(pk=pk).values("conversation")
    columns = [Left("prompt", 1) if name == "prompt" else name for name in FIELDS]
    return (
        visible.filter(conversation__in=conversation)
        .with_queue_position()
        .values_list(*columns, "queue_position")
        .order_by("created_at", "id")
    )


@PreparedSelect
def _of_anyone(pk: UUID) -> QuerySet[Simulation, Any]:
    return _rows(Simulation.objects.all(), pk)


@PreparedSelect
def _of_owner(pk: UUID, owner: int) -> QuerySet[Simulation, Any]:
    return _rows(Simulation.objects.filter(owner=owner), pk)
