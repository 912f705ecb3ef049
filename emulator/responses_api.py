"""The Responses protocol: conversations, their items, and responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator import reading
from emulator.calls import Call
from emulator.errors import ApiError, invalid, missing, not_found, wrong_type
from emulator.responses_json import conversation_json, item_json, response_json
from emulator.runs import (
    Conversation,
    Item,
    Run,
    findings,
    last_user_text,
    since_last_user_message,
    tool_rounds,
)

MAX_NEW_ITEMS = 20
MIN_OUTPUT_TOKENS = 16
UNKNOWN_MODEL = "no-such-model"
UNSUPPORTED = {"temperature": ("o1", "o3", "o4"), "reasoning": ("gpt-4",)}
"""Models, by the beginning of their names, that refuse a parameter; the error has no code."""


def fetch_model(call: Call) -> dict[str, Any]:
    model = call.path["model"]
    if model == UNKNOWN_MODEL:
        message = f"The model '{model}' does not exist"
        raise ApiError(404, message, param="model", code="model_not_found")
    return {"id": model, "object": "model", "created": int(call.now), "owned_by": "emulator"}


def open_conversation(call: Call) -> dict[str, Any]:
    items = _items(call, "items")
    conversation = call.state.open_conversation("responses", reading.metadata(call.body), call.now)
    conversation.items.extend(items)
    return conversation_json(conversation, call.state.profile)


def fetch_conversation(call: Call) -> dict[str, Any]:
    return conversation_json(_conversation(call, call.path["conversation"]), call.state.profile)


def delete_conversation(call: Call) -> dict[str, Any]:
    conversation = _conversation(call, call.path["conversation"])
    conversation.deleted = True
    return {"id": conversation.id, "object": "conversation.deleted", "deleted": True}


def delete_item(call: Call) -> dict[str, Any]:
    conversation = _conversation(call, call.path["conversation"])
    kept = [item for item in conversation.items if item.id != call.path["item"]]
    if len(kept) == len(conversation.items):
        raise not_found(f"No item found with id '{call.path['item']}'.")
    conversation.items = kept
    return conversation_json(conversation, call.state.profile)


def list_items(call: Call) -> dict[str, Any]:
    conversation = _conversation(call, call.path["conversation"])
    return _page(call, conversation.items, call.query)


def add_items(call: Call) -> dict[str, Any]:
    conversation = _conversation(call, call.path["conversation"])
    _check_unlocked(conversation, call.now)
    items = _items(call, "items")
    if not items:
        raise missing("items")
    conversation.items.extend(items)
    return _page(call, items, {"order": "asc"})


def create_response(call: Call) -> bytes:
    body = call.body
    _check_settings(body)
    conversation, previous = _context(call)
    history = conversation.items if conversation else previous.history() if previous else []
    items = _items(call, "input")
    said = [*history, *items]
    _check_calls_answered(history, items)
    turn = since_last_user_message(said)
    run = Run(
        id=call.state.profile.new_id("resp"),
        protocol="responses",
        conversation=conversation,
        created_at=call.now,
        prompt=last_user_text(said),
        sent="\n".join(item.text for item in items if item.role in ("user", "tool")),
        instructions=reading.text(body, "instructions") or "",
        model=body["model"],
        metadata=reading.metadata(body),
        client_request_id=call.client_request_id,
        tools=reading.functions(body),
        request=body,
        input=items,
        previous=previous,
        findings=findings(turn),
        rounds=tool_rounds(turn),
    )
    latency = call.state.latency.of(run.sent) if body.get("background") else 0.0
    call.state.accept(run, call.now, latency)
    return _answer(call, run)


def fetch_response(call: Call) -> bytes:
    run = _response(call)
    run.polls += 1
    return _answer(call, run)


def cancel_response(call: Call) -> bytes:
    """Idempotent: a response that is over comes back as it is."""
    run = _response(call)
    if not run.request.get("background"):
        raise invalid("Cannot cancel a synchronous response.")
    if not run.is_over(call.now):
        call.state.cancel(run, call.now)
    return _answer(call, run)


def delete_response(call: Call) -> dict[str, Any]:
    run = _response(call)
    run.deleted = True
    return {"id": run.id, "object": "response", "deleted": True}


def _check_settings(body: dict[str, Any]) -> None:
    if reading.text(body, "model", required=True) == UNKNOWN_MODEL:
        raise invalid(
            f"The requested model '{UNKNOWN_MODEL}' does not exist.",
            param="model",
            code="model_not_found",
        )
    for name, models in UNSUPPORTED.items():
        if body.get(name) is not None and body["model"].startswith(models):
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            raise invalid(message, param=name)
    if body.get("input") in (None, "", []):
        raise missing("input")
    if body.get("background") and body.get("store") is False:
        raise invalid("Background mode requires 'store' to be true.", param="store")
    limit = body.get("max_output_tokens")
    if limit is not None and reading.positive_int(body, "max_output_tokens", 1) < MIN_OUTPUT_TOKENS:
        raise invalid(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
            f"{MIN_OUTPUT_TOKENS}, but got {limit} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )


def _context(call: Call) -> tuple[Conversation | None, Run | None]:
    """What the response goes on from: a conversation that is free, or an earlier response."""
    wanted, previous_id = call.body.get("conversation"), call.body.get("previous_response_id")
    if wanted and previous_id:
        raise invalid(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. "
            "Ensure you are only providing one of these.",
            code="mutually_exclusive_parameters",
        )
    if wanted:
        ident = wanted.get("id") if isinstance(wanted, dict) else wanted
        conversation = _conversation(call, str(ident))
        _check_unlocked(conversation, call.now)
        return conversation, None
    return None, _previous(call, previous_id) if previous_id else None


def _previous(call: Call, ident: str) -> Run:
    run = call.state.run("responses", ident)
    if run is None:
        raise invalid(
            f"Previous response with id '{ident}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if not run.is_over(call.now):
        raise invalid(
            f"Previous response with id '{ident}' is still in progress.",
            param="previous_response_id",
        )
    return run


def _check_unlocked(conversation: Conversation, now: float) -> None:
    if conversation.active_run(now) is not None:
        raise invalid(
            "Another process is currently operating on this conversation. "
            "Please retry in a few seconds.",
            param="conversation",
            code="conversation_locked",
        )


def _check_calls_answered(history: list[Item], items: list[Item]) -> None:
    """Every call needs its output, and every output its call: else a conversation is stuck."""
    called = [item.call_id for item in history + items if item.kind == "function_call"]
    answered = [item.call_id for item in history + items if item.kind == "function_call_output"]
    for call_id in called:
        if call_id not in answered:
            raise invalid(f"No tool output found for function call {call_id}.", param="input")
    for call_id in answered:
        if call_id not in called:
            raise invalid(
                f"No tool call found for function call output with call_id {call_id}.",
                param="input",
            )


def _items(call: Call, param: str) -> list[Item]:
    sent = call.body.get(param) or []
    if isinstance(sent, str):
        sent = [{"role": "user", "content": sent}]
    if not isinstance(sent, list):
        raise wrong_type(param, "an array")
    if param == "items" and len(sent) > MAX_NEW_ITEMS:
        raise invalid(f"Invalid 'items': at most {MAX_NEW_ITEMS} at a time.", param=param)
    return [_item(call, entry, f"{param}[{position}]") for position, entry in enumerate(sent)]


def _item(call: Call, sent: object, param: str) -> Item:
    if not isinstance(sent, dict):
        raise wrong_type(param, "an object")
    kind = reading.one_of(
        sent, "type", ("message", "function_call", "function_call_output"), default="message"
    )
    new_id = call.state.profile.new_id
    if kind == "message":
        role = reading.one_of(sent, "role", ("user", "assistant", "system", "developer"))
        text = reading.content_text(sent.get("content"), f"{param}.content")
        return Item(new_id("msg"), "message", call.now, role=role, text=text)
    call_id = reading.text(sent, "call_id", required=True) or ""
    if kind == "function_call":
        name, text = reading.text(sent, "name", required=True), reading.text(sent, "arguments")
        fields = {"call_id": call_id, "name": name or "", "text": text or ""}
        return Item(new_id("fc"), "function_call", call.now, **fields)
    text = reading.content_text(sent.get("output"), f"{param}.output")
    fields = {"role": "tool", "call_id": call_id, "text": text}
    return Item(new_id("fco"), "function_call_output", call.now, **fields)


def _conversation(call: Call, ident: str) -> Conversation:
    conversation = call.state.conversation("responses", ident, call.now)
    if conversation is None:
        raise not_found(f"Conversation with id '{ident}' not found.")
    return conversation


def _response(call: Call) -> Run:
    ident = call.path["response"]
    run = call.state.run("responses", ident)
    if run is None or run.request.get("store") is False:
        raise not_found(f"Response with id '{ident}' not found.")
    return run


def _page(call: Call, items: list[Item], query: Mapping[str, str]) -> dict[str, Any]:
    profile = call.state.profile
    return reading.page(items, query, lambda item: item_json(item, profile))


def _answer(call: Call, run: Run) -> bytes:
    return call.rendered(run, response_json)
