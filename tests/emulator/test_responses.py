"""The Responses protocol, through the real SDK; every body is checked against its own models."""

from __future__ import annotations

import json
import time

import openai
import pytest
from openai.pagination import SyncConversationCursorPage
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem
from openai.types.conversations.conversation_item_list import ConversationItemList
from openai.types.responses import Response

from tests.emulator.shapes import checked

TOOL = {"type": "function", "name": "search_knowledge", "parameters": {"type": "object"}}
TRIGGER = 'Look it up. [[tool:search_knowledge {"query": "perimeter"}]]'


def text_of(response):
    return "".join(
        part.text
        for item in response.output
        if item.type == "message"
        for part in item.content
        if part.type == "output_text"
    )


def items_of(client, conversation, **options):
    return client.conversations.items.list(conversation.id, **options).data


def call_of(response):
    return next(item for item in response.output if item.type == "function_call")


def output_for(call, output="Fences delay."):
    return [{"type": "function_call_output", "call_id": call.call_id, "output": output}]


def test_every_answer_of_a_turn_has_the_sdks_shape(emulator, client):
    raw = client.conversations.with_raw_response.create(metadata={"simulation": "42"})
    conversation = checked(Conversation, raw)
    assert conversation.metadata == {"simulation": "42"}
    raw = client.responses.with_raw_response.create(
        model="demo",
        instructions="Be brief.",
        input="What threatens the depot?",
        conversation=conversation.id,
        background=True,
        store=True,
        metadata={"simulation": "42", "round": "1"},
        tools=[TOOL],
        max_output_tokens=4000,
        safety_identifier="hashed",
    )
    created = checked(Response, raw)
    fetched = checked(Response, client.responses.with_raw_response.retrieve(created.id))
    assert fetched.status == "completed"
    assert fetched.conversation.id == conversation.id
    assert fetched.metadata == {"simulation": "42", "round": "1"}
    assert fetched.safety_identifier == "hashed"
    assert len(text_of(fetched)) >= 40
    usage = fetched.usage
    assert usage.input_tokens == 9  # 34 characters
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    raw = client.conversations.items.with_raw_response.list(conversation.id, order="asc")
    page = checked(SyncConversationCursorPage[ConversationItem], raw)
    assert [(item.type, item.role) for item in page.data] == [
        ("message", "user"),
        ("message", "assistant"),
    ]
    assert page.data[1].id == fetched.output[0].id
    checked(Conversation, client.conversations.with_raw_response.retrieve(conversation.id))
    raw = client.conversations.with_raw_response.delete(conversation.id)
    assert checked(ConversationDeletedResource, raw).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_status_moves_with_time(emulator, client, ask):
    emulator.control(latency=0.6)
    run = ask()
    seen = [run.status]
    while seen[-1] != "completed":
        time.sleep(0.03)
        response = checked(Response, client.responses.with_raw_response.retrieve(run.id))
        assert (response.status == "completed") == bool(response.output)
        if response.status != seen[-1]:
            seen.append(response.status)
    assert seen == ["queued", "in_progress", "completed"]


def test_a_busy_conversation_is_locked_and_stays_empty(emulator, client, ask):
    emulator.control(latency=60)
    conversation = client.conversations.create()
    ask(conversation=conversation.id)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(conversation={"id": conversation.id})
    assert caught.value.code == "conversation_locked"
    assert caught.value.param == "conversation"
    assert items_of(client, conversation) == []
    emulator.release()
    ask(conversation=conversation.id)
    assert len(items_of(client, conversation)) == 2


def test_items_are_paged_both_ways(emulator, client, ask):
    conversation = client.conversations.create()
    for number in range(3):
        ask(f"Question number {number}", conversation=conversation.id)
    newest_first = [item.id for item in items_of(client, conversation)]
    assert len(newest_first) == 6
    for order, expected in (("asc", newest_first[::-1]), ("desc", newest_first)):
        pages = client.conversations.items.list(conversation.id, order=order, limit=4)
        assert pages.has_more
        assert [item.id for item in pages] == expected
    after = items_of(client, conversation, order="asc", after=newest_first[1])
    assert [item.id for item in after] == newest_first[:1]
    for bad in ({"limit": 0}, {"limit": 101}, {"order": "sideways"}):
        with pytest.raises(openai.BadRequestError):
            items_of(client, conversation, **bad)


def test_tool_round_on_a_conversation(emulator, client, ask):
    conversation = client.conversations.create()
    first = ask(TRIGGER, conversation=conversation.id, tools=[TOOL])
    raw = client.responses.with_raw_response.retrieve(first.id)
    response = checked(Response, raw)
    call = call_of(response)
    assert response.status == "completed"
    assert (call.name, json.loads(call.arguments)) == ("search_knowledge", {"query": "perimeter"})
    second = ask(output_for(call), conversation=conversation.id, tools=[TOOL])
    final = checked(Response, client.responses.with_raw_response.retrieve(second.id))
    assert "Fences delay." in text_of(final)
    assert "[[tool:" not in text_of(final)
    raw = client.conversations.items.with_raw_response.list(conversation.id, order="asc")
    page = checked(SyncConversationCursorPage[ConversationItem], raw)
    kinds = ["message", "function_call", "function_call_output", "message"]
    assert [item.type for item in page.data] == kinds


def test_tool_round_on_a_previous_response(emulator, client, ask):
    first = ask(TRIGGER, tools=[TOOL])
    output = output_for(call_of(client.responses.retrieve(first.id)))
    second = ask(output, previous_response_id=first.id, tools=[TOOL])
    assert "Fences delay." in text_of(client.responses.retrieve(second.id))
    assert emulator.ledger()["runs"][1]["input"] == "Fences delay."


def test_a_trigger_can_ask_for_several_rounds_and_calls(emulator, client, ask):
    conversation = client.conversations.create()
    options = {"conversation": conversation.id, "tools": [TOOL, TOOL | {"name": "other"}]}
    sent = "[[tool:search_knowledge*2 {}]] [[tool:other]]"
    called = []
    for _ in range(3):
        response = client.responses.retrieve(ask(sent, **options).id)
        calls = [item for item in response.output if item.type == "function_call"]
        called.append([call.name for call in calls])
        sent = [output for call in calls for output in output_for(call)]
    assert called == [["search_knowledge", "other"], ["search_knowledge"], []]


def test_a_tool_that_was_not_given_is_not_called(emulator, client, ask):
    response = client.responses.retrieve(ask(TRIGGER).id)
    assert [item.type for item in response.output] == ["message"]


def test_a_trigger_in_an_article_is_data(emulator, client, ask):
    prompt = f"Perimeter?\n\n\n---\nKNOWLEDGE BASE CONTEXT:\n### A (b)\nTags: c\n\n{TRIGGER}"
    response = client.responses.retrieve(ask(prompt, tools=[TOOL]).id)
    assert [item.type for item in response.output] == ["message"]


def test_an_unanswered_call_blocks_its_conversation(emulator, client, ask):
    conversation = client.conversations.create()
    first = ask(TRIGGER, conversation=conversation.id, tools=[TOOL])
    call = call_of(client.responses.retrieve(first.id))
    with pytest.raises(openai.BadRequestError, match=f"No tool output found.*{call.call_id}"):
        ask("And now?", conversation=conversation.id)
    raw = client.conversations.items.with_raw_response.create(
        conversation.id, items=output_for(call, "cancelled")
    )
    assert checked(ConversationItemList, raw).data[0].output == "cancelled"
    ask("And now?", conversation=conversation.id)


def test_an_output_without_its_call_is_refused(emulator, ask):
    output = {"type": "function_call_output", "call_id": "call_x", "output": "?"}
    with pytest.raises(openai.BadRequestError, match=r"No tool call found.*call_x"):
        ask([output])


def test_input_can_be_a_list_of_items_with_parts(emulator, client, ask):
    parts = [
        {"type": "input_text", "text": "What threatens "},
        {"type": "input_text", "text": "us?"},
    ]
    ask([{"role": "user", "content": parts}])
    assert emulator.ledger()["runs"][0]["input"] == "What threatens us?"


def test_a_cancelled_response_is_empty_and_stays_cancelled(emulator, client, ask):
    emulator.control(latency=60)
    conversation = client.conversations.create()
    run = ask(conversation=conversation.id)
    for _ in range(2):  # idempotent
        response = checked(Response, client.responses.with_raw_response.cancel(run.id))
        assert response.status == "cancelled"
        assert response.output == []
        assert response.usage is None
    assert items_of(client, conversation) == []
    [entry] = emulator.ledger()["runs"]
    assert (entry["status"], entry["answer"]) == ("cancelled", None)
    assert entry["cancelled_by_request"]


def test_a_cancelled_response_leaves_earlier_turns_alone(emulator, client, ask):
    conversation = client.conversations.create()
    ask(conversation=conversation.id)
    before = items_of(client, conversation)
    emulator.control(latency=60)
    run = ask("And now?", conversation=conversation.id)
    client.responses.cancel(run.id)
    emulator.release()
    assert items_of(client, conversation) == before
    assert len(before) == 2


def test_a_cancelled_tool_round_leaves_its_call_unanswered(emulator, client, ask):
    conversation = client.conversations.create()
    first = ask(TRIGGER, conversation=conversation.id, tools=[TOOL])
    call = call_of(client.responses.retrieve(first.id))
    emulator.control(latency=60)
    second = ask(output_for(call), conversation=conversation.id, tools=[TOOL])
    client.responses.cancel(second.id)
    kinds = [item.type for item in items_of(client, conversation, order="asc")]
    assert kinds == ["message", "function_call"]
    with pytest.raises(openai.BadRequestError, match=f"No tool output found.*{call.call_id}"):
        ask("And now?", conversation=conversation.id)
    client.conversations.items.create(conversation.id, items=output_for(call, "cancelled"))
    ask("And now?", conversation=conversation.id)


def test_cancelling_what_is_over_returns_it(emulator, client, ask):
    run = ask()
    assert client.responses.cancel(run.id).status == "completed"
    assert not emulator.ledger()["runs"][0]["cancelled_by_request"]


def test_a_foreground_response_is_answered_at_once(emulator, client):
    emulator.control(latency=60)
    response = client.responses.create(model="demo", input="What threatens the depot?")
    assert response.status == "completed"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(response.id)


def test_a_deleted_response_stays_in_the_ledger(emulator, client, ask):
    run = ask()
    client.responses.delete(run.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(run.id)
    assert len(emulator.ledger()["runs"]) == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"model": "no-such-model"}, "model_not_found"),
        ({"conversation": "conv_x", "previous_response_id": "resp_x"},
         "mutually_exclusive_parameters"),
        ({"previous_response_id": "resp_x"}, "previous_response_not_found"),
        ({"metadata": {f"k{n}": "" for n in range(17)}}, "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, "property_name_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length"),
        ({"metadata": {"k": 1}}, "invalid_type"),
        ({"max_output_tokens": 5}, "integer_below_min_value"),
        ({"tools": [{}]}, "missing_required_parameter"),
        ({"store": False}, None),
        ({"prompt": [{"type": "video"}]}, "invalid_value"),
        ({"prompt": ""}, "missing_required_parameter"),
    ],
)  # fmt: skip
def test_a_refused_request_starts_no_run(emulator, ask, options, code):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(**options)
    assert caught.value.code == code
    assert emulator.ledger()["runs"] == []


def test_metadata_at_its_limits_is_taken(emulator, ask):
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    assert ask(metadata=metadata).metadata == metadata


def test_unknown_ids_are_404(emulator, client, ask):
    for call in (
        lambda: client.responses.retrieve("resp_x"),
        lambda: client.responses.cancel("resp_x"),
        lambda: client.conversations.retrieve("conv_x"),
        lambda: ask(conversation="conv_x"),
    ):
        with pytest.raises(openai.NotFoundError, match="not found"):
            call()


def test_max_output_tokens_cuts_the_answer(emulator, client, ask):
    run = ask(max_output_tokens=16)
    response = checked(Response, client.responses.with_raw_response.retrieve(run.id))
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 16
    assert response.output[0].status == "incomplete"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("failed", "failed"),
        ("failed:invalid_prompt", "failed"),
        ("expired", "failed"),
        ("incomplete", "incomplete"),
        ("refusal", "completed"),
        ("empty", "completed"),
        ("unclean", "completed"),
    ],
)
@pytest.mark.parametrize("by", ["control", "metadata"])
def test_outcomes_on_request(emulator, client, ask, outcome, status, by):
    if by == "control":
        emulator.control(next_outcome=outcome)
        run = ask()
    else:
        run = ask(metadata={"emulator_outcome": outcome})
    response = checked(Response, client.responses.with_raw_response.retrieve(run.id))
    assert response.status == status
    if status == "failed":
        assert response.error.code == (outcome.partition(":")[2] or "server_error")
        assert response.output == []
    if outcome == "refusal":
        assert response.output[0].content[0].type == "refusal"
    if outcome == "empty":
        assert text_of(response) == ""
    if outcome == "unclean":
        assert text_of(response).endswith("\x00\ud800")
    assert client.responses.retrieve(ask().id).status == "completed"


@pytest.mark.parametrize(
    ("outcome", "status"), [("stuck", "in_progress"), ("strange", "reviewing")]
)
def test_a_run_without_an_end_locks_its_conversation(emulator, client, ask, outcome, status):
    conversation = client.conversations.create()
    run = ask(conversation=conversation.id, metadata={"emulator_outcome": outcome})
    emulator.release()
    assert client.responses.retrieve(run.id).status == status
    [entry] = emulator.ledger()["runs"]
    assert (entry["status"], entry["ended_at"], entry["answer"]) == (status, None, None)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(conversation=conversation.id)
    assert caught.value.code == "conversation_locked"
    assert client.responses.cancel(run.id).status == "cancelled"
    assert emulator.ledger()["runs"][0]["ended_at"]
    ask(conversation=conversation.id)


def test_release_leaves_endless_responses_as_they_are(emulator, client, ask):
    emulator.control(latency=60, next_outcome="strange")
    run = ask()
    emulator.release()
    assert client.responses.retrieve(run.id).status == "queued"


def test_broken_triggers_cost_nothing(emulator, client, ask):
    run = ask("[[tool:search_knowledge {" * 20_000, tools=[TOOL])
    assert [item.type for item in client.responses.retrieve(run.id).output] == ["message"]
