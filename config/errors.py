"""Typed errors and the one shape in which clients see every failure.

API: {"error": name, "message": text, "statusCode": int, "requestId": text} and, where there is
more to say, "details". Pages show the same message on an error page.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response

from config.database import DATABASE_AWAY, first_line
from config.request_id import request_id

logger = logging.getLogger(__name__)


class AppError(Exception):
    """Base of the errors that are meant for the client; the class name is the error's name."""

    status_code = 500
    message = "An unexpected error occurred"

    def __init__(
        self,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or self.message
        self.details = details
        self.headers = dict(headers or {})
        super().__init__(self.message)


class Unauthorized(AppError):
    status_code = 401
    message = "Sign in to continue"


class Forbidden(AppError):
    status_code = 403
    message = "You may not do this"


class NotFound(AppError):
    status_code = 404
    message = "There is nothing here"


class ServiceUnavailable(AppError):
    status_code = 503
    message = "The site's database can't be reached just now. Try again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})

    @classmethod
    def because_of(cls, error: Exception) -> "ServiceUnavailable":
        logger.error("The database is away: %s", first_line(error))
        return cls()


class PayloadTooLarge(AppError):
    status_code = 413
    template = "The request is too large. Send less than {:.2g} MB."
    message = template.format(settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 1_000_000)

    @classmethod
    def beyond(cls, limit: int) -> "PayloadTooLarge":
        """`limit` in bytes."""
        return cls(cls.template.format(limit / 1_000_000))


class PreconditionFailed(AppError):
    status_code = 412
    message = "It has changed since you read it. Read it again and send your change for that."


NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


# For what has failed before anything could say more.
MESSAGES = {
    400: "The request could not be understood: check its address and its Host header.",
    403: Forbidden.message,
    404: NotFound.message,
    405: "There is no such method here",
    413: PayloadTooLarge.message,
}


def error_body(
    name: str, message: str, status: int, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    body = {"error": name, "message": message, "statusCode": status, "requestId": request_id.get()}
    return body | {"details": details} if details else body


# --- API --------------------------------------------------------------------------------------


def api_exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    if isinstance(exc, Http404):
        exc = exceptions.NotFound("There is nothing here")
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    elif isinstance(exc, RequestDataTooBig):
        exc = PayloadTooLarge()
    elif isinstance(exc, DATABASE_AWAY):
        exc = ServiceUnavailable.because_of(exc)
    if isinstance(exc, AppError):
        return _api_app_error(exc)
    if isinstance(exc, exceptions.APIException):
        return _api_framework_error(exc)
    logger.error("Unhandled error", exc_info=exc)
    return Response(error_body("InternalServerError", _unhandled_message(exc), 500), status=500)


def _api_app_error(exc: AppError) -> Response:
    headers = exc.headers
    if exc.status_code == Unauthorized.status_code:
        headers = headers | {"WWW-Authenticate": "Bearer"}
    body = error_body(type(exc).__name__, exc.message, exc.status_code, exc.details)
    return Response(body, status=exc.status_code, headers=headers)


def _api_framework_error(exc: exceptions.APIException) -> Response:
    headers = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(exc, exceptions.ValidationError):
        body = error_body("ValidationError", _first_problem(exc.detail), 400, _plain(exc.detail))
    else:
        name = NAMES.get(exc.status_code, type(exc).__name__)
        body = error_body(name, str(exc.detail), exc.status_code)
    return Response(body, status=exc.status_code, headers=headers)


def _plain(detail: Any) -> dict[str, Any]:
    return detail if isinstance(detail, dict) else {"body": detail}


def _first_problem(detail: Any, path: str = "") -> str:
    """'field: message' of the first problem, so that the message alone names field and remedy."""
    if isinstance(detail, dict):
        key, value = next(iter(detail.items()))
        return _first_problem(value, f"{path}.{key}" if path else str(key))
    if isinstance(detail, list):
        return _first_problem(detail[0], path)
    return f"{path}: {detail}" if path and path != "non_field_errors" else str(detail)


def _unhandled_message(exc: Exception) -> str:
    return AppError.message if settings.ENV.is_production else f"{type(exc).__name__}: {exc}"


def is_api(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith("/api/")


def error_json(status: int, message: str) -> JsonResponse:
    name = NAMES.get(status, "InternalServerError")
    return JsonResponse(error_body(name, message, status), status=status)


class ApiMiddleware:
    """Makes sure that an API client never gets a page.

    With DEBUG, or before a view is reached, Django answers failures with pages of its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not is_api(request):
            return response
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        if response.status_code >= 400 and not is_json:
            message = MESSAGES.get(response.status_code, AppError.message)
            return error_json(response.status_code, message)
        return response


# --- Pages ------------------------------------------------------------------------------------


class AppErrorMiddleware:
    """Turns the typed errors of page views into error pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if isinstance(exc, DATABASE_AWAY):
            exc = ServiceUnavailable.because_of(exc)
        if not isinstance(exc, AppError):
            return None
        return _app_error_page(request, exc)


def _app_error_page(request: HttpRequest, error: AppError) -> HttpResponse:
    response = error_page(request, error.status_code, error.message)
    for name, value in error.headers.items():
        response[name] = value
    return response


def error_page(request: HttpRequest, status: int, message: str, kept: str = "") -> HttpResponse:
    """`kept`: what somebody wrote, which must not be lost with the form."""
    if is_api(request):
        return error_json(status, message)
    page = {"status": status, "message": message, "kept": kept}
    return render(request, "error.html", page, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_page(request, 413, PayloadTooLarge.message)
    return error_page(request, 400, MESSAGES[400])


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 403, str(exception) or Forbidden.message)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 404, NotFound.message)


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if isinstance(error, DATABASE_AWAY):  # in a middleware, or in another error's page
        return _app_error_page(request, ServiceUnavailable.because_of(error))
    return error_page(request, 500, AppError.message)
