"""What the API says of articles, keywords and search, for its description."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from config.resource_openapi import PageSerializer, describe_collection, describe_item
from knowledge.curation_serializers import (
    ArticleFilters,
    ArticleSerializer,
    ArticleSummarySerializer,
    KeywordFilters,
    KeywordSerializer,
)
from knowledge.grounding import MAX_ARTICLES, FoundBy
from knowledge.models import Article


class TextsField(serializers.ListField):
    child = serializers.CharField()


class HitSerializer(serializers.Serializer):
    slug = serializers.CharField()
    title = serializers.CharField()
    title_html = serializers.CharField(help_text="Escaped; its only tag is `<mark>`.")
    category = serializers.CharField()
    tags = TextsField()
    score = serializers.FloatField(min_value=0, max_value=1, help_text="1 for the best hit.")
    snippet_html = serializers.CharField(help_text="Escaped; its only tag is `<mark>`.")


class SearchResultsSerializer(serializers.Serializer):
    query = serializers.CharField()
    corrected_query = serializers.CharField(
        allow_null=True, help_text="What was searched for, as nothing had the words as typed."
    )
    total = serializers.IntegerField(min_value=0)
    total_is_complete = serializers.BooleanField()
    page = serializers.IntegerField(min_value=1)
    next_page = serializers.IntegerField(allow_null=True)
    results = HitSerializer(many=True)


class MatchedArticleSerializer(serializers.Serializer):
    slug = serializers.CharField()
    title = serializers.CharField()
    category = serializers.CharField()
    status = serializers.ChoiceField(Article.Status.choices)
    place = serializers.IntegerField(allow_null=True, help_text="Among the published ones.")
    is_sent = serializers.BooleanField(help_text=f"Whether it is among the first {MAX_ARTICLES}.")
    found_by = serializers.ChoiceField(FoundBy.choices)
    keywords = TextsField()
    cut_length = serializers.IntegerField(help_text="UTF-16 code units that don't fit.")


class PositionSerializer(serializers.Serializer):
    start = serializers.IntegerField(help_text="In code points of the text as it was sent.")
    end = serializers.IntegerField()
    whole_word = serializers.BooleanField()


class MatchedKeywordSerializer(serializers.Serializer):
    keyword = serializers.CharField()
    articles = TextsField()
    count = serializers.IntegerField()
    positions = PositionSerializer(many=True)


class MatchSerializer(serializers.Serializer):
    text_truncated = serializers.BooleanField()
    articles = MatchedArticleSerializer(many=True)
    more_articles = serializers.IntegerField()
    keywords = MatchedKeywordSerializer(many=True)


class ArticlePageSerializer(PageSerializer):
    results = ArticleSummarySerializer(many=True)


class KeywordPageSerializer(PageSerializer):
    results = KeywordSerializer(many=True)


ARTICLE = OpenApiExample(
    "A draft",
    value={
        "slug": "badges-001",
        "title": "Badges",
        "category": "Field security",
        "tags": ["access control"],
        "text": "Guards check every badge at the gate.",
    },
    request_only=True,
)
KEYWORD = OpenApiExample(
    "A keyword", value={"phrase": "photo badge", "articles": []}, request_only=True
)


ARTICLES = describe_collection(
    "article", ArticleSerializer, ArticlePageSerializer, ArticleFilters, ARTICLE
)
KEYWORDS = describe_collection(
    "keyword", KeywordSerializer, KeywordPageSerializer, KeywordFilters, KEYWORD
)
ONE_ARTICLE = describe_item(
    "article",
    ArticleSerializer,
    removal="Archive",
    after="It leaves prompts, search and lists; what cites it goes on naming it. Changing its "
    "`status` brings it back.",
)
ONE_KEYWORD = describe_item(
    "keyword", KeywordSerializer, after="For good. Its articles stay, and what cites them."
)


def describe_search(parameters: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="search_knowledge",
        summary="Published articles that match, best first",
        parameters=[parameters],
        responses={200: SearchResultsSerializer},
    )


def describe_match(request: type[serializers.Serializer]) -> Any:
    return extend_schema(
        operation_id="match_text",
        summary="Which articles a text would bring, and why",
        description="By which keywords and in which order. Nothing is asked, so it costs nothing.",
        request=request,
        responses={200: MatchSerializer},
    )
