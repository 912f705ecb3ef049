"""The Assistants protocol, v2: threads, messages and runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator import reading
from emulator.assistants_json import assistant_json, message_json, run_json, thread_json
from emulator.calls import Call
from emulator.errors import invalid, missing, not_found, wrong_type
from emulator.runs import TERMINAL, Conversation, Item, Run, last_user_text

MODEL = "demo-assistant"
UNKNOWN_ASSISTANT = "asst_no_such_assistant"
CANCELLING_SHARE = 0.25
"""The part of the latency that a run spends `cancelling`."""


def open_thread(call: Call) -> dict[str, Any]:
    messages = _messages(call, "messages")
    thread = call.state.open_conversation("assistants", reading.metadata(call.body), call.now)
    thread.items.extend(messages)
    return thread_json(thread, call.state.profile)


def fetch_thread(call: Call) -> dict[str, Any]:
    return thread_json(_thread(call), call.state.profile)


def delete_thread(call: Call) -> dict[str, Any]:
    thread = _thread(call)
    thread.deleted = True
    return {"id": thread.id, "object": "thread.deleted", "deleted": True}


def fetch_assistant(call: Call) -> dict[str, Any]:
    ident = call.path["assistant"]
    _check_assistant(ident)
    return assistant_json(ident, MODEL, call.state.profile)


def add_message(call: Call) -> dict[str, Any]:
    thread = _thread(call)
    active = _locking_run(call, thread)
    if active is not None:
        raise invalid(f"Can't add messages to {thread.id} while a run {active.id} is active.")
    message = _message(call, call.body, "")
    thread.items.append(message)
    return message_json(message, thread, None, call.state.profile)


def list_messages(call: Call) -> dict[str, Any]:
    thread, profile = _thread(call), call.state.profile
    messages = thread.items
    run_id = call.query.get("run_id")
    if run_id and not profile.ignores_run_filter:
        messages = [item for item in messages if item.run_id == run_id]
    if profile.user_messages_first and call.query.get("order", "desc") == "desc":
        messages = sorted(messages, key=lambda item: item.role == "user")
    assistants = {run.id: run.assistant_id for run in thread.runs}
    return reading.page(
        messages,
        call.query,
        lambda item: message_json(item, thread, assistants.get(item.run_id or ""), profile),
    )


def create_run(call: Call) -> bytes:
    thread, body = _thread(call), call.body
    assistant_id = reading.text(body, "assistant_id", required=True) or ""
    _check_assistant(assistant_id)
    active = _locking_run(call, thread)
    if active is not None:
        raise invalid(f"Thread {thread.id} already has an active run {active.id}.")
    added = _messages(call, "additional_messages")
    instructions = [reading.text(body, key) for key in ("instructions", "additional_instructions")]
    prompt = last_user_text([*thread.items, *added])
    run = Run(
        id=call.state.profile.new_id("run"),
        protocol="assistants",
        conversation=thread,
        created_at=call.now,
        prompt=prompt,
        sent=prompt,
        instructions="\n".join(filter(None, instructions)),
        model=reading.text(body, "model") or MODEL,
        metadata=reading.metadata(body),
        client_request_id=call.client_request_id,
        tools=reading.functions(body),
        assistant_id=assistant_id,
        request=body,
    )
    thread.items.extend(added)
    call.state.accept(run, call.now, call.state.latency.of(run.sent))
    return _answer(call, run)


def fetch_run(call: Call) -> bytes:
    run = _run(call)
    run.polls += 1
    return _answer(call, run)


def list_runs(call: Call) -> dict[str, Any]:
    profile = call.state.profile
    return reading.page(
        _thread(call).runs, call.query, lambda run: run_json(run, call.now, profile)
    )


def cancel_run(call: Call) -> bytes:
    run = _run(call)
    status = run.status(call.now)
    queued_only = call.state.profile.cancels_only_queued
    if status in TERMINAL or status == "cancelling" or (queued_only and status != "queued"):
        raise invalid(f"Cannot cancel run with status '{status}'.")
    if call.state.profile.finishes_cancelled and not run.is_endless():
        run.cancel_requested_at = call.now
    else:
        delay = call.state.latency.of(run.sent) * CANCELLING_SHARE
        call.state.cancel(run, call.now, delay)
    return _answer(call, run)


def submit_tool_outputs(call: Call) -> bytes:
    """Takes the outputs of all calls at once, then the run is queued again."""
    run = _run(call)
    status = run.status(call.now)
    if status != "requires_action":
        raise invalid(f"Runs in status '{status}' do not accept tool outputs.")
    outputs = _tool_outputs(call.body)
    calls = {item.call_id: item.name for item in run.calls()}
    if set(outputs) != set(calls):
        raise invalid(
            f"Expected tool outputs for call_ids {sorted(calls)}, got {sorted(outputs)}.",
            param="tool_outputs",
        )
    run.findings += [(calls[call_id], output) for call_id, output in outputs.items()]
    run.rounds += 1
    call.state.schedule(run, call.now, call.state.latency.of(run.sent))
    return _answer(call, run)


def _tool_outputs(body: Mapping[str, Any]) -> dict[str, str]:
    """Output by call id."""
    outputs = body.get("tool_outputs")
    if not outputs:
        raise missing("tool_outputs")
    if not isinstance(outputs, list) or not all(isinstance(entry, dict) for entry in outputs):
        raise wrong_type("tool_outputs", "an array of objects")
    return {
        reading.text(entry, "tool_call_id", required=True) or "": reading.text(entry, "output")
        or ""
        for entry in outputs
    }


def _locking_run(call: Call, thread: Conversation) -> Run | None:
    return None if call.state.profile.unlocked_threads else thread.active_run(call.now)


def _messages(call: Call, param: str) -> list[Item]:
    sent = call.body.get(param) or []
    if not isinstance(sent, list) or not all(isinstance(entry, dict) for entry in sent):
        raise wrong_type(param, "an array of objects")
    return [_message(call, entry, f"{param}[{n}].") for n, entry in enumerate(sent)]


def _message(call: Call, sent: Mapping[str, Any], prefix: str) -> Item:
    role = reading.one_of(sent, "role", ("user", "assistant"))
    if not sent.get("content"):
        raise missing(f"{prefix}content")
    text = reading.content_text(sent["content"], f"{prefix}content")
    metadata = reading.metadata(sent)
    new_id = call.state.profile.new_id("msg")
    return Item(new_id, "message", call.now, role=role, text=text, metadata=metadata)


def _check_assistant(ident: str) -> None:
    if ident == UNKNOWN_ASSISTANT:
        raise not_found(f"No assistant found with id '{ident}'.")


def _thread(call: Call) -> Conversation:
    ident = call.path["thread"]
    thread = call.state.conversation("assistants", ident, call.now)
    if thread is None:
        raise not_found(f"No thread found with id '{ident}'.")
    return thread


def _run(call: Call) -> Run:
    thread, ident = _thread(call), call.path["run"]
    run = call.state.run("assistants", ident)
    if run is None or run.conversation is not thread:
        raise not_found(f"No run found with id '{ident}'.")
    return run


def _answer(call: Call, run: Run) -> bytes:
    return call.rendered(run, run_json)
