"""The steps of a simulation's life: what to save before a call, the call, what to save after it.

Every write is a conditional UPDATE: what it finds changed since the claim, it leaves alone.
"""

from simulations.models import Simulation, Status
from simulations.steps.base import Step
from simulations.steps.pending import FindRun, OpenTurn, StartRun
from simulations.steps.running import DiscardRun, FetchRun, StopRun

__all__ = ["DiscardRun", "FetchRun", "FindRun", "OpenTurn", "StartRun", "Step", "StopRun"]


def next_step(simulation: Simulation, poll_interval: float) -> Step:
    if simulation.status == Status.RUNNING:
        kind = StopRun if simulation.stop_reason else FetchRun
    elif simulation.run is not None:
        kind = FindRun
    else:
        kind = StartRun if simulation.opened_at else OpenTurn
    return kind(simulation, poll_interval)
