"""The steps of a simulation's life: what to save before a call, the call, what to save after it.

Every write is a conditional UPDATE: what it finds changed since the claim, it leaves alone.
"""

from simulations.models import Simulation, Status
from simulations.providers import continues_runs
from simulations.queue.pacing import Pacing
from simulations.steps.base import Step
from simulations.steps.discarding import DiscardRun
from simulations.steps.finding import FindRun
from simulations.steps.running import FetchRun, SendOutputs, StopRun
from simulations.steps.starting import OpenTurn, StartRun

__all__ = [
    "DiscardRun",
    "FetchRun",
    "FindRun",
    "OpenTurn",
    "SendOutputs",
    "StartRun",
    "Step",
    "StopRun",
    "next_step",
]


def next_step(simulation: Simulation, pacing: Pacing) -> Step:
    return _kind_of_step(simulation)(simulation, pacing)


def _kind_of_step(simulation: Simulation) -> type[Step]:
    run = simulation.run
    if run is not None and not run.is_known:
        return FindRun
    if simulation.status == Status.PENDING:
        return StartRun if simulation.opened_at else OpenTurn
    if simulation.stop_reason:
        return StopRun
    if simulation.awaits_outputs:
        return SendOutputs if continues_runs(simulation.conversation.protocol) else StartRun
    return FetchRun
