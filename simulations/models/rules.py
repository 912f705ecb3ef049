"""What answers are cleaned by, and what became of them."""

import hashlib
import json
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Now

from accounts.models import User
from knowledge.revisions import ContentHistory, Revised, RevisedQuerySet
from simulations.models.simulation import Simulation
from simulations.sanitizing.phrases import (
    LONGEST_PHRASE,
    Phrase,
    PhraseKind,
    check_phrase,
    normalize_phrase,
)

# Every active one costs a reading of each answer.
MAX_RULES = 100
MAX_POSITION = 2**31 - 1  # SQLite would take more


def next_rule_position() -> int:
    last = AnswerRule.objects.aggregate(last=models.Max("position"))["last"]
    return (last or 0) + 1


class AnswerRuleQuerySet(RevisedQuerySet["AnswerRule"]):
    def named(self, phrase: str) -> "AnswerRuleQuerySet":
        """As the constraint sees it: case makes no difference."""
        lower = self.annotate(lower_phrase=Lower("phrase"))
        return lower.filter(lower_phrase=Lower(models.Value(phrase)))

    def phrases(self) -> list[Phrase]:
        """Of the active ones, in their order."""
        return [rule.as_phrase() for rule in self.filter(is_active=True)]


class AnswerRule(Revised):
    """A phrase that answers lose, with what belongs to it."""

    class Kind(models.TextChoices):
        HEADER = PhraseKind.HEADER.value, "Section header"
        DISCLAIMER = PhraseKind.DISCLAIMER.value, "Disclaimer opener"

    phrase = models.CharField(
        max_length=LONGEST_PHRASE,
        help_text="Plain text; case makes no difference. Write “ – ” where there may be a dash, "
        "spaces or neither.",
    )
    kind = models.CharField(
        max_length=16,
        choices=Kind,
        default=Kind.HEADER,
        help_text="A header goes with its line, a disclaimer opener with its paragraph.",
    )
    inside_text = models.BooleanField(
        default=False,
        help_text="Headers only: take it out among other words too, not only as a line.",
    )
    is_active = models.BooleanField("active", default=True)
    position = models.PositiveIntegerField(
        default=next_rule_position,
        help_text="The order in which disclaimers are taken out. Of several headers that fit, the "
        "longest is.",
    )

    objects = AnswerRuleQuerySet.as_manager()
    revisions = ContentHistory()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                Lower("phrase"),
                name="answer_rule_phrase_once",
                violation_error_message="There is a rule for this phrase already; "
                "case makes no difference.",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="header") | models.Q(kind="disclaimer", inside_text=False),
                name="answer_rule_kind_known",
                violation_error_message="A disclaimer opener begins a line: only headers are "
                "taken out inside text.",
            ),
        ]

    def __str__(self) -> str:
        return self.phrase

    def clean(self) -> None:
        self.phrase = clean_phrase(self.phrase)
        check_inside_text(self.kind, self.inside_text)
        if self._state.adding:
            check_room()

    def as_phrase(self) -> Phrase:
        return Phrase(self.phrase, PhraseKind(self.kind), self.inside_text)


def clean_phrase(text: str) -> str:
    """Normalized; ValidationError for the field `phrase` says what is wrong with it."""
    phrase = normalize_phrase(text)
    try:
        check_phrase(phrase)
    except ValueError as error:
        raise ValidationError({"phrase": str(error)}) from error
    return phrase


def check_inside_text(kind: str, inside_text: bool) -> None:
    if inside_text and kind == AnswerRule.Kind.DISCLAIMER:
        raise ValidationError({"inside_text": "Only headers can be taken out inside text."})


def check_room() -> None:
    if AnswerRule.objects.count() >= MAX_RULES:
        raise ValidationError(f"There are {MAX_RULES} rules. Delete one that is not needed.")


class RulesVersionQuerySet(models.QuerySet["RulesVersion"]):
    def of(self, phrases: Iterable[Phrase]) -> "RulesVersion":
        """The one of these phrases; made when they are first used."""
        rules = [[phrase.text, phrase.kind, phrase.inside_text] for phrase in phrases]
        digest = hashlib.sha256(json.dumps(rules).encode()).hexdigest()
        version, _ = self.get_or_create(digest=digest, defaults={"rules": rules})
        return version


class RulesVersion(models.Model):
    """The active rules that an answer was cleaned with; its id is the version's number.

    `rules`: `[phrase, kind, inside_text]` of each, in their order. Never changed.
    """

    digest = models.CharField(max_length=64, unique=True)
    rules = models.JSONField()
    first_used_at = models.DateTimeField(db_default=Now())

    objects = RulesVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = "version of the answer rules"
        verbose_name_plural = "versions of the answer rules"

    def __str__(self) -> str:
        return f"Version {self.pk}"

    @property
    def phrases(self) -> list[Phrase]:
        return [Phrase(text, PhraseKind(kind), inside) for text, kind, inside in self.rules]


class EarlierAnswer(models.Model):
    """An answer as it was before its raw answer was cleaned again."""

    simulation = models.ForeignKey(
        Simulation, on_delete=models.CASCADE, related_name="earlier_answers"
    )
    answer = models.TextField()
    rules_version = models.ForeignKey(
        RulesVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    replaced_at = models.DateTimeField(db_default=Now())
    replaced_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Answer of {self.simulation_id} until {self.replaced_at:%Y-%m-%d %H:%M}"
