"""Which faults could have hidden a run: those between its intent and its saved id."""

from __future__ import annotations

from math import inf

from tests.chaos.evidence import Evidence, Row, round_of
from tests.chaos.plan import Fault

# The worker that sent the call, or the database that its answer was to be saved in, was hit.
HIDING = {
    "kill_worker",
    "kill_worker_child",
    "freeze_worker",
    "stop_postgresql",
    "drop_connections",
}


def causes(evidence: Evidence, run: Row) -> list[str]:
    begin, end = run["requested_at"].timestamp(), end_of_uncertainty(evidence, run)
    return [
        *(
            f"{hit['kind']} of its create call"
            for hit in evidence.hits
            if is_of(hit, run) and begin <= hit["at"] <= end
        ),
        *(
            f"{fault.kind} {fault.target}"
            for fault in evidence.faults
            if fault.kind in HIDING and overlaps(fault, begin, end)
        ),
    ]


def end_of_uncertainty(evidence: Evidence, run: Row) -> float:
    """When the run's id was saved after all, or the run was given up and another one sent."""
    later = [
        other["requested_at"]
        for other in evidence.runs_of[run["simulation"]]
        if other["requested_at"] > run["requested_at"]
    ]
    ends = [moment for moment in (run["accepted_at"], run["finished_at"], *later) if moment]
    return min((moment.timestamp() for moment in ends), default=inf)


def is_of(hit: Row, run: Row) -> bool:
    """Whether the hit made it uncertain if the run was started; slow calls end in time."""
    is_create = hit["operation"] == "start_run" and hit["kind"] not in {"slow", "429"}
    return is_create and round_of(hit) == (run["simulation"], run["round"])


def overlaps(fault: Fault, begin: float, end: float) -> bool:
    if fault.began is None:
        return False
    return fault.began <= end and begin <= (fault.ended or inf)
