"""How resources are described: a collection of things with a name of their own, and one of them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from config.openapi import header

ETAG = header("ETag", "Of what is shown.", 200, 201)
LOCATION = header("Location", "Where it is now.", 201)
IF_MATCH = header("If-Match", "The `ETag` you have read: 412 if it has changed since.")


class PageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


def one(noun: str) -> str:
    """With its article: an agent, a keyword."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def name(verb: str, noun: str) -> str:
    return f"{verb}_{noun}".replace(" ", "_")


def describe_collection(
    noun: str, serializer: Any, page: Any, filters: Any, example: OpenApiExample
) -> dict[str, Any]:
    """The operations of a view class; `page` and `filters` are serializers too."""
    return {
        "get": extend_schema(
            operation_id=name("list", f"{noun}s"),
            summary=f"List {noun}s",
            description=f"All {noun}s that you may see, in pages.",
            parameters=[filters],
            responses={200: page, 404: None},
        ),
        "post": extend_schema(
            operation_id=name("create", noun),
            summary=f"Add {one(noun)}",
            request=serializer,
            parameters=[ETAG, LOCATION],
            responses={201: serializer},
            examples=[example],
        ),
    }


def describe_item(
    noun: str, serializer: type[serializers.Serializer], *, removal: str = "Delete", after: str
) -> dict[str, Any]:
    """The operations of a view class; `after` says what becomes of it, and what stays."""
    return {
        "get": extend_schema(
            operation_id=name("read", noun),
            summary=f"Read {one(noun)}",
            parameters=[ETAG],
            responses={200: serializer},
        ),
        "patch": extend_schema(
            operation_id=name("change", noun),
            summary=f"Change {one(noun)}",
            description="Fields that are left out stay as they are.",
            request=serializer,
            parameters=[IF_MATCH, ETAG],
            responses={200: serializer, 412: None},
        ),
        "delete": extend_schema(
            operation_id=name("remove", noun),
            summary=f"{removal} {one(noun)}",
            description=after,
            parameters=[IF_MATCH],
            responses={204: None, 412: None},
        ),
    }
