"""What the provider's answers mean for a simulation, written down by conditional UPDATEs."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, When
from django.db.models.functions import Now

from config.database import DATABASE_AWAY
from simulations.answer_rules.current import current_rules
from simulations.models import (
    ACTIVE,
    ErrorCode,
    Run,
    Simulation,
    SimulationQuerySet,
    Status,
    StopReason,
    ToolCall,
    WebhookHint,
)
from simulations.monitoring.pulse import pulse
from simulations.prepared import PreparedUpdate, Update
from simulations.providers import continues_runs
from simulations.providers.base import RunSnapshot, RunState, TokenUsage
from simulations.queue.pacing import first_wait, has_webhooks
from simulations.sanitizing.cleaner import presentable
from simulations.turns.failures import describe_end, describe_stop
from simulations.turns.tools import MAX_CALLS, MAX_ROUNDS, TOO_MANY_CALLS

logger = logging.getLogger(__name__)

NO_USAGE = TokenUsage()
# Characters that are kept of what a provider says of a failure.
LONGEST_DETAIL = 10_000


def accept_run(
    simulation: Simulation,
    run: Run,
    result: RunSnapshot,
    *,
    first_look: float,
    adopted: bool = False,
) -> None:
    """Saves an accepted run's id, whatever happened to its row meanwhile: it costs money.

    A run that nobody wants any more is marked to be ended upstream.
    """
    is_active = result.state is RunState.ACTIVE
    delay = first_wait(result.poll_after, first_look) if is_active else timedelta(0)
    row = Simulation.objects.filter(pk=simulation.pk)
    with transaction.atomic():
        begin = begin_first_round if run.round == 1 else begin_later_round
        is_wanted = begin(simulation.pk, run.pk, run.round - 1, delay)
        _save_id(run, result.id, adopted)
        if not is_wanted:
            _accept_in_vain(row, run, result.id)
    if is_wanted:
        _heed_webhook(simulation, result.id)


def _accept_in_vain(row: SimulationQuerySet, run: Run, provider_id: str) -> None:
    """Somebody else may have found this very run, and wait for it or be done with it."""
    if provider_id and row.filter(run__provider_id=provider_id).exclude(run=run.pk).exists():
        Run.objects.filter(pk=run.pk).update(outcome=Run.Outcome.SAME, finished_at=Now())
    elif not row.filter(run=run.pk, status__in=[Status.RUNNING, Status.COMPLETED]).exists():
        Run.objects.filter(pk=run.pk).discard(Run.Fault.MOVED_ON)


@PreparedUpdate
def begin_first_round(pk: UUID, run: UUID, tool_rounds: int, delay: timedelta) -> Update:
    row = Simulation.objects.filter(pk=pk, status=Status.PENDING, run=run, tool_rounds=tool_rounds)
    changes = {
        "started_at": Now(),
        "round_started_at": Now(),
        "due_at": Now() + delay,
        "failed_attempts": 0,
    }
    return Update(*row.to_transition(Status.RUNNING, **changes))


@PreparedUpdate
def begin_later_round(pk: UUID, run: UUID, tool_rounds: int, delay: timedelta) -> Update:
    """One that is to be stopped is due at once."""
    row = Simulation.objects.filter(pk=pk, awaits_outputs=True, run=run, tool_rounds=tool_rounds)
    changes = {
        "round_started_at": Now(),
        "awaits_outputs": False,
        "due_at": Case(When(stop_reason="", then=Now() + delay), default=Now()),
        "failed_attempts": 0,
    }
    return Update(*row.to_transition(Status.RUNNING, **changes))


def _save_id(run: Run, provider_id: str, adopted: bool) -> None:
    """A run that was given up as lost is not lost any more."""
    if not save_id(run.pk, provider_id):
        lost = Run.objects.filter(pk=run.pk)
        lost.update(outcome="", finished_at=None, provider_id=provider_id, accepted_at=Now())
    if adopted:
        Run.objects.filter(pk=run.pk).update(adopted=True, refusals=0)


@PreparedUpdate
def save_id(pk: UUID, provider_id: str) -> Update:
    found = Run.objects.filter(pk=pk).exclude(outcome=Run.Outcome.LOST)
    return Update(found, {"provider_id": provider_id, "accepted_at": Now()})


def _heed_webhook(simulation: Simulation, run_id: str) -> None:
    """A webhook may have come before the id it names was saved."""
    if has_webhooks(simulation.conversation.protocol):
        heed_hint(simulation.pk, run_id)


@PreparedUpdate
def heed_hint(pk: UUID, run_id: str) -> Update:
    hint = WebhookHint.objects.filter(pk=run_id)
    return Update(
        Simulation.objects.filter(Exists(hint), pk=pk, status=Status.RUNNING), {"due_at": Now()}
    )


def settle(simulation: Simulation, run: Run, result: RunSnapshot) -> None:
    """Applies a run's end. Not fenced: a slow poll must not keep a finished run from ending."""
    if result.state is RunState.CALLS_TOOLS:
        request_tools(simulation, run, result)
        return
    row = Simulation.objects.filter(pk=simulation.pk, run=run.pk)
    if result.state is RunState.CANCELLED:
        # Since the claim, a user may have asked for it and another worker have done it.
        simulation.refresh_from_db(fields=["stop_reason"])
    has_answer = result.state is RunState.COMPLETED and bool(result.text.strip())
    # Before the transaction: it may write down a version that others are to know.
    answer, rules_version = clean(result.text) if has_answer else ("", None)
    with transaction.atomic():
        if has_answer:
            tokens = _all_tokens(simulation, result.usage)
            complete(simulation.pk, run.pk, result.text, answer, rules_version, tokens)
        elif result.state is RunState.CANCELLED and simulation.stop_reason:
            settle_stopped(simulation, result.usage)
        else:
            used = _all_tokens(simulation, result.usage)
            fail_simulation(row, tokens_used=used, **describe_end(result))
            _save_reason(run, result)
        _finish_run(run, Run.Outcome(result.state.value), result.usage)


def _save_reason(run: Run, result: RunSnapshot) -> None:
    if result.reason_code or result.reason:
        unfinished = Run.objects.filter(pk=run.pk, finished_at=None)
        unfinished.update(fault=result.reason_code, fault_detail=result.reason[:500])


def clean(text: str) -> tuple[str, int | None]:
    """An answer and the version of the rules that it was cleaned with.

    None where that failed, for whatever reason: the answer is paid for, and is kept as it came, but
    for what could deceive its readers.
    """
    try:
        rules = current_rules(settings.CURATION_MAX_AGE)
        return rules.cleaner.answer_of(text), rules.version
    except DATABASE_AWAY:
        raise  # the same result is applied again
    except Exception:
        logger.exception("An answer could not be cleaned: it is kept as it came")
        return presentable(text), None


@PreparedUpdate
def complete(
    pk: UUID, run: UUID, raw_answer: str, answer: str, rules_version: int | None, tokens: int | None
) -> Update:
    row = Simulation.objects.filter(pk=pk, run=run)
    changes = {
        "raw_answer": raw_answer,
        "answer": answer,
        "rules_version": rules_version,
        "tokens_used": tokens,
    }
    return Update(*row.to_transition(Status.COMPLETED, **changes))


def _all_tokens(simulation: Simulation, usage: TokenUsage) -> int | None:
    """Tokens of all rounds; None where those of any round are unknown."""
    counts = [usage.total_tokens]
    if simulation.tool_rounds:
        earlier = simulation.runs.filter(round__lte=simulation.tool_rounds, outcome="completed")
        counts += earlier.values_list("total_tokens", flat=True)
    return None if None in counts else sum(counts)


def request_tools(simulation: Simulation, run: Run, result: RunSnapshot) -> None:
    """Notes the calls that are to be answered in the next step, or that there were too many."""
    rounds = simulation.tool_rounds
    row = Simulation.objects.filter(
        pk=simulation.pk,
        run=run.pk,
        status__in=ACTIVE,
        awaits_outputs=False,
        tool_rounds=rounds,
    )
    changes: dict[str, Any] = {"awaits_outputs": True, "tool_rounds": rounds + 1}
    if rounds >= MAX_ROUNDS:
        row = row.filter(stop_reason="")
        changes = {"stop_reason": StopReason.TOOL_LIMIT, "stop_requested_at": Now()}
    with transaction.atomic():
        if not row.transition(Status.RUNNING, due_at=Now(), failed_attempts=0, **changes):
            return
        ToolCall.objects.bulk_create(
            ToolCall(
                run=run,
                round=rounds + 1,
                position=position,
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                output=TOO_MANY_CALLS if position > MAX_CALLS else "",
            )
            for position, call in enumerate(result.tool_calls, start=1)
        )
        if not continues_runs(simulation.conversation.protocol):
            _finish_run(run, Run.Outcome.COMPLETED, result.usage)


def settle_stopped(simulation: Simulation, usage: TokenUsage = NO_USAGE) -> None:
    """Ends a simulation whose run was stopped, by the reason it was stopped for."""
    row = Simulation.objects.filter(pk=simulation.pk, run=simulation.run_id)
    with transaction.atomic():
        if simulation.stop_reason == StopReason.CANCEL:
            row.transition(Status.CANCELLED)
        else:
            fail_simulation(row, **describe_stop(simulation.stop_reason))
        _finish_run(simulation.run, Run.Outcome.CANCELLED, usage)


def fail_simulation(
    row: SimulationQuerySet, *, code: ErrorCode, message: str, error_detail: str = "", **fields: Any
) -> bool:
    described = {
        "error_code": code,
        "error_message": message,
        "error_status": code.http_status,
        "error_detail": error_detail[:LONGEST_DETAIL],
    }
    return row.transition(Status.FAILED, **described, **fields)


def _finish_run(run: Run, outcome: Run.Outcome, usage: TokenUsage) -> None:
    tokens = usage.input_tokens, usage.output_tokens, usage.total_tokens
    if finish(run.pk, outcome, *tokens):
        pulse.count_tokens(usage)


@PreparedUpdate
def finish(pk: UUID, outcome: str, input_tokens: int, output_tokens: int, tokens: int) -> Update:
    changes = {
        "outcome": outcome,
        "finished_at": Now(),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": tokens,
    }
    return Update(Run.objects.filter(pk=pk, finished_at=None), changes)


def finish_discard(
    run: Run, usage: TokenUsage = NO_USAGE, outcome: str = Run.Outcome.UNWANTED
) -> None:
    Run.objects.filter(pk=run.pk).update(discard_due_at=None)
    _finish_run(run, outcome, usage)
