"""What the provider's answers mean for a simulation, written down by conditional UPDATEs."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from simulations.models import Run, Simulation, SimulationQuerySet, Status, StopReason
from simulations.providers.base import ProviderError, RunSnapshot, RunState
from simulations.sanitizing import sanitize_answer


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
    Run.objects.filter(pk=run.pk).update(provider_id=result.id, accepted_at=Now(), adopted=adopted)
    wanted = Simulation.objects.filter(pk=simulation.pk, run=run.pk)
    is_active = result.state is RunState.ACTIVE
    delay = (result.poll_after or poll_interval) if is_active else 0.0
    if wanted.filter(status=Status.PENDING).transition(
        Status.RUNNING,
        started_at=Now(),
        due_at=Now() + timedelta(seconds=delay),
        failed_attempts=0,
    ):
        return True
    if wanted.filter(status=Status.RUNNING).exists():
        return True
    Run.objects.filter(pk=run.pk).update(outcome=Run.Outcome.UNWANTED, finished_at=Now())
    return False


def settle(simulation: Simulation, run: Run, result: RunSnapshot) -> None:
    """Applies a run's end. Not fenced: a slow poll must not keep a finished run from ending."""
    row = Simulation.objects.filter(pk=simulation.pk, run=run.pk)
    with transaction.atomic():
        if result.state is RunState.COMPLETED and result.text.strip():
            settled = row.transition(
                Status.COMPLETED,
                raw_answer=result.text,
                answer=sanitize_answer(result.text),
                tokens_used=result.usage.total_tokens,
            )
        elif result.state is RunState.CANCELLED and simulation.stop_reason:
            settled = settle_stopped(simulation)
        else:
            settled = fail_simulation(
                row, tokens_used=result.usage.total_tokens, **describe_end(result)
            )
        if settled:
            Run.objects.filter(pk=run.pk).update(
                outcome=result.state.value,
                finished_at=Now(),
                input_tokens=result.usage.input_tokens,
                output_tokens=result.usage.output_tokens,
                total_tokens=result.usage.total_tokens,
            )


def settle_stopped(simulation: Simulation) -> bool:
    row = Simulation.objects.filter(pk=simulation.pk, run=simulation.run_id)
    Run.objects.filter(pk=simulation.run_id, finished_at=None).update(
        outcome=Run.Outcome.CANCELLED, finished_at=Now()
    )
    if simulation.stop_reason == StopReason.CANCEL:
        return row.transition(Status.CANCELLED)
    seconds = int(settings.RUN_TIMEOUT.total_seconds())
    return fail_simulation(
        row,
        code="run_timeout",
        message=f"OpenAI run timeout: there was no answer within {seconds} s.",
        status=504,
    )


def fail_simulation(
    row: SimulationQuerySet,
    *,
    code: str,
    message: str,
    status: int,
    **fields: Any,
) -> bool:
    return row.transition(
        Status.FAILED, error_code=code, error_message=message, error_status=status, **fields
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
    """A failure that trying again won't cure, with what the operator can do where it is known."""
    if error.status in {401, 403}:
        return {
            "code": "provider_auth",
            "message": "The provider refused the site's credentials. An administrator must check "
            "OPENAI_API_KEY and what it may use.",
            "status": 503,
        }
    return {
        "code": error.code[:64],
        "message": f"The provider refused the request: {error.message}",
        "status": 502,
    }
