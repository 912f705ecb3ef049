"""A run whose create call was never answered: it may be there, and paid for."""

import logging
from dataclasses import replace

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from simulations.models import Run, Simulation, WebhookHint
from simulations.providers.base import Provider, ProviderError, RunSnapshot, Turn
from simulations.steps.base import Step
from simulations.steps.starting import StartingStep, StartRun, count_as_lost
from simulations.turns.building import build_turn
from simulations.turns.outcomes import settle, settle_stopped

logger = logging.getLogger(__name__)

LOOKS_BEFORE_NEW_RUN = 3
# Runs named by webhooks that one look for a lost run asks for: with the conversation's items, as
# many calls of three seconds as STEP_LEASE covers.
MAX_HINTS = 4


class FindRun(StartingStep):
    """Looks for the run of a create call whose answer went missing, before paying again."""

    turn: Turn

    def prepare(self) -> bool:
        self.turn = search_turn(self.simulation, self.simulation.run)
        return True

    def call(self, provider: Provider) -> RunSnapshot | None:
        return provider.find_run(self.turn)

    def apply(self, result: RunSnapshot | None) -> Step | None:
        run = self.simulation.run
        if result is None:
            return self._not_found(run)
        logger.warning("Simulation %s: adopted run %s", self.simulation.pk, result.id or "by text")
        if result.id:
            self.accept(run, result, adopted=True)
            return None
        with transaction.atomic():
            self.accept(run, result, adopted=True)
            settle(self.simulation, run, result)
        return None

    def fail(self, error: ProviderError) -> None:
        """The run may be there, and paid for."""
        may_pass = error.retryable or error.is_busy
        if may_pass or self.outlives_refusal(self.simulation.run):
            self.retry(error)
        else:
            self.give_up(error)

    def _not_found(self, run: Run) -> Step | None:
        """Looks again after a while; then a new run is started, right after the last look."""
        if run.looks + 1 < LOOKS_BEFORE_NEW_RUN:
            Run.objects.filter(pk=run.pk).update(looks=F("looks") + 1, refusals=0)
            self.reschedule(settings.LOOK_DELAY)
            return None
        if self.simulation.stop_reason:
            count_as_lost(run)
            settle_stopped(self.simulation)
            return None
        if self._fail_if_overdue():
            return None
        return StartRun(self.simulation, self.pacing)


def search_turn(simulation: Simulation, run: Run) -> Turn:
    """What is known of a run whose answer went missing, for a search."""
    known = simulation.runs.exclude(provider_id="").values_list("provider_id", flat=True)
    return replace(
        build_turn(simulation, run.round),
        known_run_ids=frozenset(known),
        hinted_run_ids=hints_since(run),
    )


def hints_since(run: Run) -> tuple[str, ...]:
    """Runs that webhooks named since then, and that nobody knows: the newest first, since a
    webhook is told of other applications' runs as well."""
    known = Run.objects.filter(provider_id=OuterRef("run_id"))
    hints = WebhookHint.objects.filter(~Exists(known), received_at__gte=run.requested_at)
    return tuple(hints.order_by("-received_at").values_list("run_id", flat=True)[:MAX_HINTS])
