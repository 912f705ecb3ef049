"""One id per request: accepted from the client, returned, and in every log line and error."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

NONE = "-"
request_id: ContextVar[str] = ContextVar("request_id", default=NONE)

# At most; the columns that keep one are as wide.
REQUEST_ID_LENGTH = 128
ACCEPTABLE = re.compile(rf"[A-Za-z0-9._-]{{8,{REQUEST_ID_LENGTH}}}", re.ASCII)


def current_request_id() -> str:
    """Empty where nothing is done for a request."""
    named = request_id.get()
    return "" if named == NONE else named


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        value = given if ACCEPTABLE.fullmatch(given) else str(uuid.uuid4())
        request.request_id = value
        token = request_id.set(value)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-ID"] = value
        return response
