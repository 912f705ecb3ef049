"""Articles and keywords as the API reads and writes them, and what its lists may be asked for."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as ModelError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.serializers import ValidationError

from config.serializers import PageParameters, TextField, WholeNumberField, WriteSerializer
from knowledge.models import (
    MAX_POSITION,
    Article,
    Keyword,
    check_article_slugs,
    slug_validator,
    validate_tags,
)

SLUG_TAKEN = "This slug is taken. Choose another one."
PHRASE_TAKEN = "This keyword exists already; case makes no difference."


class StatusField(serializers.ChoiceField):
    default_error_messages: ClassVar = {
        "invalid_choice": f"Use one of: {', '.join(Article.Status.values)}."
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=Article.Status.choices, **kwargs)


@extend_schema_field({"type": "array", "items": {"type": "string", "maxLength": 50}})
class TagsField(serializers.JSONField):
    """A list of texts."""


class ArticleSerializer(WriteSerializer):
    slug = TextField(max_length=100, validators=[slug_validator])
    title = TextField(max_length=200)
    category = TextField(max_length=100)
    tags = TagsField(validators=[validate_tags], default=list)
    text = TextField(trim_whitespace=False)
    status = StatusField(default=Article.Status.DRAFT)

    class Meta:
        model = Article
        fields = ["slug", "title", "category", "tags", "text", "status", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]

    def validate_slug(self, value: str) -> str:
        if self.instance is not None:
            if value != self.instance.slug:
                raise ValidationError("A slug can't be changed: citations use it. Leave it out.")
        elif Article.objects.filter(slug=value).exists():
            raise ValidationError(SLUG_TAKEN)
        return value

    def validate_text(self, value: str) -> str:
        if not value.strip():
            raise ValidationError("Give a text.")
        return value


class ArticleSummarySerializer(serializers.ModelSerializer):
    class Meta:
        model = Article
        fields = [name for name in ArticleSerializer.Meta.fields if name != "text"]


class KeywordSerializer(WriteSerializer):
    phrase = TextField(max_length=200)
    position = WholeNumberField(min_value=0, max_value=MAX_POSITION, required=False)
    articles = serializers.ListField(child=TextField(), source="article_slugs", default=list)

    class Meta:
        model = Keyword
        fields = ["id", "phrase", "whole_word", "position", "articles"]
        read_only_fields = ["id"]

    def validate_phrase(self, value: str) -> str:
        others = Keyword.objects.named(value).exclude(pk=getattr(self.instance, "pk", None))
        if others.exists():
            raise ValidationError(PHRASE_TAKEN)
        return value

    def validate_articles(self, value: list[str]) -> list[str]:
        try:
            check_article_slugs(value)
        except ModelError as error:
            raise ValidationError(error.messages) from error
        return value

    def create(self, validated_data: dict[str, Any]) -> Keyword:
        slugs = validated_data.pop("article_slugs")
        keyword = super().create(validated_data)
        keyword.link_articles(slugs)
        return keyword

    def update(self, instance: Keyword, validated_data: dict[str, Any]) -> Keyword:
        slugs = validated_data.pop("article_slugs", None)
        keyword = super().update(instance, validated_data)
        if slugs is not None:
            keyword.link_articles(slugs)
        return keyword


class ArticleFilters(PageParameters):
    category = TextField(required=False)
    tag = TextField(required=False)
    status = StatusField(required=False)


class KeywordFilters(PageParameters):
    article = TextField(required=False)
