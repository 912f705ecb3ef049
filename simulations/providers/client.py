"""The edge to the openai SDK: its client, and its errors as one ProviderError."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
from django.conf import settings

from simulations.providers.base import ProviderError

POLL_TIMEOUT = 3.0
CREATE_TIMEOUT = 10.0

# The request never reached a server, so it can't have been accepted.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def build_client() -> openai.OpenAI:
    """One per process, built after the fork: it costs about 0.1 s and is fine across threads."""
    return openai.OpenAI(
        api_key=settings.OPENAI_API_KEY,
        base_url=settings.OPENAI_BASE_URL,
        # The SDK repeats POSTs without an idempotency key: a second bill.
        max_retries=0,
        timeout=httpx2.Timeout(CREATE_TIMEOUT, connect=POLL_TIMEOUT),
    )


def call_json(
    method: Callable[..., Any], *args: str, timeout: float = POLL_TIMEOUT, **kwargs: Any
) -> tuple[dict[str, Any], httpx2.Headers]:
    """The JSON object and headers of one `with_raw_response` call.

    Raw, because independent servers answer with shapes the SDK's models don't have, and because
    building those models costs more than the rest of a poll.
    """
    with translated_errors():
        response = method(*args, timeout=timeout, **kwargs).http_response
        body = response.json()
        if not isinstance(body, dict):
            raise TypeError(f"expected a JSON object, got {type(body).__name__}")
        return body, response.headers


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
    status = error.status_code
    # 409 is the provider's own "try again"; a 408 or a 5xx may hide an accepted request.
    return ProviderError(
        _message(error),
        code=_code(error),
        retryable=status in {408, 409, 429} or status >= 500,
        ambiguous=status == 408 or status >= 500,
        retry_after=_retry_after(error.response.headers),
        status=status,
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
    if error.code == "conversation_locked" or "already has an active run" in _message(error):
        return "conversation_locked"
    return error.code or f"http_{error.status_code}"


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds; the HTTP-date form is not used by the providers spoken to."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def poll_after(headers: httpx2.Headers) -> float | None:
    try:
        return max(0.0, float(headers["openai-poll-after-ms"]) / 1000)
    except (KeyError, ValueError):
        return None
