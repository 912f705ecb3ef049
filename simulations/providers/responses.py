"""The Responses API with background runs and conversations: OPENAI_PROTOCOL=responses."""

from collections.abc import Iterable
from typing import Any

import openai

from simulations.providers.base import (
    OpenedTurn,
    ProviderError,
    RunSnapshot,
    RunState,
    Turn,
    Usage,
    count,
    identifier,
    storable,
)
from simulations.providers.client import CREATE_TIMEOUT, call_json, poll_after

# A status never seen before counts as active: the deadline ends it.
STATES = {
    "completed": RunState.COMPLETED,
    "cancelled": RunState.CANCELLED,
    "failed": RunState.FAILED,
    "incomplete": RunState.FAILED,
}


class ResponsesProvider:
    def __init__(self, client: openai.OpenAI) -> None:
        self.responses = client.responses.with_raw_response
        self.conversations = client.conversations.with_raw_response
        self.items = client.conversations.items.with_raw_response

    def open_turn(self, turn: Turn) -> OpenedTurn:
        if turn.conversation_id:
            items = self._list_items(turn.conversation_id, order="desc", limit=1)
            return OpenedTurn(turn.conversation_id, identifier(items[0]) if items else "")
        body, _ = call_json(
            self.conversations.create,
            metadata={"simulation": turn.simulation_id},
            timeout=CREATE_TIMEOUT,
        )
        return OpenedTurn(identifier(body), "")

    def start_run(self, turn: Turn) -> RunSnapshot:
        body, _ = call_json(
            self.responses.create,
            model=turn.model,
            instructions=turn.instructions,
            input=turn.prompt,
            conversation=turn.conversation_id,
            background=True,
            store=True,
            metadata=turn.metadata,
            max_output_tokens=turn.max_output_tokens,
            safety_identifier=turn.safety_identifier,
            timeout=CREATE_TIMEOUT,
        )
        return read_response(body)

    def find_run(self, turn: Turn) -> RunSnapshot | None:
        """There is no list of responses: a run shows only once it left its answer behind."""
        after = {"after": turn.anchor} if turn.anchor else {}
        items = self._list_items(turn.conversation_id, order="asc", limit=100, **after)
        text, refusal = read_messages(items)
        if not (text or refusal):
            return None
        return RunSnapshot("", "completed", RunState.COMPLETED, text=text, refusal=refusal)

    def fetch_run(self, conversation_id: str, run_id: str) -> RunSnapshot:
        body, headers = call_json(self.responses.retrieve, run_id)
        return read_response(body, poll_after(headers))

    def cancel_run(self, conversation_id: str, run_id: str) -> RunSnapshot:
        try:
            body, _ = call_json(self.responses.cancel, run_id)
        except ProviderError as error:
            if error.status not in {400, 409}:
                raise
            return self.fetch_run(conversation_id, run_id)
        return read_response(body)

    def _list_items(self, conversation_id: str, **options: Any) -> list[dict[str, Any]]:
        body, _ = call_json(self.items.list, conversation_id, **options)
        return body.get("data") or []


def read_response(body: dict[str, Any], wait: float | None = None) -> RunSnapshot:
    text, refusal = read_messages(body.get("output") or [])
    status = storable(str(body.get("status") or ""))[:32]
    return RunSnapshot(
        id=identifier(body),
        status=status,
        state=STATES.get(status, RunState.ACTIVE),
        text=text,
        refusal=refusal,
        reason=_reason(body),
        usage=_usage(body.get("usage") or {}),
        poll_after=wait,
    )


def read_messages(items: Iterable[dict[str, Any]]) -> tuple[str, str]:
    """Text and refusal of the assistant's messages; commentary only where there is no answer."""
    messages = [
        item
        for item in items
        if item.get("type") == "message" and item.get("role", "assistant") == "assistant"
    ]
    answers = [item for item in messages if item.get("phase") != "commentary"]
    parts = [part for item in answers or messages for part in item.get("content") or []]
    text = "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")
    refusal = "".join(part.get("refusal") or "" for part in parts if part.get("type") == "refusal")
    return storable(text), storable(refusal)


def _reason(body: dict[str, Any]) -> str:
    error = body.get("error") or {}
    details = body.get("incomplete_details") or {}
    return storable(str(error.get("message") or details.get("reason") or ""))


def _usage(usage: dict[str, Any]) -> Usage:
    names = ("input_tokens", "output_tokens", "total_tokens")
    return Usage(**{name: count(usage.get(name)) for name in names})
