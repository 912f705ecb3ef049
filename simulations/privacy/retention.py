"""How long data is kept, by kind, and what happens to it then.

Nothing of the current month (UTC) is touched, since limits are counted from its rows, and nothing
that is still going on.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.audit import AuditEntry
from accounts.sessions import BrowserSession
from simulations.models import (
    TERMINAL,
    Conversation,
    EarlierAnswer,
    Erasure,
    RemoteDeletion,
    Run,
    Simulation,
    ToolCall,
)
from simulations.providers import continues_runs
from simulations.quota import month_bounds

BATCH = 200


def cutoff(days: int) -> datetime | None:
    """What is older may go; None: it is kept for ever."""
    if not days:
        return None
    now = timezone.now()
    return min(now - timedelta(days=days), month_bounds(now)[0])


def over_before(moment: datetime) -> QuerySet[Simulation]:
    open_runs = Run.objects.to_discard().filter(simulation=OuterRef("pk"))
    return Simulation.objects.filter(~Exists(open_runs), status__in=TERMINAL, created_at__lt=moment)


def raw_answers(moment: datetime) -> QuerySet[Simulation]:
    return over_before(moment).exclude(raw_answer="")


def forget_raw_answers(rows: list[Any]) -> None:
    """Also deletes earlier answers: they contain more of the raw text."""
    EarlierAnswer.objects.filter(simulation__in=rows).delete()
    Simulation.objects.filter(pk__in=rows).update(raw_answer="")


def prompts(moment: datetime) -> QuerySet[Simulation]:
    return over_before(moment).exclude(prompt="")


def forget_prompts(rows: list[Any]) -> None:
    """Also empties tool calls: their outputs were sent in the same conversation."""
    Simulation.objects.filter(pk__in=rows).update(prompt="")
    ToolCall.objects.filter(run__simulation__in=rows).update(output="", arguments="")


def forget_simulations(rows: list[Any], erasure: Erasure | None = None) -> None:
    """Here, and then at the provider: a conversation there goes with its last question."""
    conversations = list(
        Conversation.objects.filter(simulations__in=rows).values_list("pk", flat=True).distinct()
    )
    runs = list(
        Run.objects.filter(simulation__in=rows)
        .exclude(provider_id="")
        .values_list("provider_id", "simulation__conversation__protocol")
    )
    Simulation.objects.filter(pk__in=rows).delete()
    empty = Conversation.objects.filter(pk__in=conversations, simulations=None)
    deletions = [
        RemoteDeletion(protocol=protocol, kind=RemoteDeletion.Kind.RUN, provider_id=provider_id)
        for provider_id, protocol in runs
        if not continues_runs(protocol)  # else they go with their thread
    ]
    deletions += [
        RemoteDeletion(
            protocol=conversation.protocol,
            kind=RemoteDeletion.Kind.CONVERSATION,
            provider_id=conversation.provider_id,
        )
        for conversation in empty
        if conversation.provider_id
    ]
    for deletion in deletions:
        deletion.erasure = erasure
    RemoteDeletion.objects.bulk_create(deletions)
    empty.delete()


def forget_entries(rows: list[Any]) -> None:
    AuditEntry.objects.filter(pk__in=rows).unguarded().delete()


def delete(model: type[Any]) -> Callable[[list[Any]], None]:
    return lambda rows: model.objects.filter(pk__in=rows).delete() and None


# Kind: the setting of its days, and pairs of what is too old and how a batch of it goes.
RULES: dict[str, tuple[str, list[tuple[Callable[..., QuerySet[Any]], Callable[..., None]]]]] = {
    "raw answers": ("RETAIN_RAW_ANSWERS_DAYS", [(raw_answers, forget_raw_answers)]),
    "prompts": ("RETAIN_PROMPTS_DAYS", [(prompts, forget_prompts)]),
    "simulations": ("RETAIN_SIMULATIONS_DAYS", [(over_before, forget_simulations)]),
    "audit": (
        "RETAIN_AUDIT_DAYS",
        [
            (lambda moment: AuditEntry.objects.filter(at__lt=moment), forget_entries),
            (lambda moment: LogEntry.objects.filter(action_time__lt=moment), delete(LogEntry)),
            (
                lambda moment: AccessAttempt.objects.filter(attempt_time__lt=moment),
                delete(AccessAttempt),
            ),
        ],
    ),
}


def count_old(kind: str) -> int:
    setting, parts = RULES[kind]
    moment = cutoff(getattr(settings, setting))
    return sum(select(moment).count() for select, _ in parts) if moment else 0


def forget_batch(kind: str) -> int:
    """Forgets up to BATCH rows, the oldest first, in a transaction of their own."""
    setting, parts = RULES[kind]
    moment = cutoff(getattr(settings, setting))
    if moment is None:
        return 0
    for select, forget in parts:
        with transaction.atomic():
            rows = list(select(moment).order_by("pk").values_list("pk", flat=True)[:BATCH])
            if rows:
                forget(rows)
                return len(rows)
    return 0


def forget_expired_sessions() -> None:
    BrowserSession.objects.filter(expire_date__lt=timezone.now()).delete()
