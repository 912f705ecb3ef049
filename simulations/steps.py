"""The steps of a simulation's life: what to save before a call, the call, what to save after it.

`prepare`, `apply` and `fail` run in the task's thread and are the only ones to touch the database;
`call` runs in a call thread with the plain values that were gathered before. Every write is a
conditional UPDATE: what it finds changed since the claim, it leaves alone.
"""

import logging
import random
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from simulations.models import (
    Citation,
    Conversation,
    Run,
    Simulation,
    SimulationQuerySet,
    Status,
    StopReason,
)
from simulations.outcomes import (
    accept_run,
    describe_refusal,
    fail_simulation,
    settle,
    settle_stopped,
)
from simulations.providers.base import OpenedTurn, Provider, ProviderError, RunSnapshot, RunState
from simulations.turns import Turn, build_turn, ground

logger = logging.getLogger(__name__)

# Longer than the longest call, so that nobody else takes a row whose call is still going.
LEASE = timedelta(seconds=16)
POLL_LEASE = timedelta(seconds=8)
# A create call that starts later than this after its gate would outlive the lease: it is not sent.
GATE_VALIDITY = 3.0

BUSY_WAIT = timedelta(seconds=1.2)
LOOK_DELAY = timedelta(seconds=2)
LOOKS_BEFORE_NEW_RUN = 3
STOP_PATIENCE = timedelta(seconds=15)
MAX_BACKOFF = 30.0


class Step:
    """One claimed simulation's next call."""

    def __init__(self, simulation: Simulation, poll_interval: float) -> None:
        self.simulation = simulation
        self.poll_interval = poll_interval

    def prepare(self) -> bool:
        """Saves what must be known before the call; False: the call is not to be sent."""
        return True

    def call(self, provider: Provider) -> Any:
        raise NotImplementedError

    def apply(self, result: Any) -> "Step | None":
        """Saves the result; a step returned is to be taken at once, without a claim."""
        raise NotImplementedError

    def fail(self, error: ProviderError) -> None:
        if error.retryable:
            self.retry(error)
        else:
            self.give_up(error)

    # --- What the steps share -----------------------------------------------------------------

    def fenced(self) -> SimulationQuerySet:
        """The row, as long as nobody claimed it since."""
        return Simulation.objects.active().filter(
            pk=self.simulation.pk, step_number=self.simulation.step_number
        )

    def reschedule(self, delay: timedelta, **fields: Any) -> None:
        self.fenced().update(due_at=Now() + delay, **fields)

    def retry(self, error: ProviderError) -> None:
        delay = retry_delay(error, self.simulation.failed_attempts)
        logger.warning("Simulation %s: %s, again in %s", self.simulation.pk, error.code, delay)
        self.reschedule(delay, failed_attempts=F("failed_attempts") + 1)

    def give_up(self, error: ProviderError) -> None:
        fail_simulation(self.fenced(), **describe_refusal(error))


class PendingStep(Step):
    """Steps before a run is known: they may be tried until START_TIMEOUT has passed."""

    def accept(self, run: Run, result: RunSnapshot, *, adopted: bool = False) -> Step | None:
        wanted = accept_run(
            self.simulation, run, result, poll_interval=self.poll_interval, adopted=adopted
        )
        return None if wanted else DiscardRun(self.simulation, self.poll_interval, result.id)

    def retry(self, error: ProviderError) -> None:
        waited = timezone.now() - self.simulation.created_at
        if waited < settings.START_TIMEOUT:
            return super().retry(error)
        return fail_simulation(
            self.fenced().filter(status=Status.PENDING),
            code="start_timeout",
            message=f"The assistant could not be reached in time: {error.message}. "
            "Submit the query again later.",
            status=503,
        )


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
            if not self.fenced().update(
                turn_anchor=result.anchor, opened_at=Now(), failed_attempts=0
            ):
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
        """Writes the intent, if this step still holds the row and nobody stopped it."""
        run = Run(simulation=self.simulation, round=self.turn.round)
        with transaction.atomic():
            passed = (
                self.fenced()
                .filter(status=Status.PENDING, stop_reason="", run=None)
                .update(run=run.pk, due_at=Now() + LEASE)
            )
            if passed:
                run.save(force_insert=True)
        self.run = run
        return bool(passed)

    def call(self, provider: Provider) -> RunSnapshot:
        if time.monotonic() - self.gate_passed_at > GATE_VALIDITY:
            raise ProviderError("The worker was held up", code="not_sent", retryable=True)
        return provider.start_run(self.turn)

    def apply(self, result: RunSnapshot) -> Step | None:
        return self.accept(self.run, result)

    def fail(self, error: ProviderError) -> None:
        fault = f"{error.code}: {error.message}"[:500]
        if error.ambiguous:
            logger.warning("Simulation %s: run may be lost: %s", self.simulation.pk, error.code)
            Run.objects.filter(pk=self.run.pk, provider_id="").update(fault=fault)
            self._own().update(due_at=Now() + LOOK_DELAY, failed_attempts=F("failed_attempts") + 1)
            return
        Run.objects.filter(pk=self.run.pk).update(
            outcome=Run.Outcome.REJECTED, fault=fault, finished_at=Now()
        )
        lost = self._lost_run() if error.is_busy else None
        self._own().update(run=lost)
        if error.is_busy:
            self.reschedule(BUSY_WAIT)
        else:
            super().fail(error)

    def _own(self) -> SimulationQuerySet:
        return Simulation.objects.filter(
            pk=self.simulation.pk, status=Status.PENDING, run=self.run.pk
        )

    def _lost_run(self) -> Run | None:
        """The run whose answer went missing and which now holds the lock: still going after all."""
        return self.simulation.runs.filter(round=self.run.round, outcome=Run.Outcome.LOST).last()


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
            self._not_found(run)
            return None
        logger.warning("Simulation %s: adopted run %s", self.simulation.pk, result.id or "by text")
        if result.id:
            return self.accept(run, result, adopted=True)
        Run.objects.filter(pk=run.pk, provider_id="").update(adopted=True, accepted_at=Now())
        settle(self.simulation, run, result)
        return None

    def _not_found(self, run: Run) -> None:
        """Looks again after a while; then counts the run as lost and lets a new one start."""
        if run.looks + 1 < LOOKS_BEFORE_NEW_RUN:
            Run.objects.filter(pk=run.pk).update(looks=F("looks") + 1)
            self.reschedule(LOOK_DELAY)
            return
        fault = run.fault or "The worker ended before the provider's answer was saved"
        with transaction.atomic():
            if self.fenced().filter(run=run.pk).update(run=None, due_at=Now()):
                Run.objects.filter(pk=run.pk).update(
                    outcome=Run.Outcome.LOST, fault=fault, looks=F("looks") + 1
                )


class FetchRun(Step):
    """Asks how the run stands."""

    def prepare(self) -> bool:
        self.asked_at = timezone.now()
        self.run_id = self.simulation.run.provider_id
        self.conversation_id = self.simulation.conversation.provider_id
        return True

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.fetch_run(self.conversation_id, self.run_id)

    def apply(self, result: RunSnapshot) -> Step | None:
        if result.state is not RunState.ACTIVE:
            settle(self.simulation, self.simulation.run, result)
        elif self.asked_at > self.simulation.started_at + settings.RUN_TIMEOUT:
            self.reschedule(timedelta(0), stop_reason=StopReason.TIMEOUT, stop_requested_at=Now())
        else:
            wait = result.poll_after or self.poll_interval
            self.reschedule(timedelta(seconds=wait), failed_attempts=0)
        return None


class StopRun(FetchRun):
    """Asks for the run's end upstream; an answer that came first is kept."""

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.cancel_run(self.conversation_id, self.run_id)

    def apply(self, result: RunSnapshot) -> Step | None:
        if result.state is RunState.COMPLETED:
            settle(self.simulation, self.simulation.run, result)
        elif result.state is RunState.ACTIVE and not self._out_of_patience():
            self.reschedule(BUSY_WAIT)
        else:
            settle_stopped(self.simulation)
        return None

    def fail(self, error: ProviderError) -> None:
        if error.retryable and not self._out_of_patience():
            self.retry(error)
        else:
            settle_stopped(self.simulation)

    def _out_of_patience(self) -> bool:
        return self.asked_at > self.simulation.stop_requested_at + STOP_PATIENCE


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


def next_step(simulation: Simulation, poll_interval: float) -> Step:
    if simulation.status == Status.RUNNING:
        kind = StopRun if simulation.stop_reason else FetchRun
    elif simulation.run is not None:
        kind = FindRun
    else:
        kind = StartRun if simulation.opened_at else OpenTurn
    return kind(simulation, poll_interval)


def retry_delay(error: ProviderError, attempts: int) -> timedelta:
    """What the provider asks for, else 1 s doubled per attempt up to 30 s, jittered downwards."""
    backoff = min(MAX_BACKOFF, 2.0 ** min(attempts, 10))
    jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
    return timedelta(seconds=max(error.retry_after or 0.0, jittered))
