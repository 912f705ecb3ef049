from typing import Any

from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from django.utils.html import escape
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.api import StrictSerializer
from accounts.permissions import HasKnowledgeBase, IsAdmin
from knowledge.models import Article, slug_validator, validate_tags
from knowledge.search import Hit, search_articles

SLUG_TAKEN = "This slug is taken. Choose another one."


class ArticleSerializer(StrictSerializer, serializers.ModelSerializer):
    slug = serializers.CharField(max_length=100, validators=[slug_validator])
    tags = serializers.JSONField(validators=[validate_tags], default=list)

    class Meta:
        model = Article
        fields = ["slug", "title", "category", "tags", "text", "status", "updated_at"]
        read_only_fields = ["updated_at"]

    def validate_slug(self, value: str) -> str:
        if Article.objects.filter(slug=value).exists():
            raise serializers.ValidationError(SLUG_TAKEN)
        return value


class ArticlesView(APIView):
    def get_permissions(self) -> list[Any]:
        return [IsAdmin() if self.request.method == "POST" else HasKnowledgeBase()]

    def get(self, request: Request) -> Response:
        articles = Article.objects.published()
        return Response({"results": ArticleSerializer(articles, many=True).data})

    def post(self, request: Request) -> Response:
        serializer = ArticleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            with transaction.atomic():
                article = serializer.save()
        except IntegrityError as error:  # somebody else was faster with this slug
            raise serializers.ValidationError({"slug": [SLUG_TAKEN]}) from error
        location = reverse("api:article", args=[article.slug], request=request)
        headers = {"Location": location}
        return Response(serializer.data, status=201, headers=headers)


@api_view(["GET"])
@permission_classes([HasKnowledgeBase])
def article_detail(request: Request, slug: str) -> Response:
    visible = Article.objects.visible_to(request.user)
    return Response(ArticleSerializer(get_object_or_404(visible, slug=slug)).data)


@api_view(["GET"])
@permission_classes([HasKnowledgeBase])
def search(request: Request) -> Response:
    query = request.query_params.get("q", "").strip()
    if not query:
        raise serializers.ValidationError({"q": ["Give the words to search for, as in ?q=convoy."]})
    return Response({"query": query, "results": [_hit(hit) for hit in search_articles(query)]})


def _hit(hit: Hit) -> dict[str, Any]:
    """`snippet_html` is escaped text; its only tag is `<mark>`."""
    article = hit.article
    snippet = "".join(
        f"<mark>{escape(part.text)}</mark>" if part.is_hit else escape(part.text)
        for part in hit.snippet
    )
    return {
        "slug": article.slug,
        "title": article.title,
        "category": article.category,
        "tags": article.tags,
        "score": hit.score,
        "snippet_html": snippet,
    }
