from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.audit import Audited, AuditedQuerySet
from accounts.models import Module, User
from simulations.cron import (
    in_words,
    names_no_place,
    times_after,
    validate_schedule,
    validate_time_zone,
)
from simulations.models.assistant import Assistant
from simulations.models.simulation import Simulation
from simulations.models.status import ACTIVE

SHOWN_TIMES = 3


class AgentQuerySet(AuditedQuerySet["Agent"]):
    def due(self) -> "AgentQuerySet":
        return self.filter(next_run_at__lte=Now())

    def claim(self, agent: "Agent", next_run_at: datetime | None) -> bool:
        """Puts a due agent off to its next time; True for one caller alone.

        However many times were missed, they are one run.
        """
        return self.due().filter(pk=agent.pk).update(next_run_at=next_run_at) == 1


class Agent(Audited):
    """A saved question that is asked on its owner's behalf: on request or by a schedule."""

    name = models.CharField(
        max_length=100,
        unique=True,
        error_messages={"unique": "Another agent has this name: choose another one."},
    )
    query = models.TextField(
        validators=[MaxLengthValidator(Simulation.QUERY_LIMIT)],
        help_text=f"Up to {Simulation.QUERY_LIMIT:,} characters.",
    )
    assistant = models.ForeignKey(
        Assistant,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="agents",
        help_text="Empty: the one that is the default when it runs.",
    )
    owner = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        related_name="agents",
        help_text="Runs count against this user's monthly limit and are theirs to read.",
    )
    is_enabled = models.BooleanField("enabled", default=True)
    schedule = models.CharField(
        max_length=100,
        blank=True,
        validators=[validate_schedule],
        help_text="A cron expression: minute, hour, day of the month, month, day of the week. "
        "“0 9 * * 1-5” is 09:00 from Monday to Friday. Empty: it runs on request alone.",
    )
    time_zone = models.CharField(
        max_length=64, default="UTC", validators=[validate_time_zone], help_text="Of the schedule."
    )
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AgentQuerySet.as_manager()
    # The engine's.
    not_audited = frozenset({"next_run_at"})

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(
                fields=["next_run_at"], name="agent_due", condition=Q(next_run_at__isnull=False)
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(next_run_at=None) | (Q(is_enabled=True) & ~Q(schedule="")),
                name="agent_due_while_scheduled",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A changed plan sets the next time anew; any other change leaves it to the engine."""
        with transaction.atomic():
            before = Agent.objects.select_for_update().filter(pk=self.pk).first()
            is_same = before is not None and before.plan == self.plan
            next_run_at = before.next_run_at if is_same else None
            self.next_run_at = next_run_at or self.time_after(timezone.now())
            super().save(*args, **kwargs)

    def clean(self) -> None:
        is_stored = Agent.objects.filter(pk=self.pk, time_zone=self.time_zone).exists()
        if names_no_place(self.time_zone) and not is_stored:
            raise ValidationError(
                {
                    "time_zone": f"“{self.time_zone}” is an abbreviation or an old name. "
                    "Name the time zone of a place, such as Europe/Vienna, or UTC."
                }
            )
        owner = getattr(self, "owner", None)
        if self.is_enabled and owner and (obstacle := obstacle_of(owner)):
            raise ValidationError({"owner": f"{obstacle} The agent could never run."})

    @property
    def plan(self) -> tuple[bool, str, str]:
        return self.is_enabled, self.schedule, self.time_zone

    @property
    def schedule_in_words(self) -> str:
        return in_words(self.schedule, self.time_zone) if self.schedule else "On request"

    @property
    def next_times(self) -> list[datetime]:
        """The next few, in the schedule's time zone; the first may be overdue.

        Empty also where that time zone is known no longer.
        """
        if self.next_run_at is None:
            return []
        later = times_after(self.next_run_at, self.schedule, self.time_zone)
        try:
            return [self.next_run_at, *islice(later, SHOWN_TIMES - 1)]
        except ZoneInfoNotFoundError:
            return []

    def time_after(self, moment: datetime) -> datetime | None:
        if not (self.is_enabled and self.schedule):
            return None
        return next(times_after(moment, self.schedule, self.time_zone), None)

    def obstacle(self) -> str:
        """Why it can't run now, apart from quota and assistant; empty where it can."""
        if not self.is_enabled:
            return "The agent is not enabled."
        if obstacle := obstacle_of(self.owner):
            return obstacle
        if self.runs.filter(simulation__status__in=ACTIVE).exists():
            return "Its run before is still active."
        return ""

    def note_skip(self, reason: str) -> None:
        """As a run of its own, unless the one before was skipped for the same reason."""
        now, latest = timezone.now(), self.runs.first()
        if latest and latest.skipped == reason:
            self.runs.filter(pk=latest.pk).update(times=F("times") + 1, at=now)
        else:
            self.runs.create(skipped=reason, at=now, since=now)


def obstacle_of(owner: User) -> str:
    if not owner.is_active:
        return "Its owner is disabled."
    if not owner.has_module(Module.SIMULATIONS):
        return f"Its owner has no access to module: {Module.SIMULATIONS}."
    return ""


class AgentRunQuerySet(models.QuerySet["AgentRun"]):
    def latest_of(self, agents: Sequence[Agent]) -> dict[int, "AgentRun"]:
        """By the agent's id."""
        newest = self.filter(agent=models.OuterRef("agent")).values("pk")[:1]
        latest = self.filter(agent__in=agents, pk=models.Subquery(newest))
        return {run.agent_id: run for run in latest.select_related("simulation")}


class AgentRun(models.Model):
    """A run of an agent, or the times in a row that it was skipped for one reason."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="runs")
    simulation = models.OneToOneField(
        Simulation, on_delete=models.CASCADE, null=True, related_name="agent_run"
    )
    started_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", help_text="None: a schedule."
    )
    skipped = models.TextField(blank=True, help_text="Why it did not run.")
    times = models.PositiveIntegerField(default=1)
    since = models.DateTimeField(default=timezone.now)
    at = models.DateTimeField(default=timezone.now)

    objects = AgentRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["agent", "-id"], name="agent_run_recent")]
        constraints = [
            models.CheckConstraint(
                condition=Q(simulation=None) ^ Q(skipped=""), name="agent_run_or_skip"
            )
        ]

    def __str__(self) -> str:
        return self.skipped or str(self.simulation_id)

    @property
    def outcome(self) -> str:
        return self.simulation.get_status_display() if self.simulation else "Skipped"
