"""From an accepted query to a run that is known to go on."""

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from simulations.models import (
    Citation,
    Conversation,
    Run,
    Simulation,
    SimulationQuerySet,
    Status,
)
from simulations.outcomes import accept_run, describe_refusal, fail_simulation, settle
from simulations.providers.base import OpenedTurn, Provider, ProviderError, RunSnapshot, Turn
from simulations.steps.base import BUSY_WAIT, Step
from simulations.steps.running import DiscardRun
from simulations.turns import build_turn, ground

logger = logging.getLogger(__name__)

# Longer than the longest create call, so that nobody else takes a row whose call is still going.
START_LEASE = timedelta(seconds=30)
# Seconds: a create call that is held up for longer behind its gate could outlive that lease.
GATE_VALIDITY = 3.0

LOOK_DELAY = timedelta(seconds=2)
LOOKS_BEFORE_NEW_RUN = 3


class PendingStep(Step):
    """May be tried until START_TIMEOUT has passed since a worker first took the row."""

    longest_wait = 300.0

    def reschedule(self, delay: timedelta, **fields: Any) -> None:
        if not self._fail_if_overdue():
            super().reschedule(delay, **fields)

    def give_up(self, error: ProviderError) -> None:
        self._fail(self.fenced(), **describe_refusal(error))

    def _fail_if_overdue(self) -> bool:
        return self._fail(
            self.fenced().filter(claimed_at__lte=Now() - settings.START_TIMEOUT),
            code="start_timeout",
            message="The assistant could not be reached in time. Submit the query again later.",
            status=503,
        )

    def _fail(self, row: SimulationQuerySet, **description: Any) -> bool:
        """An intent that is still open then counts as a lost run."""
        with transaction.atomic():
            failed = fail_simulation(row.filter(status=Status.PENDING), **description)
            if failed:
                self.simulation.runs.filter(outcome="").update(
                    outcome=Run.Outcome.LOST, finished_at=Now()
                )
        return failed

    def accept(self, run: Run, result: RunSnapshot, *, adopted: bool = False) -> Step | None:
        wanted = accept_run(
            self.simulation, run, result, poll_interval=self.poll_interval, adopted=adopted
        )
        return None if wanted else DiscardRun(self.simulation, self.poll_interval, result.id)


class OpenTurn(PendingStep):
    """Grounds the query in articles and opens its conversation; costs nothing."""

    turn: Turn

    def prepare(self) -> bool:
        if not self.simulation.prompt and not self._save_prompt():
            return False
        self.turn = build_turn(self.simulation)
        return True

    def _save_prompt(self) -> bool:
        prompt, citations = ground(self.simulation)
        with transaction.atomic():
            saved = self.fenced().filter(prompt="").update(prompt=prompt) == 1
            if saved:
                Citation.objects.bulk_create(citations)
        self.simulation.prompt = prompt
        return saved

    def call(self, provider: Provider) -> OpenedTurn:
        return provider.open_turn(self.turn)

    def apply(self, result: OpenedTurn) -> Step | None:
        # The lease goes on: the next call follows at once, and its gate renews it.
        with transaction.atomic():
            opened = self.fenced().update(
                turn_anchor=result.anchor, opened_at=Now(), failed_attempts=0
            )
            if not opened:
                return None
            Conversation.objects.filter(pk=self.simulation.conversation_id).update(
                provider_id=result.conversation_id
            )
        self.simulation.turn_anchor = result.anchor
        self.simulation.conversation.provider_id = result.conversation_id
        return StartRun(self.simulation, self.poll_interval)


class StartRun(PendingStep):
    """Sends the call that costs money, behind the gate."""

    turn: Turn
    run: Run
    gate_passed_at: float

    def prepare(self) -> bool:
        self.turn = build_turn(self.simulation)
        try:
            passed = self._pass_money_gate()
        except IntegrityError:
            # Another simulation's run is going in this conversation: wait for it.
            self.reschedule(BUSY_WAIT)
            return False
        self.gate_passed_at = time.monotonic()
        return passed

    def _pass_money_gate(self) -> bool:
        """Writes the intent, if this step still holds the row and nobody stopped it.

        An intent that is still open is in the way, unless it is the one that this step was sent
        to replace because its run was looked for and not found.
        """
        replaced = self.simulation.run
        self.run = Run(simulation=self.simulation, round=self.turn.round)
        with transaction.atomic():
            passed = (
                self.fenced()
                .filter(status=Status.PENDING, stop_reason="", run=replaced)
                .update(run=self.run.pk, due_at=Now() + START_LEASE)
            )
            if passed:
                self.run.save(force_insert=True)
                if replaced:
                    count_as_lost(replaced)
        return bool(passed)

    def call(self, provider: Provider) -> RunSnapshot:
        if time.monotonic() - self.gate_passed_at > GATE_VALIDITY:
            raise ProviderError("The worker was held up", code="not_sent", retryable=True)
        return provider.start_run(self.turn)

    def apply(self, result: RunSnapshot) -> Step | None:
        return self.accept(self.run, result)

    def fail(self, error: ProviderError) -> None:
        if error.ambiguous:
            logger.warning("Simulation %s: run may be lost: %s", self.simulation.pk, error.code)
            Run.objects.filter(pk=self.run.pk, provider_id="").update(fault=describe_fault(error))
            self.retry(error, at_least=LOOK_DELAY)
        elif error.is_busy:
            self._yield_to_the_run_that_is_going()
            self.reschedule(BUSY_WAIT)
        else:
            self._withdraw(error)
            super().fail(error)

    def _own(self) -> SimulationQuerySet:
        return Simulation.objects.filter(
            pk=self.simulation.pk, status=Status.PENDING, run=self.run.pk
        )

    def _withdraw(self, error: ProviderError) -> None:
        """The provider refused the call: nothing to look for and nothing to pay."""
        with transaction.atomic():
            self._own().update(run=None)
            Run.objects.filter(pk=self.run.pk).update(
                outcome=Run.Outcome.REJECTED, fault=describe_fault(error), finished_at=Now()
            )

    def _yield_to_the_run_that_is_going(self) -> None:
        """Takes the intent back. If a run of this round was lost, it is the one still going."""
        lost = self.simulation.runs.filter(round=self.run.round, outcome=Run.Outcome.LOST).last()
        with transaction.atomic():
            self._own().update(run=lost)
            Run.objects.filter(pk=self.run.pk, provider_id="", current_for=None).delete()
            if lost:
                Run.objects.filter(pk=lost.pk).update(looks=0)


class FindRun(PendingStep):
    """Looks for the run of a create call whose answer went missing, before paying again."""

    turn: Turn

    def prepare(self) -> bool:
        runs = self.simulation.runs.exclude(provider_id="")
        known = frozenset(runs.values_list("provider_id", flat=True))
        self.turn = build_turn(self.simulation, known)
        return True

    def call(self, provider: Provider) -> RunSnapshot | None:
        return provider.find_run(self.turn)

    def apply(self, result: RunSnapshot | None) -> Step | None:
        run = self.simulation.run
        if result is None:
            return self._not_found(run)
        logger.warning("Simulation %s: adopted run %s", self.simulation.pk, result.id or "by text")
        if result.id:
            return self.accept(run, result, adopted=True)
        Run.objects.filter(pk=run.pk, provider_id="").update(adopted=True, accepted_at=Now())
        settle(self.simulation, run, result)
        return None

    def _not_found(self, run: Run) -> Step | None:
        """Looks again after a while; then a new run is started, right after the last look."""
        if run.looks + 1 < LOOKS_BEFORE_NEW_RUN:
            Run.objects.filter(pk=run.pk).update(looks=F("looks") + 1)
            self.reschedule(LOOK_DELAY)
            return None
        if self._fail_if_overdue():
            return None
        return StartRun(self.simulation, self.poll_interval)


def count_as_lost(run: Run) -> None:
    fault = run.fault or "No answer was saved: the worker ended or was held up"
    Run.objects.filter(pk=run.pk).update(outcome=Run.Outcome.LOST, fault=fault)


def describe_fault(error: ProviderError) -> str:
    return f"{error.code}: {error.message}"[:500]
