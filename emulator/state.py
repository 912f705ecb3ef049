"""Everything the server remembers, in memory: conversations, runs, settings, armed faults."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from emulator.faults import Faults
from emulator.latency import Latency
from emulator.outcomes import OUTCOME_KEY, OUTCOMES, decide
from emulator.profiles import OPENAI, Profile
from emulator.runs import Conversation, Protocol, Run
from emulator.webhooks import Webhooks


class State:
    def __init__(self, profile: Profile = OPENAI, latency: float = 0.8) -> None:
        self.profile = profile
        self.latency = Latency(latency)
        self.poll_after_ms: int | None = None
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        """Calls received, by operation."""
        self.outcomes: deque[str] = deque()
        self.answers: deque[str] = deque()
        """Texts of the next answers."""
        self.webhooks = Webhooks()
        self.conversations: dict[str, Conversation] = {}
        self.runs: dict[str, Run] = {}

    def clear(self) -> None:
        """Forgets all that was asked of it; the settings stay."""
        self.faults.clear()
        self.calls.clear()
        self.outcomes.clear()
        self.answers.clear()
        self.webhooks.clear()
        self.conversations.clear()
        self.runs.clear()

    def open_conversation(
        self, protocol: Protocol, metadata: dict[str, str], now: float
    ) -> Conversation:
        prefix = "conv" if protocol == "responses" else "thread"
        conversation = Conversation(self.profile.new_id(prefix), protocol, now, metadata)
        self.conversations[conversation.id] = conversation
        return conversation

    def conversation(self, protocol: Protocol, ident: str, now: float) -> Conversation | None:
        """The conversation as it is now, or None if there is none of this protocol."""
        conversation = self.conversations.get(ident)
        if conversation is None or conversation.deleted or conversation.protocol != protocol:
            return None
        conversation.settle(now)
        return conversation

    def run(self, protocol: Protocol, ident: str) -> Run | None:
        run = self.runs.get(ident)
        return None if run is None or run.deleted or run.protocol != protocol else run

    def accept(self, run: Run, now: float, latency: float) -> None:
        self.runs[run.id] = run
        if run.conversation is not None:
            run.conversation.runs.append(run)
            run.conversation.unsettled.append(run)
        self.schedule(run, now, latency)

    def schedule(self, run: Run, now: float, latency: float) -> None:
        """Starts a round: when it ends, and how."""
        run.schedule(now, latency)
        wish = run.metadata.get(OUTCOME_KEY)
        if wish not in OUTCOMES:
            wish = self.outcomes.popleft() if self.outcomes else None
        if self.answers and run.wished_answer is None:
            run.wished_answer = self.answers.popleft()
        decide(run, wish, self.profile.new_id)
        self.webhooks.watch(run)

    def cancel(self, run: Run, now: float, delay: float = 0.0) -> None:
        run.cancel(now, delay)
        self.webhooks.watch(run)

    def release(self, now: float) -> None:
        for run in self.runs.values():
            if run.ready_at > now and not run.is_endless():
                run.release(now)
                self.webhooks.watch(run)

    def ledger(self, now: float) -> dict[str, list[dict[str, Any]]]:
        return {
            "conversations": [
                {
                    "id": conversation.id,
                    "protocol": conversation.protocol,
                    "metadata": conversation.metadata,
                    "created_at": conversation.created_at,
                }
                for conversation in self.conversations.values()
            ],
            "runs": [_ledger_entry(run, now) for run in self.runs.values()],
        }


SETTINGS = ("max_output_tokens", "reasoning", "temperature", "tools")
"""Of a request, beside model and instructions, what the ledger shows of it."""


def _ledger_entry(run: Run, now: float) -> dict[str, Any]:
    usage = run.usage(now)
    return {
        "id": run.id,
        "protocol": run.protocol,
        "conversation_id": run.conversation.id if run.conversation else None,
        "metadata": run.metadata,
        "client_request_id": run.client_request_id,
        "status": run.status(now),
        "created_at": run.created_at,
        "ended_at": run.ends_at(),
        "polls": run.polls,
        "input": run.sent,
        "instructions": run.instructions,
        "model": run.model,
        "settings": {name: run.request[name] for name in SETTINGS if name in run.request},
        "answer": run.answer(now),
        "usage": usage
        and {
            "input_tokens": usage[0],
            "output_tokens": usage[1],
            "total_tokens": sum(usage),
        },
        "cancelled_by_request": run.cancel_requested_at is not None,
    }
