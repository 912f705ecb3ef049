"""The lives that are interrupted: what a user does, and how it must end."""

from collections.abc import Callable
from dataclasses import dataclass

from accounts.models import User
from simulations import services
from simulations.models import Simulation, Status
from tests.crashpoints.databases import OWNER
from tests.crashpoints.workers import work

QUERY = "What do alpha and beta say?"
TOOL_CALL = '[[tool:search_knowledge {"query": "badge"}]]'

COMPLETED = frozenset({Status.COMPLETED})
STOPPED = frozenset({Status.CANCELLED, Status.COMPLETED})
OUT_OF_TIME = frozenset({Status.FAILED, Status.COMPLETED})

Act = Callable[[User], None]


def nothing(user: User) -> None:
    """A user who waits."""


@dataclass(frozen=True)
class Life:
    """`begin` comes before the worker starts, `meanwhile` between its slices, again and again,
    and `after_kill` while no worker runs.

    `latency` (seconds): from a run's creation to its end. `faults`: what the provider does wrong,
    as (kind, operation); each may cost one run more. `run_timeout`: seconds. `every`: of a long
    life that says the same again and again, each Nth kill.
    """

    name: str
    begin: Act
    meanwhile: Act = nothing
    after_kill: Act = nothing
    ends: frozenset[str] = COMPLETED
    tool_calls: int = 0
    latency: float = 0.1
    run_timeout: float = 90.0
    faults: tuple[tuple[str, str], ...] = ()
    every: int = 1


def owner() -> User:
    return User.objects.get(username=OWNER)


def ask(user: User) -> None:
    services.submit(user, QUERY)


def ask_for_a_tool(user: User) -> None:
    services.submit(user, f"{QUERY} {TOOL_CALL}")


def ask_follow_up(user: User) -> None:
    """A second question in the conversation of a first one, which is answered by then."""
    first = services.submit(user, QUERY)
    work()
    first.refresh_from_db()
    services.follow_up(user, first, QUERY)


def cancel(user: User) -> None:
    for simulation in Simulation.objects.active().filter(stop_reason=""):
        services.cancel(simulation)


def cancel_what_runs(user: User) -> None:
    if Simulation.objects.filter(status=Status.RUNNING).exists():
        cancel(user)


LIVES = {
    life.name: life
    for life in [
        Life("question", ask),
        Life("tool", ask_for_a_tool, tool_calls=1),
        Life("follow-up", ask_follow_up),
        Life("cancel", ask, meanwhile=cancel_what_runs, ends=STOPPED, latency=1.0),
        Life("cancel-unseen", ask, after_kill=cancel, ends=STOPPED, latency=0.5),
        Life("timeout", ask, ends=OUT_OF_TIME, latency=1.5, run_timeout=0.2),
        Life("lost-answer", ask, faults=(("drop", "start_run"),)),
        Life("not-accepted", ask, faults=(("500", "start_run"),), every=3),
    ]
}
