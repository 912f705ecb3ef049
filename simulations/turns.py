"""What a turn is made of: grounding, prompt, citations and the request to the provider."""

import hashlib

from accounts.models import Role
from knowledge.context import text_as_sent
from knowledge.grounding import Source, find_sources
from simulations.models import Citation, Simulation
from simulations.prompts import compose_prompt
from simulations.providers.base import Turn


def ground(simulation: Simulation) -> tuple[str, list[Citation]]:
    """The prompt for a simulation's query, and the citations of the articles in it."""
    sources = find_sources(simulation.query)
    prompt = compose_prompt(
        simulation.query, [source.article for source in sources], user_level(simulation)
    )
    return prompt, [
        build_citation(simulation, position, source)
        for position, source in enumerate(sources, start=1)
    ]


def build_turn(simulation: Simulation, known_run_ids: frozenset[str] = frozenset()) -> Turn:
    assistant = simulation.assistant
    owner = hashlib.sha256(f"sitrep:{simulation.owner_id}".encode()).hexdigest()
    return Turn(
        simulation_id=str(simulation.pk),
        round=1,
        prompt=simulation.prompt,
        model=assistant.model_name,
        assistant_id=assistant.remote_assistant_id,
        instructions=assistant.instructions,
        max_output_tokens=assistant.max_output_tokens,
        safety_identifier=owner,
        conversation_id=simulation.conversation.provider_id,
        anchor=simulation.turn_anchor,
        known_run_ids=known_run_ids,
    )


def user_level(simulation: Simulation) -> str:
    return "advanced" if simulation.owner.has_role(Role.ADMIN) else "standard"


def build_citation(simulation: Simulation, position: int, source: Source) -> Citation:
    article = source.article
    text, truncated = text_as_sent(article.text)
    return Citation(
        simulation=simulation,
        position=position,
        article=article,
        slug=article.slug,
        title=article.title,
        category=article.category,
        tags=article.tags,
        text=text,
        truncated=truncated,
        keywords=list(source.keywords),
    )
