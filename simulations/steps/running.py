"""From a run that is going on to its end."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from simulations.models import Simulation, StopReason
from simulations.outcomes import MAX_POLL_WAIT, settle, settle_stopped
from simulations.providers.base import Provider, ProviderError, RunSnapshot, RunState
from simulations.steps.base import BUSY_WAIT, Step

logger = logging.getLogger(__name__)

STOP_PATIENCE = timedelta(seconds=15)


class FetchRun(Step):
    """Asks how the run stands."""

    def prepare(self) -> bool:
        self.run_id = self.simulation.run.provider_id
        self.conversation_id = self.simulation.conversation.provider_id
        return True

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.fetch_run(self.conversation_id, self.run_id)

    def apply(self, result: RunSnapshot) -> Step | None:
        if result.state is not RunState.ACTIVE:
            settle(self.simulation, self.simulation.run, result)
        elif not self._stop_after(settings.RUN_TIMEOUT):
            wait = min(result.poll_after or self.poll_interval, MAX_POLL_WAIT)
            self.reschedule(timedelta(seconds=wait), failed_attempts=0)
        return None

    def fail(self, error: ProviderError) -> None:
        """The run is paid for: whatever the failure, it is asked for as long as there is hope."""
        if error.status == 404:
            self.give_up(error)
        elif not self._stop_after(settings.RUN_TIMEOUT + settings.START_TIMEOUT):
            self.retry(error)

    def _stop_after(self, limit: timedelta) -> bool:
        late = self.fenced().filter(started_at__lt=self.before_the_call(limit))
        stopped = late.update(due_at=Now(), stop_reason=StopReason.TIMEOUT, stop_requested_at=Now())
        return stopped == 1

    def give_up(self, error: ProviderError) -> None:
        gone = RunSnapshot(self.run_id, "lost", RunState.FAILED, reason="unknown to the provider")
        settle(self.simulation, self.simulation.run, gone)


class StopRun(FetchRun):
    """Asks for the run's end upstream; an answer that came first is kept."""

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.cancel_run(self.conversation_id, self.run_id)

    def apply(self, result: RunSnapshot) -> Step | None:
        if result.state is RunState.COMPLETED:
            settle(self.simulation, self.simulation.run, result)
        elif result.state is RunState.ACTIVE and not self._is_out_of_patience():
            self.reschedule(BUSY_WAIT)
        else:
            settle_stopped(self.simulation, result.usage)
        return None

    def fail(self, error: ProviderError) -> None:
        if error.status == 404 or self._is_out_of_patience():
            settle_stopped(self.simulation)
        else:
            self.retry(error)

    def _is_out_of_patience(self) -> bool:
        limit = self.before_the_call(STOP_PATIENCE)
        return self.fenced().filter(stop_requested_at__lt=limit).exists()


class DiscardRun(Step):
    """Ends a run that was accepted although nobody wants it any more."""

    def __init__(self, simulation: Simulation, poll_interval: float, provider_id: str) -> None:
        super().__init__(simulation, poll_interval)
        self.provider_id = provider_id
        self.conversation_id = simulation.conversation.provider_id

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.cancel_run(self.conversation_id, self.provider_id)

    def apply(self, result: RunSnapshot) -> Step | None:
        logger.warning("Run %s was not wanted any more: %s", self.provider_id, result.status)
        return None

    def fail(self, error: ProviderError) -> None:
        logger.warning("Run %s could not be cancelled: %s", self.provider_id, error.code)
