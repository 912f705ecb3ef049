from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Q

from knowledge.revisions import ContentHistory, Revised, RevisedQuerySet
from simulations.prompts import DEFAULT_INSTRUCTIONS

NO_SPACES = RegexValidator(r"^\S+\Z", "Take the spaces out: the provider's names have none.")


class Tool(models.TextChoices):
    """What an assistant may call; `simulations.turns.tools` answers it."""

    SEARCH_KNOWLEDGE = "search_knowledge", "Search the knowledge base"


class Effort(models.TextChoices):
    """The SDK's `ReasoningEffort`; which of them a model takes, its provider says."""

    NONE = "none", "None"
    MINIMAL = "minimal", "Minimal"
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    XHIGH = "xhigh", "Extra high"
    MAX = "max", "Max"


def all_tools() -> list[str]:
    return list(Tool.values)


def validate_tools(value: Any) -> None:
    if not isinstance(value, list) or any(tool not in Tool.values for tool in value):
        raise ValidationError(f"Choose tools from: {', '.join(Tool.values)}.")


class AssistantQuerySet(RevisedQuerySet["Assistant"]):
    def get_or_create_default(self) -> "Assistant":
        """The default assistant; the first one is made on first use."""
        assistant, _ = self.get_or_create(is_default=True, defaults={"name": "Sitrep"})
        return assistant

    def active(self) -> "AssistantQuerySet":
        """Those that take new questions."""
        return self.filter(is_active=True)

    @transaction.atomic
    def make_default(self, assistant: "Assistant") -> None:
        """Moves it from whichever is; raises ValidationError for one that is switched off."""
        if not self.select_for_update().get(pk=assistant.pk).is_active:
            raise ValidationError(f"{assistant} is switched off. Make it active first.")
        self.exclude(pk=assistant.pk).update(is_default=False)
        self.filter(pk=assistant.pk).update(is_default=True)


class Assistant(Revised):
    """Who answers: model and instructions, or a remote assistant's id, by protocol."""

    name = models.CharField(
        max_length=100,
        unique=True,
        error_messages={"unique": "Another assistant has this name: choose another one."},
    )
    model = models.CharField(
        max_length=100,
        blank=True,
        validators=[NO_SPACES],
        help_text="Empty: OPENAI_MODEL of the environment.",
    )
    remote_id = models.CharField(
        max_length=100,
        blank=True,
        validators=[NO_SPACES],
        help_text="For the assistants protocol, where the remote assistant has its own model, "
        "instructions and limits. Empty: OPENAI_ASSISTANT_ID of the environment.",
    )
    instructions = models.TextField(default=DEFAULT_INSTRUCTIONS)
    max_output_tokens = models.PositiveIntegerField(
        default=4000,
        validators=[
            MinValueValidator(16, "Providers ask for 16 or more."),
            MaxValueValidator(128_000, "No model writes more than 128,000 in one answer."),
        ],
    )
    reasoning_effort = models.CharField(
        max_length=16,
        choices=Effort,
        blank=True,
        help_text="For models that reason. Empty: the model's own.",
    )
    temperature = models.FloatField(
        null=True,
        blank=True,
        validators=[
            MinValueValidator(0, "Choose a temperature from 0 to 2."),
            MaxValueValidator(2, "Choose a temperature from 0 to 2."),
        ],
        help_text="0 to 2, for models that don't reason. Empty: the model's own.",
    )
    tools = models.JSONField(default=all_tools, blank=True, validators=[validate_tools])
    is_active = models.BooleanField(
        "active", default=True, help_text="Takes new questions. What is under way goes on."
    )
    is_default = models.BooleanField("default", default=False)

    objects = AssistantQuerySet.as_manager()
    # Which one is the default changes nothing in what it is.
    revisions = ContentHistory(excluded_fields=["is_default"])

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="assistant_one_default"
            ),
            models.CheckConstraint(
                condition=Q(is_active=True) | Q(is_default=False),
                name="assistant_default_is_active",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.is_default and not self.is_active:
            message = "The default assistant stays active. Make another one the default first."
            raise ValidationError({"is_active": message})
        if self.temperature is not None and self.reasoning_effort not in {"", Effort.NONE}:
            message = "Models that reason take no temperature: leave one of the two empty."
            raise ValidationError({"temperature": message})
        is_openai = not settings.OPENAI_BASE_URL
        if self.remote_id and is_openai and not self.remote_id.startswith("asst_"):
            raise ValidationError({"remote_id": "OpenAI's ids start with asst_: copy it whole."})

    @property
    def model_name(self) -> str:
        return self.model or settings.OPENAI_MODEL

    @property
    def remote_assistant_id(self) -> str:
        return self.remote_id or settings.OPENAI_ASSISTANT_ID
