from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import Q

from knowledge.revisions import ContentHistory, Revised, RevisedQuerySet
from simulations.prompts import DEFAULT_INSTRUCTIONS


class AssistantQuerySet(RevisedQuerySet["Assistant"]):
    def current(self) -> "Assistant":
        """The default assistant; the first one is made on first use."""
        assistant, _ = self.get_or_create(is_default=True, defaults={"name": "Sitrep"})
        return assistant

    @transaction.atomic
    def make_default(self, assistant: "Assistant") -> None:
        self.exclude(pk=assistant.pk).update(is_default=False)
        self.filter(pk=assistant.pk).update(is_default=True)


class Assistant(Revised):
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

    objects = AssistantQuerySet.as_manager()
    # Which one is the default changes nothing in what it is.
    revisions = ContentHistory(excluded_fields=["is_default"])

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
