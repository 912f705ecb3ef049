"""How the API is described: what its operations have in common (docs/openapi.yaml).

A view says with `extend_schema` what it takes and answers. Failures are named by status alone, as
in `responses={200: ArticleSerializer, 409: None}`; those that any operation of its kind can have,
and their shape, come from here.
"""

from typing import Any, NamedTuple

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import CharField, Field

from config.errors import PayloadTooLarge


class Failure(NamedTuple):
    """A component's name, and an example."""

    component: str
    error: str
    message: str


FAILURES = {
    400: Failure("BadRequest", "ValidationError", "query: This field is required."),
    401: Failure("Unauthorized", "Unauthorized", "Sign in to continue"),
    403: Failure("Forbidden", "Forbidden", "No access to module: simulations"),
    404: Failure("NotFound", "NotFound", "There is nothing here"),
    406: Failure("NotAcceptable", "NotAcceptable", "Could not satisfy the request Accept header."),
    409: Failure("Conflict", "InvalidState", "Only a failed simulation can be retried."),
    412: Failure(
        "PreconditionFailed",
        "PreconditionFailed",
        "It has changed since you read it. Read it again and send your change for that.",
    ),
    413: Failure("PayloadTooLarge", "PayloadTooLarge", PayloadTooLarge.message),
    415: Failure(
        "UnsupportedMediaType",
        "UnsupportedMediaType",
        'Unsupported media type "text/plain" in request.',
    ),
    422: Failure(
        "Unprocessable",
        "IdempotencyKeyReused",
        "Idempotency-Key: this key was used for another request. "
        "Send a new key with a new request.",
    ),
    429: Failure(
        "TooManyRequests",
        "TooManyRequests",
        "Only 600 requests with a token are accepted a minute. Try again in 17 s.",
    ),
    500: Failure("ServerError", "InternalServerError", "An unexpected error occurred"),
    503: Failure(
        "Unavailable",
        "ServiceUnavailable",
        "The site's database can't be reached just now. Try again in a moment.",
    ),
}
ALWAYS = {400, 406, 429, 500, 503}
SIGNED_IN = {401, 403}
WITH_BODY = {413, 415}
WITH_NAME = {404}

ERROR = {
    "type": "object",
    "description": "The one shape of every failure.",
    "required": ["error", "message", "statusCode", "requestId"],
    "properties": {
        "error": {"type": "string", "description": "What kind of failure it is; for programs."},
        "message": {
            "type": "string",
            "description": "What is wrong and what to do about it; for people.",
        },
        "statusCode": {"type": "integer"},
        "requestId": {"type": "string", "description": "Of this request, as in the site's log."},
        "details": {
            "type": "object",
            "additionalProperties": {},
            "description": "More of it. Of a ValidationError: the problems by field.",
        },
    },
    "additionalProperties": False,
}

SECONDS = {"type": "integer", "minimum": 1}
HEADERS = {
    "X-Request-ID": ({"type": "string"}, "The request's id: as it was sent, or a new one."),
    "WWW-Authenticate": ({"type": "string"}, "How to sign in."),
    "Retry-After": (
        SECONDS,
        "Seconds to wait before asking again. Missing where waiting does not help, as with "
        "OpenAINotConfigured.",
    ),
    "RateLimit-Policy": (
        {"type": "string"},
        "The limits that the request was counted for: requests (q) a window of seconds (w).",
    ),
    "RateLimit": ({"type": "string"}, "How many are left of each (r), for how many seconds (t)."),
}
# Of every answer; the limits, as far as there are any.
HEADERS_OF_ALL = ["X-Request-ID", "RateLimit-Policy", "RateLimit"]
HEADERS_OF_FAILURES = {
    401: ["WWW-Authenticate"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}


def header(name: str, description: str, *codes: int, schema: Any = str) -> OpenApiParameter:
    """Of an answer with one of the codes; of the request, without any."""
    return OpenApiParameter(
        name,
        schema,
        OpenApiParameter.HEADER,
        description=description,
        response=list(codes) or False,
    )


def retry_after(*codes: int) -> OpenApiParameter:
    """Of answers that may lack it: what is over is not to be asked for again."""
    text = "Seconds until asking again is worth it. Missing once the simulation is over."
    return header("Retry-After", text, *codes, schema=SECONDS)


IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "Any text of your own: the same request with the same key is carried out once.",
    schema={"type": "string", "pattern": "^[!-~]{1,255}$"},
)
REPLAYED = header(
    "Idempotent-Replayed",
    "`true` if the key has brought back what an earlier request made.",
    202,
    schema={"type": "string", "enum": ["true"]},
)
REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An id of your own, to find the request in the log: 8 to 128 letters, digits, "
    "dots, hyphens or underscores. Another one is replaced.",
}


class ApiSchema(AutoSchema):
    def _get_parameters(self) -> list[dict[str, Any]]:
        return [*super()._get_parameters(), reference("parameters", "RequestId")]

    def get_description(self) -> str:
        """What the view says, and what its permissions ask for."""
        asked = [getattr(it, "asks_for", "") for it in self.view.get_permissions()]
        asks_for = f"Asks for {' and '.join(filter(None, asked))}." if any(asked) else ""
        return "\n\n".join(filter(None, [super().get_description(), asks_for]))

    def failures(self) -> set[int]:
        found = set(ALWAYS)
        if self.view.get_authenticators():
            found |= SIGNED_IN
        if self.method in {"POST", "PUT", "PATCH"}:
            found |= WITH_BODY
        if "{" in self.path:
            found |= WITH_NAME
        return found

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        shared = {
            str(status): reference("responses", FAILURES[status][0]) for status in self.failures()
        }
        return dict(sorted((bodies | shared).items()))

    def _get_response_for_code(
        self, serializer: Any, status_code: Any, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        if int(status_code) >= 400:
            return failure_of(int(status_code))
        response = super()._get_response_for_code(serializer, status_code, *args, **kwargs)
        shared = {name: reference("headers", name) for name in HEADERS_OF_ALL}
        return response | {"headers": response.get("headers", {}) | shared}

    def _map_serializer(self, serializer: Any, direction: str, *args: Any) -> dict[str, Any]:
        schema = super()._map_serializer(serializer, direction, *args)
        if direction == "request" and "properties" in schema:
            schema["additionalProperties"] = False  # unknown fields are refused by name
        return schema

    def _map_serializer_field(
        self, field: Field, direction: str, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if direction == "request" and type(field).__mro__[1] is CharField:
            # Neither NUL nor, unless it may be blank, nothing but white space.
            blank = field.allow_blank or not field.trim_whitespace
            schema["pattern"] = r"^[^\x00]*$" if blank else r"^[^\x00]*[^\s\x00][^\x00]*$"
        return schema


def reference(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def failure_of(status: int) -> dict[str, str]:
    return reference("responses", FAILURES[status].component)


def only_the_api(endpoints: list[Any]) -> list[Any]:
    """A hook of drf-spectacular: neither metrics nor webhooks."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]


def add_shared_components(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: what the operations refer to."""
    components = result["components"]
    components["schemas"]["Error"] = ERROR
    components["headers"] = {
        name: {"schema": schema, "description": text} for name, (schema, text) in HEADERS.items()
    }
    components["parameters"] = {"RequestId": REQUEST_ID}
    components["responses"] = {
        failure.component: describe_failure(status, failure) for status, failure in FAILURES.items()
    }
    return result


def describe_failure(status: int, failure: Failure) -> dict[str, Any]:
    headers = [*HEADERS_OF_ALL, *HEADERS_OF_FAILURES.get(status, [])]
    example = {
        "error": failure.error,
        "message": failure.message,
        "statusCode": status,
        "requestId": "example-0001",
    }
    return {
        "description": f"Such as {failure.error}: `error` says which.",
        "headers": {name: reference("headers", name) for name in headers},
        "content": {
            "application/json": {"schema": reference("schemas", "Error"), "example": example}
        },
    }


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        text = "An API token: `Authorization: Bearer sitrep_…`."
        return {"type": "http", "scheme": "bearer", "description": text}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        text = (
            "The site's own sign-in. What changes something needs the CSRF token too, in the "
            "header `X-CSRFToken`."
        )
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": text,
        }
