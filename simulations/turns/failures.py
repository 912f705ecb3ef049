"""Why a simulation failed, in words that a user understands: fields for `fail_simulation`."""

from typing import Any

from django.conf import settings

from knowledge.neutral import drop_unsafe
from simulations.models import ErrorCode, StopReason
from simulations.providers.base import NO_QUOTA, ProviderError, RunSnapshot, RunState
from simulations.turns.tools import MAX_ROUNDS

# Characters of a model's refusal that users are shown.
MODEL_WORDS = 500

# What users can do about it, by the code of the provider's reason.
REASON_ADVICE = {
    "rate_limit_exceeded": "The provider is too busy for this site just now. Wait a few "
    "minutes, then retry it.",
    NO_QUOTA: "This site's quota at the provider is used up. Retrying does not help before an "
    "administrator has raised the quota there.",
    "invalid_prompt": "The provider does not accept the question. Retrying it as it is does not "
    "help: ask it in other words.",
    "content_filter": "The provider's filter stopped the answer. Ask the question in other words.",
}
# Else by the status that the run ended with.
ADVICE = {
    "incomplete": "The answer was cut off before its end. Ask a narrower question.",
    "expired": "The provider took too long. Retry it later.",
    "cancelled": "The run was ended at the provider. Retry it.",
    "failed": "The provider could not finish it. Retry it.",
}

# What an assistant asks for, by the provider's name of it.
SETTINGS = {
    "model": "model",
    "instructions": "instructions",
    "max_output_tokens": "number of output tokens",
    "reasoning": "reasoning effort",
    "temperature": "temperature",
    "tools": "tools",
}


def describe_stop(reason: str) -> dict[str, Any]:
    if reason == StopReason.TOOL_LIMIT:
        return {
            "code": ErrorCode.TOOL_LIMIT,
            "message": f"The assistant used its tools {MAX_ROUNDS} times and came to no answer. "
            "Ask a narrower question.",
        }
    seconds = int(settings.RUN_TIMEOUT.total_seconds())
    return {
        "code": ErrorCode.RUN_TIMEOUT,
        "message": f"OpenAI run timeout: there was no answer within {seconds} s.",
    }


def describe_end(result: RunSnapshot) -> dict[str, Any]:
    if result.refusal:
        return {
            "code": ErrorCode.REFUSED,
            "message": f"The assistant declined to answer: {shortened(result.refusal)}",
            "error_detail": result.refusal,
        }
    if result.state is RunState.COMPLETED:
        return {
            "code": ErrorCode.EMPTY_ANSWER,
            "message": "The assistant's answer was empty. Rephrase the query and submit it again.",
        }
    code = result.reason_code
    named = f" ({code})" if code else ""
    advice = REASON_ADVICE.get(code) or ADVICE.get(result.status, "")
    return {
        "code": ErrorCode(f"run_{result.status}"),
        "message": f"Assistant run failed with status: {result.status}{named}. {advice}".strip(),
        # The provider's words, beyond its code, are for the administrators only.
        "error_detail": result.reason,
    }


def shortened(words: str) -> str:
    """A model's own, as users are to see them."""
    shown = drop_unsafe(words).strip()
    return shown if len(shown) <= MODEL_WORDS else f"{shown[: MODEL_WORDS - 1]}…"


def describe_refused_run(error: ProviderError, asked_for: str, assistant: str) -> dict[str, Any]:
    """Where the settings of an assistant are to blame, it says which and whose.

    `asked_for`: the model or, on the assistants protocol, the remote assistant.
    """
    if knows_not(error, asked_for):
        problem = f"The provider does not know “{asked_for}”, which the assistant"
    elif setting := SETTINGS.get(error.param.partition(".")[0]):
        problem = f"The provider refused the {setting} that the assistant"
    else:
        return describe_refusal(error)
    return {
        "code": ErrorCode.ASSISTANT_REFUSED,
        "message": f"{problem} “{assistant}” asks for. An administrator must correct the assistant "
        "under Admin, Assistants; then retry the question.",
        "error_detail": error.message,
    }


def knows_not(error: ProviderError, asked_for: str) -> bool:
    """Whether a model or remote assistant is unknown there, or closed to these credentials.

    Other servers have no code for it, but name what they don't know.
    """
    is_named = bool(asked_for) and asked_for in error.message
    return error.code == "model_not_found" or (error.status == 404 and is_named)


def describe_forgotten(error: ProviderError) -> dict[str, Any]:
    return {
        "code": ErrorCode.RUN_LOST,
        "message": "The provider does not know the run any more. Retry it.",
        "error_detail": error.message,
    }


def describe_refusal(error: ProviderError) -> dict[str, Any]:
    """A failure that trying again won't cure.

    The provider's own words can name organisations and keys: they go to the administrators.
    """
    if error.status in {401, 403} or error.code == "not_configured":
        return {
            "code": ErrorCode.PROVIDER_AUTH,
            "message": "The provider refused the site's credentials. An administrator must check "
            "OPENAI_API_KEY and what it may use.",
            "error_detail": error.message,
        }
    advice = REASON_ADVICE.get(
        error.code, "An administrator can see its reasons beside this simulation."
    )
    return {
        "code": ErrorCode.PROVIDER_REFUSED,
        "message": f"The provider refused the request ({error.code}). {advice}",
        "error_detail": error.message,
    }
