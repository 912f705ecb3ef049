"""The API's description, for programs and for people."""

from functools import cache
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


@cache
def describe_api() -> dict[str, Any]:
    """An OpenAPI document, the same for everybody."""
    return SchemaGenerator().get_schema(public=True)


@extend_schema(
    operation_id="read_schema",
    tags=["schema"],
    summary="This description",
    responses={200: {"type": "object", "additionalProperties": {}}},
)
@api_view(["GET"])
def schema(request: Request) -> Response:
    """The OpenAPI document that describes this API."""
    return Response(describe_api())


@extend_schema(exclude=True)
@api_view(["GET"])
def docs(request: Request) -> HttpResponse:
    """The description as a page, on which it can be tried out."""
    return render(request._request, "api/docs.html")
