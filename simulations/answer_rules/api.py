"""Answer rules over the API, for admins: what curators do in the admin."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as ModelError
from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from accounts.permissions import IsAdmin
from config.requests import read_parameters
from config.resources import ItemView, ResourcePagination, created, page_of, save
from config.serializers import (
    FlagField,
    PageParameters,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WriteSerializer,
)
from simulations.answer_rules import openapi
from simulations.answer_rules.current import current_rules
from simulations.answer_rules.preview import Effects, TextPreview, preview_latest, preview_text
from simulations.models import AnswerRule, AnswerRuleQuerySet
from simulations.models.rules import (
    MAX_POSITION,
    MAX_RULES,
    check_inside_text,
    check_room,
    clean_phrase,
)
from simulations.sanitizing.phrases import LONGEST_PHRASE, Phrase, PhraseKind

PHRASE_TAKEN = "There is a rule for this phrase already; case makes no difference."


class KindField(serializers.ChoiceField):
    default_error_messages: ClassVar = {
        "invalid_choice": f"Use one of: {', '.join(AnswerRule.Kind.values)}."
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=AnswerRule.Kind.choices, **kwargs)


@contextmanager
def model_errors() -> Iterator[None]:
    """The model's rules, by the names that clients use."""
    try:
        yield
    except ModelError as error:
        raise ValidationError(getattr(error, "message_dict", error.messages)) from error


class PhraseField(TextField):
    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return clean_phrase(text)
        except ModelError as error:
            raise ValidationError(error.messages) from error


class TrialRuleSerializer(StrictSerializer):
    """A rule that need not be saved."""

    phrase = PhraseField(max_length=LONGEST_PHRASE)
    kind = KindField(default=AnswerRule.Kind.HEADER)
    inside_text = FlagField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        with model_errors():
            check_inside_text(attrs["kind"], attrs["inside_text"])
        return attrs


class AnswerRuleSerializer(WriteSerializer):
    phrase = PhraseField(max_length=LONGEST_PHRASE)
    kind = KindField(default=AnswerRule.Kind.HEADER)
    position = WholeNumberField(min_value=0, max_value=MAX_POSITION, required=False)

    class Meta:
        model = AnswerRule
        fields = ["id", "phrase", "kind", "inside_text", "is_active", "position"]
        read_only_fields = ["id"]

    def validate_phrase(self, value: str) -> str:
        others = AnswerRule.objects.named(value).exclude(pk=getattr(self.instance, "pk", None))
        if others.exists():
            raise ValidationError(PHRASE_TAKEN)
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What a change doesn't name stays as it is."""
        now = self.instance or AnswerRule()
        with model_errors():
            check_inside_text(
                attrs.get("kind", now.kind), attrs.get("inside_text", now.inside_text)
            )
            if self.instance is None:
                check_room()
        return attrs


class PreviewSerializer(StrictSerializer):
    # Positions count in the text as it was sent.
    text = TextField(allow_blank=True, trim_whitespace=False, required=False)
    rules = TrialRuleSerializer(many=True, max_length=MAX_RULES, required=False)


class RulePagination(ResourcePagination):
    ordering = ("position", "id")
    page_size = MAX_RULES


@extend_schema_view(**openapi.all_rules(AnswerRuleSerializer, PageParameters))
class AnswerRulesView(APIView):
    permission_classes: ClassVar[list[type[BasePermission]]] = [IsAdmin]

    def get(self, request: Request) -> Response:
        read_parameters(PageParameters, request)
        return page_of(self, RulePagination(), AnswerRule.objects.all(), AnswerRuleSerializer)

    def post(self, request: Request) -> Response:
        serializer = AnswerRuleSerializer(data=request.data)
        rule = save(serializer, taken={"phrase": [PHRASE_TAKEN]})
        return created(serializer, "api:answer-rule", rule.pk)


@extend_schema_view(**openapi.one_rule(AnswerRuleSerializer))
class AnswerRuleView(ItemView):
    permission_classes: ClassVar[list[type[BasePermission]]] = [IsAdmin]
    serializer = AnswerRuleSerializer
    taken: ClassVar = {"phrase": [PHRASE_TAKEN]}

    def rows(self) -> AnswerRuleQuerySet:
        return AnswerRule.objects.all()


class AnswerRulesPreviewView(APIView):
    """What the rules take out of a text and of the latest raw answers; nothing is stored."""

    permission_classes: ClassVar[list[type[BasePermission]]] = [IsAdmin]

    @openapi.preview_rules(PreviewSerializer)
    def post(self, request: Request) -> Response:
        serializer = PreviewSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked, current = serializer.validated_data, current_rules()
        phrases = current.phrases
        if "rules" in asked:
            phrases = tuple(
                Phrase(rule["phrase"], PhraseKind(rule["kind"]), rule["inside_text"])
                for rule in asked["rules"]
            )
        text = preview_text(asked["text"], phrases) if "text" in asked else None
        return Response(
            {
                "rules_version": None if "rules" in asked else current.version,
                "text": text and text_body(text),
                "latest": latest_body(preview_latest(phrases)),
            }
        )


def text_body(preview: TextPreview) -> dict[str, Any]:
    """`clean` is what the rules leave, `answer` that without what would deceive its reader.

    `position` and `end` count characters (code points) of the text that was sent.
    """
    cleaning = preview.cleaning
    return {
        "clean": cleaning.answer,
        "answer": preview.answer,
        "removed": [asdict(removal) for removal in cleaning.removals],
        "white_space_removed": cleaning.white_space,
        "replaced_for_being_too_short": cleaning.too_short or None,
    }


def latest_body(effects: Effects) -> dict[str, Any]:
    """`changes`: the answers that would come out differently from the current rules."""
    return {
        "answers": len(effects.effects),
        "removed": [asdict(count) for count in effects.counts],
        "changes": [
            {"simulation": change.simulation.pk, "answer": change.after.answer}
            for change in effects.changes
        ],
    }
