"""An answer as a Markdown document of its own, for files and mails."""

from collections.abc import Iterable

from knowledge.neutral import drop_unsafe
from simulations.models import Citation, Simulation

UNCLEANED = "*This answer was not cleaned: section headers and disclaimers may be left in it.*"


def as_markdown(simulation: Simulation, citations: Iterable[Citation]) -> str:
    """Question, answer and sources; `citations` are `with_revisions`."""
    question = "\n".join(f"> {line}".rstrip() for line in simulation.query.splitlines())
    asked = f"{simulation.created_at:%-d %B %Y, %H:%M} UTC"
    facts = f"Asked by {simulation.owner.get_username()} on {asked}. Simulation {simulation.pk}."
    sources = [_source(citation) for citation in citations]
    listed = ["## Sources", "\n".join(sources)] if sources else []
    warned = [UNCLEANED] if simulation.is_uncleaned else []
    parts = [question, facts, *warned, simulation.answer, *listed]
    return drop_unsafe("\n\n".join(parts)) + "\n"


def _source(citation: Citation) -> str:
    revision = f", revision {citation.revision_number}" if citation.revision_id else ""
    brought = f". Brought by: {', '.join(citation.keywords)}" if citation.keywords else ""
    cut = ". Only its beginning was sent" if citation.truncated else ""
    line = f"{citation.title} ({citation.slug}{revision}){brought}{cut}."
    return f"{citation.position}. {' '.join(line.split())}"
