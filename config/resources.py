"""Resources over the API: lists in cursor pages; items with an ETag, which are changed in place."""

import json
import re
from abc import ABC, abstractmethod
from hashlib import sha256
from typing import Any, ClassVar

from django.db import IntegrityError, models, transaction
from django.shortcuts import get_object_or_404
from django.utils.http import parse_etags
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from config.errors import PreconditionFailed
from config.links import link_here, link_to
from config.serializers import WriteSerializer


class ResourcePagination(CursorPagination):
    """`position` is what a cursor may hold of the first field in `ordering`: here a number."""

    page_size = 25
    position: ClassVar[re.Pattern[str]] = re.compile(r"[0-9]{1,10}")

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        position = cursor.position if cursor else None
        if position is not None and not self.position.fullmatch(position):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class Nobody(BasePermission):
    """Until a view says who may."""

    def has_permission(self, request: Request, view: object) -> bool:
        return False


class ItemView(APIView, ABC):
    """GET, PATCH and DELETE of one row, by its name in the address.

    A subclass says who may. `taken` is the error where somebody else was faster with the same name.
    """

    permission_classes = [Nobody]
    serializer: ClassVar[type[WriteSerializer]]
    taken: ClassVar[dict[str, list[str]]]

    @abstractmethod
    def rows(self) -> models.QuerySet[Any]:
        """What the user may see."""

    def remove(self, instance: Any) -> None:
        instance.delete()

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


def page_of(
    view: APIView,
    pages: CursorPagination,
    rows: models.QuerySet,
    serializer: type[serializers.ModelSerializer],
) -> Response:
    page = pages.paginate_queryset(rows, view.request, view=view)
    pages.base_url = link_here(view.request)
    return pages.get_paginated_response(serializer(page, many=True).data)


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
