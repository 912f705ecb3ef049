"""What was asked of the provider, and what it may have billed."""

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now


class RunQuerySet(models.QuerySet["Run"]):
    def billed(self) -> "RunQuerySet":
        """Those the provider may ask money for."""
        return self.filter(outcome__in=Run.Outcome.billed())

    def extra(self) -> "RunQuerySet":
        """Those that may have been billed beside the one that counts."""
        return self.filter(outcome__in=[Run.Outcome.LOST, Run.Outcome.UNWANTED])

    def to_discard(self) -> "RunQuerySet":
        return self.filter(discard_due_at__isnull=False)

    def discard_due(self) -> "RunQuerySet":
        return self.filter(discard_due_at__lte=Now())

    def discard(self, fault: "Run.Fault", after: timedelta = timedelta(0)) -> int:
        """Marks runs that nobody wants: each is ended upstream, if it is there."""
        return self.filter(finished_at=None).update(
            outcome=Run.Outcome.UNWANTED,
            fault=Case(When(fault="", then=Value(fault)), default=F("fault")),
            # Plain where it can be: SQLite writes sums with more digits, and compares text.
            discard_due_at=Now() + after if after else Now(),
            looks=0,
            refusals=0,
        )


class Run(models.Model):
    """One call that can cost money: written as the intent before it is sent."""

    class Outcome(models.TextChoices):
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        REJECTED = "rejected", "Refused by the provider, not billed"
        LOST = "lost", "Sent, but never found again: may have been billed"
        UNWANTED = "unwanted", "Not wanted any more, ended upstream"
        SAME = "same", "The same run as another of this simulation's"

        @classmethod
        def billed(cls) -> list[str]:
            """Of what the provider may ask money for, once; an open run has none yet."""
            return ["", *(outcome for outcome in cls if outcome not in (cls.REJECTED, cls.SAME))]

    class Fault(models.TextChoices):
        """What Sitrep itself finds wrong with a call; else it is the provider's error code."""

        NO_ANSWER = "no_answer", "No answer was saved: the worker ended or was held up"
        MOVED_ON = "moved_on", "Accepted after its simulation had moved on"
        CANCELLED = "cancelled", "Cancelled by a user during the call"
        NOT_ENDED = "not_ended", "Could not be ended in time"
        FORGOTTEN = "forgotten", "The provider did not know it any more"
        INTERNAL = "internal_error", "Its simulation could not be worked on"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    simulation = models.ForeignKey("Simulation", on_delete=models.CASCADE, related_name="runs")
    round = models.PositiveSmallIntegerField(default=1)
    assistant_revision = models.ForeignKey(
        "simulations.AssistantRevision",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The assistant as it was for this run; unknown before there were revisions.",
    )
    model = models.CharField(
        max_length=255,
        blank=True,
        help_text="What was asked for: a model or, on the assistants protocol, a remote assistant.",
    )
    requested_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=512, blank=True, db_index=True)
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True)
    fault = models.CharField(
        max_length=64,
        blank=True,
        help_text="The code of what went wrong, if anything did: one of ours or the provider's.",
    )
    fault_detail = models.CharField(
        max_length=500, blank=True, help_text="The provider's words; only administrators see them."
    )
    looks = models.PositiveSmallIntegerField(
        default=0, help_text="How often it was looked for upstream after its answer went missing."
    )
    refusals = models.PositiveSmallIntegerField(
        default=0, help_text="How often the provider refused calls about it since it last answered."
    )
    adopted = models.BooleanField(
        default=False, help_text="Found upstream after its answer went missing."
    )
    discard_due_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is next to be ended upstream; unwanted runs only."
    )
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    total_tokens = models.PositiveIntegerField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["requested_at"]
        indexes = [
            models.Index(
                fields=["discard_due_at"],
                name="run_to_discard",
                condition=Q(discard_due_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.provider_id or str(self.id)

    @property
    def fault_message(self) -> str:
        """In words, where the code is one of ours."""
        return dict(self.Fault.choices).get(self.fault, self.fault)

    @property
    def is_known(self) -> bool:
        """Whether the provider is known to have accepted it."""
        return bool(self.provider_id) or self.adopted


class ToolCall(models.Model):
    """A tool that the assistant called, and what it was given back."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tool_calls")
    round = models.PositiveSmallIntegerField(help_text="Of tool calls within the simulation.")
    position = models.PositiveSmallIntegerField()
    call_id = models.CharField(max_length=512)
    name = models.CharField(max_length=128)
    arguments = models.TextField(blank=True)
    output = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["round", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "round", "position"], name="tool_call_position")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.call_id})"


class WebhookHint(models.Model):
    """A run that a webhook named before its id was saved here; forgotten after five minutes."""

    VALIDITY = timedelta(minutes=5)

    run_id = models.CharField(max_length=512, primary_key=True)
    received_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.run_id
