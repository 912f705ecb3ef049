"""Threads, messages and runs: OPENAI_PROTOCOL=assistants, for servers that still speak it.

OpenAI switched it off on 2026-08-26. Independent servers differ from it and from one another, so
whatever can be recognised without trusting a filter or a field is recognised that way.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import openai

from simulations.providers.base import (
    OpenedTurn,
    ProviderError,
    RunReference,
    RunSnapshot,
    RunState,
    TokenUsage,
    ToolOutput,
    ToolRequest,
    Turn,
    count,
    identifier,
    read_reason,
    storable,
    tool_request,
)
from simulations.providers.client import CREATE_TIMEOUT, call_json, poll_after

# A status never seen before counts as active: the deadline ends it. So does `cancelling`.
STATES = {
    "completed": RunState.COMPLETED,
    "cancelled": RunState.CANCELLED,
    "failed": RunState.FAILED,
    "incomplete": RunState.FAILED,
    "expired": RunState.FAILED,
    "requires_action": RunState.CALLS_TOOLS,
}
CITATION_MARK = re.compile(r"【\d+:\d+†[^】]+】")


class AssistantsProvider:
    def __init__(self, client: openai.OpenAI) -> None:
        self.assistants = client.beta.assistants.with_raw_response
        self.threads = client.beta.threads.with_raw_response
        self.messages = client.beta.threads.messages.with_raw_response
        self.runs = client.beta.threads.runs.with_raw_response

    def find_assistant(self, name: str) -> None:
        call_json(self.assistants.retrieve, name)

    def open_turn(self, turn: Turn) -> OpenedTurn:
        """Opens the thread or posts the question in it; a message posted before is found again."""
        thread_id = turn.conversation_id
        if thread_id:
            message_id = self._find_message(thread_id, turn)
            return OpenedTurn(thread_id, message_id or self._post_message(thread_id, turn))
        body, _ = call_json(
            self.threads.create,
            metadata={"simulation": turn.simulation_id},
            timeout=CREATE_TIMEOUT,
        )
        return OpenedTurn(identifier(body), is_ready=False)

    def start_run(self, turn: Turn) -> RunSnapshot:
        body, headers = call_json(
            self.runs.create,
            turn.conversation_id,
            assistant_id=turn.assistant_id,
            metadata=turn.metadata,
            timeout=CREATE_TIMEOUT,
        )
        return read_run(body, poll_after(headers))

    def find_run(self, turn: Turn) -> RunSnapshot | None:
        body, _ = call_json(self.runs.list, turn.conversation_id, order="desc", limit=20)
        for run in body.get("data") or []:
            is_ours = (run.get("metadata") or {}).items() >= turn.metadata.items()
            if is_ours and run.get("id") not in turn.known_run_ids:
                return read_run(run)
        return None

    def fetch_run(self, run: RunReference) -> RunSnapshot:
        body, headers = call_json(self.runs.retrieve, run.run_id, thread_id=run.conversation_id)
        found = read_run(body, poll_after(headers))
        if found.state is not RunState.COMPLETED:
            return found
        text, refusal = self._answer(run)
        return replace(found, text=text, refusal=refusal)

    def send_outputs(self, run: RunReference, outputs: Sequence[ToolOutput]) -> RunSnapshot:
        sent = [{"tool_call_id": output.call_id, "output": output.output} for output in outputs]
        try:
            body, headers = call_json(
                self.runs.submit_tool_outputs,
                run.run_id,
                thread_id=run.conversation_id,
                tool_outputs=sent,
                timeout=CREATE_TIMEOUT,
            )
        except ProviderError as error:
            if error.status not in {400, 409}:
                raise
            return self.fetch_run(run)
        return read_run(body, poll_after(headers))

    def cancel_run(self, run: RunReference) -> RunSnapshot:
        try:
            call_json(self.runs.cancel, run.run_id, thread_id=run.conversation_id)
        except ProviderError as error:
            if error.status not in {400, 409}:
                raise
        # Whatever the answer to the cancel was, the run itself says how it stands.
        return self.fetch_run(run)

    def delete_run(self, run_id: str) -> None:
        """It goes with its thread."""

    def delete_conversation(self, conversation_id: str) -> bool:
        call_json(self.threads.delete, conversation_id)
        return True

    def _post_message(self, thread_id: str, turn: Turn) -> str:
        body, _ = call_json(
            self.messages.create,
            thread_id,
            role="user",
            content=turn.prompt,
            metadata={"simulation": turn.simulation_id},
            timeout=CREATE_TIMEOUT,
        )
        return identifier(body)

    def _find_message(self, thread_id: str, turn: Turn) -> str:
        for message in self._list_messages(thread_id, order="desc"):
            if (message.get("metadata") or {}).get("simulation") == turn.simulation_id:
                return identifier(message)
        return ""

    def _answer(self, run: RunReference) -> tuple[str, str]:
        """Text and refusal of the newest message that this run wrote.

        Filtered here: some servers ignore `run_id` and `after`, or leave a message's run out.
        """
        after = {"after": run.anchor} if run.anchor else {}
        messages = self._list_messages(run.conversation_id, order="asc", **after)
        ids = [message.get("id") for message in messages]
        if run.anchor in ids:
            messages = messages[ids.index(run.anchor) + 1 :]
        for message in reversed(messages):
            if message.get("role") == "assistant" and message.get("run_id") in (run.run_id, None):
                return read_message(message)
        return "", ""

    def _list_messages(self, thread_id: str, **options: Any) -> list[dict[str, Any]]:
        body, _ = call_json(self.messages.list, thread_id, limit=100, **options)
        return body.get("data") or []


def read_run(body: dict[str, Any], wait: float | None = None) -> RunSnapshot:
    status = storable(str(body.get("status") or ""))[:32]
    usage = body.get("usage") or {}
    return RunSnapshot(
        id=identifier(body),
        status=status,
        state=STATES.get(status, RunState.ACTIVE),
        tool_calls=read_calls(body) if status == "requires_action" else (),
        **read_reason(body.get("last_error"), body.get("incomplete_details")),
        usage=TokenUsage(
            input_tokens=count(usage.get("prompt_tokens")),
            output_tokens=count(usage.get("completion_tokens")),
            total_tokens=count(usage.get("total_tokens")),
        ),
        poll_after=wait,
    )


def read_calls(body: dict[str, Any]) -> tuple[ToolRequest, ...]:
    """Raises ValueError where there is none: the run could never go on."""
    action = (body.get("required_action") or {}).get("submit_tool_outputs") or {}
    calls = action.get("tool_calls") or []
    if not calls:
        raise ValueError("the run asks for tool outputs and names no call")
    functions = [(call.get("id"), call.get("function") or {}) for call in calls]
    return tuple(
        tool_request(call_id, function.get("name"), function.get("arguments"))
        for call_id, function in functions
    )


def read_message(message: dict[str, Any]) -> tuple[str, str]:
    """A message's text and its refusal."""
    parts = message.get("content") or []
    if isinstance(parts, str):
        return storable(CITATION_MARK.sub("", parts)), ""
    text = "".join(_read_text(part) for part in parts if part.get("type") == "text")
    refusal = "".join(part.get("refusal") or "" for part in parts if part.get("type") == "refusal")
    return storable(text), storable(refusal)


def _read_text(part: dict[str, Any]) -> str:
    """A part's text without citation marks: those its annotations name, and any left over."""
    text = part.get("text") or ""
    if isinstance(text, str):
        return CITATION_MARK.sub("", text)
    value = text.get("value") or ""
    for annotation in text.get("annotations") or []:
        if mark := annotation.get("text"):
            value = value.replace(mark, "")
    return CITATION_MARK.sub("", value)
