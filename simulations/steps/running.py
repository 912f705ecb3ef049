"""From a run that is going on to its end."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from simulations.models import Run, Simulation, SimulationQuerySet, Status, StopReason
from simulations.providers.base import (
    ContinuingProvider,
    Provider,
    ProviderError,
    RunReference,
    RunSnapshot,
    RunState,
)
from simulations.queue.pacing import MAX_INTERVAL, first_wait, next_poll
from simulations.steps.base import BUSY_WAIT, Step
from simulations.turns.building import tool_outputs
from simulations.turns.failures import describe_forgotten, describe_refusal
from simulations.turns.outcomes import (
    fail_simulation,
    settle,
    settle_stopped,
)

STOP_PATIENCE = timedelta(seconds=15)


class RunningStep(Step):
    run: RunReference

    def prepare(self) -> bool:
        self.run = self.reference()
        return True

    @property
    def interval(self) -> float:
        return self.pacing.interval_of(self.simulation.conversation.protocol)

    def row(self) -> SimulationQuerySet:
        """The row, as long as this run is the one that counts; not fenced."""
        return Simulation.objects.filter(
            pk=self.simulation.pk, status=Status.RUNNING, run=self.simulation.run_id
        )

    def fail(self, error: ProviderError) -> None:
        """The run is paid for: it is asked for as long as there is hope."""
        if error.is_refusal and not self.outlives_refusal(self.simulation.run):
            self.give_up(error)
        elif not self.stop_after(settings.RUN_TIMEOUT + settings.START_TIMEOUT):
            self.retry(error)

    def stop_after(self, limit: timedelta) -> bool:
        if self.age_at_claim(self.simulation.round_started_at) < limit:
            return False
        return self.stop_late_run()

    def give_up(self, error: ProviderError) -> None:
        is_forgotten = error.status == 404
        described = describe_forgotten(error) if is_forgotten else describe_refusal(error)
        with transaction.atomic():
            if fail_simulation(self.row(), **described):
                self.abandon(Run.Fault.FORGOTTEN if is_forgotten else Run.Fault.NOT_ENDED)

    def stop_late_run(self) -> bool:
        """Unless it went on to another round since, or is being stopped already."""
        this_round = self.row().filter(
            stop_reason="",
            tool_rounds=self.simulation.tool_rounds,
            awaits_outputs=self.simulation.awaits_outputs,
        )
        stopped = this_round.update(
            due_at=Now(), stop_reason=StopReason.TIMEOUT, stop_requested_at=Now()
        )
        return stopped == 1

    def forget_refusals(self) -> None:
        run = self.simulation.run
        if run.refusals:
            Run.objects.filter(pk=run.pk).update(refusals=0)

    def abandon(self, fault: Run.Fault) -> None:
        """The simulation is over; its run may not be."""
        Run.objects.filter(pk=self.simulation.run_id).discard(fault)


class FetchRun(RunningStep):
    """Asks how the run stands.

    The claim has set the time of the next poll: a run that simply goes on needs no write.
    """

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.fetch_run(self.run)

    def apply(self, result: RunSnapshot) -> Step | None:
        if result.state is not RunState.ACTIVE:
            self._learn()
            settle(self.simulation, self.simulation.run, result)
        elif not self.stop_after(settings.RUN_TIMEOUT) and self._is_unexpected(result):
            self.forget_refusals()
            wait = timedelta(seconds=min(result.poll_after or self.interval, MAX_INTERVAL))
            due_at = next_poll(wait, settings.RUN_TIMEOUT)
            self.fenced().update(due_at=due_at, failed_attempts=0)
        return None

    def _is_unexpected(self, result: RunSnapshot) -> bool:
        is_first_after_failures = self.simulation.failed_attempts or self.simulation.run.refusals
        return bool(result.poll_after or is_first_after_failures)

    def _learn(self) -> None:
        """The row as it was claimed says when it was polled before: at most an interval earlier."""
        waited = self.simulation.due_at - self.simulation.round_started_at
        interval = self.pacing.longest_interval_of(self.simulation.conversation.protocol)
        seconds = waited.total_seconds() - interval
        self.pacing.learn(self.simulation.assistant_id, seconds)


class StopRun(RunningStep):
    """Asks for the run's end upstream; an answer that came first is kept."""

    def prepare(self) -> bool:
        if self.simulation.run.finished_at:
            # Stopped between a tool call and its output: there is no run to end.
            settle_stopped(self.simulation)
            return False
        return super().prepare()

    def call(self, provider: Provider) -> RunSnapshot:
        return provider.cancel_run(self.run)

    def apply(self, result: RunSnapshot) -> Step | None:
        is_over = result.state not in {RunState.ACTIVE, RunState.CALLS_TOOLS}
        if result.state is RunState.COMPLETED:
            settle(self.simulation, self.simulation.run, result)
        elif is_over or result.status == "completed":
            settle_stopped(self.simulation, result.usage)
        elif not self._lose_patience():
            self.reschedule(BUSY_WAIT)
        return None

    def fail(self, error: ProviderError) -> None:
        if not self._lose_patience():
            self.retry(error)

    def _lose_patience(self) -> bool:
        """The user waits no longer; the run is still to be ended."""
        if self.age_at_claim(self.simulation.stop_requested_at) < STOP_PATIENCE:
            return False
        self.abandon(Run.Fault.NOT_ENDED)
        settle_stopped(self.simulation)
        return True


class SendOutputs(RunningStep):
    """Answers the tool calls of a run that waits for their outputs."""

    def prepare(self) -> bool:
        self.outputs = tool_outputs(self.simulation, self.simulation.tool_rounds)
        return super().prepare()

    def call(self, provider: ContinuingProvider) -> RunSnapshot:
        return provider.send_outputs(self.run, self.outputs)

    def apply(self, result: RunSnapshot) -> Step | None:
        self.forget_refusals()
        is_active = result.state is RunState.ACTIVE
        wait = first_wait(result.poll_after, self.interval) if is_active else timedelta(0)
        this_round = self.row().filter(tool_rounds=self.simulation.tool_rounds)
        this_round.filter(awaits_outputs=True, stop_reason="").update(
            awaits_outputs=False,
            round_started_at=Now(),
            due_at=Now() + wait,
            failed_attempts=0,
        )
        return None
