"""What independent servers do differently, each deviation seen through the real SDK."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

import openai
import pytest

from tests.emulator.test_answers import PROMPT

ASSISTANT = "asst_demo"


@pytest.fixture(autouse=True)
def independent(emulator):
    emulator.control(profile="independent")


@pytest.fixture
def thread(threads):
    return threads.create(messages=[{"role": "user", "content": "What threatens the depot?"}])


@pytest.fixture
def run(threads, thread):
    return threads.runs.create(thread.id, assistant_id=ASSISTANT)


def body_of(raw):
    return json.loads(raw.text)


def test_ids_are_uuids_and_times_iso(threads, run):
    body = body_of(threads.runs.with_raw_response.retrieve(run.id, thread_id=run.thread_id))
    assert UUID(body["id"])
    assert UUID(body["thread_id"])
    for key in ("created_at", "completed_at"):
        assert datetime.fromisoformat(body[key]).tzinfo is not None
    assert body["usage"] is None


def test_messages_ignore_filter_and_order(threads, thread, run):
    messages = body_of(threads.messages.with_raw_response.list(thread.id, run_id=run.id))["data"]
    assert [message["role"] for message in messages] == ["user", "assistant"]  # no filter, no order
    assert all(isinstance(message["content"][0]["text"], str) for message in messages)
    [newest] = threads.messages.list(thread.id, order="desc", limit=1).data
    assert newest.role == "user"


def test_a_cited_answer_has_null_annotations(threads):
    thread = threads.create(messages=[{"role": "user", "content": PROMPT}])
    threads.runs.create(thread.id, assistant_id=ASSISTANT)
    newest = threads.messages.list(thread.id, order="asc").data[-1]
    assert newest.content[0].text.annotations is None
    assert "【4:0†source】" in newest.content[0].text.value


def test_a_cancelled_run_completes(emulator, threads, thread):
    emulator.control(latency=60)
    run = threads.runs.create(thread.id, assistant_id=ASSISTANT)
    assert threads.runs.cancel(run.id, thread_id=thread.id).status == "cancelling"
    emulator.release()
    assert threads.runs.retrieve(run.id, thread_id=thread.id).status == "completed"
    [entry] = emulator.ledger()["runs"]
    assert entry["cancelled_by_request"]
    assert entry["answer"]


def test_a_cancelled_run_that_is_stuck_is_cancelled(emulator, threads, thread):
    emulator.control(latency=60, next_outcome="stuck")
    run = threads.runs.create(thread.id, assistant_id=ASSISTANT)
    emulator.control(latency=0)
    threads.runs.cancel(run.id, thread_id=thread.id)
    assert threads.runs.retrieve(run.id, thread_id=thread.id).status == "cancelled"


def test_only_a_queued_run_can_be_cancelled(threads, run):
    with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
        threads.runs.cancel(run.id, thread_id=run.thread_id)


def test_threads_are_not_locked(emulator, threads, thread):
    emulator.control(latency=60)
    for _ in range(2):
        threads.runs.create(thread.id, assistant_id=ASSISTANT)
        threads.messages.create(thread.id, role="user", content="More")
    emulator.release()
    roles = [message.role for message in threads.messages.list(thread.id)]
    assert sorted(roles) == ["assistant"] * 2 + ["user"] * 3


def test_responses_deviate_modestly(emulator, client, ask):
    body = body_of(client.responses.with_raw_response.retrieve(ask().id))
    assert UUID(body["id"])
    assert datetime.fromisoformat(body["created_at"])
    assert body["usage"] is None
    assert body["output"][0]["content"][0]["annotations"] is None
    assert emulator.ledger()["runs"][0]["usage"]["total_tokens"] > 0
