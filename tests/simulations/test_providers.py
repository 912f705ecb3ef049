"""What is read out of servers' answers, and how their errors are told apart."""

from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest

from simulations.providers import assistants, responses
from simulations.providers.base import (
    ProviderError,
    RunReference,
    RunState,
    Turn,
    count,
    identifier,
    read_reason,
    storable,
)
from simulations.providers.client import translated_errors

REQUEST = httpx2.Request("POST", "http://provider.test/v1/responses")


def status_error(status: int, headers: dict[str, str] | None = None, **body: str) -> Exception:
    response = httpx2.Response(status, headers=headers, request=REQUEST)
    kinds = {400: openai.BadRequestError, 429: openai.RateLimitError}
    return kinds.get(status, openai.APIStatusError)("error", response=response, body=body)


def connection_error(cause: type[Exception], error: Exception | None = None) -> Exception:
    error = error or openai.APIConnectionError(request=REQUEST)
    error.__cause__ = cause("cause")
    return error


def translated(error: Exception) -> ProviderError:
    with pytest.raises(ProviderError) as caught, translated_errors():
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "details", "reason_code", "reason"),
    [
        (None, None, "", ""),
        ({"code": "invalid_prompt", "message": "No."}, None, "invalid_prompt", "No."),
        (None, {"reason": "max_output_tokens"}, "max_output_tokens", "max_output_tokens"),
        ({"code": 7, "message": None}, {"reason": "Too long, sorry"}, "", "Too long, sorry"),
        (
            {"code": "rate_limit_exceeded", "message": "You exceeded your current quota."},
            None,
            "insufficient_quota",
            "You exceeded your current quota.",
        ),
    ],
)
def test_reasons(
    error: dict[str, Any] | None, details: dict[str, str] | None, reason_code: str, reason: str
) -> None:
    assert read_reason(error, details) == {"reason_code": reason_code, "reason": reason}


@pytest.mark.parametrize(
    ("status", "retryable", "ambiguous"),
    [
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (408, True, True),
        (409, True, False),
        (429, True, False),
        (500, True, True),
        (503, True, True),
    ],
)
def test_a_status_tells_retryable_and_ambiguous(
    status: int, retryable: bool, ambiguous: bool
) -> None:
    error = translated(status_error(status))
    assert (error.status, error.retryable, error.ambiguous) == (status, retryable, ambiguous)


@pytest.mark.parametrize(
    ("cause", "ambiguous"),
    [
        (httpx2.ConnectError, False),
        (httpx2.ConnectTimeout, False),
        (httpx2.PoolTimeout, False),
        (httpx2.ReadTimeout, True),
        (httpx2.ReadError, True),
        (httpx2.WriteError, True),
        (httpx2.RemoteProtocolError, True),
    ],
)
def test_only_a_connection_that_was_never_made_is_unambiguous(
    cause: type[Exception], ambiguous: bool
) -> None:
    error = translated(connection_error(cause))
    assert (error.retryable, error.ambiguous) == (True, ambiguous)


def test_an_unreadable_answer_may_have_been_an_acceptance() -> None:
    error = translated(ValueError("Expecting value"))
    assert (error.code, error.retryable, error.ambiguous) == ("invalid_response", True, True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert translated(status_error(429, headers)).retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        {"code": "conversation_locked", "message": "Busy."},
        {"message": "Thread thread_1 already has an active run run_1."},
    ],
)
def test_a_busy_conversation_is_known_in_both_protocols(body: dict[str, str]) -> None:
    assert translated(status_error(400, **body)).is_busy


def message(*parts: dict[str, object], **fields: object) -> dict[str, object]:
    return {"type": "message", "role": "assistant", "content": list(parts)} | fields


def text(value: str) -> dict[str, object]:
    return {"type": "output_text", "text": value}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([message(text("a"), text("b"))], ("ab", "")),
        ([message(text("thinking"), phase="commentary"), message(text("answer"))], ("answer", "")),
        ([message(text("only"), phase="commentary")], ("only", "")),
        ([message({"type": "refusal", "refusal": "No."})], ("", "No.")),
        ([message(text("question"), role="user")], ("", "")),
        ([{"type": "reasoning"}, {"type": "function_call"}], ("", "")),
        ([message(text("a\0b\ud800"))], ("a\ufffdb\ufffd", "")),
        ([], ("", "")),
    ],
)
def test_text_of_responses(items: list[dict[str, object]], expected: tuple[str, str]) -> None:
    assert responses.read_messages(items) == expected


@pytest.mark.parametrize("output", [None, []])
def test_a_response_without_output_is_read(output: object) -> None:
    run = responses.read_response({"id": "r", "status": "completed", "output": output})
    assert (run.state, run.text, run.usage.total_tokens) == (RunState.COMPLETED, "", None)


@pytest.mark.parametrize("module", [responses.read_response, assistants.read_run])
def test_a_status_never_seen_before_counts_as_active(module: object) -> None:
    assert module({"id": "r", "status": "pondering"}).state is RunState.ACTIVE


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain【4:0†source】 text", "plain text"),
        ([{"type": "text", "text": "plain"}], "plain"),
        ([{"type": "text", "text": {"value": "a【4:0†source】", "annotations": None}}], "a"),
        (
            [
                {
                    "type": "text",
                    "text": {"value": "a[mark] b", "annotations": [{"text": "[mark]"}]},
                }
            ],
            "a b",
        ),
        (None, ""),
    ],
)
def test_text_of_assistants(content: object, expected: str) -> None:
    assert assistants.read_message({"content": content}) == (expected, "")


class Recorded:
    """A server's recorded answer, in the place of one of the SDK's raw methods."""

    def __init__(self, *data: dict[str, object]) -> None:
        self.data = data

    def __call__(self, *args: object, **kwargs: object) -> "Recorded":
        return self

    @property
    def http_response(self) -> httpx2.Response:
        return httpx2.Response(200, json={"data": self.data})


def reply(run_id: str | None, role: str, text: str) -> dict[str, object]:
    return {"role": role, "run_id": run_id, "content": [{"type": "text", "text": text}]}


def assistants_provider() -> assistants.AssistantsProvider:
    with openai.OpenAI(api_key="sk-x") as client:
        return assistants.AssistantsProvider(client)


def test_the_answer_is_the_assistants_and_of_this_run() -> None:
    """Servers that ignore `run_id` list other runs' messages and the user's."""
    provider = assistants_provider()
    provider.messages.list = Recorded(
        reply("run_1", "user", "the question"),
        reply("run_2", "assistant", "of another run"),
        reply("run_1", "assistant", "the answer"),
    )
    assert provider._answer(RunReference("thread_1", "run_1")) == ("the answer", "")


def test_a_run_known_from_elsewhere_is_not_found_again() -> None:
    provider = assistants_provider()
    metadata = {"simulation": "s", "round": "1"}
    provider.runs.list = Recorded(
        {"id": "run_1", "status": "queued", "metadata": metadata},
        {"id": "run_2", "status": "queued", "metadata": {"simulation": "other", "round": "1"}},
    )
    turn = Turn("s", 1, "p", "m", "a", "i", 1, "u", conversation_id="thread_1")
    assert provider.find_run(turn).id == "run_1"
    assert provider.find_run(replace(turn, known_run_ids=frozenset({"run_1"}))) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (7, 7), (2**31 - 1, 2**31 - 1), (2**31, None), (-1, None), (True, None), ("7", None)],
)
def test_counts_are_numbers_the_database_can_hold(value: object, number: int | None) -> None:
    assert count(value) == number


@pytest.mark.parametrize("value", [None, "", "x" * 513])
def test_an_id_that_cannot_be_kept_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="id"):
        identifier({"id": value})


def test_an_errors_words_can_be_stored() -> None:
    error = ProviderError("a\0b\ud800", code="c" * 100)
    assert (error.message, len(error.code)) == ("a\ufffdb\ufffd", 64)


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("plain é 😀", "plain é 😀"),
        ("\ud83d\ude00", "😀"),
        ("a\ud800", "a\ufffd"),
        ("\udc00a\0", "\ufffda\ufffd"),
        ("", ""),
    ],
)
def test_what_postgresql_cannot_hold_is_replaced(raw: str, stored: str) -> None:
    assert storable(raw) == stored
