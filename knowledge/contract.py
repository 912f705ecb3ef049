"""What the API says of articles, keywords and search, for its description."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from config.contract import header
from knowledge.curation_serializers import (
    ArticleFilters,
    ArticleSerializer,
    ArticleSummarySerializer,
    KeywordFilters,
    KeywordSerializer,
)
from knowledge.grounding import FoundBy
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
    is_sent = serializers.BooleanField(help_text="Whether it is among the first three.")
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


class PageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ArticlePageSerializer(PageSerializer):
    results = ArticleSummarySerializer(many=True)


class KeywordPageSerializer(PageSerializer):
    results = KeywordSerializer(many=True)


ETAG = header("ETag", "Of what is shown.", 200, 201)
LOCATION = header("Location", "Where it is now.", 201)
IF_MATCH = header("If-Match", "The `ETag` you have read: 412 if it has changed since.")
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


def name(verb: str, noun: str) -> str:
    return f"{verb}_{noun}".replace(" ", "_")


def curated(noun: str, serializer: type[serializers.Serializer]) -> Any:
    """The operations of one article or keyword, for a view class."""
    return {
        "get": extend_schema(
            operation_id=name("read", f"{noun}"),
            summary=f"One {noun}",
            parameters=[ETAG],
            responses={200: serializer},
        ),
        "patch": extend_schema(
            operation_id=name("change", f"{noun}"),
            summary=f"Change {noun}s' fields",
            request=serializer,
            parameters=[IF_MATCH, ETAG],
            responses={200: serializer, 412: None},
        ),
        "delete": extend_schema(
            operation_id=name("remove", f"{noun}"),
            summary=f"Take a {noun} out of use",
            parameters=[IF_MATCH],
            responses={204: None, 412: None},
        ),
    }


def listed(noun: str, serializer: Any, page: Any, filters: Any, example: OpenApiExample) -> Any:
    return {
        "get": extend_schema(
            operation_id=name("list", f"{noun}s"),
            summary=f"All {noun}s that you may see",
            parameters=[filters],
            responses={200: page, 404: None},
        ),
        "post": extend_schema(
            operation_id=name("create", f"{noun}"),
            summary=f"Add a {noun}",
            request=serializer,
            parameters=[ETAG, LOCATION],
            responses={201: serializer},
            examples=[example],
        ),
    }


ARTICLES = listed("article", ArticleSerializer, ArticlePageSerializer, ArticleFilters, ARTICLE)
KEYWORDS = listed("keyword", KeywordSerializer, KeywordPageSerializer, KeywordFilters, KEYWORD)
ONE_ARTICLE = curated("article", ArticleSerializer)
ONE_KEYWORD = curated("keyword", KeywordSerializer)


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
        request=request,
        responses={200: MatchSerializer},
    )
