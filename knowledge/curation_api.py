"""Articles and keywords over the API: read with the module, written by admins."""

from typing import Any, ClassVar

from django.db import models
from drf_spectacular.utils import extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import HasKnowledgeBase, IsAdmin
from config.requests import read_parameters
from config.resources import ItemView, ResourcePagination, created, page_of, save
from knowledge import openapi
from knowledge.curation_serializers import (
    PHRASE_TAKEN,
    SLUG_TAKEN,
    ArticleFilters,
    ArticleSerializer,
    ArticleSummarySerializer,
    KeywordFilters,
    KeywordSerializer,
)
from knowledge.models import Article, Keyword, slug_validator


class ArticlePagination(ResourcePagination):
    ordering = ("slug",)
    position = slug_validator.regex


class KeywordPagination(ResourcePagination):
    ordering = ("position", "id")


class CurationView(APIView):
    """Reading needs the module; writing needs the role as well."""

    def get_permissions(self) -> list[Any]:
        permissions: list[Any] = [HasKnowledgeBase()]
        if self.request.method not in {"GET", "HEAD", "OPTIONS"}:
            permissions.append(IsAdmin())
        return permissions


@extend_schema_view(**openapi.ARTICLES)
class ArticlesView(CurationView):
    def get(self, request: Request) -> Response:
        asked = read_parameters(ArticleFilters, request)
        articles = Article.objects.visible_to(request.user).defer("text")
        for name in {"category", "status"} & asked.keys():
            articles = articles.filter(**{name: asked[name]})
        if "tag" in asked:
            articles = articles.tagged(asked["tag"])
        return page_of(self, ArticlePagination(), articles, ArticleSummarySerializer)

    def post(self, request: Request) -> Response:
        serializer = ArticleSerializer(data=request.data)
        article = save(serializer, taken={"slug": [SLUG_TAKEN]})
        return created(serializer, "api:article", article.slug)


@extend_schema_view(**openapi.ONE_ARTICLE)
class ArticleView(CurationView, ItemView):
    serializer = ArticleSerializer
    taken: ClassVar = {"slug": [SLUG_TAKEN]}

    def rows(self) -> models.QuerySet[Article]:
        return Article.objects.visible_to(self.request.user)

    def remove(self, article: Article) -> None:
        """Archives it: what cites it goes on naming it. Once more is no error."""
        article.archive()


@extend_schema_view(**openapi.KEYWORDS)
class KeywordsView(CurationView):
    def get(self, request: Request) -> Response:
        asked = read_parameters(KeywordFilters, request)
        keywords = Keyword.objects.visible_to(request.user)
        if "article" in asked:
            visible = Article.objects.visible_to(request.user)
            keywords = keywords.filter(articles__in=visible.filter(slug=asked["article"]))
        return page_of(self, KeywordPagination(), keywords, KeywordSerializer)

    def post(self, request: Request) -> Response:
        serializer = KeywordSerializer(data=request.data)
        keyword = save(serializer, taken={"phrase": [PHRASE_TAKEN]})
        return created(serializer, "api:keyword", keyword.pk)


@extend_schema_view(**openapi.ONE_KEYWORD)
class KeywordView(CurationView, ItemView):
    serializer = KeywordSerializer
    taken: ClassVar = {"phrase": [PHRASE_TAKEN]}

    def rows(self) -> models.QuerySet[Keyword]:
        return Keyword.objects.visible_to(self.request.user)
