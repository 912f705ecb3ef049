"""One log line per request."""

import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

logger = logging.getLogger("sitrep.request")

# Asked every few seconds by machines.
QUIET = {"healthz", "readyz", "metrics"}


class RequestLogMiddleware:
    """Names the address by its pattern: an address itself may hold what somebody typed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        start = time.perf_counter()
        try:
            response = self.get_response(request)
            self._log(request, response, time.perf_counter() - start)
        finally:
            # The next request of this thread is about another one, or about none.
            structlog.contextvars.unbind_contextvars("simulation_id")
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any], kwargs: dict[str, Any]
    ) -> None:
        """Simulations are what has UUIDs in its addresses."""
        if isinstance(key := kwargs.get("pk"), UUID):
            structlog.contextvars.bind_contextvars(simulation_id=str(key))

    def _log(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        match = request.resolver_match
        if match and match.view_name in QUIET and response.status_code < 400:
            return
        level = logging.ERROR if response.status_code >= 500 else logging.INFO
        extra = {
            "method": request.method,
            "route": match.route if match else None,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
            "user_id": user_id(request),
        }
        logger.log(level, "request", extra=extra)


def user_id(request: HttpRequest) -> int | None:
    """Of the user, if something has asked for them already: a log line must cost no query."""
    user = request.__dict__.get("user")  # the API's authentication replaces the lazy one
    if isinstance(user, SimpleLazyObject):
        user = request.__dict__.get("_cached_user")
    return getattr(user, "pk", None)
