"""What the provider's answers mean for a simulation, written down by conditional UPDATEs."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from simulations.models import Run, Simulation, SimulationQuerySet, Status, StopReason
from simulations.providers.base import ProviderError, RunSnapshot, RunState, Usage
from simulations.sanitizing import sanitize_answer

NO_USAGE = Usage()
# Seconds: however late a provider wants to be asked again.
MAX_POLL_WAIT = 30.0


def accept_run(
    simulation: Simulation,
    run: Run,
    result: RunSnapshot,
    *,
    poll_interval: float,
    adopted: bool = False,
) -> bool:
    """Saves an accepted run's id, whatever happened to its row meanwhile: it costs money.

    False: nobody wants the run any more, and it should be ended upstream.
    """
    Run.objects.filter(pk=run.pk).update(provider_id=result.id, accepted_at=Now())
    if adopted:
        Run.objects.filter(pk=run.pk).update(adopted=True)
    Run.objects.filter(pk=run.pk, outcome=Run.Outcome.LOST).update(outcome="", finished_at=None)
    is_active = result.state is RunState.ACTIVE
    delay = min(result.poll_after or poll_interval, MAX_POLL_WAIT) if is_active else 0.0
    row = Simulation.objects.filter(pk=simulation.pk)
    if row.filter(status=Status.PENDING, run=run.pk).transition(
        Status.RUNNING,
        started_at=Now(),
        due_at=Now() + timedelta(seconds=delay),
        failed_attempts=0,
    ):
        return True
    # Somebody else may have found this very run, and be waiting for it or done with it.
    if row.filter(
        run__provider_id=result.id, status__in=[Status.RUNNING, Status.COMPLETED]
    ).exists():
        return True
    Run.objects.filter(pk=run.pk).update(outcome=Run.Outcome.UNWANTED, finished_at=Now())
    return False


def settle(simulation: Simulation, run: Run, result: RunSnapshot) -> None:
    """Applies a run's end. Not fenced: a slow poll must not keep a finished run from ending."""
    row = Simulation.objects.filter(pk=simulation.pk, run=run.pk)
    with transaction.atomic():
        if result.state is RunState.COMPLETED and result.text.strip():
            row.transition(
                Status.COMPLETED,
                raw_answer=result.text,
                answer=sanitize_answer(result.text),
                tokens_used=result.usage.total_tokens,
            )
        elif result.state is RunState.CANCELLED and simulation.stop_reason:
            settle_stopped(simulation, result.usage)
        else:
            fail_simulation(row, tokens_used=result.usage.total_tokens, **describe_end(result))
        _finish_run(run, Run.Outcome(result.state.value), result.usage)


def settle_stopped(simulation: Simulation, usage: Usage = NO_USAGE) -> None:
    """Ends a simulation whose run was stopped, by the reason it was stopped for."""
    row = Simulation.objects.filter(pk=simulation.pk, run=simulation.run_id)
    with transaction.atomic():
        if simulation.stop_reason == StopReason.CANCEL:
            row.transition(Status.CANCELLED)
        else:
            seconds = int(settings.RUN_TIMEOUT.total_seconds())
            fail_simulation(
                row,
                code="run_timeout",
                message=f"OpenAI run timeout: there was no answer within {seconds} s.",
                status=504,
            )
        _finish_run(simulation.run, Run.Outcome.CANCELLED, usage)


def fail_simulation(
    row: SimulationQuerySet, *, code: str, message: str, status: int, **fields: Any
) -> bool:
    return row.transition(
        Status.FAILED, error_code=code, error_message=message, error_status=status, **fields
    )


def _finish_run(run: Run, outcome: Run.Outcome, usage: Usage) -> None:
    Run.objects.filter(pk=run.pk, finished_at=None).update(
        outcome=outcome,
        finished_at=Now(),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )


def describe_end(result: RunSnapshot) -> dict[str, Any]:
    if result.refusal:
        return {
            "code": "refused",
            "message": f"The assistant declined to answer: {result.refusal}",
            "status": 502,
        }
    if result.state is RunState.COMPLETED:
        return {
            "code": "empty_answer",
            "message": "The assistant's answer was empty. Rephrase the query and submit it again.",
            "status": 502,
        }
    reason = f" ({result.reason})" if result.reason else ""
    return {
        "code": f"run_{result.status}",
        "message": f"Assistant run failed with status: {result.status}{reason}",
        "status": 502,
    }


def describe_refusal(error: ProviderError) -> dict[str, Any]:
    """A failure that trying again won't cure.

    The provider's own words can name organisations and keys: they go to the administrators.
    """
    if error.status in {401, 403} or error.code == "not_configured":
        return {
            "code": "provider_auth",
            "message": "The provider refused the site's credentials. An administrator must check "
            "OPENAI_API_KEY and what it may use.",
            "status": 503,
            "error_detail": error.message,
        }
    return {
        "code": error.code,
        "message": f"The provider refused the request ({error.code}). An administrator can see "
        "its reasons beside this simulation.",
        "status": 502,
        "error_detail": error.message,
    }
