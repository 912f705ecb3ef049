from collections.abc import Iterable
from typing import Any

from django.utils.html import escape
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import HasKnowledgeBase
from config.requests import read_parameters
from config.serializers import StrictSerializer, TextField
from knowledge import openapi
from knowledge.search.articles import LAST_PAGE, Hit, search_articles
from knowledge.search.highlights import Fragment
from knowledge.search.query import InvalidQuery


class SearchSerializer(StrictSerializer):
    q = TextField(
        error_messages=dict.fromkeys(
            ("required", "blank"), "Give the words to search for, as in ?q=convoy."
        )
    )
    page = serializers.IntegerField(default=1, min_value=1, max_value=LAST_PAGE)


@openapi.describe_search(SearchSerializer)
@api_view(["GET"])
@permission_classes([HasKnowledgeBase])
def search(request: Request) -> Response:
    asked = read_parameters(SearchSerializer, request)
    query, page = asked["q"], asked["page"]
    try:
        results = search_articles(query, page=page)
    except InvalidQuery as error:
        raise serializers.ValidationError({"q": [str(error)]}) from error
    return Response(
        {
            "query": query,
            "corrected_query": results.corrected or None,
            "total": results.total,
            "total_is_complete": results.is_complete,
            "page": results.page,
            "next_page": results.next_page,
            "results": [_hit(hit) for hit in results.hits],
        }
    )


def _hit(hit: Hit) -> dict[str, Any]:
    article = hit.article
    return {
        "slug": article.slug,
        "title": article.title,
        "title_html": _html(hit.title),
        "category": article.category,
        "tags": article.tags,
        "score": round(hit.score, 3),
        "snippet_html": _html(hit.snippet),
    }


def _html(fragments: Iterable[Fragment]) -> str:
    """Escaped text; its only tag is `<mark>`."""
    return "".join(
        f"<mark>{escape(part.text)}</mark>" if part.is_hit else escape(part.text)
        for part in fragments
    )
