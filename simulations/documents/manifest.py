"""What went into a simulation and what came of it, in one document. Knows nothing of HTTP.

Whoever may see the simulation may see its manifest. The prompt and what else holds the text of
articles needs the knowledge base's module; a provider's own words are for administrators. What is
left out for that is named in `omitted`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models.functions import Length
from django.utils import timezone

from accounts.models import Module, Role, User
from accounts.permissions import missing
from knowledge.revisions import number_of_revision
from simulations.models import Assistant, Citation, RulesVersion, Run, Simulation, ToolCall
from simulations.prompts import level_in_prompt
from simulations.providers import sends_instructions
from simulations.sanitizing.cleaner import AnswerCleaner, Cleaning, presentable
from simulations.turns.tools import OVER_LIMIT

VERSION = 1

Part = dict[str, Any]


def build_manifest(simulation: Simulation, reader: User) -> Part:
    """As it stands now: three queries and, with an answer, a fourth, besides those for owner,
    conversation and the rules' version if not loaded.

    Keys whose content is unknown, or still to come, are None; those that the reader may not have
    are missing. Times are aware datetimes, durations seconds.
    """
    may_read_articles = reader.has_module(Module.KNOWLEDGE_BASE)
    is_admin = reader.has_role(Role.ADMIN)
    runs = list(runs_of(simulation))
    manifest = {
        "version": VERSION,
        "generated_at": timezone.now(),
        "is_final": simulation.is_terminal and all(run.finished_at for run in runs),
        "omitted": describe_omitted(may_read_articles, is_admin),
        "simulation": describe_simulation(simulation, is_admin),
        "times": describe_times(simulation),
        "prompt": simulation.prompt or None,
        "user_level": level_in_prompt(simulation.prompt, simulation.query),
        "articles": describe_articles(simulation, may_read_articles),
        "assistants": describe_assistants(simulation, runs),
        "answer": describe_answer(simulation),
        "tokens": describe_tokens(simulation, runs),
        "runs": describe_runs(simulation, runs, may_read_articles, is_admin),
    }
    if not may_read_articles:
        del manifest["prompt"]
    return manifest


def describe_omitted(may_read_articles: bool, is_admin: bool) -> list[Part]:
    omitted = []
    if not may_read_articles:
        reason = missing(Module.KNOWLEDGE_BASE)
        parts = ["prompt", "articles[].text", "runs[].tool_calls[].output"]
        omitted += [{"part": part, "reason": reason} for part in parts]
    if not is_admin:
        reason = f"Requires role: {Role.ADMIN}"
        parts = ["simulation.error.detail", "runs[].fault_detail"]
        omitted += [{"part": part, "reason": reason} for part in parts]
    return omitted


def describe_simulation(simulation: Simulation, is_admin: bool) -> Part:
    return {
        "id": simulation.pk,
        "status": simulation.status,
        "owner": simulation.owner.get_username(),
        "query": simulation.query,
        "query_truncated": simulation.query_truncated,
        "retry_of": simulation.retry_of_id,
        "conversation": {
            "id": simulation.conversation_id,
            "protocol": simulation.conversation.protocol,
            "provider_id": simulation.conversation.provider_id or None,
        },
        "error": describe_error(simulation, is_admin),
    }


def describe_error(simulation: Simulation, is_admin: bool) -> Part | None:
    if not simulation.error_code:
        return None
    error = {
        "code": simulation.error_code,
        "message": simulation.error_message,
        "status": simulation.error_status,
    }
    return error | ({"detail": simulation.error_detail} if is_admin else {})


def describe_times(simulation: Simulation) -> Part:
    moments = {
        "created_at": simulation.created_at,
        "admitted_at": simulation.admitted_at,
        "opened_at": simulation.opened_at,
        "started_at": simulation.started_at,
        "finished_at": simulation.finished_at,
    }
    created, admitted, opened, started, finished = moments.values()
    durations = {
        "queued": seconds_between(created, admitted),
        "opening": seconds_between(admitted, opened),
        "starting": seconds_between(opened, started),
        "running": seconds_between(started, finished),
        "total": seconds_between(created, finished),
    }
    return moments | {"seconds": durations}


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def describe_articles(simulation: Simulation, may_read_articles: bool) -> list[Part]:
    citations = simulation.citations.with_revisions()
    citations = citations.annotate(whole_length=Length("revision__text"))
    return [describe_article(citation, may_read_articles) for citation in citations]


def describe_article(citation: Citation, may_read_articles: bool) -> Part:
    article = {
        "position": citation.position,
        "slug": citation.slug,
        "title": citation.title,
        "category": citation.category,
        "tags": citation.tags,
        "found_by": citation.found_by,
        "keywords": citation.keywords,
        "truncated": citation.truncated,
        "characters_sent": len(citation.text),
        "characters_in_all": citation.whole_length,
        "revision": None,
    }
    if citation.revision:
        article["revision"] = {
            "id": citation.revision_id,
            "number": citation.revision_number,
            "recorded_at": citation.revision.history_date,
            "is_latest": not citation.is_outdated,
        }
    return article | ({"text": citation.text} if may_read_articles else {})


def describe_assistants(simulation: Simulation, runs: Iterable[Run]) -> list[Part]:
    """Each revision that one of the runs was sent with, the earliest first."""
    sent = sends_instructions(simulation.conversation.protocol)
    numbers = {run.assistant_revision: run.assistant_revision_number for run in runs}
    return [
        {
            "revision": {
                "id": revision.pk,
                "number": number,
                "recorded_at": revision.history_date,
            },
            "name": revision.name,
            "model": revision.model or None,
            "remote_id": revision.remote_id or None,
            "max_output_tokens": revision.max_output_tokens,
            "reasoning_effort": revision.reasoning_effort or None,
            "temperature": revision.temperature,
            "tools": revision.tools,
            "instructions": revision.instructions,
            # Else a remote assistant has its own, and these were not used.
            "instructions_sent": sent,
        }
        for revision, number in numbers.items()
        if revision is not None
    ]


def describe_answer(simulation: Simulation) -> Part | None:
    """`raw` is None where it is not kept any more, `rules_version` where the answer was not
    cleaned. `removed` is None where it can't be told: without either of them, or where the rules
    are applied differently now."""
    if not simulation.answer:
        return None
    version = simulation.rules_version
    answer: Part = {
        "raw": simulation.raw_answer or None,
        "clean": simulation.answer,
        "is_uncleaned": simulation.is_uncleaned,
        "rules_version": describe_rules_version(version),
        "removed": None,
        "earlier": describe_earlier_answers(simulation),
    }
    if version is None or not simulation.raw_answer:
        return answer
    cleaning = AnswerCleaner(version.phrases).explain(simulation.raw_answer)
    is_told = presentable(cleaning.answer) == simulation.answer
    return answer | (describe_cleaning(cleaning) if is_told else {})


def describe_cleaning(cleaning: Cleaning) -> Part:
    return {
        "removed": [
            {
                "rule": removal.rule,
                "phrase": removal.phrase,
                "text": removal.text,
                "position": removal.position,
            }
            for removal in cleaning.removals
        ],
        "white_space_removed": cleaning.white_space,
        "replaced_for_being_too_short": cleaning.too_short or None,
    }


def describe_rules_version(version: RulesVersion | None) -> Part | None:
    if version is None:
        return None
    return {"number": version.pk, "first_used_at": version.first_used_at}


def describe_earlier_answers(simulation: Simulation) -> list[Part]:
    """The oldest first; each was replaced when its raw answer was cleaned again."""
    earlier = simulation.earlier_answers.select_related("rules_version", "replaced_by")
    return [
        {
            "clean": answer.answer,
            "rules_version": describe_rules_version(answer.rules_version),
            "replaced_at": answer.replaced_at,
            "replaced_by": answer.replaced_by and answer.replaced_by.get_username(),
        }
        for answer in earlier
    ]


def describe_tokens(simulation: Simulation, runs: Sequence[Run]) -> Part:
    """`answer`: of the runs that led to the answer; `all_runs`: those known of all runs."""
    counted = [run.total_tokens for run in runs if run.total_tokens is not None]
    billed = [run for run in runs if run.outcome != Run.Outcome.REJECTED]
    return {
        "answer": simulation.tokens_used,
        "all_runs": sum(counted),
        "runs_of_unknown_use": sum(run.total_tokens is None for run in billed),
    }


def runs_of(simulation: Simulation) -> Iterable[Run]:
    number = number_of_revision(Assistant, "assistant_revision")
    runs = simulation.runs.select_related("assistant_revision")
    return runs.annotate(assistant_revision_number=number)


def describe_runs(
    simulation: Simulation, runs: Sequence[Run], may_read_articles: bool, is_admin: bool
) -> list[Part]:
    calls = defaultdict(list)
    for call in ToolCall.objects.filter(run__simulation=simulation):
        calls[call.run_id].append(describe_call(call, may_read_articles))
    return [
        describe_run(run, is_admin)
        | {"is_current": run.pk == simulation.run_id, "tool_calls": calls[run.pk]}
        for run in runs
    ]


def describe_run(run: Run, is_admin: bool) -> Part:
    """`outcome` is None while it is open; `fault_detail` is in the provider's own words."""
    described = {
        "id": run.pk,
        "round": run.round,
        "provider_id": run.provider_id or None,
        "model": run.model or None,
        "assistant_revision": run.assistant_revision_id,
        "requested_at": run.requested_at,
        "accepted_at": run.accepted_at,
        "finished_at": run.finished_at,
        "outcome": run.outcome or None,
        "adopted": run.adopted,
        "fault": run.fault or None,
        "fault_message": run.fault_message or None,
        "tokens": {
            "input": run.input_tokens,
            "output": run.output_tokens,
            "total": run.total_tokens,
        },
    }
    return described | ({"fault_detail": run.fault_detail or None} if is_admin else {})


def describe_call(call: ToolCall, may_read_articles: bool) -> Part:
    """`over_limit`: whether it got an error for being one too many, or for too much text; None
    before it is answered, and where outputs are not kept any more."""
    described = {
        "round": call.round,
        "call_id": call.call_id,
        "name": call.name,
        "arguments": call.arguments,
        "created_at": call.created_at,
        "over_limit": call.output in OVER_LIMIT if call.output else None,
    }
    return described | ({"output": call.output or None} if may_read_articles else {})
