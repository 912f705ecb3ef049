"""Without the fence: a step whose lease ran out goes on writing as if it had the row.

Whatever number a step was claimed with, it compares the row's present one with itself; and a run is
started whether or not somebody else's is there.
"""

from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from config.celery import app
from simulations.models import Simulation
from simulations.prepared import PreparedUpdate, Update
from simulations.steps import starting
from tests.chaos.sabotage import replace

__all__ = ["app"]


def present(simulation: Simulation) -> int:
    return Simulation.objects.values_list("step_number", flat=True).get(pk=simulation.pk)


def ignore(simulation: Simulation, number: int) -> None:
    """What was claimed is not remembered."""


@PreparedUpdate
def write_any_intent(pk: UUID, step_number: int, run: UUID, lease: timedelta) -> Update:
    row = Simulation.objects.active().filter(pk=pk, stop_reason="")
    return Update(row, {"run": run, "due_at": Now() + lease})


replace(Simulation, "step_number", property(present, ignore))
replace(starting, "write_first_intent", write_any_intent)
