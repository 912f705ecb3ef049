"""What a turn is made of: grounding, prompt, citations and the request to the provider."""

import hashlib

from django.conf import settings

from accounts.models import Role
from knowledge.context import text_as_sent
from knowledge.grounding import Source, find_sources
from simulations.models import Citation, Simulation, ToolCall
from simulations.prompts import compose_prompt
from simulations.providers.base import ToolOutput, Turn
from simulations.turns.tools import (
    MAX_CALLS,
    MAX_OUTPUT,
    TOO_MUCH_OUTPUT,
    answer_call,
    tools_for,
)


def ground(simulation: Simulation) -> tuple[str, list[Citation]]:
    """The prompt for a simulation's query, and the citations of the articles in it."""
    sources = find_sources(simulation.query, max_age=settings.CURATION_MAX_AGE)
    prompt = compose_prompt(
        simulation.query, [source.article for source in sources], user_level(simulation)
    )
    return prompt, [
        build_citation(simulation, position, source)
        for position, source in enumerate(sources, start=1)
    ]


def build_turn(simulation: Simulation, number: int) -> Turn:
    """What this round sends: the prompt, or the outputs of the tools called in the one before."""
    assistant = simulation.assistant
    owner = hashlib.sha256(f"sitrep:{simulation.owner_id}".encode()).hexdigest()
    return Turn(
        simulation_id=str(simulation.pk),
        round=number,
        prompt=simulation.prompt,
        model=assistant.model_name,
        assistant_id=assistant.remote_assistant_id,
        instructions=assistant.instructions,
        max_output_tokens=assistant.max_output_tokens,
        safety_identifier=owner,
        conversation_id=simulation.conversation.provider_id,
        anchor=simulation.turn_anchor,
        temperature=assistant.temperature,
        reasoning_effort=assistant.reasoning_effort,
        tools=tools_for(assistant, simulation.owner),
        tool_outputs=tool_outputs(simulation, number - 1) if number > 1 else (),
    )


def tool_outputs(simulation: Simulation, number: int) -> tuple[ToolOutput, ...]:
    """The outputs of a round of tool calls; each is made once and then kept.

    Every call gets one, because the conversation could not go on without.
    """
    calls = list(ToolCall.objects.filter(run__simulation=simulation, round=number))
    spent = sum(len(call.output) for call in calls[:MAX_CALLS])
    for call in calls[:MAX_CALLS]:
        if not call.output:
            _answer(call, simulation, MAX_OUTPUT - spent)
            spent += len(call.output)
    return tuple(ToolOutput(call.call_id, call.output) for call in calls)


def _answer(call: ToolCall, simulation: Simulation, room: int) -> None:
    output = answer_call(simulation.assistant, simulation.owner, call.name, call.arguments)
    call.output = output if len(output) <= room else TOO_MUCH_OUTPUT
    call.save(update_fields=["output"])


def user_level(simulation: Simulation) -> str:
    return "advanced" if simulation.owner.has_role(Role.ADMIN) else "standard"


def build_citation(simulation: Simulation, position: int, source: Source) -> Citation:
    article = source.article
    text, truncated = text_as_sent(article.text)
    return Citation(
        simulation=simulation,
        position=position,
        article=article,
        revision_id=article.revision_id,
        slug=article.slug,
        title=article.title,
        category=article.category,
        tags=article.tags,
        text=text,
        truncated=truncated,
        keywords=list(source.keywords),
        found_by=source.found_by,
    )
