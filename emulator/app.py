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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator import assistants_api, control, responses_api
from emulator.calls import Call, dump
from emulator.errors import ApiError, invalid, invalid_key, unauthorized
from emulator.faults import BEFORE, Fault, Hit
from emulator.state import State
from emulator.transport import NoAnswer, TruncatedAnswer

Handler = Callable[[Call], dict[str, Any] | bytes]
Endpoint = Callable[[Request], Awaitable[Response]]

INVALID_KEY = "sk-invalid"
BETA_HEADER, BETA_VALUE = "openai-beta", "assistants=v2"
BETA_PATHS = ("/threads", "/assistants")

TELLS_OF_RUN = {"start_run", "fetch_run", "submit_tool_outputs"}
"""Operations whose answers say when the run is to be asked for again."""

API = [
    # method, path, operation (as faults name it), handler
    ("GET", "/models/{model:path}", "other", responses_api.fetch_model),
    ("POST", "/conversations", "open_conversation", responses_api.open_conversation),
    ("GET", "/conversations/{conversation}", "other", responses_api.fetch_conversation),
    ("DELETE", "/conversations/{conversation}", "other", responses_api.delete_conversation),
    ("GET", "/conversations/{conversation}/items", "list", responses_api.list_items),
    (
        "DELETE",
        "/conversations/{conversation}/items/{item}",
        "other",
        responses_api.delete_item,
    ),
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
    ("GET", "/counts", control.show_counts),
    ("GET", "/control", control.show_settings),
    ("POST", "/control", control.change_settings),
    ("GET", "/webhooks", control.show_webhooks),
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
    handlers = {
        ApiError: _show_error,
        HTTPException: _show_http_error,
        ClientDisconnect: _show_nobody,
    }
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
        state.calls[operation] += 1
        _check_key(request)
        if beta:
            _check_beta(request)
        call = await _read(request, state)
        fault = state.faults.take(operation)
        if fault is None:
            return _carry_out(handler, operation, call)
        if fault.kind in BEFORE:
            _note(fault, operation, call, carried_out=False)
            return await _refuse(fault)
        response = _carry_out_or_refuse(handler, operation, call)
        _note(fault, operation, call, carried_out=response.status_code < 400)
        return await _spoil(fault, response)

    return answer


def _carry_out(handler: Handler, operation: str, call: Call) -> Response:
    response = _respond(handler(call))
    if operation in TELLS_OF_RUN and call.state.poll_after_ms:
        response.headers["openai-poll-after-ms"] = str(call.state.poll_after_ms)
    return response


def _carry_out_or_refuse(handler: Handler, operation: str, call: Call) -> Response:
    try:
        return _carry_out(handler, operation, call)
    except ApiError as error:
        return _error_response(error)


def _note(fault: Fault, operation: str, call: Call, *, carried_out: bool) -> None:
    hit = Hit(fault.kind, operation, call.now, carried_out, call.metadata())
    call.state.faults.hits.append(hit)


async def _refuse(fault: Fault) -> Response:
    """The call is not carried out."""
    if fault.kind == "reset":
        return NoAnswer()
    if fault.kind == "timeout":
        await fault.hang()
    raise fault.refusal()


async def _spoil(fault: Fault, response: Response) -> Response:
    """The call was carried out; its answer gets lost, or is late."""
    if fault.kind == "drop":
        return NoAnswer()
    if fault.kind == "truncated":
        return TruncatedAnswer(response)
    await fault.hang()
    if fault.kind == "slow":
        return response
    raise fault.refusal()


async def _read(request: Request, state: State) -> Call:
    body = await request.body() if request.method == "POST" else b""
    return Call(
        state,
        time.time(),
        request.path_params,
        request.query_params,
        _parse(body),
        request.headers.get("x-client-request-id", ""),
    )


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
        raise invalid_key(INVALID_KEY)


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


async def _show_nobody(request: Request, error: Exception) -> Response:
    """A client that died while it was sending is no error of the server's."""
    return Response(status_code=400)


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
