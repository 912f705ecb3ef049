"""Without the money gate: the call that costs money is sent at once, and written down after it."""

from config.celery import app
from simulations.models import Run, Simulation
from simulations.providers.base import RunSnapshot
from simulations.steps import StartRun, Step
from simulations.steps.starting import StartOpenedTurn
from tests.chaos.sabotage import replace

__all__ = ["app"]


def open_gate(step: StartRun) -> bool:
    step.run = Run(simulation=step.simulation, round=step.turn.round)
    if isinstance(step, StartOpenedTurn):
        step.save_opening()
    return True


def write_down_and_apply(step: StartRun, result: RunSnapshot) -> Step | None:
    step.run.save(force_insert=True)
    Simulation.objects.active().filter(pk=step.simulation.pk).update(run=step.run)
    return apply(step, result)


replace(StartRun, "_pass_money_gate", open_gate)
apply = replace(StartRun, "apply", write_down_and_apply)
