"""What a request asks for, beside its body's fields."""

from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.serializers import Serializer, ValidationError


def read_parameters(serializer: type[Serializer], request: Request) -> dict[str, Any]:
    """The validated query parameters. Of one that is given twice, one would be passed over."""
    given = request.query_params
    if repeated := [name for name, values in given.lists() if len(values) > 1]:
        raise ValidationError({name: ["Give it once."] for name in repeated})
    asked = serializer(data=given.dict(), context={"request": request})
    asked.is_valid(raise_exception=True)
    return asked.validated_data


def check_empty(request: Request) -> None:
    """For requests that need no body: none, or an object without fields."""
    if not isinstance(request.data, dict):
        raise ValidationError({"body": ["Send nothing, or an object without fields."]})
    if request.data:
        raise ValidationError(
            {name: ["Unknown field. Send no fields here."] for name in sorted(request.data)}
        )


def matches_if_none_match(request: Request, etag: str) -> bool:
    """Whether If-None-Match says that the client has it; compared weakly (RFC 9110)."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or etag in known or etag.removeprefix("W/") in known
