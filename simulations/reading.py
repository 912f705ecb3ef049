"""Simulations as clients read them: one in a single statement, many in pages."""

import hashlib
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from config.errors import NotFound
from simulations.models import Simulation, SimulationQuerySet, sees_all
from simulations.prepared import PreparedSelect

# What the row itself holds, as it is shown.
PLAIN = (
    "id",
    "status",
    "query",
    "query_truncated",
    "assistant",
    "conversation",
    "retry_of",
    "tokens_used",
    "created_at",
    "started_at",
    "finished_at",
)
# What is shown as an object: its columns, and their names in it. None where the first has nothing.
AGENT = {"agent_run__agent": "id", "agent_run__agent__name": "name"}
FEEDBACK = {
    "feedback__is_useful": "is_useful",
    "feedback__reason": "reason",
    "feedback__given_at": "given_at",
}
ERROR = {"error_code": "code", "error_message": "message", "error_status": "status"}
OWNER = "owner__username"
SUMMARY = (*PLAIN, "owner", "agent", "feedback")
SUMMARY_COLUMNS = (*PLAIN, OWNER, *AGENT, *FEEDBACK)
# What Simulation needs to say whether it is over, stopping or uncleaned, and when asking again is
# worth it.
NEEDED = {"status", "due_at", "stop_reason", "awaits_outputs", "failed_attempts", "rules_version"}
# In the order in which `from_db` takes them.
PACE = tuple(f.attname for f in Simulation._meta.concrete_fields if f.name in NEEDED)
CITATION = ("position", "slug", "title", "category", "found_by", "keywords", "truncated")
CITATIONS = tuple(f"citations__{name}" for name in CITATION)
COLUMNS = tuple(dict.fromkeys((*SUMMARY_COLUMNS, "queue_position", "answer", *ERROR, *PACE)))


class Reading(NamedTuple):
    """`retry_after`: seconds until asking again is worth it; None for what is over."""

    body: dict[str, Any]
    retry_after: int | None

    @property
    def etag(self) -> str:
        """Of what is shown, not of its bytes: hence weak."""
        return f'W/"{hashlib.sha256(repr(self.body).encode()).hexdigest()[:32]}"'


def read_simulation(reader: User, pk: UUID) -> Reading:
    """With its citations, in one query. NotFound also for what the reader may not see."""
    rows = _of_anyone(pk) if sees_all(reader) else _of_owner(pk, reader.pk)
    if not rows:
        raise NotFound
    row = dict(zip(COLUMNS, rows[0], strict=False))
    pace = Simulation.from_db(None, PACE, [row[name] for name in PACE])
    body = summary_of(row) | {
        "queue_position": row["queue_position"],
        "is_stopping": pace.is_stopping,
        "answer": row["answer"],
        "is_uncleaned": pace.is_uncleaned,
        "citations": [_citation(cells) for cells in rows if cells[len(COLUMNS)] is not None],
        "error": _part(row, ERROR),
    }
    return Reading(body, None if pace.is_terminal else pace.seconds_until_due)


def _citation(cells: Any) -> dict[str, Any]:
    return dict(zip(CITATION, cells[len(COLUMNS) :], strict=True))


def summary_rows(simulations: QuerySet[Simulation]) -> QuerySet[Simulation, dict[str, Any]]:
    """What `summary_of` is made of."""
    return simulations.values(*SUMMARY_COLUMNS)


def summary_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in PLAIN} | {
        "owner": row[OWNER],
        "agent": _part(row, AGENT),
        "feedback": _part(row, FEEDBACK),
    }


def _part(row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any] | None:
    first = next(iter(columns))
    if row[first] in {None, ""}:
        return None
    return {name: row[column] for column, name in columns.items()}


def _rows(simulations: SimulationQuerySet) -> QuerySet[Simulation, Any]:
    """One for each citation, or just one."""
    return (
        simulations.with_queue_position().values_list(*COLUMNS, *CITATIONS).order_by(CITATIONS[0])
    )


@PreparedSelect
def _of_anyone(pk: UUID) -> QuerySet[Simulation, Any]:
    return _rows(Simulation.objects.filter(pk=pk))


@PreparedSelect
def _of_owner(pk: UUID, owner: int) -> QuerySet[Simulation, Any]:
    return _rows(Simulation.objects.filter(pk=pk, owner=owner))
