"""The errors OpenAI answers with: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer; raised by a handler, rendered by the application."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = headers or {}

    def body(self) -> dict[str, dict[str, str | None]]:
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def missing(param: str) -> ApiError:
    return invalid(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, expected: str) -> ApiError:
    return invalid(
        f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type"
    )


def not_found(message: str) -> ApiError:
    return ApiError(404, message)


def unauthorized(message: str, *, code: str | None = None) -> ApiError:
    return ApiError(401, message, code=code)


def invalid_key(key: str) -> ApiError:
    return unauthorized(f"Incorrect API key provided: {key}.", code="invalid_api_key")


def forbidden() -> ApiError:
    return ApiError(
        403,
        "Country, region, or territory not supported",
        kind="request_forbidden",
        code="unsupported_country_region_territory",
    )


def rate_limited(retry_after: float | None) -> ApiError:
    wait = f" Please try again in {retry_after:g}s." if retry_after is not None else ""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return ApiError(
        429,
        f"Rate limit reached for requests.{wait}",
        kind="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )


def no_quota() -> ApiError:
    return ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        kind="insufficient_quota",
        code="insufficient_quota",
    )


def server_error() -> ApiError:
    return ApiError(
        500,
        "The server had an error while processing your request. Sorry about that!",
        kind="server_error",
    )


def gateway_timeout() -> ApiError:
    return ApiError(504, "The request timed out. Please try again.", kind="server_error")
