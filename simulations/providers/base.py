"""What the engine knows of a provider: plain values in, plain values out, one kind of error.

Every call is synchronous, makes no retries of its own and never touches the ORM.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class RunState(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    CALLS_TOOLS = "calls_tools"


@dataclass(frozen=True)
class TokenUsage:
    """Tokens; None where the server doesn't say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


@dataclass(frozen=True)
class ToolRequest:
    """A tool that the assistant wants called; `arguments` is what it wrote, JSON at best."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ToolOutput:
    call_id: str
    output: str


@dataclass(frozen=True)
class RunReference:
    """A run, and where its answer will be: in this conversation, after `anchor`."""

    conversation_id: str
    run_id: str
    anchor: str = ""


@dataclass(frozen=True)
class Turn:
    """One question in a conversation, as it is to be sent.

    `round`: 1, or more where `tool_outputs` are sent in answer to the round before. `anchor`: the
    conversation's last item or message before the answer. `known_run_ids`: runs that a search for
    this round's run is to pass over; `hinted_run_ids`: runs that may be it.
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
    temperature: float | None = None
    reasoning_effort: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    tool_outputs: tuple[ToolOutput, ...] = ()
    known_run_ids: frozenset[str] = frozenset()
    hinted_run_ids: tuple[str, ...] = ()

    @property
    def metadata(self) -> dict[str, str]:
        return {"simulation": self.simulation_id, "round": str(self.round)}


@dataclass(frozen=True)
class OpenedTurn:
    """Where the turn will happen. `anchor`: the last item or message before its answer.

    `is_ready`: whether its run may be started. Else the conversation is there and still empty: its
    id is to be saved before `open_turn` is called again, for that conversation.
    """

    conversation_id: str
    anchor: str = ""
    is_ready: bool = True


@dataclass(frozen=True)
class RunSnapshot:
    """A run as the provider described it at one moment.

    `id` is empty for a run that was recognised only by the answer it left in its conversation.
    `status` is the provider's own word, `poll_after` (seconds) when it wants to be asked again.
    Of a failure, `reason_code` is the provider's word for it, safe to show and to log, and `reason`
    what it says.
    """

    id: str
    status: str
    state: RunState
    text: str = ""
    refusal: str = ""
    reason_code: str = ""
    reason: str = ""
    tool_calls: tuple[ToolRequest, ...] = ()
    usage: TokenUsage = field(default_factory=TokenUsage)
    poll_after: float | None = None


class ProviderError(Exception):
    """A call that failed.

    `retryable`: the same call may succeed later. `ambiguous`: it may have been accepted.
    `retry_after`: seconds, if the provider named them. `status`: of the HTTP answer, if any, and
    `request_id` what the provider calls it. `param`: the part of the request that the provider
    blames, if it names one. `code` is a word, safe to show and to log; `message`
    may quote what was sent.
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
        param: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = storable(message)
        self.code = storable(code)[:64]
        self.retryable = retryable
        self.ambiguous = ambiguous
        self.retry_after = retry_after
        self.status = status
        self.param = param
        self.request_id = request_id

    @property
    def is_busy(self) -> bool:
        """Another run is still going in the same conversation."""
        return self.code == "conversation_locked"

    @property
    def is_refusal(self) -> bool:
        """The server doesn't know us, or what is asked about, or takes no more of us. It may pass:
        keys are exchanged, gateways answer for servers that are away, and quotas are raised."""
        return self.status in {401, 403, 404} or self.code == NO_QUOTA


class Provider(Protocol):
    def find_assistant(self, name: str) -> None:
        """Raises ProviderError if the provider knows no model of this name or, where
        runs name none, no remote assistant with this id."""

    def open_turn(self, turn: Turn) -> OpenedTurn:
        """Prepares the conversation; costs nothing, so it may be done again after a failure.

        A conversation of which nobody could know the id never holds anything.
        What an earlier turn left unanswered in it, and would keep it from going on, is answered.
        """

    def start_run(self, turn: Turn) -> RunSnapshot:
        """The call that costs money. Never repeated blindly."""

    def find_run(self, turn: Turn) -> RunSnapshot | None:
        """The run of a `start_run` whose answer went missing, if it left a trace."""

    def fetch_run(self, run: RunReference) -> RunSnapshot:
        """The run as it is now, with the answer's text once it is completed."""

    def cancel_run(self, run: RunReference) -> RunSnapshot:
        """Asks for the end of a run and says how it then stands; it may have completed."""

    def delete_run(self, run_id: str) -> None:
        """Where the provider keeps a run by itself: it and its answer."""

    def delete_conversation(self, conversation_id: str) -> bool:
        """With all that is in it. False: that is more than one call takes; call again."""


class ContinuingProvider(Provider, Protocol):
    """One whose tool outputs go into the run that asked for them: `continues_runs`."""

    def send_outputs(self, run: RunReference, outputs: Sequence[ToolOutput]) -> RunSnapshot:
        """Gives a run what it waits for; it may have it already."""


WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NO_QUOTA = "insufficient_quota"
# The assistants protocol has no code for it but that of a rate limit.
NO_QUOTA_WORDS = "exceeded your current quota"
LARGEST_COUNT = 2**31 - 1
LONGEST_ID = 512
# Characters of a tool call's arguments, more than any tool takes: cut, they are no JSON any more.
LONGEST_ARGUMENTS = 10_000


def storable(text: str) -> str:
    """`text` without what PostgreSQL can't hold: NUL and lone surrogates become U+FFFD."""
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\0", "\ufffd")


def count(value: Any) -> int | None:
    """A number of tokens, if it is one that the database can hold."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= LARGEST_COUNT else None


def word(text: object) -> str:
    """`text` if it is one: other servers send numbers or sentences where OpenAI has a code."""
    return text if isinstance(text, str) and WORD.fullmatch(text) else ""


def read_reason(
    error: Mapping[str, Any] | None, details: Mapping[str, Any] | None
) -> dict[str, str]:
    """Why a run failed, as RunSnapshot has it: by its error, else why it is incomplete."""
    error, details = error or {}, details or {}
    said = storable(str(error.get("message") or details.get("reason") or ""))
    code = word(error.get("code")) or word(details.get("reason"))
    return {"reason_code": NO_QUOTA if NO_QUOTA_WORDS in said else code, "reason": said}


def identifier(body: dict[str, Any]) -> str:
    """The id of what a server describes; raises ValueError without a usable one."""
    value = storable(str(body.get("id") or ""))
    if not 0 < len(value) <= LONGEST_ID:
        raise ValueError("an id is missing or too long")
    return value


def tool_request(call_id: Any, name: Any, arguments: Any) -> ToolRequest:
    """Raises ValueError for a call that could not be answered."""
    usable = isinstance(call_id, str) and 0 < len(call_id) <= LONGEST_ID
    if not usable or storable(call_id) != call_id:
        raise ValueError("a tool call's id is missing or too long")
    arguments = storable(str(arguments or ""))[:LONGEST_ARGUMENTS]
    return ToolRequest(call_id, storable(str(name or ""))[:128], arguments)
