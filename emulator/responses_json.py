"""What the Responses protocol shows of conversations, items and responses."""

from __future__ import annotations

from typing import Any

from emulator.profiles import Profile
from emulator.runs import Conversation, Item, Run

ECHOED = {
    "background": False,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Settings a response repeats from its request, with the value each has by default."""


def conversation_json(conversation: Conversation, profile: Profile) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": profile.time(conversation.created_at),
        "metadata": conversation.metadata,
    }


def item_json(item: Item, profile: Profile) -> dict[str, Any]:
    common = {
        "id": item.id,
        "type": item.kind,
        "status": "completed" if item.complete else "incomplete",
    }
    if item.kind == "function_call":
        call = {"call_id": item.call_id, "name": item.name, "arguments": item.text}
        return common | call
    if item.kind == "function_call_output":
        return common | {"call_id": item.call_id, "output": item.text}
    return common | {"role": item.role, "content": [_part(item, profile)]}


def _part(item: Item, profile: Profile) -> dict[str, Any]:
    if item.role != "assistant":
        return {"type": "input_text", "text": item.text}
    if item.refusal:
        return {"type": "refusal", "refusal": item.text}
    annotations = None if profile.null_annotations else []
    return {"type": "output_text", "text": item.text, "annotations": annotations, "logprobs": []}


def response_json(run: Run, now: float, profile: Profile) -> dict[str, Any]:
    status = run.status(now)
    over = run.is_over(now)
    return {name: run.request.get(name, default) for name, default in ECHOED.items()} | {
        "id": run.id,
        "object": "response",
        "created_at": profile.time(run.created_at),
        "completed_at": profile.time(run.ready_at) if status == "completed" else None,
        "status": status,
        "conversation": {"id": run.conversation.id} if run.conversation else None,
        "error": run.error(now),
        "incomplete_details": _incomplete(status),
        "instructions": run.instructions or None,
        "metadata": run.metadata,
        "model": run.model,
        "output": [item_json(item, profile) for item in run.output] if over else [],
        "service_tier": "default",
        "tools": [{"strict": True, "parameters": {}} | tool for tool in run.tools],
        "usage": _usage(run, now, profile),
    }


def _incomplete(status: str) -> dict[str, str] | None:
    return {"reason": "max_output_tokens"} if status == "incomplete" else None


def _usage(run: Run, now: float, profile: Profile) -> dict[str, Any] | None:
    tokens = run.usage(now)
    if tokens is None or profile.hides_usage:
        return None
    return {
        "input_tokens": tokens[0],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(tokens),
    }
