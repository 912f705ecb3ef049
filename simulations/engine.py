"""The engine: claims what is due, keeps the call slots full, applies what comes back.

The database is the truth. A claim moves `due_at` forward by a lease and raises `step_number`, on
the database's clock; if this process dies, the lease runs out and another one carries on from what
was saved.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Now

from simulations.models import Simulation, Status
from simulations.outcomes import fail_simulation
from simulations.providers import ProviderError, get_provider
from simulations.steps import DiscardRun, Step, next_step

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.9
# How long a slice with free slots waits before it looks for newly due rows.
LOOK_AROUND_SECONDS = 0.2

# Longer than the calls usually take. A step that is taken twice all the same does no harm: the
# one that could, StartRun, renews its lease at the gate.
LEASE = timedelta(seconds=16)
POLL_LEASE = timedelta(seconds=8)

MIN_POLL_INTERVAL = 1.2
MAX_POLL_INTERVAL = 5.0


def poll_interval(in_flight: int) -> float:
    """Seconds: 1.2 while the load is small, longer when it would exceed POLLS_PER_SECOND."""
    wanted = in_flight / settings.POLLS_PER_SECOND
    return min(max(wanted, MIN_POLL_INTERVAL), MAX_POLL_INTERVAL)


def claim(limit: int, under_way: Collection[UUID] = ()) -> list[Simulation]:
    """Takes up to `limit` due rows, but for those whose calls are `under_way` in this process.

    An idle tick costs one query and opens no transaction.
    """
    due = Simulation.objects.due().exclude(pk__in=under_way).order_by("due_at")
    if not due.exists():
        return []
    with transaction.atomic():
        ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        claimed = Simulation.objects.filter(pk__in=ids)
        lease = Case(When(status=Status.RUNNING, then=Value(POLL_LEASE)), default=Value(LEASE))
        claimed.update(
            due_at=Now() + lease,
            step_number=F("step_number") + 1,
            claimed_at=Coalesce("claimed_at", Now()),
        )
        related = claimed.select_related("owner", "assistant", "conversation", "run")
        return list(related.order_by("created_at"))


class Engine:
    """One process's call slots, and the steps whose calls are under way in them."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="call")
        self.calls: dict[Future[Any], Step] = {}
        self.turnstile = threading.Lock()

    def run_slice(self, seconds: float = SLICE_SECONDS) -> bool:
        """Works for at most `seconds` and says whether work was left behind.

        One slice at a time in a process: a second one has nothing to do here.
        """
        if not self.turnstile.acquire(blocking=False):
            return False
        try:
            return self._work_until(time.monotonic() + seconds)
        finally:
            self.turnstile.release()

    def drain(self, seconds: float) -> None:
        """Before the process ends: applies what is still under way and starts nothing new."""
        end = time.monotonic() + seconds
        with self.turnstile:
            while self.calls and time.monotonic() < end:
                wait(self.calls, LOOK_AROUND_SECONDS, FIRST_COMPLETED)
                for following in self._apply_finished():
                    if isinstance(following, DiscardRun):
                        self.start(following)
                    else:
                        following.reschedule(timedelta(0))

    def under_way(self) -> list[UUID]:
        return [step.simulation.pk for step in self.calls.values()]

    def start(self, step: Step) -> None:
        """Prepares a step and hands its call to a free slot."""
        if self._guarded(step, step.prepare):
            protocol = step.simulation.conversation.protocol
            self.calls[self.pool.submit(self._call, step, protocol)] = step

    def _work_until(self, end: float) -> bool:
        while True:
            for following in self._apply_finished():
                self.start(following)
            self._fill_slots()
            if not self.calls:
                return False
            remaining = end - time.monotonic()
            if remaining <= 0:
                return True
            wait(self.calls, min(remaining, LOOK_AROUND_SECONDS), FIRST_COMPLETED)

    def _fill_slots(self) -> None:
        while free := self.slots - len(self.calls):
            simulations = claim(free, self.under_way())
            if not simulations:
                return
            interval = poll_interval(Simulation.objects.in_flight().count())
            for simulation in simulations:
                self.start(next_step(simulation, interval))

    @staticmethod
    def _call(step: Step, protocol: str) -> Any:
        return step.call(get_provider(protocol))

    def _apply_finished(self) -> list[Step]:
        """The steps that follow at once on those applied."""
        following = []
        for future in [future for future in self.calls if future.done()]:
            # Taken out only once it is saved: while the database is away, the result waits here.
            following.append(self._apply(self.calls[future], future))
            del self.calls[future]
        return [step for step in following if step is not None]

    def _apply(self, step: Step, future: "Future[Any]") -> Step | None:
        error = future.exception()
        if error is None:
            return self._guarded(step, lambda: step.apply(future.result()))
        if not isinstance(error, ProviderError):
            logger.error("A call failed in an unforeseen way", exc_info=error)
            error = unreadable(error)
        return self._guarded(step, lambda: step.fail(error))

    def _guarded(self, step: Step, action: Callable[[], Any]) -> Any:
        """One row that can't be worked on must not keep the others from theirs."""
        try:
            return action()
        except (OperationalError, InterfaceError):
            raise  # the database is away: nothing is wrong with the row
        except Exception:
            logger.exception("Simulation %s can't be worked on", step.simulation.pk)
            fail_simulation(
                Simulation.objects.filter(pk=step.simulation.pk),
                code="internal_error",
                message="Something went wrong inside Sitrep. An administrator can find it in the "
                "log under this simulation's id.",
                status=500,
            )
            return None


def unreadable(error: BaseException) -> ProviderError:
    return ProviderError(
        f"The provider's answer could not be read: {type(error).__name__}",
        code="invalid_response",
        retryable=True,
        ambiguous=True,
    )


@cache
def get_engine() -> Engine:
    """The process's engine; built on first use, after any fork."""
    return Engine(settings.CALL_SLOTS)
