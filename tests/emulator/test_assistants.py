"""The Assistants protocol, through the real SDK; every body is checked against its own models."""

from __future__ import annotations

import json
import time

import openai
import pytest
from openai.pagination import SyncCursorPage
from openai.types.beta import Assistant, Thread, ThreadDeleted
from openai.types.beta.threads import Message, Run

from tests.emulator.shapes import checked
from tests.emulator.test_answers import PROMPT

ASSISTANT = "asst_demo"
TRIGGER = '[[tool:search_knowledge {"query": "perimeter"}]] Look it up.'


@pytest.fixture
def start(threads):
    """Opens a thread with a message and starts a run on it."""

    def start(content="What threatens the depot?", **options):
        thread = threads.create(messages=[{"role": "user", "content": content}])
        return threads.runs.create(thread.id, assistant_id=ASSISTANT, **options)

    return start


def fetch(threads, run):
    return checked(Run, threads.runs.with_raw_response.retrieve(run.id, thread_id=run.thread_id))


def answer_of(threads, run):
    raw = threads.messages.with_raw_response.list(run.thread_id, run_id=run.id)
    [message] = checked(SyncCursorPage[Message], raw).data
    return message


def test_every_answer_of_a_turn_has_the_sdks_shape(emulator, threads):
    thread = checked(Thread, threads.with_raw_response.create(metadata={"simulation": "42"}))
    assert thread.metadata == {"simulation": "42"}
    raw = threads.messages.with_raw_response.create(
        thread.id, role="user", content="What threatens the depot?", metadata={"n": "1"}
    )
    assert checked(Message, raw).metadata == {"n": "1"}
    raw = threads.runs.with_raw_response.create(
        thread.id, assistant_id=ASSISTANT, metadata={"simulation": "42"}
    )
    run = checked(Run, raw)
    assert run.assistant_id == ASSISTANT
    run = fetch(threads, run)
    assert run.status == "completed"
    assert run.metadata == {"simulation": "42"}
    assert run.usage.prompt_tokens > 0
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens
    raw = threads.messages.with_raw_response.list(thread.id)
    newest, oldest = checked(SyncCursorPage[Message], raw).data
    assert (newest.role, newest.run_id, newest.assistant_id) == ("assistant", run.id, ASSISTANT)
    assert (oldest.role, oldest.run_id) == ("user", None)
    assert len(newest.content[0].text.value) >= 40
    assert newest.content[0].text.annotations == []
    checked(Thread, threads.with_raw_response.retrieve(thread.id))
    assert checked(ThreadDeleted, threads.with_raw_response.delete(thread.id)).deleted
    with pytest.raises(openai.NotFoundError):
        threads.retrieve(thread.id)


def test_status_moves_with_time(emulator, threads, start):
    emulator.control(latency=0.6)
    run = start()
    seen = [run.status]
    while seen[-1] != "completed":
        time.sleep(0.03)
        status = fetch(threads, run).status
        if status != seen[-1]:
            seen.append(status)
    assert seen == ["queued", "in_progress", "completed"]


def test_a_thread_with_an_active_run_is_locked(emulator, threads, start):
    emulator.control(latency=60)
    run = start()
    with pytest.raises(openai.BadRequestError, match="already has an active run") as caught:
        threads.runs.create(run.thread_id, assistant_id=ASSISTANT)
    assert caught.value.body["message"] == (
        f"Thread {run.thread_id} already has an active run {run.id}."
    )
    with pytest.raises(openai.BadRequestError, match=f"while a run {run.id} is active"):
        threads.messages.create(run.thread_id, role="user", content="More")
    assert len(emulator.ledger()["runs"]) == 1
    emulator.release()
    threads.messages.create(run.thread_id, role="user", content="More")
    threads.runs.create(run.thread_id, assistant_id=ASSISTANT)


def test_lists_are_paged_both_ways(emulator, threads, start):
    first = start()
    runs = [first]
    for number in range(2):
        threads.messages.create(first.thread_id, role="user", content=f"More {number}")
        runs.append(threads.runs.create(first.thread_id, assistant_id=ASSISTANT))
    expected = [run.id for run in runs]
    listed = threads.runs.list(first.thread_id, order="asc", limit=2)
    assert listed.has_more
    assert [run.id for run in listed] == expected
    raw = threads.runs.with_raw_response.list(first.thread_id)
    assert [run.id for run in checked(SyncCursorPage[Run], raw).data] == expected[::-1]
    messages = threads.messages.list(first.thread_id, order="asc", limit=4)
    assert [message.role for message in messages] == ["user", "assistant"] * 3
    assert answer_of(threads, runs[1]).run_id == runs[1].id


def test_a_run_waits_for_its_tools_outputs(emulator, threads, start):
    run = fetch(threads, start(TRIGGER))
    assert run.status == "requires_action"
    [call] = run.required_action.submit_tool_outputs.tool_calls
    assert call.function.name == "search_knowledge"
    assert json.loads(call.function.arguments) == {"query": "perimeter"}
    with pytest.raises(openai.BadRequestError, match="already has an active run"):
        threads.runs.create(run.thread_id, assistant_id=ASSISTANT)
    submit = threads.runs.with_raw_response.submit_tool_outputs
    with pytest.raises(openai.BadRequestError, match="Expected tool outputs"):
        submit(run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": "call_x"}])
    outputs = [{"tool_call_id": call.id, "output": "Fences delay."}]
    checked(Run, submit(run.id, thread_id=run.thread_id, tool_outputs=outputs))
    assert fetch(threads, run).status == "completed"
    assert "Fences delay." in answer_of(threads, run).content[0].text.value
    with pytest.raises(openai.BadRequestError, match="do not accept tool outputs"):
        submit(run.id, thread_id=run.thread_id, tool_outputs=outputs)


def test_cancel_goes_through_cancelling(emulator, threads, start):
    emulator.control(latency=2)
    run = start()
    raw = threads.runs.with_raw_response.cancel(run.id, thread_id=run.thread_id)
    assert checked(Run, raw).status == "cancelling"
    with pytest.raises(openai.BadRequestError, match="already has an active run"):
        threads.runs.create(run.thread_id, assistant_id=ASSISTANT)
    emulator.release()
    run = fetch(threads, run)
    assert run.status == "cancelled"
    assert run.cancelled_at is not None
    assert [message.role for message in threads.messages.list(run.thread_id)] == ["user"]
    assert emulator.ledger()["runs"][0]["cancelled_by_request"]
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
        threads.runs.cancel(run.id, thread_id=run.thread_id)


def test_a_run_that_waits_for_tools_can_be_cancelled(emulator, threads, start):
    run = start(TRIGGER)
    threads.runs.cancel(run.id, thread_id=run.thread_id)
    assert fetch(threads, run).status == "cancelled"


def test_an_answer_from_knowledge_carries_a_citation(emulator, threads, start):
    run = start(PROMPT)
    text = answer_of(threads, run).content[0].text
    [annotation] = text.annotations
    assert annotation.type == "file_citation"
    assert annotation.text == "【4:0†source】"
    assert text.value[annotation.start_index : annotation.end_index] == annotation.text
    assert text.value.count("【") == 1
    assert text.value.split("【")[0].endswith(".")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("failed", "failed"),
        ("failed:insufficient_quota", "failed"),
        ("expired", "expired"),
        ("incomplete", "incomplete"),
        ("refusal", "completed"),
        ("empty", "completed"),
    ],
)
def test_outcomes_on_request(emulator, threads, start, outcome, status):
    emulator.control(next_outcome=outcome)
    run = fetch(threads, start())
    assert run.status == status
    if outcome == "failed":
        assert run.last_error.code == "server_error"
        assert run.failed_at is not None
    if outcome == "failed:insufficient_quota":
        assert run.last_error.code == "rate_limit_exceeded"
        assert "current quota" in run.last_error.message
    if outcome == "incomplete":
        assert run.incomplete_details.reason == "max_completion_tokens"
        assert answer_of(threads, run).status == "incomplete"
    if outcome == "refusal":
        assert answer_of(threads, run).content[0].type == "refusal"
    if outcome == "empty":
        assert answer_of(threads, run).content[0].text.value == ""


def test_the_beta_header_is_required(emulator, client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/threads", cast_to=object, body={})
    assert caught.value.code == "invalid_beta"


def test_unknown_ids_are_404(emulator, client, threads, start):
    run, other = start(), start()
    for call in (
        lambda: threads.retrieve("thread_x"),
        lambda: threads.messages.list("thread_x"),
        lambda: threads.runs.retrieve("run_x", thread_id=run.thread_id),
        lambda: threads.runs.retrieve(run.id, thread_id=other.thread_id),
        lambda: threads.runs.create(run.thread_id, assistant_id="asst_no_such_assistant"),
    ):
        with pytest.raises(openai.NotFoundError, match="found with id"):
            call()


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_an_assistant_can_be_retrieved(emulator, client):
    raw = client.beta.assistants.with_raw_response.retrieve(ASSISTANT)
    assert checked(Assistant, raw).id == ASSISTANT


def test_messages_can_come_with_the_run(emulator, threads):
    thread = threads.create()
    added = [{"role": "user", "content": [{"type": "text", "text": "What about the fence?"}]}]
    threads.runs.create(thread.id, assistant_id=ASSISTANT, additional_messages=added)
    assert emulator.ledger()["runs"][0]["input"] == "What about the fence?"


@pytest.mark.parametrize(
    ("outcome", "status"), [("stuck", "in_progress"), ("strange", "reviewing")]
)
def test_a_run_without_an_end_locks_its_thread(emulator, threads, start, outcome, status):
    run = start(metadata={"emulator_outcome": outcome})
    emulator.release()
    assert threads.runs.retrieve(run.id, thread_id=run.thread_id).status == status
    with pytest.raises(openai.BadRequestError, match="already has an active run"):
        threads.runs.create(run.thread_id, assistant_id=ASSISTANT)
    [entry] = emulator.ledger()["runs"]
    assert (entry["status"], entry["ended_at"], entry["answer"]) == (status, None, None)
    threads.runs.cancel(run.id, thread_id=run.thread_id)
    assert fetch(threads, run).status == "cancelled"
    threads.runs.create(run.thread_id, assistant_id=ASSISTANT)
