import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now
from structlog.contextvars import bound_contextvars

from config.request_id import NONE, request_id
from simulations.models import ErrorCode, Run, Simulation, SimulationQuerySet
from simulations.prepared import PreparedUpdate, Update
from simulations.providers.base import Provider, ProviderError, RunReference
from simulations.queue.pacing import Pacing
from simulations.turns.failures import describe_refusal
from simulations.turns.outcomes import fail_simulation

logger = logging.getLogger(__name__)

BUSY_WAIT = timedelta(seconds=1.2)
MAX_BACKOFF = 30.0
# What is paid for outlives so many refusals in a row.
REFUSALS_OUTLIVED = 3


class Step(ABC):
    """One claimed simulation's next call.

    `prepare`, `apply` and `fail` run in the task's thread and are the only ones to touch the
    database; `call` runs in a call thread with the plain values that were gathered before.
    """

    # Seconds: the longest that a provider's Retry-After is waited for.
    longest_wait = MAX_BACKOFF

    def __init__(self, simulation: Simulation, pacing: Pacing) -> None:
        self.simulation = simulation
        self.pacing = pacing

    @property
    def key(self) -> UUID:
        """Of the row that was claimed: two steps of one row are not under way at a time."""
        return self.simulation.pk

    @property
    def protocol(self) -> str:
        return self.simulation.conversation.protocol

    @contextmanager
    def named(self) -> Iterator[None]:
        """Log lines and calls within name the simulation, and the request that asked for it."""
        token = request_id.set(self.simulation.request_id or NONE)
        try:
            with bound_contextvars(simulation_id=str(self.simulation.pk), step=type(self).__name__):
                yield
        finally:
            request_id.reset(token)

    def prepare(self) -> bool:
        """Saves what must be known before the call; False: the call is not to be sent."""
        return True

    @abstractmethod
    def call(self, provider: Provider) -> Any:
        """One exchange with the provider; its result goes to `apply`, its error to `fail`."""

    @abstractmethod
    def apply(self, result: Any) -> "Step | None":
        """Saves the result; a step returned is to be taken at once, without a claim."""

    def fail(self, error: ProviderError) -> None:
        if error.retryable or error.is_busy:
            self.retry(error)
        else:
            extra = {"provider_request_id": error.request_id}
            logger.warning("Simulation %s: %s", self.simulation.pk, error.code, extra=extra)
            self.give_up(error)

    def fenced(self) -> SimulationQuerySet:
        """The row, as long as nobody claimed it since."""
        return Simulation.objects.fenced(self.simulation.pk, self.simulation.step_number)

    def reschedule(self, delay: timedelta, **fields: Any) -> None:
        self.fenced().update(due_at=Now() + delay, **fields)

    def give_back(self) -> None:
        """Its call is not to be made here and now: somebody else may take it at once."""
        give_back(self.simulation.pk, self.simulation.step_number)

    def retry(self, error: ProviderError, at_least: timedelta = timedelta(0)) -> None:
        delay = max(at_least, self.retry_delay(error, self.simulation.failed_attempts))
        extra = {
            "retry_in": round(delay.total_seconds(), 1),
            "provider_request_id": error.request_id,
        }
        logger.warning("Simulation %s: %s", self.simulation.pk, error.code, extra=extra)
        self.reschedule(delay, failed_attempts=F("failed_attempts") + 1)

    def outlives_refusal(self, run: Run) -> bool:
        """Counts it, and says whether there is still hope for the run that it is about."""
        Run.objects.filter(pk=run.pk).update(refusals=F("refusals") + 1)
        return run.refusals < REFUSALS_OUTLIVED

    def retry_delay(self, error: ProviderError, failed_attempts: int) -> timedelta:
        """What the provider asks for, else 1 s doubled per attempt up to 30 s, jittered."""
        backoff = min(MAX_BACKOFF, 2.0 ** min(failed_attempts, 10))
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
        named = min(error.retry_after or 0.0, self.longest_wait)
        return timedelta(seconds=max(named, jittered))

    def give_up(self, error: ProviderError) -> None:
        fail_simulation(self.fenced(), **describe_refusal(error))

    def fail_internally(self) -> None:
        """Nothing can be done with this row, and it must not keep the others from theirs."""
        failed = fail_simulation(
            Simulation.objects.filter(pk=self.simulation.pk),
            code=ErrorCode.INTERNAL_ERROR,
            message="Something went wrong inside Sitrep. An administrator can find it in the log "
            "under this simulation's id.",
        )
        if failed:
            Run.objects.filter(simulation=self.simulation.pk).discard(Run.Fault.INTERNAL)

    def age_at_claim(self, moment: datetime) -> timedelta:
        """How long ago `moment` was when this step was claimed, on the database's clock.

        What is judged by age is judged on a call made after it: workers that were down for a
        while must not fail what finished meanwhile.
        """
        return self.simulation.claimed_at - moment

    def reference(self) -> RunReference:
        simulation = self.simulation
        return RunReference(
            conversation_id=simulation.conversation.provider_id,
            run_id=simulation.run.provider_id,
            anchor=simulation.turn_anchor,
        )


@PreparedUpdate
def give_back(pk: UUID, step_number: int) -> Update:
    return Update(Simulation.objects.fenced(pk, step_number), {"due_at": Now()})
