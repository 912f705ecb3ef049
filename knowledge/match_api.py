"""What a text would bring, for clients: `POST knowledge/match`."""

from typing import Any

from rest_framework.decorators import api_view, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from accounts.permissions import HasKnowledgeBase, check_role
from config.serializers import FlagField, StrictSerializer, TextField
from knowledge import openapi
from knowledge.preview import Preview, PreviewArticle, PreviewKeyword, preview


class TextSerializer(StrictSerializer):
    # Positions count in the text as it was sent.
    text = TextField(allow_blank=True, trim_whitespace=False)
    include_drafts = FlagField(default=False)


@openapi.describe_match(TextSerializer)
@api_view(["POST"])
@permission_classes([HasKnowledgeBase])
def match(request: Request) -> Response:
    """Which articles a text brings, by which keywords and in which order; it asks nobody."""
    serializer = TextSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    wanted = serializer.validated_data
    if wanted["include_drafts"]:
        check_role(request.user, Role.ADMIN)
    return Response(_body(preview(wanted["text"], include_drafts=wanted["include_drafts"])))


def _body(found: Preview) -> dict[str, Any]:
    return {
        "text_truncated": found.is_truncated,
        "articles": [_article(article) for article in found.articles],
        "more_articles": found.more_articles,
        "keywords": [_keyword(keyword) for keyword in found.keywords],
    }


def _article(found: PreviewArticle) -> dict[str, Any]:
    """`cut_length` is in UTF-16 code units, as the limit on an article's text."""
    return {
        "slug": found.article.slug,
        "title": found.article.title,
        "category": found.article.category,
        "status": found.article.status,
        "place": found.place,
        "is_sent": found.is_sent,
        "found_by": found.found_by,
        "keywords": found.keywords,
        "cut_length": found.cut_length,
    }


def _keyword(found: PreviewKeyword) -> dict[str, Any]:
    """`start` and `end` count characters (code points) of the text that was sent."""
    return {
        "keyword": found.keyword,
        "articles": found.slugs,
        "count": found.count,
        "positions": [
            {"start": span.start, "end": span.end, "whole_word": span.is_whole_word}
            for span in found.spans
        ],
    }
