"""What is to be deleted, here and at the provider, and the receipts of it."""

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.models import User


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def open(self) -> "ErasureQuerySet":
        return self.filter(completed_at=None)


class Erasure(models.Model):
    """A person's data being deleted; once that is done, the receipt, which names nobody."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(
        User,
        on_delete=models.SET_NULL,
        null=True,
        related_name="erasure",
        help_text="Until the account is deleted.",
    )
    requested_at = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True, help_text="When nothing was left here.")
    completed_at = models.DateTimeField(
        null=True, help_text="When the provider was done, or given up on, too."
    )
    simulations = models.PositiveIntegerField(default=0)
    remote_deleted = models.PositiveIntegerField(
        default=0, help_text="Conversations and runs deleted at the provider."
    )
    remote_failed = models.PositiveIntegerField(
        default=0, help_text="Those that it would not delete; they are kept with their reasons."
    )

    objects = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"Receipt {self.pk}"


class RemoteDeletionQuerySet(models.QuerySet["RemoteDeletion"]):
    def waiting(self) -> "RemoteDeletionQuerySet":
        return self.filter(due_at__isnull=False)


class RemoteDeletion(models.Model):
    """A conversation or a run that is to be deleted at the provider. The row goes when it has."""

    class Kind(models.TextChoices):
        RUN = "run", "Run"
        CONVERSATION = "conversation", "Conversation"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    protocol = models.CharField(max_length=16)
    kind = models.CharField(max_length=16, choices=Kind)
    provider_id = models.CharField(max_length=512)
    erasure = models.ForeignKey(
        Erasure, on_delete=models.CASCADE, null=True, related_name="remote_deletions"
    )
    due_at = models.DateTimeField(
        null=True, blank=True, db_default=Now(), help_text="Empty: given up; see its error."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=64, blank=True)

    objects = RemoteDeletionQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="remote_deletion_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.provider_id}"
