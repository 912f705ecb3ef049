"""Taking rows that are due, so that nobody else does, on the database's clock."""

from collections.abc import Collection
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, QuerySet, When
from django.db.models.functions import Now

from simulations.models import Agent, Run, Simulation
from simulations.prepared import PreparedUpdate, Update
from simulations.queue.pacing import Pacing, next_poll

# All that asking for a run needs; queries and prompts stay where they are.
POLL_FIELDS = [
    "assistant_id",
    "awaits_outputs",
    "conversation__protocol",
    "conversation__provider_id",
    "due_at",
    "failed_attempts",
    "opened_at",
    "owner_id",
    "request_id",
    "round_started_at",
    "run__adopted",
    "run__finished_at",
    "run__provider_id",
    "run__refusals",
    "run__round",
    "status",
    "step_number",
    "stop_reason",
    "stop_requested_at",
    "tool_rounds",
    "turn_anchor",
]
# Put together once: that costs more CPU than the queries do.
DUE_FIRST = (
    Simulation.objects.due()
    .order_by("due_at")
    .select_for_update(skip_locked=True, of=("self",))
    .select_related("conversation", "run")
    .only(*POLL_FIELDS)
    .annotate(claimed_at=Now())
)
WITH_DETAILS = Simulation.objects.select_related(
    "owner", "assistant", "conversation", "run"
).with_assistant_revision()


class Work(NamedTuple):
    """What there is to do."""

    is_due: bool
    is_queued: bool
    is_unwanted: bool
    is_agent_due: bool


def look_for_work() -> Work:
    """One query, without a transaction: all that an idle tick costs."""
    with connection.cursor() as cursor:
        cursor.execute(*_questions(connection.vendor))
        return Work(*map(bool, cursor.fetchone()))


@cache
def _questions(vendor: str) -> tuple[str, list[Any]]:
    waiting: list[QuerySet[Any]] = [
        Simulation.objects.due(),
        Simulation.objects.queued(),
        Run.objects.discard_due(),
        Agent.objects.due(),
    ]
    parts = [rows.query.exists().get_compiler(connection=connection).as_sql() for rows in waiting]
    questions = ", ".join(f"EXISTS({sql})" for sql, _ in parts)
    return f"SELECT {questions}", [value for _, values in parts for value in values]


def claim(limit: int, pacing: Pacing, under_way: Collection[UUID] = ()) -> list[Simulation]:
    """Takes up to `limit` due rows, but for those that are `under_way` in this process.

    A row to be polled is due again at its next poll, which needs no further write where nothing
    has changed; any other has a lease. `claimed_at` is the moment on the database's clock.
    """
    with transaction.atomic():
        claimed = list(DUE_FIRST.exclude(pk__in=under_way)[:limit])
        for protocol in {row.conversation.protocol for row in claimed}:
            rows = [row.pk for row in claimed if row.conversation.protocol == protocol]
            interval = timedelta(seconds=pacing.interval_of(protocol))
            take(rows, settings.STEP_LEASE, interval, settings.RUN_TIMEOUT)
        for row in claimed:
            row.step_number += 1
        # Before the claim is committed: what is cancelled from then on is fenced off.
        return _with_details(claimed)


@PreparedUpdate
def take(rows: list[UUID], lease: timedelta, interval: timedelta, run_timeout: timedelta) -> Update:
    polled = When(Simulation.POLLED, then=next_poll(interval, run_timeout))
    due_at = Case(polled, default=Now() + lease)
    changes = {"due_at": due_at, "step_number": F("step_number") + 1}
    return Update(Simulation.objects.filter(pk__in=rows), changes)


def _with_details(claimed: list[Simulation]) -> list[Simulation]:
    """The rows that are more than polled, whole."""
    others = [row for row in claimed if not row.is_polled]
    whole = WITH_DETAILS.in_bulk([row.pk for row in others])
    for row in others:
        whole[row.pk].claimed_at = row.claimed_at
        whole[row.pk].step_number = row.step_number
    return [whole.get(row.pk, row) for row in claimed]


def claim_unwanted(limit: int, under_way: Collection[UUID] = ()) -> list[Run]:
    """Takes up to `limit` runs that are to be ended upstream."""
    due = Run.objects.discard_due().exclude(pk__in=under_way)
    with transaction.atomic():
        locked = due.select_for_update(skip_locked=True).order_by("discard_due_at")
        ids = list(locked.values_list("pk", flat=True)[:limit])
        claimed = Run.objects.filter(pk__in=ids)
        claimed.update(discard_due_at=Now() + settings.STEP_LEASE)
    related = ("simulation__owner", "simulation__assistant", "simulation__conversation")
    return list(claimed.select_related(*related).annotate(claimed_at=Now()))
