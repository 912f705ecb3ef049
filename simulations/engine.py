"""The engine: claims what is due, keeps the call slots full, applies what comes back.

The database is the truth. A claim moves `due_at` forward by a lease and raises `step_number`, on
the database's clock; if this process dies, the lease runs out and another one carries on from what
was saved.
"""

import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now

from simulations.models import Simulation, Status
from simulations.providers import ProviderError, get_provider
from simulations.steps import LEASE, POLL_LEASE, Step, next_step

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.9
# How long a slice with free slots waits before it looks for newly due rows.
LOOK_AROUND_SECONDS = 0.2

MIN_POLL_INTERVAL = 1.2
MAX_POLL_INTERVAL = 5.0


def poll_interval(in_flight: int) -> float:
    """Seconds: 1.2 while the load is small, longer when it would exceed POLLS_PER_SECOND."""
    wanted = in_flight / settings.POLLS_PER_SECOND
    return min(max(wanted, MIN_POLL_INTERVAL), MAX_POLL_INTERVAL)


def claim(limit: int) -> list[Simulation]:
    """Takes up to `limit` due rows; an idle tick costs one query and opens no transaction."""
    due = Simulation.objects.due().order_by("due_at")
    if not due.exists():
        return []
    with transaction.atomic():
        ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        claimed = Simulation.objects.filter(pk__in=ids)
        lease = Case(When(status=Status.RUNNING, then=Value(POLL_LEASE)), default=Value(LEASE))
        claimed.update(due_at=Now() + lease, step_number=F("step_number") + 1)
        return list(claimed.select_related("owner", "assistant", "conversation", "run"))


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
                self._apply_finished()

    def _work_until(self, end: float) -> bool:
        while True:
            self._apply_finished()
            self._fill_slots()
            if not self.calls:
                return False
            remaining = end - time.monotonic()
            if remaining <= 0:
                return True
            wait(self.calls, min(remaining, LOOK_AROUND_SECONDS), FIRST_COMPLETED)

    def _fill_slots(self) -> None:
        while free := self.slots - len(self.calls):
            simulations = claim(free)
            if not simulations:
                return
            interval = poll_interval(Simulation.objects.filter(status=Status.RUNNING).count())
            for simulation in simulations:
                self.start(next_step(simulation, interval))

    def start(self, step: Step) -> None:
        """Prepares a step and hands its call to a free slot."""
        if step.prepare():
            provider = get_provider(step.simulation.conversation.protocol)
            self.calls[self.pool.submit(step.call, provider)] = step

    def _apply_finished(self) -> None:
        for future in [future for future in self.calls if future.done()]:
            # Taken out only once it is saved: while the database is away, the result waits here.
            following = self._apply(self.calls[future], future)
            del self.calls[future]
            if following is not None:
                self.start(following)

    def _apply(self, step: Step, future: "Future[Any]") -> Step | None:
        error = future.exception()
        if error is None:
            return step.apply(future.result())
        if not isinstance(error, ProviderError):
            logger.error("A call failed in an unforeseen way", exc_info=error)
            error = unreadable(error)
        step.fail(error)
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
