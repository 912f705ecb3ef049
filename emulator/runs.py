"""Conversations, what they hold, and runs, which move through their statuses with time alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

Protocol = Literal["responses", "assistants"]
Kind = Literal["message", "function_call", "function_call_output"]

TERMINAL = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
QUEUED_SHARE = 0.25
"""The part of its latency that a run spends queued."""
ERRORS = {
    "server_error": "The server had an error processing your request. Sorry about that!",
    "rate_limit_exceeded": "Rate limit reached for requests. Please try again later.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing "
    "details.",
    "invalid_prompt": "Invalid prompt: it was flagged as violating the usage policy.",
}
"""What runs fail with: codes and their messages."""

TRIGGER = re.compile(
    r"\[\[tool:([\w-]+)(?:\*(\d+))?\s*(?:(\{(?:(?!\[\[tool:).)*?\})\s*)?\]\]", re.DOTALL
)
"""`[[tool:search_knowledge {"query": "…"}]]` asks for a call; `*3` after the name asks for that
call again in each of three rounds."""


@dataclass
class Item:
    """One entry of a conversation, in either protocol."""

    id: str
    kind: Kind
    created_at: float
    role: str = "assistant"
    text: str = ""
    """A message's text, a call's arguments (JSON) or a call's output."""
    refusal: bool = False
    complete: bool = True
    call_id: str = ""
    name: str = ""
    """The function called."""
    run_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Conversation:
    """A conversation or a thread."""

    id: str
    protocol: Protocol
    created_at: float
    metadata: dict[str, str]
    items: list[Item] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    unsettled: list[Run] = field(default_factory=list)
    deleted: bool = False

    def settle(self, now: float) -> None:
        """Takes in what the runs that are over by now have said."""
        for run in sorted(self.unsettled, key=lambda run: run.ready_at):
            if run.is_over(now):
                self.unsettled.remove(run)
                self.items.extend(run.said())

    def active_run(self, now: float) -> Run | None:
        return next((run for run in self.unsettled if not run.is_over(now)), None)


@dataclass
class Run:
    """A response or a run: at `ready_at` its status becomes `outcome` and `output` shows."""

    id: str
    protocol: Protocol
    conversation: Conversation | None
    created_at: float
    prompt: str
    """The user text it answers."""
    sent: str
    """What this request brought: the user text, or the tool outputs."""
    instructions: str
    model: str
    metadata: dict[str, str]
    tools: list[dict[str, Any]]
    assistant_id: str = ""
    client_request_id: str = ""
    """What the client called the request that created it."""
    request: dict[str, Any] = field(default_factory=dict)
    """The body it was created with."""
    input: list[Item] = field(default_factory=list)
    previous: Run | None = None
    started_at: float = 0.0
    ready_at: float = 0.0
    outcome: str = "completed"
    error_code: str = "server_error"
    """Of one that fails."""
    output: list[Item] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)
    """Tool outputs received, with the function's name."""
    rounds: int = 0
    """Tool rounds already answered."""
    wished_answer: str | None = None
    """What it is to say, in place of an answer of its own."""
    cancel_requested_at: float | None = None
    polls: int = 0
    """How often it was fetched."""
    deleted: bool = False
    rendered: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)
    """JSON by profile and status, so that a poll costs a look-up."""

    def schedule(self, now: float, latency: float) -> None:
        self.started_at = now + latency * QUEUED_SHARE
        self.ready_at = now + latency
        self.rendered.clear()

    def status(self, now: float) -> str:
        if now >= self.ready_at:
            return self.outcome
        if self.cancel_requested_at is not None:
            return "cancelling"
        return "in_progress" if now >= self.started_at else "queued"

    def is_over(self, now: float) -> bool:
        return self.status(now) in TERMINAL

    def ends_at(self) -> float | None:
        """When it is or will be over; None if that takes more than time."""
        return self.ready_at if self.outcome in TERMINAL else None

    def is_endless(self) -> bool:
        """Whether nothing but a cancellation can end it."""
        return self.outcome not in TERMINAL and self.outcome != "requires_action"

    def cancel(self, now: float, delay: float = 0.0) -> None:
        """Ends it as cancelled after `delay` seconds; nothing of its output is kept."""
        self.cancel_requested_at = now
        self.outcome, self.output = "cancelled", []
        self.started_at = min(self.started_at, now)
        self.ready_at = now + delay

    def release(self, now: float) -> None:
        """Ends the wait of a run in flight."""
        self.started_at = min(self.started_at, now)
        self.ready_at = now
        for item in self.output:
            item.created_at = now

    def said(self) -> list[Item]:
        """What it leaves in its conversation: a failed or cancelled run leaves nothing."""
        return [*self.input, *self.output] if self.outcome in ("completed", "incomplete") else []

    def calls(self) -> list[Item]:
        return [item for item in self.output if item.kind == "function_call"]

    def error(self, now: float) -> dict[str, str] | None:
        """The assistants protocol has no code of its own for an exhausted quota."""
        if self.status(now) != "failed":
            return None
        shares_code = self.protocol == "assistants" and self.error_code == "insufficient_quota"
        code = "rate_limit_exceeded" if shares_code else self.error_code
        return {"code": code, "message": ERRORS[self.error_code]}

    def answer(self, now: float) -> str | None:
        if not self.is_over(now):
            return None
        messages = [item.text for item in self.output if item.kind == "message"]
        return "".join(messages) if messages else None

    def usage(self, now: float) -> tuple[int, int] | None:
        """Input and output tokens, at four characters each; None unless it produced something."""
        if self.status(now) not in ("completed", "incomplete"):
            return None
        produced = sum(len(item.text) for item in self.output)
        return _tokens(len(self.prompt) + len(self.instructions)), _tokens(produced)

    def history(self) -> list[Item]:
        """What was said before it along `previous_response_id`, and by it."""
        before = self.previous.history() if self.previous else []
        return before + self.said()


def _tokens(characters: int) -> int:
    return max(1, math.ceil(characters / 4))


def wanted_calls(query: str, rounds_done: int) -> list[tuple[str, str]]:
    """The calls (name, JSON arguments) that the query's triggers ask for in this round."""
    return [
        (name, _arguments(arguments))
        for name, times, arguments in TRIGGER.findall(query)
        if rounds_done < int(times or 1)
    ]


def _arguments(text: str) -> str:
    try:
        return json.dumps(json.loads(text or "{}"), ensure_ascii=False)
    except ValueError:
        return text


def last_user_text(items: Sequence[Item]) -> str:
    texts = [item.text for item in items if item.kind == "message" and item.role == "user"]
    return texts[-1] if texts else ""


def since_last_user_message(items: Sequence[Item]) -> list[Item]:
    for position in range(len(items) - 1, -1, -1):
        if items[position].kind == "message" and items[position].role == "user":
            return list(items[position:])
    return list(items)


def tool_rounds(items: Sequence[Item]) -> int:
    """How many times tool outputs were handed in."""
    kind = "function_call_output"
    return sum(after.kind == kind != before.kind for before, after in pairwise(items))


def findings(items: Sequence[Item]) -> list[tuple[str, str]]:
    """The tool outputs among the items, with the name of the function that gave each."""
    names = {item.call_id: item.name for item in items if item.kind == "function_call"}
    return [
        (names.get(item.call_id, "tool"), item.text)
        for item in items
        if item.kind == "function_call_output"
    ]
