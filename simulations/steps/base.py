import logging
import random
import time
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from simulations.models import Simulation, SimulationQuerySet
from simulations.outcomes import describe_refusal, fail_simulation
from simulations.providers.base import Provider, ProviderError

logger = logging.getLogger(__name__)

BUSY_WAIT = timedelta(seconds=1.2)
MAX_BACKOFF = 30.0


class Step(ABC):
    """One claimed simulation's next call.

    `prepare`, `apply` and `fail` run in the task's thread and are the only ones to touch the
    database; `call` runs in a call thread with the plain values that were gathered before.
    """

    # Seconds: the longest that a provider's Retry-After is waited for.
    longest_wait = MAX_BACKOFF

    def __init__(self, simulation: Simulation, poll_interval: float) -> None:
        self.simulation = simulation
        self.poll_interval = poll_interval
        self.prepared_at = time.monotonic()

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
            self.give_up(error)

    def fenced(self) -> SimulationQuerySet:
        """The row, as long as nobody claimed it since."""
        return Simulation.objects.active().filter(
            pk=self.simulation.pk, step_number=self.simulation.step_number
        )

    def reschedule(self, delay: timedelta, **fields: Any) -> None:
        self.fenced().update(due_at=Now() + delay, **fields)

    def retry(self, error: ProviderError, at_least: timedelta = timedelta(0)) -> None:
        delay = max(at_least, self.retry_delay(error))
        logger.warning("Simulation %s: %s, again in %s", self.simulation.pk, error.code, delay)
        self.reschedule(delay, failed_attempts=F("failed_attempts") + 1)

    def retry_delay(self, error: ProviderError) -> timedelta:
        """What the provider asks for, else 1 s doubled per attempt up to 30 s, jittered."""
        backoff = min(MAX_BACKOFF, 2.0 ** min(self.simulation.failed_attempts, 10))
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
        named = min(error.retry_after or 0.0, self.longest_wait)
        return timedelta(seconds=max(named, jittered))

    def give_up(self, error: ProviderError) -> None:
        fail_simulation(self.fenced(), **describe_refusal(error))

    def before_the_call(self, age: timedelta) -> Any:
        """The moment, on the database's clock, `age` before this step's call was made.

        What is judged by age is judged on a call made after it: workers that were down for a
        while must not fail what finished meanwhile.
        """
        return Now() - (age + timedelta(seconds=time.monotonic() - self.prepared_at))
