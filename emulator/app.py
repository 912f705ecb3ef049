"""The application: which request goes to which handler, and what surrounds every call."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator import assistants_api, control, responses_api
from emulator.calls import Call, dump
from emulator.errors import ApiError, gateway_timeout, invalid, unauthorized
from emulator.faults import AFTER, Fault
from emulator.state import State
from emulator.transport import NoAnswer

Handler = Callable[[Call], dict[str, Any] | bytes]
Endpoint = Callable[[Request], Awaitable[Response]]

INVALID_KEY = "sk-invalid"
BETA_HEADER, BETA_VALUE = "openai-beta", "assistants=v2"
BETA_PATHS = ("/threads", "/assistants")

API = [
    # method, path, operation (as faults name it), handler
    ("POST", "/conversations", "open_conversation", responses_api.open_conversation),
    ("GET", "/conversations/{conversation}", "other", responses_api.fetch_conversation),
    ("DELETE", "/conversations/{conversation}", "other", responses_api.delete_conversation),
    ("GET", "/conversations/{conversation}/items", "list", responses_api.list_items),
    ("POST", "/conversations/{conversation}/items", "add_message", responses_api.add_items),
    ("GET", "/responses/{response}", "fetch_run", responses_api.fetch_response),
    ("POST", "/responses", "start_run", responses_api.create_response),
    ("DELETE", "/responses/{response}", "other", responses_api.delete_response),
    ("POST", "/responses/{response}/cancel", "cancel_run", responses_api.cancel_response),
    ("GET", "/threads/{thread}/runs/{run}", "fetch_run", assistants_api.fetch_run),
    ("POST", "/threads", "open_conversation", assistants_api.open_thread),
    ("GET", "/threads/{thread}", "other", assistants_api.fetch_thread),
    ("DELETE", "/threads/{thread}", "other", assistants_api.delete_thread),
    ("POST", "/threads/{thread}/messages", "add_message", assistants_api.add_message),
    ("GET", "/threads/{thread}/messages", "list", assistants_api.list_messages),
    ("POST", "/threads/{thread}/runs", "start_run", assistants_api.create_run),
    ("GET", "/threads/{thread}/runs", "list", assistants_api.list_runs),
    ("POST", "/threads/{thread}/runs/{run}/cancel", "cancel_run", assistants_api.cancel_run),
    (
        "POST",
        "/threads/{thread}/runs/{run}/submit_tool_outputs",
        "submit_tool_outputs",
        assistants_api.submit_tool_outputs,
    ),
    ("GET", "/assistants/{assistant}", "other", assistants_api.fetch_assistant),
]
CONTROL = [
    ("GET", "/healthz", control.healthz),
    ("GET", "/ledger", control.show_ledger),
    ("DELETE", "/ledger", control.clear_ledger),
    ("GET", "/control", control.show_settings),
    ("POST", "/control", control.change_settings),
    ("GET", "/faults", control.show_faults),
    ("POST", "/faults", control.arm_fault),
    ("DELETE", "/faults", control.clear_faults),
]


def create_app(state: State) -> ASGIApp:
    api = [
        Route(
            path,
            _api_endpoint(state, operation, handler, beta=path.startswith(BETA_PATHS)),
            methods=[method],
        )
        for method, path, operation, handler in API
    ]
    others = [
        Route(path, _control_endpoint(state, handler), methods=[method])
        for method, path, handler in CONTROL
    ]
    handlers = {ApiError: _show_error, HTTPException: _show_http_error}
    app = Starlette(routes=[Mount("/v1", routes=api), *others], exception_handlers=handlers)
    app.router.redirect_slashes = False
    return with_request_id(app)


def _control_endpoint(state: State, handler: Handler) -> Endpoint:
    async def answer(request: Request) -> Response:
        return _respond(handler(await _read(request, state)))

    return answer


def _api_endpoint(state: State, operation: str, handler: Handler, *, beta: bool) -> Endpoint:
    """A handler behind the key, the beta header and the armed faults."""

    async def answer(request: Request) -> Response:
        _check_key(request)
        if beta:
            _check_beta(request)
        call = await _read(request, state)
        fault = state.faults.take(operation)
        if fault is not None and fault.kind not in AFTER:
            await _hang(fault)
            raise fault.refusal()
        response = _respond(handler(call))
        if fault is not None:
            return await _lose(fault)
        if operation == "fetch_run" and state.poll_after_ms:
            response.headers["openai-poll-after-ms"] = str(state.poll_after_ms)
        return response

    return answer


async def _hang(fault: Fault) -> None:
    if fault.kind == "timeout":
        await fault.hang()


async def _lose(fault: Fault) -> Response:
    """The call was carried out; its answer gets lost."""
    if fault.kind == "drop":
        return NoAnswer()
    await fault.hang()
    raise gateway_timeout()


async def _read(request: Request, state: State) -> Call:
    body = await request.body() if request.method == "POST" else b""
    return Call(state, time.time(), request.path_params, request.query_params, _parse(body))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise invalid("We could not parse the JSON body of your request: expected a JSON object.")
    return parsed


def _check_key(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise unauthorized(
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    if key.strip() == INVALID_KEY:
        raise unauthorized(f"Incorrect API key provided: {INVALID_KEY}.", code="invalid_api_key")


def _check_beta(request: Request) -> None:
    if request.headers.get(BETA_HEADER) != BETA_VALUE:
        raise invalid(
            "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
            "Please try again by setting the header 'OpenAI-Beta: assistants=v2'.",
            code="invalid_beta",
        )


def _respond(content: dict[str, Any] | bytes) -> Response:
    body = content if isinstance(content, bytes) else dump(content)
    return Response(body, media_type="application/json")


def _error_response(error: ApiError) -> Response:
    return Response(dump(error.body()), error.status, error.headers, "application/json")


async def _show_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return _error_response(error)


async def _show_http_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    url = f"{request.method} {request.url.path}"
    messages = {404: f"Invalid URL ({url})", 405: f"Not allowed to {url}."}
    return _error_response(ApiError(status, messages.get(status, str(error))))


def with_request_id(app: ASGIApp) -> ASGIApp:
    """Every answer carries `x-request-id`, as OpenAI's do."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
            await send(message)

        await app(scope, receive, send_named if scope["type"] == "http" else send)

    return wrapped
