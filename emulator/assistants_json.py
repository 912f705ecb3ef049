"""What the Assistants protocol (v2) shows of threads, messages and runs."""

from __future__ import annotations

import re
from typing import Any

from emulator.answers import CITATION_MARK
from emulator.profiles import Profile
from emulator.runs import Conversation, Item, Run

EXPIRES_AFTER = 600
"""Seconds."""
CITED_FILE = "file-knowledge-base"
RUN_DEFAULTS = {
    "max_completion_tokens": None,
    "max_prompt_tokens": None,
    "parallel_tool_calls": True,
    "response_format": "auto",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_p": 1.0,
    "truncation_strategy": {"type": "auto", "last_messages": None},
}
"""Settings a run repeats from its request, with the value each has by default."""


def thread_json(thread: Conversation, profile: Profile) -> dict[str, Any]:
    return {
        "id": thread.id,
        "object": "thread",
        "created_at": profile.time(thread.created_at),
        "metadata": thread.metadata,
        "tool_resources": {},
    }


def assistant_json(ident: str, model: str, profile: Profile) -> dict[str, Any]:
    return {
        "id": ident,
        "object": "assistant",
        "created_at": profile.time(0),
        "name": "Demo assistant",
        "description": None,
        "instructions": None,
        "model": model,
        "tools": [],
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "response_format": "auto",
    }


def message_json(
    item: Item, thread: Conversation, assistant_id: str | None, profile: Profile
) -> dict[str, Any]:
    created_at = profile.time(item.created_at)
    return {
        "id": item.id,
        "object": "thread.message",
        "created_at": created_at,
        "thread_id": thread.id,
        "assistant_id": assistant_id,
        "run_id": item.run_id,
        "role": item.role,
        "status": "completed" if item.complete else "incomplete",
        "completed_at": created_at if item.complete else None,
        "incomplete_at": None if item.complete else created_at,
        "incomplete_details": None if item.complete else {"reason": "max_tokens"},
        "content": [_part(item, profile)],
        "attachments": [],
        "metadata": item.metadata,
    }


def _part(item: Item, profile: Profile) -> dict[str, Any]:
    if item.refusal:
        return {"type": "refusal", "refusal": item.text}
    citations = [_citation(mark) for mark in CITATION_MARK.finditer(item.text)]
    if profile.plain_text and not citations:
        return {"type": "text", "text": item.text}
    annotations = None if profile.null_annotations else citations
    return {"type": "text", "text": {"value": item.text, "annotations": annotations}}


def _citation(mark: re.Match[str]) -> dict[str, Any]:
    return {
        "type": "file_citation",
        "text": mark[0],
        "start_index": mark.start(),
        "end_index": mark.end(),
        "file_citation": {"file_id": CITED_FILE},
    }


def run_json(run: Run, now: float, profile: Profile) -> dict[str, Any]:
    status = run.status(now)
    started = status not in ("queued", "expired")
    return {name: run.request.get(name, default) for name, default in RUN_DEFAULTS.items()} | {
        "id": run.id,
        "object": "thread.run",
        "created_at": profile.time(run.created_at),
        "thread_id": run.conversation.id if run.conversation else "",
        "assistant_id": run.assistant_id,
        "status": status,
        "started_at": profile.time(run.started_at) if started else None,
        "expires_at": None if run.is_over(now) else profile.time(run.created_at + EXPIRES_AFTER),
        "cancelled_at": profile.time(run.ready_at) if status == "cancelled" else None,
        "failed_at": profile.time(run.ready_at) if status == "failed" else None,
        "completed_at": profile.time(run.ready_at) if status == "completed" else None,
        "required_action": _required_action(run) if status == "requires_action" else None,
        "last_error": run.error(now),
        "incomplete_details": (
            {"reason": "max_completion_tokens"} if status == "incomplete" else None
        ),
        "instructions": run.instructions,
        "model": run.model,
        "tools": run.tools,
        "metadata": run.metadata,
        "usage": _usage(run, now, profile),
    }


def _required_action(run: Run) -> dict[str, Any]:
    calls = [
        {
            "id": item.call_id,
            "type": "function",
            "function": {"name": item.name, "arguments": item.text},
        }
        for item in run.calls()
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}


def _usage(run: Run, now: float, profile: Profile) -> dict[str, int] | None:
    tokens = run.usage(now)
    if tokens is None or profile.hides_usage:
        return None
    return {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": sum(tokens),
    }
