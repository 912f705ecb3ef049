"""How a simulation can stand, what may follow what, and why it can fail."""

from django.db import models


class Status(models.TextChoices):
    PENDING = "PENDING", "Waiting"
    RUNNING = "RUNNING", "Running"
    COMPLETED = "COMPLETED", "Completed"
    FAILED = "FAILED", "Failed"
    CANCELLED = "CANCELLED", "Cancelled"


# What may follow what. Terminal states absorb.
TRANSITIONS = {
    Status.PENDING: {Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED},
    # To itself: with every further round of tool calls.
    Status.RUNNING: {Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED},
}
ACTIVE = list(TRANSITIONS)
TERMINAL = [status for status in Status if status not in TRANSITIONS]


class StopReason(models.TextChoices):
    """Why a run that is still going upstream is to be stopped there."""

    TIMEOUT = "timeout", "Out of time"
    CANCEL = "cancel", "Cancelled by a user"
    TOOL_LIMIT = "tool_limit", "Too many rounds of tool calls"


class ErrorCode(models.TextChoices):
    """Why a simulation failed; docs/api.md says what to do about each."""

    START_TIMEOUT = "start_timeout", "The provider could not be reached in time, or was too busy."
    RUN_TIMEOUT = "run_timeout", "There was no answer in time; the run was stopped."
    RUN_FAILED = "run_failed", "The provider failed the run; the message names its reason."
    RUN_INCOMPLETE = "run_incomplete", "The answer was cut off; the message says by what."
    RUN_EXPIRED = "run_expired", "The provider took too long by its own measure."
    RUN_CANCELLED = "run_cancelled", "The run was ended at the provider, not from here."
    RUN_LOST = "run_lost", "The provider does not know the run any more."
    TOOL_LIMIT = "tool_limit", "The assistant called its tools again and again."
    REFUSED = "refused", "The assistant declined to answer."
    EMPTY_ANSWER = "empty_answer", "The run was completed without an answer."
    CONVERSATION_GONE = "conversation_gone", "The provider does not know the conversation any more."
    ASSISTANT_REFUSED = (
        "assistant_refused",
        "The provider does not accept the assistant's settings.",
    )
    PROVIDER_REFUSED = "provider_refused", "The provider refused the request; the message says why."
    PROVIDER_AUTH = "provider_auth", "The provider refused the site's credentials."
    INTERNAL_ERROR = "internal_error", "Something went wrong inside Sitrep."

    @property
    def http_status(self) -> int:
        """What it would have been, had the question been answered at once."""
        return HTTP_STATUSES.get(self, 502)


HTTP_STATUSES = {
    ErrorCode.START_TIMEOUT: 503,
    ErrorCode.RUN_TIMEOUT: 504,
    ErrorCode.PROVIDER_AUTH: 503,
    ErrorCode.INTERNAL_ERROR: 500,
}
