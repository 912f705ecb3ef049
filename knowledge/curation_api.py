"""Articles and keywords over the API: read with the module, written by admins."""

import json
import re
from abc import ABC, abstractmethod
from hashlib import sha256
from typing import Any, ClassVar

from django.db import IntegrityError, models, transaction
from django.shortcuts import get_object_or_404
from django.utils.http import parse_etags
from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from accounts.permissions import HasKnowledgeBase, IsAdmin
from config.errors import PreconditionFailed
from config.links import link_here, link_to
from config.requests import read_parameters
from knowledge import contract
from knowledge.curation_serializers import (
    PHRASE_TAKEN,
    SLUG_TAKEN,
    ArticleFilters,
    ArticleSerializer,
    ArticleSummarySerializer,
    KeywordFilters,
    KeywordSerializer,
    WriteSerializer,
)
from knowledge.models import Article, Keyword, slug_validator

POSITION = re.compile(r"[0-9]{1,10}")


class ArticlePagination(CursorPagination):
    page_size = 25
    ordering = ("slug",)

    def decode_cursor(self, request: Request) -> Cursor | None:
        return check_cursor(self, super().decode_cursor(request), slug_validator.regex)


class KeywordPagination(CursorPagination):
    page_size = 25
    ordering = ("position", "id")

    def decode_cursor(self, request: Request) -> Cursor | None:
        return check_cursor(self, super().decode_cursor(request), POSITION)


class CurationView(APIView):
    """Reading needs the module; writing needs the role as well."""

    def get_permissions(self) -> list[Any]:
        permissions: list[Any] = [HasKnowledgeBase()]
        if self.request.method not in {"GET", "HEAD", "OPTIONS"}:
            permissions.append(IsAdmin())
        return permissions


class CuratedView(CurationView, ABC):
    """One article or keyword, by its name in the address.

    `taken` is the error where somebody else was faster with the same name.
    """

    serializer: ClassVar[type[WriteSerializer]]
    taken: ClassVar[dict[str, list[str]]]

    @abstractmethod
    def rows(self) -> models.QuerySet[Any]:
        """What the user may see."""

    @abstractmethod
    def remove(self, instance: Any) -> None: ...

    def get(self, request: Request, **name: Any) -> Response:
        return shown(self.serializer(get_object_or_404(self.rows(), **name)))

    @transaction.atomic
    def patch(self, request: Request, **name: Any) -> Response:
        instance = self.find_to_change(name)
        serializer = self.serializer(instance, data=request.data, partial=True)
        save(serializer, self.taken)
        return shown(serializer)

    @transaction.atomic
    def delete(self, request: Request, **name: Any) -> Response:
        self.remove(self.find_to_change(name))
        return Response(status=204)

    def find_to_change(self, name: dict[str, Any]) -> Any:
        """Locked, and as the client has seen it, if it says what it has seen."""
        instance = get_object_or_404(self.rows().select_for_update(), **name)
        check_if_match(self.request, self.serializer(instance))
        return instance


@extend_schema_view(**contract.ARTICLES)
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


@extend_schema_view(**contract.ONE_ARTICLE)
class ArticleView(CuratedView):
    serializer = ArticleSerializer
    taken: ClassVar = {"slug": [SLUG_TAKEN]}

    def rows(self) -> models.QuerySet[Article]:
        return Article.objects.visible_to(self.request.user)

    def remove(self, article: Article) -> None:
        """Archives it: what cites it goes on naming it. Once more is no error."""
        article.archive()


@extend_schema_view(**contract.KEYWORDS)
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


@extend_schema_view(**contract.ONE_KEYWORD)
class KeywordView(CuratedView):
    serializer = KeywordSerializer
    taken: ClassVar = {"phrase": [PHRASE_TAKEN]}

    def rows(self) -> models.QuerySet[Keyword]:
        return Keyword.objects.visible_to(self.request.user)

    def remove(self, keyword: Keyword) -> None:
        keyword.delete()


def page_of(
    view: APIView,
    pages: CursorPagination,
    rows: models.QuerySet,
    serializer: type[serializers.ModelSerializer],
) -> Response:
    page = pages.paginate_queryset(rows, view.request, view=view)
    pages.base_url = link_here(view.request)
    return pages.get_paginated_response(serializer(page, many=True).data)


def check_cursor(pages: CursorPagination, cursor: Cursor | None, position: Any) -> Cursor | None:
    if cursor and cursor.position is not None and not position.fullmatch(cursor.position):
        raise NotFound(pages.invalid_cursor_message)
    return cursor


def save(serializer: WriteSerializer, taken: dict[str, list[str]]) -> Any:
    """`taken` is the error if somebody else was faster with the same name."""
    serializer.is_valid(raise_exception=True)
    try:
        with transaction.atomic():
            return serializer.save()
    except IntegrityError as error:
        raise ValidationError(taken) from error


def etag_of(serializer: WriteSerializer) -> str:
    """Of the content, so that it is the same again when a change is taken back."""
    content = json.dumps(serializer.data, cls=JSONEncoder, sort_keys=True)
    return f'"{sha256(content.encode()).hexdigest()[:32]}"'


def check_if_match(request: Request, current: WriteSerializer) -> None:
    """If-Match is optional; with it, nobody overwrites what they have not seen (RFC 9110)."""
    header, etag = request.headers.get("If-Match", "*"), etag_of(current)
    if header != "*" and etag not in parse_etags(header):
        raise PreconditionFailed(headers={"ETag": etag})


def shown(serializer: WriteSerializer) -> Response:
    return Response(serializer.data, headers={"ETag": etag_of(serializer)})


def created(serializer: WriteSerializer, route: str, name: Any) -> Response:
    headers = {"Location": link_to(route, name), "ETag": etag_of(serializer)}
    return Response(serializer.data, status=201, headers=headers)
