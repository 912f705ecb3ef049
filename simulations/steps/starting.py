"""From an accepted query to a run that is known to go on."""

import logging
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from simulations.models import (
    Citation,
    Conversation,
    Erasure,
    ErrorCode,
    RemoteDeletion,
    Run,
    Simulation,
    SimulationQuerySet,
    Status,
)
from simulations.prepared import PreparedInsert, PreparedUpdate, Update
from simulations.providers import sends_instructions
from simulations.providers.base import OpenedTurn, Provider, ProviderError, RunSnapshot, Turn
from simulations.steps.base import BUSY_WAIT, REFUSALS_OUTLIVED, Step
from simulations.turns.building import build_turn, ground
from simulations.turns.failures import describe_refusal, describe_refused_run
from simulations.turns.outcomes import accept_run, fail_simulation

logger = logging.getLogger(__name__)

# Seconds: a create call that is held up for longer behind its gate could outlive START_LEASE.
GATE_VALIDITY = 3.0

GONE = {
    "code": ErrorCode.CONVERSATION_GONE,
    "message": "The provider does not know this conversation any more. "
    "Retry it as a new question, which knows nothing of those before it.",
}


class StartingStep(Step):
    """May be tried until START_TIMEOUT has passed since the row was admitted, or since its latest
    round began."""

    longest_wait = 300.0

    def reschedule(self, delay: timedelta, **fields: Any) -> None:
        if not self._fail_if_overdue():
            super().reschedule(delay, **fields)

    def give_up(self, error: ProviderError) -> None:
        if error.status == 404 and self.simulation.conversation.provider_id:
            self._fail(self.fenced(), **GONE, error_detail=error.message)
        else:
            self._fail(self.fenced(), **describe_refusal(error))

    def _fail_if_overdue(self) -> bool:
        limit = Now() - settings.START_TIMEOUT
        first_round = Q(status=Status.PENDING, admitted_at__lte=limit)
        later_round = Q(status=Status.RUNNING, round_started_at__lte=limit)
        return self._fail(
            self.fenced().filter(first_round | later_round),
            code=ErrorCode.START_TIMEOUT,
            message="The assistant could not be reached in time. Submit the query again later.",
        )

    def _fail(self, row: SimulationQuerySet, **description: Any) -> bool:
        """The run of an intent that is still open is then looked for, to be ended upstream."""
        with transaction.atomic():
            failed = fail_simulation(row, **description)
            if failed:
                self.simulation.runs.filter(outcome="", provider_id="").discard(Run.Fault.NO_ANSWER)
        return failed

    def accept(self, run: Run, result: RunSnapshot, *, adopted: bool = False) -> None:
        protocol = self.simulation.conversation.protocol
        first_look = self.pacing.first_look(self.simulation.assistant_id, protocol)
        accept_run(self.simulation, run, result, first_look=first_look, adopted=adopted)


class OpenTurn(StartingStep):
    """Grounds the query in articles and opens its conversation; costs nothing."""

    turn: Turn

    def prepare(self) -> bool:
        if not self.simulation.prompt and not self._save_prompt():
            return False
        self.turn = build_turn(self.simulation, 1)
        return True

    def _save_prompt(self) -> bool:
        prompt, citations = ground(self.simulation)
        with transaction.atomic():
            saved = save_prompt(self.simulation.pk, self.simulation.step_number, prompt)
            if saved:
                insert_citations(citations)
        self.simulation.prompt = prompt
        return bool(saved)

    def call(self, provider: Provider) -> OpenedTurn:
        return provider.open_turn(self.turn)

    def apply(self, result: OpenedTurn) -> Step | None:
        conversation = self.simulation.conversation
        if not (conversation.provider_id or keep(conversation, result.conversation_id)):
            self.give_back()
            return None
        conversation.provider_id = result.conversation_id
        self.simulation.turn_anchor = result.anchor
        if result.is_ready:
            return StartOpenedTurn(self.simulation, self.pacing)
        return OpenTurn(self.simulation, self.pacing) if self._renew_lease() else None

    def fail(self, error: ProviderError) -> None:
        """Earlier answers are in the conversation: one 404 is no proof that it is gone."""
        is_unknown = error.status == 404 and bool(self.simulation.conversation.provider_id)
        if is_unknown and self.simulation.failed_attempts < REFUSALS_OUTLIVED:
            self.retry(error)
        else:
            super().fail(error)

    def _renew_lease(self) -> int:
        return self.fenced().update(due_at=Now() + settings.STEP_LEASE)


@PreparedUpdate
def save_prompt(pk: UUID, step_number: int, prompt: str) -> Update:
    row = Simulation.objects.fenced(pk, step_number)
    return Update(row.filter(prompt=""), {"prompt": prompt})


insert_citations = PreparedInsert(Citation)


@PreparedUpdate
def save_opened_turn(pk: UUID, step_number: int, anchor: str) -> Update:
    row = Simulation.objects.fenced(pk, step_number)
    return Update(row, {"turn_anchor": anchor, "opened_at": Now(), "failed_attempts": 0})


def keep(conversation: Conversation, provider_id: str) -> bool:
    """Saves what was opened, whatever became of the question: else it could never be deleted.

    False where it is deleted at once: another worker was quicker, or the owner has been erased.
    """
    if name_conversation(conversation.pk, provider_id):
        return True
    RemoteDeletion.objects.create(
        protocol=conversation.protocol,
        kind=RemoteDeletion.Kind.CONVERSATION,
        provider_id=provider_id,
        erasure=Erasure.objects.open().filter(user=conversation.owner_id).first(),
    )
    return False


@PreparedUpdate
def name_conversation(pk: UUID, provider_id: str) -> Update:
    """Also if that was done before, and the database went away before it said so."""
    is_free = Q(provider_id="") | Q(provider_id=provider_id)
    return Update(Conversation.objects.filter(is_free, pk=pk), {"provider_id": provider_id})


class StartRun(StartingStep):
    """Sends the call that costs money, behind the gate."""

    turn: Turn
    run: Run
    gate_passed_at: float

    def prepare(self) -> bool:
        self.turn = build_turn(self.simulation, self.simulation.tool_rounds + 1)
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
        self.run = Run(
            simulation=self.simulation,
            round=self.turn.round,
            assistant_revision_id=self.simulation.assistant_revision_id,
            model=self._asked_for(),
        )
        with transaction.atomic():
            passed = self._write_intent(replaced)
            if passed:
                insert_runs([self.run])
                if replaced and not replaced.is_known:
                    count_as_lost(replaced)
        return bool(passed)

    def _asked_for(self) -> str:
        """A model or, where that has its own, a remote assistant."""
        names_model = sends_instructions(self.simulation.conversation.protocol)
        return self.turn.model if names_model else self.turn.assistant_id

    def _write_intent(self, replaced: Run | None) -> int:
        simulation, lease = self.simulation, settings.START_LEASE
        if replaced is None:
            return write_first_intent(simulation.pk, simulation.step_number, self.run.pk, lease)
        free = self.fenced().filter(stop_reason="", run=replaced)
        return free.update(run=self.run.pk, due_at=Now() + lease)

    def call(self, provider: Provider) -> RunSnapshot:
        if time.monotonic() - self.gate_passed_at > GATE_VALIDITY:
            raise ProviderError("The worker was held up", code="not_sent", retryable=True)
        return provider.start_run(self.turn)

    def apply(self, result: RunSnapshot) -> Step | None:
        self.accept(self.run, result)
        return None

    def fail(self, error: ProviderError) -> None:
        if error.ambiguous:
            logger.warning("Simulation %s: run may be lost: %s", self.simulation.pk, error.code)
            Run.objects.filter(pk=self.run.pk, provider_id="", fault="").update(
                **describe_fault(error)
            )
            self.retry(error, at_least=settings.LOOK_DELAY)
        elif error.is_busy:
            self._yield_to_the_run_that_is_going(error)
            self.reschedule(BUSY_WAIT)
        else:
            self._withdraw(error)
            if error.is_refusal and self._has_paid_rounds_that_outlive_it():
                self.retry(error)
            else:
                super().fail(error)

    def _has_paid_rounds_that_outlive_it(self) -> bool:
        before = self._run_of_the_round_before()
        return before is not None and self.outlives_refusal(before)

    def give_up(self, error: ProviderError) -> None:
        assistant = self.simulation.assistant.name
        described = describe_refused_run(error, self._asked_for(), assistant)
        self._fail(self.fenced(), **described)

    def _own(self) -> SimulationQuerySet:
        return Simulation.objects.active().filter(pk=self.simulation.pk, run=self.run.pk)

    def _withdraw(self, error: ProviderError) -> None:
        """The provider refused the call: nothing to look for and nothing to pay."""
        with transaction.atomic():
            self._own().update(run=self._run_of_the_round_before())
            Run.objects.filter(pk=self.run.pk).update(
                outcome=Run.Outcome.REJECTED,
                finished_at=Now(),
                discard_due_at=None,
                **describe_fault(error),
            )

    def _yield_to_the_run_that_is_going(self, error: ProviderError) -> None:
        """Takes the intent back. If a run of this round was lost, it is the one still going."""
        lost = self.simulation.runs.filter(round=self.run.round, outcome=Run.Outcome.LOST).last()
        with transaction.atomic():
            if not self._own().update(run=lost or self._run_of_the_round_before()):
                self._withdraw(error)
                return
            Run.objects.filter(pk=self.run.pk, provider_id="").delete()
            if lost:
                Run.objects.filter(pk=lost.pk).update(looks=0)

    def _run_of_the_round_before(self) -> Run | None:
        """The one whose tool calls this round answers."""
        earlier = self.simulation.runs.filter(outcome=Run.Outcome.COMPLETED)
        return earlier.filter(round=self.run.round - 1).last()


@PreparedUpdate
def write_first_intent(pk: UUID, step_number: int, run: UUID, lease: timedelta) -> Update:
    row = Simulation.objects.fenced(pk, step_number)
    changes = {"run": run, "due_at": Now() + lease}
    return Update(row.filter(stop_reason="", run=None), changes)


insert_runs = PreparedInsert(Run)


class StartOpenedTurn(StartRun):
    """Follows OpenTurn at once, and saves with its own intent that the turn is open."""

    def _write_intent(self, replaced: Run | None) -> int:
        passed = super()._write_intent(replaced)
        if passed:
            self.save_opening()
        return passed

    def give_back(self) -> None:
        with transaction.atomic():
            self.save_opening()
            super().give_back()

    def save_opening(self) -> None:
        simulation = self.simulation
        save_opened_turn(simulation.pk, simulation.step_number, simulation.turn_anchor)


def count_as_lost(run: Run) -> None:
    fault = run.fault or Run.Fault.NO_ANSWER
    Run.objects.filter(pk=run.pk).update(outcome=Run.Outcome.LOST, fault=fault, finished_at=Now())


def describe_fault(error: ProviderError) -> dict[str, str]:
    return {"fault": error.code, "fault_detail": error.message[:500]}
