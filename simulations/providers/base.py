"""What the engine knows of a provider: plain values in, plain values out, one kind of error.

Every call is synchronous, makes no retries of its own and never touches the ORM.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class RunState(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class Usage:
    """Tokens; None where the server doesn't say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


@dataclass(frozen=True)
class Turn:
    """One question in a conversation, as it is to be sent.

    `anchor`: the conversation's last item or message before the answer. `known_run_ids`: runs that
    a search for this turn's run is to pass over.
    """

    simulation_id: str
    round: int
    prompt: str
    model: str
    assistant_id: str
    instructions: str
    max_output_tokens: int
    safety_identifier: str
    conversation_id: str = ""
    anchor: str = ""
    known_run_ids: frozenset[str] = frozenset()

    @property
    def metadata(self) -> dict[str, str]:
        return {"simulation": self.simulation_id, "round": str(self.round)}


@dataclass(frozen=True)
class OpenedTurn:
    """Where the turn will happen. `anchor`: the last item or message before its answer."""

    conversation_id: str
    anchor: str


@dataclass(frozen=True)
class RunSnapshot:
    """A run as the provider described it at one moment.

    `id` is empty for a run that was recognised only by the answer it left in its conversation.
    `status` is the provider's own word, `reason` what it says of a failure, `poll_after` (seconds)
    when it wants to be asked again.
    """

    id: str
    status: str
    state: RunState
    text: str = ""
    refusal: str = ""
    reason: str = ""
    usage: Usage = field(default_factory=Usage)
    poll_after: float | None = None


class ProviderError(Exception):
    """A call that failed.

    `retryable`: the same call may succeed later. `ambiguous`: it may have been accepted.
    `retry_after`: seconds, if the provider named them. `status`: of the HTTP answer, if any.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retryable: bool = False,
        ambiguous: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = storable(message)
        self.code = storable(code)[:64]
        self.retryable = retryable
        self.ambiguous = ambiguous
        self.retry_after = retry_after
        self.status = status

    @property
    def is_busy(self) -> bool:
        """Another run is still going in the same conversation."""
        return self.code == "conversation_locked"


class Provider(Protocol):
    def open_turn(self, turn: Turn) -> OpenedTurn:
        """Prepares the conversation; costs nothing, so it may be done again after a failure."""

    def start_run(self, turn: Turn) -> RunSnapshot:
        """The call that costs money. Never repeated blindly."""

    def find_run(self, turn: Turn) -> RunSnapshot | None:
        """The run of a `start_run` whose answer went missing, if it left a trace."""

    def fetch_run(self, conversation_id: str, run_id: str) -> RunSnapshot:
        """The run as it is now, with the answer's text once it is completed."""

    def cancel_run(self, conversation_id: str, run_id: str) -> RunSnapshot:
        """Asks for the end of a run and says how it then stands; it may have completed."""


LARGEST_COUNT = 2**31 - 1
LONGEST_ID = 512


def storable(text: str) -> str:
    """`text` without what PostgreSQL can't hold: NUL and lone surrogates become U+FFFD."""
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\0", "\ufffd")


def count(value: Any) -> int | None:
    """A number of tokens, if it is one that the database can hold."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= LARGEST_COUNT else None


def identifier(body: dict[str, Any]) -> str:
    """The id of what a server describes; raises ValueError without a usable one."""
    value = storable(str(body.get("id") or ""))
    if not 0 < len(value) <= LONGEST_ID:
        raise ValueError("an id is missing or too long")
    return value
