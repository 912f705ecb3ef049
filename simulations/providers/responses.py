"""The Responses API with background runs and conversations: OPENAI_PROTOCOL=responses."""

from collections.abc import Iterable, Sequence
from typing import Any

import openai

from simulations.providers.base import (
    OpenedTurn,
    ProviderError,
    RunReference,
    RunSnapshot,
    RunState,
    TokenUsage,
    ToolRequest,
    Turn,
    count,
    identifier,
    read_reason,
    storable,
    tool_request,
)
from simulations.providers.client import CREATE_TIMEOUT, call_json, poll_after

# A status never seen before counts as active: the deadline ends it.
STATES = {
    "completed": RunState.COMPLETED,
    "cancelled": RunState.CANCELLED,
    "failed": RunState.FAILED,
    "incomplete": RunState.FAILED,
}


# So that a deletion is over before its lease is, at three seconds a call.
ITEMS_PER_DELETION = 20
CALL, OUTPUT = "function_call", "function_call_output"
ABANDONED = "The question that this call belonged to was stopped. There is no result."


class ResponsesProvider:
    def __init__(self, client: openai.OpenAI) -> None:
        self.responses = client.responses.with_raw_response
        self.conversations = client.conversations.with_raw_response
        self.models = client.models.with_raw_response
        self.items = client.conversations.items.with_raw_response

    def find_assistant(self, name: str) -> None:
        call_json(self.models.retrieve, name)

    def open_turn(self, turn: Turn) -> OpenedTurn:
        if turn.conversation_id:
            return OpenedTurn(turn.conversation_id, self._reopen(turn.conversation_id))
        body, _ = call_json(
            self.conversations.create,
            metadata={"simulation": turn.simulation_id},
            timeout=CREATE_TIMEOUT,
        )
        return OpenedTurn(identifier(body))

    def _reopen(self, conversation_id: str) -> str:
        """The id of the last item, once no call is left that would make every response fail."""
        items = self._list_items(conversation_id, order="desc", limit=100)
        answered = {item.get("call_id") for item in items if item.get("type") == OUTPUT}
        abandoned = [
            {"type": OUTPUT, "call_id": item["call_id"], "output": ABANDONED}
            for item in reversed(items)
            if item.get("type") == CALL and item.get("call_id") not in answered
        ]
        if not abandoned:
            return identifier(items[0]) if items else ""
        body, _ = call_json(self.items.create, conversation_id, items=abandoned)
        return identifier(body["data"][-1])

    def start_run(self, turn: Turn) -> RunSnapshot:
        outputs = [
            {"type": OUTPUT, "call_id": sent.call_id, "output": sent.output}
            for sent in turn.tool_outputs
        ]
        body, headers = call_json(
            self.responses.create,
            model=turn.model,
            instructions=turn.instructions,
            input=outputs or turn.prompt,
            tools=turn.tools or openai.omit,
            temperature=openai.omit if turn.temperature is None else turn.temperature,
            reasoning={"effort": turn.reasoning_effort} if turn.reasoning_effort else openai.omit,
            conversation=turn.conversation_id,
            background=True,
            store=True,
            metadata=turn.metadata,
            max_output_tokens=turn.max_output_tokens,
            safety_identifier=turn.safety_identifier,
            timeout=CREATE_TIMEOUT,
        )
        return read_response(body, poll_after(headers))

    def find_run(self, turn: Turn) -> RunSnapshot | None:
        """There is no list of responses: a run shows by a webhook, or by the answer it left."""
        return self._find_hinted(turn) or self._find_answer(turn)

    def _find_hinted(self, turn: Turn) -> RunSnapshot | None:
        for run_id in turn.hinted_run_ids:
            body, wait = self._retrieve_hinted(run_id)
            if (body.get("metadata") or {}).items() >= turn.metadata.items():
                return read_response(body, wait)
        return None

    def _retrieve_hinted(self, run_id: str) -> tuple[dict[str, Any], float | None]:
        """A response, and after how many seconds to ask for it again, if it says so.

        Empty where it is unknown here: another application's, or deleted since.
        """
        try:
            body, headers = call_json(self.responses.retrieve, run_id)
        except ProviderError as error:
            if error.status != 404:
                raise
            return {}, None
        return body, poll_after(headers)

    def _find_answer(self, turn: Turn) -> RunSnapshot | None:
        after = {"after": turn.anchor} if turn.anchor else {}
        items = self._list_items(turn.conversation_id, order="asc", limit=100, **after)
        answer = items_after_input(items, turn)
        text, refusal = read_messages(answer)
        calls = read_calls(answer)
        if not (text or refusal or calls):
            return None
        state = RunState.CALLS_TOOLS if calls else RunState.COMPLETED
        return RunSnapshot("", "completed", state, text, refusal, tool_calls=calls)

    def fetch_run(self, run: RunReference) -> RunSnapshot:
        body, headers = call_json(self.responses.retrieve, run.run_id)
        return read_response(body, poll_after(headers))

    def cancel_run(self, run: RunReference) -> RunSnapshot:
        try:
            body, _ = call_json(self.responses.cancel, run.run_id)
        except ProviderError as error:
            if error.status not in {400, 409}:
                raise
            return self.fetch_run(run)
        return read_response(body)

    def delete_run(self, run_id: str) -> None:
        call_json(self.responses.delete, run_id)

    def delete_conversation(self, conversation_id: str) -> bool:
        """Items outlive their conversation, so they go first."""
        items = self._list_items(conversation_id, order="asc", limit=ITEMS_PER_DELETION)
        for item in items:
            call_json(self.items.delete, identifier(item), conversation_id=conversation_id)
        if len(items) == ITEMS_PER_DELETION:
            return False
        call_json(self.conversations.delete, conversation_id)
        return True

    def _list_items(self, conversation_id: str, **options: Any) -> list[dict[str, Any]]:
        body, _ = call_json(self.items.list, conversation_id, **options)
        return body.get("data") or []


def items_after_input(items: Sequence[dict[str, Any]], turn: Turn) -> Sequence[dict[str, Any]]:
    """What followed this round's input; nothing, where what is there answers another one's."""
    call_ids = {sent.call_id for sent in turn.tool_outputs}
    inputs = [
        position
        for position, item in enumerate(items)
        if (item.get("type") == OUTPUT and item.get("call_id") in call_ids)
        or (not call_ids and is_question(item, turn.prompt))
    ]
    if inputs:
        return items[inputs[-1] + 1 :]
    # A server that keeps only the answers.
    has_inputs = any(item.get("type") == OUTPUT or item.get("role") == "user" for item in items)
    return [] if has_inputs else items


def is_question(item: dict[str, Any], prompt: str) -> bool:
    if item.get("type") != "message" or item.get("role") != "user":
        return False
    content = item.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part.get("text") or "" for part in content)
    return content.strip() == prompt.strip()


def read_response(body: dict[str, Any], wait: float | None = None) -> RunSnapshot:
    output = body.get("output") or []
    text, refusal = read_messages(output)
    calls = read_calls(output)
    status = storable(str(body.get("status") or ""))[:32]
    state = STATES.get(status, RunState.ACTIVE)
    return RunSnapshot(
        id=identifier(body),
        status=status,
        state=RunState.CALLS_TOOLS if calls and state is RunState.COMPLETED else state,
        text=text,
        refusal=refusal,
        **read_reason(body.get("error"), body.get("incomplete_details")),
        tool_calls=calls,
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


def read_calls(items: Iterable[dict[str, Any]]) -> tuple[ToolRequest, ...]:
    return tuple(
        tool_request(item.get("call_id"), item.get("name"), item.get("arguments"))
        for item in items
        if item.get("type") == CALL
    )


def _usage(usage: dict[str, Any]) -> TokenUsage:
    names = ("input_tokens", "output_tokens", "total_tokens")
    return TokenUsage(**{name: count(usage.get(name)) for name in names})
