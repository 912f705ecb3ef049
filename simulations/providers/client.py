"""The edge to the openai SDK: its client, and its errors as one ProviderError."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx2
import openai
from django.conf import settings

from config.request_id import current_request_id
from simulations.providers.base import NO_QUOTA, ProviderError, word

POLL_TIMEOUT = 3.0
CREATE_TIMEOUT = 10.0

# The request never reached a server, so it can't have been accepted.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


BUSY = ("already has an active run", "while a run")

# The SDK takes an empty OPENAI_BASE_URL of the environment for an address.
OPENAI_URL = "https://api.openai.com/v1"


_building = threading.Lock()


def get_client() -> openai.OpenAI:
    """The process's client, built on first use, after any fork; it is fine across threads."""
    with _building:
        return build_client()


@cache
def build_client() -> openai.OpenAI:
    """One per process: it costs about 0.1 s.

    Raises ProviderError where the settings don't allow one.
    """
    try:
        return openai.OpenAI(
            api_key=settings.OPENAI_API_KEY,
            base_url=settings.OPENAI_BASE_URL or OPENAI_URL,
            # The SDK repeats POSTs without an idempotency key: a second bill.
            max_retries=0,
            # A redirect would take prompt and key to a server that nobody chose.
            http_client=openai.DefaultHttpxClient(
                transport=DeadlineTransport(), follow_redirects=False
            ),
        )
    except openai.OpenAIError as error:
        raise ProviderError("The provider is not configured", code="not_configured") from error


class DeadlineTransport(httpx2.HTTPTransport):
    """Ends a body that keeps dripping: a timeout is for a whole call, not for each read of it."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        deadline = time.monotonic() + request.extensions["timeout"]["read"]
        response = super().handle_request(request)
        response.stream = DeadlineStream(response.stream, deadline)
        return response


class DeadlineStream(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, deadline: float) -> None:
        self.stream = stream
        self.deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            if time.monotonic() > self.deadline:
                raise httpx2.ReadTimeout("The answer took too long to read")
            yield chunk

    def close(self) -> None:
        self.stream.close()


def call_json(
    method: Callable[..., Any], *args: str, timeout: float = POLL_TIMEOUT, **kwargs: Any
) -> tuple[dict[str, Any], httpx2.Headers]:
    """The JSON object and headers of one `with_raw_response` call.

    Raw, because independent servers answer with shapes the SDK's models don't have, and because
    building those models costs more than the rest of a poll.
    """
    with translated_errors():
        limits = httpx2.Timeout(timeout, connect=POLL_TIMEOUT)
        response = method(
            *args, timeout=limits, extra_headers=trace_headers(), **kwargs
        ).http_response
        body = response.json()
        if not isinstance(body, dict):
            raise TypeError(f"expected a JSON object, got {type(body).__name__}")
        return body, response.headers


def trace_headers() -> dict[str, str]:
    """By which the provider's support finds a call; ASCII, as RequestIdMiddleware accepts it."""
    return {"X-Client-Request-Id": named} if (named := current_request_id()) else {}


@contextmanager
def translated_errors() -> Iterator[None]:
    try:
        yield
    except openai.APIStatusError as error:
        raise _from_status(error) from error
    except openai.APIConnectionError as error:
        raise _from_connection(error) from error
    except (openai.APIError, httpx2.HTTPError, ValueError, TypeError) as error:
        # An answer came and makes no sense: truncated, not JSON, another shape.
        raise ProviderError(
            f"The provider's answer could not be read: {error}",
            code="invalid_response",
            retryable=True,
            ambiguous=True,
        ) from error


def _from_status(error: openai.APIStatusError) -> ProviderError:
    status, code = error.status_code, _code(error)
    # 409 is the provider's own "try again"; a 408 or a 5xx may hide an accepted request. Of the
    # 429s, that of an exhausted quota lasts until somebody pays.
    return ProviderError(
        _message(error),
        code=code,
        retryable=(status in {408, 409, 429} or status >= 500) and code != NO_QUOTA,
        ambiguous=status == 408 or status >= 500,
        retry_after=_retry_after(error.response.headers),
        status=status,
        param=error.param if isinstance(error.param, str) else "",
        request_id=word(error.response.headers.get("x-request-id")),
    )


def _from_connection(error: openai.APIConnectionError) -> ProviderError:
    sent = not isinstance(error.__cause__, NOT_SENT)
    timed_out = isinstance(error, openai.APITimeoutError)
    return ProviderError(
        "The provider did not answer in time" if timed_out else "The provider could not be reached",
        code="timeout" if timed_out else "connection_error",
        retryable=True,
        ambiguous=sent,
    )


def _message(error: openai.APIStatusError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    message = body.get("message")
    return message if isinstance(message, str) else f"HTTP {error.status_code}"


def _code(error: openai.APIStatusError) -> str:
    # The lock has a code of its own on responses only; assistants say it in words.
    if any(words in _message(error) for words in BUSY):
        return "conversation_locked"
    return word(error.code) or f"http_{error.status_code}"


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds; the HTTP-date form is not used by the providers spoken to."""
    if (milliseconds := _finite(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    return _finite(headers.get("retry-after"))


def poll_after(headers: httpx2.Headers) -> float | None:
    milliseconds = _finite(headers.get("openai-poll-after-ms"))
    return None if milliseconds is None else milliseconds / 1000


def _finite(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None
