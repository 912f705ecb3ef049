"""The loop that is usually written: one task follows one run, and sleeps between its polls.

Its rules: ask every 1.2 s until the run is neither queued nor in progress, for at most 90 s;
whatever goes wrong, the simulation has failed. Prompt, citations, request, cleaning and rows are
the product's. Where there is a choice it takes the cheap one: answers are read as raw JSON, fewer
rows are written than by the engine, and the database connection is handed back during the wait.
"""

import logging
import threading
import time
from functools import cache

import openai
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from benchmarks.capacity_parts.reference_app import app
from simulations.models import Citation, Conversation, Run, Simulation, Status
from simulations.providers.base import RunSnapshot, RunState, Turn
from simulations.providers.responses import read_response
from simulations.turns.building import build_turn, ground
from simulations.turns.outcomes import fail_simulation
from tests.simulations.sanitizing.seeded import sanitize_answer

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.2

building = threading.Lock()


@app.task(ignore_result=True)
def run_simulation(pk: str) -> None:
    simulation = Simulation.objects.select_related("owner", "assistant", "conversation").get(pk=pk)
    try:
        finish(simulation, follow(start(simulation)))
    except Exception:
        logger.exception("Simulation %s failed", pk)
        fail(simulation, "internal_error", 500)
    finally:
        connection.close()


def start(simulation: Simulation) -> RunSnapshot:
    save_prompt(simulation)
    simulation.conversation.provider_id = open_conversation(simulation)
    result = create_response(build_turn(simulation, 1))
    save_run(simulation, result)
    return result


def save_prompt(simulation: Simulation) -> None:
    simulation.prompt, citations = ground(simulation)
    with transaction.atomic():
        Simulation.objects.filter(pk=simulation.pk).update(prompt=simulation.prompt)
        Citation.objects.bulk_create(citations)


def save_run(simulation: Simulation, result: RunSnapshot) -> None:
    conversation = simulation.conversation
    with transaction.atomic():
        Conversation.objects.filter(pk=conversation.pk).update(provider_id=conversation.provider_id)
        run = Run.objects.create(simulation=simulation, provider_id=result.id, accepted_at=Now())
        row = Simulation.objects.filter(pk=simulation.pk)
        row.transition(Status.RUNNING, run=run, admitted_at=Now(), started_at=Now(), due_at=Now())
    simulation.run = run


def follow(result: RunSnapshot) -> RunSnapshot:
    """The run at its end, or as it was when RUN_TIMEOUT was over."""
    connection.close()
    end = time.monotonic() + settings.RUN_TIMEOUT.total_seconds()
    while result.status in {"queued", "in_progress"} and time.monotonic() <= end:
        time.sleep(POLL_SECONDS)
        result = retrieve_response(result.id)
    return result


def finish(simulation: Simulation, result: RunSnapshot) -> None:
    if result.state is RunState.COMPLETED:
        Simulation.objects.filter(pk=simulation.pk).transition(
            Status.COMPLETED,
            raw_answer=result.text,
            answer=sanitize_answer(result.text),
            tokens_used=result.usage.total_tokens,
        )
    elif result.state is RunState.ACTIVE:
        fail(simulation, "run_timeout", 504)
    else:
        fail(simulation, f"run_{result.status}", 502)
    Run.objects.filter(pk=simulation.run_id).update(
        outcome=result.state.value if result.state is not RunState.ACTIVE else "",
        finished_at=Now(),
        input_tokens=result.usage.input_tokens,
        output_tokens=result.usage.output_tokens,
        total_tokens=result.usage.total_tokens,
    )


def fail(simulation: Simulation, code: str, status: int) -> None:
    row = Simulation.objects.filter(pk=simulation.pk)
    fail_simulation(row, code=code, message="The run failed.", status=status)


def client() -> openai.OpenAI:
    """The process's own; built after any fork, by one of its threads."""
    with building:
        return build_client()


@cache
def build_client() -> openai.OpenAI:
    return openai.OpenAI(
        api_key=settings.OPENAI_API_KEY, base_url=settings.OPENAI_BASE_URL, max_retries=0
    )


def open_conversation(simulation: Simulation) -> str:
    conversations = client().conversations.with_raw_response
    answer = conversations.create(metadata={"simulation": str(simulation.pk)})
    return answer.http_response.json()["id"]


def create_response(turn: Turn) -> RunSnapshot:
    answer = client().responses.with_raw_response.create(
        model=turn.model,
        instructions=turn.instructions,
        input=turn.prompt,
        conversation=turn.conversation_id,
        background=True,
        store=True,
        metadata=turn.metadata,
        max_output_tokens=turn.max_output_tokens,
        safety_identifier=turn.safety_identifier,
    )
    return read_response(answer.http_response.json())


def retrieve_response(run_id: str) -> RunSnapshot:
    answer = client().responses.with_raw_response.retrieve(run_id)
    return read_response(answer.http_response.json())
