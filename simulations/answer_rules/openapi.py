"""What the API says of answer rules, for its description."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from config.resource_openapi import PageSerializer, describe_collection, describe_item

RULE = OpenApiExample(
    "A header", value={"phrase": "Executive Summary", "kind": "header"}, request_only=True
)
TRIAL = OpenApiExample(
    "A text",
    value={"text": "Executive Summary\n\nGuards check every badge.", "rules": [RULE.value]},
    request_only=True,
)


class RemovalsField(serializers.ListField):
    child = serializers.DictField()


class TextPreviewSerializer(serializers.Serializer):
    clean = serializers.CharField(help_text="What the rules leave.")
    answer = serializers.CharField(help_text="That, without what would deceive its reader.")
    removed = RemovalsField()
    white_space_removed = serializers.IntegerField()
    replaced_for_being_too_short = serializers.CharField(allow_null=True)


class ChangedAnswerSerializer(serializers.Serializer):
    simulation = serializers.UUIDField()
    answer = serializers.CharField()


class LatestSerializer(serializers.Serializer):
    answers = serializers.IntegerField(help_text="How many of the latest were looked at.")
    removed = RemovalsField()
    changes = ChangedAnswerSerializer(many=True)


class PreviewedSerializer(serializers.Serializer):
    rules_version = serializers.IntegerField(allow_null=True)
    text = TextPreviewSerializer(allow_null=True)
    latest = LatestSerializer()


def all_rules(rule: type[serializers.Serializer], parameters: Any) -> Any:
    class AnswerRulePageSerializer(PageSerializer):
        results = rule(many=True)

    return describe_collection("answer rule", rule, AnswerRulePageSerializer, parameters, RULE)


def one_rule(rule: type[serializers.Serializer]) -> Any:
    after = "For good. Answers that were cleaned with it stay as they are."
    return describe_item("answer rule", rule, after=after)


def preview_rules(request: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="preview_answer_rules",
        summary="What rules would take out",
        description="Of a text and of the latest raw answers; nothing is stored.",
        request=request,
        responses={200: PreviewedSerializer},
        examples=[TRIAL],
    )
