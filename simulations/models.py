import uuid
from typing import Any

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Role, User
from simulations.prompts import DEFAULT_INSTRUCTIONS


class Status(models.TextChoices):
    PENDING = "PENDING", "Waiting"
    RUNNING = "RUNNING", "Running"
    COMPLETED = "COMPLETED", "Completed"
    FAILED = "FAILED", "Failed"
    CANCELLED = "CANCELLED", "Cancelled"


# What may follow what. Terminal states absorb.
TRANSITIONS = {
    Status.PENDING: {Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED},
    Status.RUNNING: {Status.COMPLETED, Status.FAILED, Status.CANCELLED},
}
ACTIVE = list(TRANSITIONS)


class StopReason(models.TextChoices):
    """Why a run that is still going upstream is to be stopped there."""

    TIMEOUT = "timeout", "Out of time"
    CANCEL = "cancel", "Cancelled by a user"


class AssistantManager(models.Manager["Assistant"]):
    def current(self) -> "Assistant":
        """The default assistant; the first one is made on first use."""
        assistant, _ = self.get_or_create(is_default=True, defaults={"name": "Sitrep"})
        return assistant

    @transaction.atomic
    def make_default(self, assistant: "Assistant") -> None:
        self.exclude(pk=assistant.pk).update(is_default=False)
        self.filter(pk=assistant.pk).update(is_default=True)


class Assistant(models.Model):
    """Who answers: model and instructions, or a remote assistant's id, by protocol."""

    name = models.CharField(max_length=100)
    model = models.CharField(
        max_length=100, blank=True, help_text="Empty: OPENAI_MODEL of the environment."
    )
    remote_id = models.CharField(
        max_length=100,
        blank=True,
        help_text="For the assistants protocol. Empty: OPENAI_ASSISTANT_ID of the environment.",
    )
    instructions = models.TextField(default=DEFAULT_INSTRUCTIONS)
    max_output_tokens = models.PositiveIntegerField(
        default=4000, validators=[MinValueValidator(16, "Providers ask for 16 or more.")]
    )
    is_default = models.BooleanField(default=False)

    objects = AssistantManager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="assistant_one_default"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def model_name(self) -> str:
        return self.model or settings.OPENAI_MODEL

    @property
    def remote_assistant_id(self) -> str:
        return self.remote_id or settings.OPENAI_ASSISTANT_ID


class Conversation(models.Model):
    """A provider's conversation or thread. It keeps the protocol that opened it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="conversations")
    protocol = models.CharField(max_length=16)
    provider_id = models.CharField(max_length=512, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.provider_id or str(self.id)


class SimulationQuerySet(models.QuerySet["Simulation"]):
    def visible_to(self, user: User) -> "SimulationQuerySet":
        return self if user.has_role(Role.ADMIN) else self.filter(owner=user)

    def active(self) -> "SimulationQuerySet":
        return self.filter(status__in=ACTIVE)

    def charged(self) -> "SimulationQuerySet":
        """What counts against a monthly limit: in flight, or possibly billed by the provider."""
        billed = Run.objects.filter(simulation=models.OuterRef("pk")).exclude(
            outcome=Run.Outcome.REJECTED
        )
        return self.filter(Q(status__in=ACTIVE) | models.Exists(billed))

    def due(self) -> "SimulationQuerySet":
        # A due_at is what makes a row active (a constraint says so): the partial index serves.
        return self.filter(due_at__lte=Now())

    def in_flight(self) -> "SimulationQuerySet":
        return self.filter(due_at__isnull=False, status=Status.RUNNING)

    def transition(self, to: Status, **fields: Any) -> bool:
        """Moves the one row selected to `to` if its state allows it, and says whether it did."""
        sources = [status for status, followers in TRANSITIONS.items() if to in followers]
        if to not in ACTIVE:
            fields |= {"due_at": None, "finished_at": Now()}
        return self.filter(status__in=sources).update(status=to, **fields) == 1


class Simulation(models.Model):
    """One question on its way to an answer; the row is the job."""

    QUERY_LIMIT = 12_000

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="simulations")
    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT, related_name="+")
    conversation = models.ForeignKey(
        Conversation, on_delete=models.RESTRICT, related_name="simulations"
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    query = models.TextField()
    query_truncated = models.BooleanField(default=False)
    prompt = models.TextField(blank=True, help_text="The exact text that was sent.")
    raw_answer = models.TextField(blank=True)
    answer = models.TextField(blank=True)
    tokens_used = models.PositiveIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    error_status = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="The HTTP status the failure stands for."
    )
    error_detail = models.TextField(
        blank=True, help_text="What the provider said; only administrators see it."
    )
    # Not the database's clock: SQLite's has milliseconds, and pages by time need exact order.
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # The engine's columns.
    due_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    step_number = models.PositiveIntegerField(default=0, help_text="The fencing token.")
    failed_attempts = models.PositiveIntegerField(default=0, help_text="Since the last success.")
    claimed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a worker first took it; START_TIMEOUT counts from it.",
    )
    opened_at = models.DateTimeField(
        null=True, blank=True, help_text="When its conversation was ready for the question."
    )
    turn_anchor = models.CharField(
        max_length=512,
        blank=True,
        help_text="Conversation item or message after which this turn's answer is to be found.",
    )
    run = models.OneToOneField(
        "Run",
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="current_for",
        help_text="The run that counts. Others were rejected, lost or superseded.",
    )
    stop_reason = models.CharField(max_length=16, choices=StopReason, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)

    objects = SimulationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="simulation_due",
                condition=Q(due_at__isnull=False),
            ),
            models.Index(fields=["owner", "-created_at", "-id"], name="simulation_owner_recent"),
            models.Index(fields=["-created_at", "-id"], name="simulation_recent"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="simulation_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "RUNNING"], due_at__isnull=False)
                | Q(status__in=["COMPLETED", "FAILED", "CANCELLED"], due_at__isnull=True),
                name="simulation_due_while_active",
            ),
            models.CheckConstraint(
                condition=~Q(status="RUNNING") | Q(run__isnull=False),
                name="simulation_running_has_run",
            ),
            models.UniqueConstraint(
                fields=["conversation"],
                condition=Q(status__in=["PENDING", "RUNNING"], run__isnull=False),
                name="simulation_one_run_per_conversation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    @property
    def is_terminal(self) -> bool:
        return self.status not in ACTIVE

    @property
    def seconds_until_due(self) -> int:
        """When asking again is worth it, for Retry-After and page refreshes: 1 to 5."""
        if self.due_at is None:
            return 1
        seconds = round((self.due_at - timezone.now()).total_seconds())
        # No poll is planned so late: what lies so far ahead is the lease of a call under way.
        is_leased = seconds > 5 and not self.failed_attempts
        return 1 if is_leased else max(1, min(5, seconds))

    @property
    def elapsed_seconds(self) -> int:
        return round(((self.finished_at or timezone.now()) - self.created_at).total_seconds())


class Run(models.Model):
    """One call that can cost money: written as the intent before it is sent."""

    class Outcome(models.TextChoices):
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        REJECTED = "rejected", "Refused by the provider, not billed"
        LOST = "lost", "Sent, but never found again: may have been billed"
        UNWANTED = "unwanted", "Accepted too late, cancelled upstream"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="runs")
    round = models.PositiveSmallIntegerField(default=1)
    requested_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=512, blank=True, db_index=True)
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True)
    fault = models.CharField(
        max_length=500, blank=True, help_text="What went wrong with the call, if anything did."
    )
    looks = models.PositiveSmallIntegerField(
        default=0, help_text="How often it was looked for upstream after its answer went missing."
    )
    adopted = models.BooleanField(
        default=False, help_text="Found upstream after its answer went missing."
    )
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    total_tokens = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["requested_at"]

    def __str__(self) -> str:
        return self.provider_id or str(self.id)


class Citation(models.Model):
    """An article as it was sent with a simulation: a snapshot that later edits can't change."""

    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="citations")
    position = models.PositiveSmallIntegerField()
    article = models.ForeignKey(
        "knowledge.Article", on_delete=models.SET_NULL, null=True, related_name="citations"
    )
    slug = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    category = models.CharField(max_length=100)
    tags = models.JSONField(default=list)
    text = models.TextField(help_text="The article's text as it was sent.")
    truncated = models.BooleanField(default=False)
    keywords = models.JSONField(default=list)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["simulation", "position"], name="citation_position")
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.slug})"
