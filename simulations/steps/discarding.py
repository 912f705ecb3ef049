"""Ending runs upstream that were accepted, or may have been, although nobody wants them."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from simulations.models import Run
from simulations.providers.base import Provider, ProviderError, RunSnapshot, RunState
from simulations.queue.pacing import Pacing
from simulations.steps.base import BUSY_WAIT, Step
from simulations.steps.finding import LOOKS_BEFORE_NEW_RUN, search_turn
from simulations.turns.outcomes import finish_discard

logger = logging.getLogger(__name__)

# A run that goes on although it was cancelled is asked again after 1.2, 2.4, … up to 19.2 s.
LONGEST_DOUBLING = 4


class DiscardRun(Step):
    """Ends a run; one whose id was never saved is looked for first."""

    def __init__(self, run: Run, pacing: Pacing) -> None:
        super().__init__(run.simulation, pacing)
        self.unwanted = run

    @property
    def key(self) -> UUID:
        return self.unwanted.pk

    def prepare(self) -> bool:
        if self.unwanted.provider_id:
            self.run = replace(self.reference(), run_id=self.unwanted.provider_id)
        else:
            self.turn = search_turn(self.simulation, self.unwanted)
        return True

    def call(self, provider: Provider) -> RunSnapshot | None:
        if self.unwanted.provider_id:
            return provider.cancel_run(self.run)
        return provider.find_run(self.turn)

    def apply(self, result: RunSnapshot | None) -> Step | None:
        if result is None:
            self._look_again()
        elif result.id and not self.unwanted.provider_id:
            self.reschedule(timedelta(0), provider_id=result.id, accepted_at=Now(), adopted=True)
        elif result.state is RunState.ACTIVE and not self._is_overdue():
            doublings = min(self.unwanted.looks, LONGEST_DOUBLING)
            self.reschedule(BUSY_WAIT * 2**doublings, looks=F("looks") + 1, refusals=0)
        else:
            finish_discard(self.unwanted, result.usage)
        return None

    def _look_again(self) -> None:
        if self.unwanted.looks + 1 < LOOKS_BEFORE_NEW_RUN:
            self.reschedule(settings.LOOK_DELAY, looks=F("looks") + 1, refusals=0)
        else:
            finish_discard(self.unwanted, outcome=Run.Outcome.LOST)

    def fail(self, error: ProviderError) -> None:
        if not self._is_overdue() and self._may_pass(error):
            self.reschedule(self.retry_delay(error, self.unwanted.looks), looks=F("looks") + 1)
        else:
            logger.warning("Run %s could not be ended: %s", self.unwanted, error.code)
            finish_discard(self.unwanted)

    def _may_pass(self, error: ProviderError) -> bool:
        # Refused credentials may be the very reason why nobody waits for the run any more.
        is_lasting = error.retryable or error.is_busy or error.status in {401, 403}
        return is_lasting or self.outlives_refusal(self.unwanted)

    def _is_overdue(self) -> bool:
        age = self.unwanted.claimed_at - self.unwanted.requested_at
        return age > settings.RUN_TIMEOUT + settings.START_TIMEOUT

    def reschedule(self, delay: timedelta, **fields: Any) -> None:
        unfinished = Run.objects.to_discard().filter(pk=self.unwanted.pk)
        unfinished.update(discard_due_at=Now() + delay, **fields)

    def give_back(self) -> None:
        self.reschedule(timedelta(0))

    def fail_internally(self) -> None:
        finish_discard(self.unwanted)
