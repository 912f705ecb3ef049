import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from accounts.models import Role, User
from config.request_id import REQUEST_ID_LENGTH
from knowledge.context import QUERY_LIMIT
from knowledge.revisions import latest_revision_of
from simulations.models.assistant import Assistant
from simulations.models.conversation import Conversation
from simulations.models.run import Run
from simulations.models.status import ACTIVE, TRANSITIONS, Status, StopReason


def sees_all(user: User) -> bool:
    """Whether a user sees other people's simulations too."""
    return user.has_role(Role.ADMIN)


class SimulationQuerySet(models.QuerySet["Simulation"]):
    def visible_to(self, user: User) -> "SimulationQuerySet":
        return self if sees_all(user) else self.filter(owner=user)

    def active(self) -> "SimulationQuerySet":
        return self.filter(status__in=ACTIVE)

    def charged(self) -> "SimulationQuerySet":
        """What counts against a monthly limit: active, or possibly billed by the provider."""
        billed = Run.objects.filter(simulation=models.OuterRef("pk")).billed()
        return self.filter(Q(status__in=ACTIVE) | models.Exists(billed))

    def with_raw_answer(self) -> "SimulationQuerySet":
        """Those with a raw answer, which can be cleaned again."""
        return self.filter(status=Status.COMPLETED).exclude(raw_answer="")

    def uncleaned(self) -> "SimulationQuerySet":
        """Those whose answer is as it came: see `Simulation.is_uncleaned`."""
        return self.filter(status=Status.COMPLETED, rules_version=None)

    def queued(self) -> "SimulationQuerySet":
        """Accepted, and waiting for a place in flight."""
        return self.filter(status=Status.PENDING, admitted_at=None)

    def in_flight(self) -> "SimulationQuerySet":
        """Admitted and not over; a constraint says that these are the rows with a `due_at`."""
        return self.filter(due_at__isnull=False)

    def fenced(self, pk: uuid.UUID, step_number: int) -> "SimulationQuerySet":
        """The row, as long as nobody claimed it since this step and it is not over."""
        return self.active().filter(pk=pk, step_number=step_number)

    def due(self) -> "SimulationQuerySet":
        return self.filter(due_at__lte=Now())

    def with_queue_position(self) -> "SimulationQuerySet":
        """Adds `queue_position`: 1 for the next in line, None for what is not in the queue.

        At most as many go first: a user at the limit of their own is passed over.
        """
        before = (
            Simulation.objects.queued()
            .filter(
                Q(created_at__lt=models.OuterRef("created_at"))
                | Q(created_at=models.OuterRef("created_at"), pk__lt=models.OuterRef("pk"))
            )
            .order_by()
            .values("status")
            .annotate(count=models.Count("pk"))
            .values("count")
        )
        place = Coalesce(models.Subquery(before), 0) + 1
        return self.annotate(
            queue_position=models.Case(
                models.When(status=Status.PENDING, admitted_at=None, then=place),
                output_field=models.PositiveIntegerField(null=True),
            )
        )

    def with_assistant_revision(self) -> "SimulationQuerySet":
        """Adds `assistant_revision_id`: the latest, of the same moment as the assistant itself."""
        return self.annotate(assistant_revision_id=latest_revision_of(Assistant, "assistant_id"))

    def transition(self, to: Status, **fields: Any) -> bool:
        """Moves the one row selected to `to` if its state allows it, and says whether it did."""
        rows, changes = self.to_transition(to, **fields)
        return rows.update(**changes) == 1

    def to_transition(
        self, to: Status, **fields: Any
    ) -> tuple["SimulationQuerySet", dict[str, Any]]:
        """The rows whose state allows it, and what is to be written into them."""
        sources = [status for status, followers in TRANSITIONS.items() if to in followers]
        if to not in ACTIVE:
            fields |= {"due_at": None, "finished_at": Now()}
        return self.filter(status__in=sources), {"status": to, **fields}


class Simulation(models.Model):
    """One question on its way to an answer; the row is the job."""

    QUERY_LIMIT = QUERY_LIMIT

    # Set on one that an idempotency key has brought back.
    is_replay = False

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The lists' indexes begin with it.
    owner = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="simulations", db_index=False
    )
    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT, related_name="+")
    conversation = models.ForeignKey(
        Conversation, on_delete=models.RESTRICT, related_name="simulations"
    )
    retry_of = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retried_as"
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    query = models.TextField()
    query_truncated = models.BooleanField(default=False)
    prompt = models.TextField(blank=True, help_text="The exact text that was sent.")
    raw_answer = models.TextField(blank=True)
    answer = models.TextField(blank=True)
    rules_version = models.ForeignKey(
        "simulations.RulesVersion",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,  # nearly all rows have the same few
        help_text="The answer rules that its answer was cleaned with.",
    )
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

    idempotency_key = models.CharField(max_length=255, blank=True)
    request_digest = models.CharField(
        max_length=64, blank=True, help_text="What the idempotency key was first used for."
    )

    request_id = models.CharField(
        max_length=REQUEST_ID_LENGTH,
        blank=True,
        help_text="Of the request that asked it; in the log lines of its steps.",
    )

    # The engine's columns.
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When it wants its next step; set while it is in flight."
    )
    step_number = models.PositiveIntegerField(default=0, help_text="The fencing token.")
    failed_attempts = models.PositiveIntegerField(default=0, help_text="Since the last success.")
    admitted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it got its place in flight; START_TIMEOUT counts from it.",
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
        Run,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="current_for",
        help_text="The run that counts. Others were rejected, lost or superseded.",
    )
    round_started_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its run, or the latest round of it, began; RUN_TIMEOUT counts from it.",
    )
    tool_rounds = models.PositiveSmallIntegerField(
        default=0, help_text="How often the assistant called tools."
    )
    awaits_outputs = models.BooleanField(
        default=False, help_text="Whether the latest tool calls are still to be answered."
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
            models.Index(
                fields=["created_at", "id"],
                name="simulation_queue",
                condition=Q(status="PENDING", admitted_at=None),
            ),
            models.Index(fields=["owner", "-created_at", "-id"], name="simulation_owner_recent"),
            models.Index(fields=["-created_at", "-id"], name="simulation_recent"),
            models.Index(
                fields=["owner", "status", "-created_at", "-id"], name="simulation_owner_status"
            ),
            # It also counts them for the metrics.
            models.Index(fields=["status", "-created_at", "-id"], name="simulation_status"),
            # Usage is counted in it alone, and joined by it with runs: rows are long. It is written
            # once, when one is over.
            models.Index(
                fields=["created_at", "owner", "assistant", "status", "finished_at", "id"],
                name="simulation_usage",
                condition=Q(finished_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="simulation_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="PENDING", admitted_at=None, due_at=None)
                | Q(
                    status__in=["PENDING", "RUNNING"],
                    admitted_at__isnull=False,
                    due_at__isnull=False,
                )
                | Q(status__in=["COMPLETED", "FAILED", "CANCELLED"], due_at=None),
                name="simulation_due_while_in_flight",
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
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="simulation_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    @property
    def is_terminal(self) -> bool:
        return self.status not in ACTIVE

    @property
    def is_queued(self) -> bool:
        return self.status == Status.PENDING and self.admitted_at is None

    @property
    def is_uncleaned(self) -> bool:
        """Whether the answer is as it came, because the answer rules could not be applied."""
        return self.status == Status.COMPLETED and self.rules_version_id is None

    @property
    def is_stopping(self) -> bool:
        """Whether its run is being ended upstream."""
        return bool(self.stop_reason) and not self.is_terminal

    # What `is_polled` says, for queries.
    POLLED = Q(status=Status.RUNNING, stop_reason="", awaits_outputs=False)  # noqa: DJ012

    @property
    def is_polled(self) -> bool:
        """Whether its next step is no more than to ask how its run stands."""
        return self.status == Status.RUNNING and not (self.stop_reason or self.awaits_outputs)

    @property
    def seconds_until_due(self) -> int:
        """When asking again is worth it, for Retry-After and page refreshes: 1 to 5."""
        if self.due_at is None:
            return 1
        seconds = round((self.due_at - timezone.now()).total_seconds())
        # Else what lies far ahead is the lease of a call under way.
        is_planned = self.is_polled or self.failed_attempts or seconds <= 5
        return max(1, min(5, seconds)) if is_planned else 1

    @property
    def elapsed_seconds(self) -> int:
        return round(((self.finished_at or timezone.now()) - self.created_at).total_seconds())
