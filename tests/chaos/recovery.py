"""How long the product took to get over what happened to it.

`undisturbed_seconds`: of the simulations from the first half of the time before the first fault.

`delay_seconds`: for the simulations that were in flight when a fault of a kind began, how much
longer they took than the median of the undisturbed. A delay has often more than one cause: each
kind is given all of it.

`standstill_seconds`: from the end of a fault (the process was started again, the service answers)
to the next change of any simulation's state, for faults that began while one was in flight.
"""

from __future__ import annotations

from collections import defaultdict
from math import inf
from statistics import median
from typing import Any

from tests.chaos.evidence import Evidence, Row
from tests.chaos.plan import Fault


def recovery(evidence: Evidence) -> dict[str, Any]:
    ended = [row for row in evidence.simulations if row["finished_at"]]
    happened = [fault for fault in evidence.faults if fault.began]
    calm = undisturbed(ended, happened)
    usual = median(calm) if calm else 0.0
    delays, standstills = defaultdict(list), defaultdict(list)
    changes = [entry["at"].timestamp() for entry in evidence.history]
    for fault in happened:
        hit = [row for row in ended if was_in_flight(row, fault.began)]
        delays[fault.kind] += [max(0.0, duration(row) - usual) for row in hit]
        following = [at for at in changes if fault.ended and at > fault.ended]
        if hit and following:
            standstills[fault.kind].append(following[0] - fault.ended)
    return {
        "undisturbed_seconds": percentiles(calm),
        "delay_seconds": {kind: percentiles(found) for kind, found in sorted(delays.items())},
        "standstill_seconds": {
            kind: percentiles(found) for kind, found in sorted(standstills.items())
        },
    }


def undisturbed(ended: list[Row], happened: list[Fault]) -> list[float]:
    """Not those that ended before the first fault: the quick ones are more among them."""
    first_asked = min((row["created_at"].timestamp() for row in ended), default=0.0)
    first_fault = min((fault.began for fault in happened), default=inf)
    early = (first_asked + first_fault) / 2
    return [duration(row) for row in ended if row["created_at"].timestamp() < early]


def duration(row: Row) -> float:
    return (row["finished_at"] - row["created_at"]).total_seconds()


def was_in_flight(row: Row, at: float) -> bool:
    return row["created_at"].timestamp() <= at < row["finished_at"].timestamp()


def percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    figures = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {"count": len(ordered)} | {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in figures.items()
    }
