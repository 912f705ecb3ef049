"""What the workers tell the web processes of themselves."""

from django.db import models


class EnginePulse(models.Model):
    """When the engine last did what; one row, which every worker writes every few seconds."""

    looked_at = models.DateTimeField(null=True, help_text="A worker looked for due rows.")
    claimed_at = models.DateTimeField(null=True, help_text="A worker took some.")
    ticked_at = models.DateTimeField(null=True, help_text="A worker took a tick of beat's.")

    def __str__(self) -> str:
        return f"looked at {self.looked_at}"


class Tally(models.Model):
    """A count that only grows, of what leaves no row of its own."""

    class Kind(models.TextChoices):
        STEPS = "steps", "Steps, by kind"
        PROVIDER_ERRORS = "provider_errors", "Errors of the provider, by code"
        TOKENS = "tokens", "Tokens, by direction"

    kind = models.CharField(max_length=32, choices=Kind)
    label = models.CharField(max_length=64)
    total = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "label"], name="tally_label")]

    def __str__(self) -> str:
        return f"{self.kind} {self.label}: {self.total}"
