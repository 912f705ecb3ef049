"""What must hold of a simulation once nothing is left to do, against the provider's own ledger."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulations.models import ACTIVE, Run, Simulation, Status
from tests.crashpoints.databases import SLUGS, status_changes
from tests.simulations.sanitizing.seeded import sanitize_answer

CITATION_MARK = re.compile(r"【\d+:\d+†[^】]+】")
OVER = {"completed", "failed", "cancelled", "incomplete", "expired"}

LedgerRun = dict[str, Any]


@dataclass
class Ended:
    """A life that is over, and what the provider accepted for it.

    `faults`: how many intents were cut off from the id of their run; each may cost a run more.
    `tool_calls`: how many the assistant makes on its way to an answer. `questions`: how often its
    question is in threads; None without one.
    """

    simulation: Simulation
    ledger: list[LedgerRun]
    ends: Collection[str]
    faults: int = 0
    tool_calls: int = 0
    questions: int | None = None
    runs: list[Run] = field(init=False)

    def __post_init__(self) -> None:
        self.runs = list(self.simulation.runs.all())

    @property
    def extra(self) -> int:
        """Runs that were billed beside the one that each round needs."""
        rounds = Counter(run["metadata"]["round"] for run in self.ledger)
        return sum(count - 1 for count in rounds.values())

    def of(self, row: Run) -> list[LedgerRun]:
        """The run of a row; any of its round may be the one that was recognised by its text."""
        if row.adopted and not row.provider_id:
            return [run for run in self.ledger if run["metadata"]["round"] == str(row.round)]
        return [run for run in self.ledger if run["id"] == row.provider_id]


def is_lost(ended: Ended) -> bool:
    return ended.simulation.status not in ended.ends


def violations(ended: Ended) -> list[str]:
    checks = [_end, _bills, _rows, _upstream, _citations, _question]
    if ended.simulation.status != Status.COMPLETED:
        checks += [_stop]
    else:
        checks += [_answer, _tokens, _tools]
    return [violation for check in checks for violation in check(ended)]


def _end(ended: Ended) -> Iterator[str]:
    simulation = ended.simulation
    if is_lost(ended):
        yield f"it ended {simulation.status} {simulation.error_code}"
    if simulation.due_at is not None:
        yield "it is over and still due"
    changes = status_changes(simulation.pk)
    if sum(became not in ACTIVE for _, became in changes) != 1:
        yield f"it did not end exactly once: {changes}"


def _bills(ended: Ended) -> Iterator[str]:
    """One run a round, and one more for each fault between intent and saved id, counted so."""
    if ended.extra > ended.faults:
        yield f"billed twice: {ended.extra} extra runs for {ended.faults} faults"
    counted = [row for row in ended.runs if row.outcome in (Run.Outcome.LOST, Run.Outcome.UNWANTED)]
    if ended.extra > len(counted):
        yield f"{ended.extra} extra runs, {len(counted)} counted"
    if not all(row.fault for row in counted):
        yield "an extra run is attributed to no fault"


def _rows(ended: Ended) -> Iterator[str]:
    """Each of the provider's runs has a row of its own: by its id, or one that was lost."""
    ids = {row.provider_id for row in ended.runs}
    unknown = [run["id"] for run in ended.ledger if run["id"] not in ids]
    nameless = [
        row
        for row in ended.runs
        if not row.provider_id and row.outcome not in ("", Run.Outcome.REJECTED)
    ]
    if len(unknown) > len(nameless):
        yield f"runs without a row: {unknown}"
    if any(row.provider_id and row.outcome == Run.Outcome.LOST for row in ended.runs):
        yield "a run whose id was saved counts as lost"
    if not all(row.outcome for row in ended.runs):
        yield "a run's row has no outcome"


def _upstream(ended: Ended) -> Iterator[str]:
    """What the product knows of is over, or was asked to end."""
    if ended.simulation.runs.to_discard().exists():
        yield "a run is still to be ended upstream"
    ids = {row.provider_id for row in ended.runs}
    for run in ended.ledger:
        if run["id"] in ids and run["status"] not in OVER and not run["cancelled_by_request"]:
            yield f"{run['id']} is still {run['status']} upstream"


def _stop(ended: Ended) -> Iterator[str]:
    """Stopped while it was running: then its run was asked to end, whatever came of that."""
    if ended.simulation.stop_reason:
        for run in ended.of(ended.simulation.run):
            if not run["cancelled_by_request"]:
                yield f"{run['id']} was not ended upstream"


def _citations(ended: Ended) -> Iterator[str]:
    slugs = sorted(ended.simulation.citations.values_list("slug", flat=True))
    if slugs != (sorted(SLUGS) if ended.simulation.prompt else []):
        yield f"it cites {slugs}"


def _question(ended: Ended) -> Iterator[str]:
    if ended.questions not in (None, 1):
        yield f"its question is {ended.questions} times in its thread"


def _answer(ended: Ended) -> Iterator[str]:
    simulation = ended.simulation
    runs = ended.of(simulation.run)
    answers = [CITATION_MARK.sub("", run["answer"]) for run in runs if run["answer"]]
    if simulation.raw_answer not in answers:
        yield f"its answer is not the provider's: {simulation.raw_answer[:80]!r}"
    if simulation.answer != sanitize_answer(simulation.raw_answer):
        yield "its answer is not the cleaned one"


def _tokens(ended: Ended) -> Iterator[str]:
    """Of the runs that brought the answer, round by round; None if any was adopted without."""
    rows = [row for row in ended.runs if row.outcome == Run.Outcome.COMPLETED]
    if all(row.provider_id for row in rows):
        runs = [run for row in rows for run in ended.of(row)]
        expected = sum(run["usage"]["total_tokens"] for run in runs)
    else:
        expected = None
    if ended.simulation.tokens_used != expected:
        yield f"it counts {ended.simulation.tokens_used} tokens, the provider {expected}"


def _tools(ended: Ended) -> Iterator[str]:
    calls = [call for row in ended.runs for call in row.tool_calls.all()]
    if len(calls) != ended.tool_calls:
        yield f"it notes {len(calls)} tool calls"
    if not all(call.output for call in calls):
        yield "a tool call has no output"
