"""Faults on request, the key, the ledger and the control endpoints."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request

import openai
import pytest


def test_a_rate_limited_call_says_when_to_try_again(emulator, client, ask):
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
def test_a_hanging_call_times_out_and_holds_up_nobody(emulator, client, ask, kind, accepted):
    emulator.arm(kind, "start_run", seconds=0.3)
    with pytest.raises(openai.InternalServerError) as caught:
        ask()
    assert caught.value.status_code == 504
    assert len(emulator.ledger()["runs"]) == accepted
    emulator.arm(kind, "start_run", seconds=5)
    with pytest.raises(openai.APITimeoutError):
        ask(timeout=0.2)
    ask()  # a hanging call holds up nobody


def test_a_fault_meets_its_own_operation_alone(emulator, client, threads, ask):
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


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("401", openai.AuthenticationError, "invalid_api_key"),
        ("403", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("404", openai.NotFoundError, None),
    ],
)
def test_a_refused_call_starts_no_run(emulator, ask, kind, error, code):
    emulator.arm(kind, "start_run")
    with pytest.raises(error) as caught:
        ask()
    assert caught.value.code == code
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert emulator.ledger()["runs"] == []
    ask()


def test_reset_closes_without_accepting(emulator, ask):
    emulator.arm("reset", "start_run")
    with pytest.raises(openai.APIConnectionError) as caught:
        ask()
    assert not isinstance(caught.value, openai.APITimeoutError)
    assert emulator.ledger()["runs"] == []


def test_slow_accepts_at_once_and_answers_late(emulator, ask):
    emulator.arm("slow", "start_run", seconds=5)
    with pytest.raises(openai.APITimeoutError):
        ask(timeout=0.2)
    assert len(emulator.ledger()["runs"]) == 1
    emulator.arm("slow", "start_run", seconds=0.3)
    started = time.monotonic()
    assert ask().status == "completed"
    assert time.monotonic() - started > 0.3


def test_truncated_breaks_off_in_the_middle(emulator, client, ask):
    emulator.arm("truncated", "start_run")
    with pytest.raises(openai.APIConnectionError) as caught:
        ask()
    assert "without sending complete message body" in str(caught.value.__cause__)
    [run] = emulator.ledger()["runs"]
    assert client.responses.retrieve(run["id"]).status == "completed"


def test_truncated_sends_half_of_the_body(emulator, client, ask):
    run = ask()
    whole = client.responses.with_raw_response.retrieve(run.id).content
    emulator.arm("truncated", "fetch_run")
    request = urllib.request.Request(
        f"{emulator.base_url}/responses/{run.id}", headers={"Authorization": "Bearer sk-test"}
    )
    with (
        urllib.request.urlopen(request, timeout=5) as answer,
        pytest.raises(http.client.IncompleteRead) as caught,
    ):
        answer.read()
    assert answer.status == 200
    assert caught.value.partial == whole[: len(whole) // 2]
    assert len(whole) - len(caught.value.partial) == caught.value.expected


def test_a_random_fault_stays_and_repeats_itself(emulator, client, ask):
    run = ask()

    def fates():
        for _ in range(30):
            try:
                client.responses.retrieve(run.id)
            except openai.InternalServerError:
                yield "hit"
            else:
                yield "spared"

    def armed_fates(seed):
        emulator.arm("500", "fetch_run", probability=0.3, seed=seed)
        drawn = list(fates())
        emulator.request("DELETE", "/faults")
        return drawn

    first = armed_fates(7)
    assert 3 <= first.count("hit") <= 18
    assert armed_fates(7) == first
    assert armed_fates(8) != first
    assert set(fates()) == {"spared"}


def test_a_random_fault_can_be_counted(emulator, client, ask):
    emulator.arm("500", "fetch_run", probability=0.5, count=2)
    run = ask()
    for _ in range(30):
        with contextlib.suppress(openai.InternalServerError):
            client.responses.retrieve(run.id)
    assert len(emulator.hits()) == 2


def test_hits_are_listed(emulator, client, ask):
    conversation = client.conversations.create()
    run = ask(metadata={"simulation": "42"}, conversation=conversation.id)
    emulator.arm("500", "fetch_run")
    emulator.arm("truncated", "start_run")
    emulator.arm("reset", "list")
    emulator.arm("drop", "start_run")
    for call in (
        lambda: client.responses.retrieve(run.id),
        lambda: ask(metadata={"simulation": "43"}),
        lambda: client.conversations.items.list(conversation.id),
        lambda: ask(model="no-such-model"),
    ):
        with pytest.raises(openai.APIError):
            call()
    hits = emulator.hits()
    assert all(abs(hit.pop("at") - time.time()) < 10 for hit in hits)
    names = ("kind", "operation", "carried_out", "metadata")
    assert hits == [
        dict(zip(names, values, strict=True))
        for values in (
            ("500", "fetch_run", False, {"simulation": "42"}),
            ("truncated", "start_run", True, {"simulation": "43"}),
            ("reset", "list", False, {}),
            ("drop", "start_run", False, {}),
        )
    ]
    emulator.request("DELETE", "/faults")
    assert len(emulator.hits()) == 4
    emulator.reset()
    assert emulator.hits() == []


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
        ("/faults", {"kind": "500", "probability": 0}),
        ("/faults", {"kind": "500", "probability": 1.5}),
        ("/faults", {"kind": "500", "seed": 0.5}),
        ("/control", {"profile": "imaginary"}),
        ("/control", {"latency": -1}),
        ("/control", {"latency": None}),
        ("/control", {"latency": {"sigma": 0.5}}),
        ("/control", {"latency": {"median": 1, "mean": 2}}),
        ("/control", {"latency": {"median": 1, "sigma": 0.5, "seed": "7"}}),
        ("/control", {"next_answer": 1}),
        ("/control", {"next_outcome": "miracle"}),
        ("/control", {"webhook_url": "http://127.0.0.1:1/"}),
        ("/control", {"webhook_url": "ftp://127.0.0.1/", "webhook_secret": "whsec_AAAA"}),
        ("/control", {"webhook_secret": "AAAA"}),
        ("/control", {"webhook_secret": "whsec_?"}),
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
        "webhook_url": None,
        "webhook_secret": None,
        "next_outcomes": ["failed", "failed"],
    }


def test_polls_can_name_their_interval(emulator, client, ask):
    run = ask()
    assert "openai-poll-after-ms" not in client.responses.with_raw_response.retrieve(run.id).headers
    emulator.control(poll_after_ms=300)
    raw = client.responses.with_raw_response.retrieve(run.id)
    assert raw.headers["openai-poll-after-ms"] == "300"
    created = client.responses.with_raw_response.create(model="gpt-5.1", input="?", background=True)
    assert created.headers["openai-poll-after-ms"] == "300"


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


def test_polls_and_calls_are_counted(emulator, client, threads, ask):
    run = ask()
    for _ in range(2):
        client.responses.retrieve(run.id)
    client.responses.cancel(run.id)
    thread = threads.create(messages=[{"role": "user", "content": "Is the depot safe?"}])
    run = threads.runs.create(thread.id, assistant_id="asst_demo")
    threads.runs.retrieve(run.id, thread_id=thread.id)
    assert [entry["polls"] for entry in emulator.ledger()["runs"]] == [2, 1]
    assert emulator.counts() == {
        "start_run": 2,
        "fetch_run": 3,
        "cancel_run": 1,
        "open_conversation": 1,
    }
    emulator.reset()
    assert emulator.counts() == {}


def test_the_ledger_lists_conversations_and_runs(emulator, client, threads, ask):
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
    assert run["created_at"] < run["ended_at"] < run["created_at"] + 10
    assert run["polls"] == 0
    assert emulator.request("DELETE", "/ledger") == {"conversations": [], "runs": []}
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_the_next_answer_can_be_given(emulator, client, ask):
    emulator.control(next_answer="<b>Said \x1b</b>")
    assert client.responses.retrieve(ask().id).output_text == "<b>Said \x1b</b>"
    assert client.responses.retrieve(ask().id).output_text != "<b>Said \x1b</b>"
