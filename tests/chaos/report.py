"""The result of a run, as JSON: what was done, what was seen, what did not hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from tests.chaos.evidence import Evidence, round_of
from tests.chaos.invariants import CHECKS
from tests.chaos.plan import Plan
from tests.chaos.recovery import recovery

EXAMPLES = 20


def build_report(plan: Plan, control: str, evidence: Evidence) -> dict[str, Any]:
    invariants = {check.__name__: list(check(evidence)) for check in CHECKS}
    broken = [name for name, violations in invariants.items() if violations]
    return {
        "verdict": "failed" if broken else "passed",
        "broken": broken,
        "seed": plan.seed,
        "control": control or None,
        "counts": counts(evidence),
        "invariants": {
            name: {"holds": not found, "violations": len(found), "examples": found[:EXAMPLES]}
            for name, found in invariants.items()
        },
        "recovery": recovery(evidence),
        "plan": {name: value for name, value in asdict(plan).items() if name != "seed"},
        "schedule": [asdict(fault) for fault in evidence.faults],
    }


def counts(evidence: Evidence) -> dict[str, Any]:
    journal = evidence.journal
    faults = Counter(fault.kind for fault in evidence.faults if fault.began)
    return {
        "questions": len(journal.asked),
        "accepted": len(journal.accepted),
        "replays": sum(
            acceptance.is_replay for told in journal.accepted.values() for acceptance in told
        ),
        "cancellations": len(journal.cancelled),
        "statuses": Counter(row["status"] for row in evidence.simulations),
        "errors": Counter(row["error_code"] for row in evidence.simulations if row["error_code"]),
        "kills": sum(count for kind, count in faults.items() if kind.startswith("kill")),
        "faults": faults,
        "paid_runs": len(evidence.ledger),
        "extra_runs": len(evidence.ledger) - len(set(map(round_of, evidence.ledger))),
        "run_outcomes": Counter(run["outcome"] for run in evidence.runs),
        "adopted_runs": sum(run["adopted"] for run in evidence.runs),
        "outages_met_by_users": journal.outages,
        "strangers": journal.strangers,
    }
