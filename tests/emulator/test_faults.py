"""Faults on request, the key, the ledger and the control endpoints."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import openai
import pytest


def test_rate_limit(emulator, client, ask):
    emulator.arm("429", "start_run", retry_after=1.5)
    with pytest.raises(openai.RateLimitError) as caught:
        ask()
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "1.5"
    assert emulator.ledger()["runs"] == []
    ask()


def test_server_error_hits_as_often_as_armed(emulator, client, ask):
    emulator.arm("500", count=2)
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            ask()
    ask()
    assert len(emulator.ledger()["runs"]) == 1


def test_drop_accepts_and_closes(emulator, ask):
    emulator.arm("drop", "start_run")
    with pytest.raises(openai.APIConnectionError) as caught:
        ask(metadata={"simulation": "42"})
    assert not isinstance(caught.value, openai.APITimeoutError)
    [run] = emulator.runs(simulation="42")
    assert run["status"] == "completed"


@pytest.mark.parametrize(("kind", "accepted"), [("timeout", 0), ("accept_then_hang", 1)])
def test_hanging(emulator, client, ask, kind, accepted):
    emulator.arm(kind, "start_run", seconds=0.3)
    with pytest.raises(openai.InternalServerError) as caught:
        ask()
    assert caught.value.status_code == 504
    assert len(emulator.ledger()["runs"]) == accepted
    emulator.arm(kind, "start_run", seconds=5)
    with pytest.raises(openai.APITimeoutError):
        ask(timeout=0.2)
    ask()  # a hanging call holds up nobody


def test_operations(emulator, client, threads, ask):
    conversation, thread = client.conversations.create(), threads.create()
    run = ask(conversation=conversation.id)
    calls = {
        "open_conversation": [client.conversations.create, threads.create],
        "add_message": [lambda: threads.messages.create(thread.id, role="user", content="?")],
        "start_run": [ask, lambda: threads.runs.create(thread.id, assistant_id="asst_demo")],
        "fetch_run": [lambda: client.responses.retrieve(run.id)],
        "cancel_run": [lambda: client.responses.cancel(run.id)],
        "list": [
            lambda: client.conversations.items.list(conversation.id),
            lambda: threads.messages.list(thread.id),
            lambda: threads.runs.list(thread.id),
        ],
    }
    for operation, requests in calls.items():
        for request in requests:
            emulator.arm("500", operation)
            for others in [name for name in calls if name != operation]:
                calls[others][0]()
            with pytest.raises(openai.InternalServerError):
                request()


def test_faults_can_be_listed_and_cleared(emulator, ask):
    emulator.arm("429", "start_run", count=3)
    [fault] = emulator.request("GET", "/faults")["faults"]
    assert (fault["kind"], fault["operation"], fault["count"]) == ("429", "start_run", 3)
    assert emulator.request("DELETE", "/faults") == {"faults": []}
    ask()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"kind": "meteor"}),
        ("/faults", {"kind": "500", "operation": "start"}),
        ("/faults", {"kind": "500", "count": 0}),
        ("/faults", {"kind": "500", "times": 2}),
        ("/control", {"profile": "imaginary"}),
        ("/control", {"latency": -1}),
        ("/control", {"next_outcome": "miracle"}),
        ("/control", {"speed": 1}),
    ],
)
def test_mistakes_in_control_are_told(emulator, path, body):
    with pytest.raises(urllib.error.HTTPError) as caught:
        emulator.request("POST", path, body)
    with caught.value as answer:
        assert answer.code == 400
        assert json.load(answer)["error"]["message"]


def test_control_answers_the_settings(emulator):
    changed = emulator.control(latency=0.5, next_outcome="failed", count=2, poll_after_ms=300)
    assert changed == emulator.request("GET", "/control")
    assert changed == {
        "profile": "openai",
        "latency": 0.5,
        "poll_after_ms": 300,
        "next_outcomes": ["failed", "failed"],
    }


def test_polls_can_name_their_interval(emulator, client, ask):
    run = ask()
    assert "openai-poll-after-ms" not in client.responses.with_raw_response.retrieve(run.id).headers
    emulator.control(poll_after_ms=300)
    raw = client.responses.with_raw_response.retrieve(run.id)
    assert raw.headers["openai-poll-after-ms"] == "300"


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Basic abc", "Bearer sk-invalid"])
def test_a_key_is_needed(emulator, header):
    headers = {} if header is None else {"Authorization": header}
    request = urllib.request.Request(f"{emulator.base_url}/responses/resp_x", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    with caught.value as answer:
        assert answer.code == 401
        assert answer.headers["x-request-id"].startswith("req_")
        error = json.load(answer)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == ("invalid_api_key" if "sk-invalid" in str(header) else None)


def test_every_answer_has_a_request_id(emulator, client, ask):
    first = client.responses.with_raw_response.retrieve(ask().id).headers["x-request-id"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.get("/nowhere", cast_to=object)
    assert caught.value.request_id not in (None, first)


def test_ledger(emulator, client, threads, ask):
    emulator.control(latency=60)
    conversation = client.conversations.create(metadata={"simulation": "42"})
    ask("Is the depot safe?", conversation=conversation.id, instructions="Be brief.")
    thread = threads.create()
    emulator.release()
    ledger = emulator.ledger()
    assert [(entry["id"], entry["protocol"]) for entry in ledger["conversations"]] == [
        (conversation.id, "responses"),
        (thread.id, "assistants"),
    ]
    [run] = ledger["runs"]
    assert run["conversation_id"] == conversation.id
    assert run["input"] == "Is the depot safe?"
    assert run["instructions"] == "Be brief."
    assert run["model"] == "demo"
    assert run["answer"].startswith("## Executive Summary")
    assert run["usage"]["total_tokens"] > 0
    assert not run["cancelled_by_request"]
    assert abs(run["created_at"] - time.time()) < 10
    assert emulator.request("DELETE", "/ledger") == {"conversations": [], "runs": []}
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)
