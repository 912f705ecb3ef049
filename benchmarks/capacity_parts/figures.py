"""The figures of an observation, from the database's rows, the emulator's ledger and /proc."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.capacity_parts.contenders import RUN_TIMEOUT_SECONDS
from benchmarks.capacity_parts.measuring import Load, Observation, Row

SYSTEM = "system"
POLL_SECONDS = 5.0

Run = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """Seconds."""

    p50: float
    p95: float
    longest: float


@dataclass(frozen=True)
class Figures:
    """What the report shows; None where nothing happened that could be measured."""

    contender: str
    load: Load

    # Within the window.
    seconds: float
    in_flight_mean: float
    in_flight_max: int
    completed: int
    per_second: float
    cpu_ms: float | None
    """CPU of the contender's processes per simulation completed."""
    polls: float | None
    """Per simulation completed."""
    webhooks: float | None
    """Delivered, per simulation completed."""
    all_ended: float | None
    """Seconds until nothing was left to do; None if something was at the window's end."""
    lag: Spread | None
    """From a run's end to its simulation's."""
    start: Spread | None
    """From the submission to the run's start, of the runs that started."""
    cores: dict[str, float]
    """CPU seconds per second, by who used them; all that the machine did."""
    resident_bytes: int
    proportional_bytes: int

    # Of the whole measurement.
    accepted: int
    answered: int
    late: float
    """Seconds that the arrivals were behind at worst."""
    timed_out: int
    unfinished: int
    """Still in the database when there was no more time."""
    lost: int
    """Neither: gone, failed, or with another answer than the ledger has."""
    extra_runs: int


def compute(seen: Observation) -> Figures:
    runs = runs_by_simulation(seen.runs)
    seconds = seen.end - seen.start
    done = [row for row in seen.rows if row.status == "COMPLETED" and within(seen, row.finished_at)]
    mean, peak = in_flight(seen)
    outcomes = Outcomes(seen, runs)
    return Figures(
        contender=seen.contender,
        load=seen.load,
        seconds=seconds,
        in_flight_mean=mean,
        in_flight_max=peak,
        completed=len(done),
        per_second=len(done) / seconds,
        cpu_ms=per_item(1000 * seen.usage.seconds[SYSTEM], len(done)),
        polls=per_item(sum(run["polls"] for row in done for run in runs[row.id]), len(done)),
        webhooks=per_item(sum(within(seen, moment) for moment in seen.deliveries), len(done)),
        all_ended=all_ended(seen),
        lag=spread(row.finished_at - last_end(runs[row.id]) for row in done if runs[row.id]),
        start=spread(
            runs[row.id][0]["created_at"] - row.created_at
            for row in seen.rows
            if runs[row.id] and within(seen, runs[row.id][0]["created_at"])
        ),
        cores={name: used / seconds for name, used in seen.usage.seconds.items()},
        resident_bytes=seen.usage.memory.resident,
        proportional_bytes=seen.usage.memory.proportional,
        accepted=seen.accepted,
        answered=outcomes.answered,
        late=seen.late,
        timed_out=outcomes.timed_out,
        unfinished=outcomes.unfinished,
        lost=outcomes.lost,
        extra_runs=sum(len(found) - 1 for found in runs.values() if found),
    )


def runs_by_simulation(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Each simulation's runs in the order of their creation."""
    found = defaultdict(list)
    for run in runs:
        found[run["metadata"]["simulation"]].append(run)
    return found


def within(seen: Observation, moment: float | None) -> bool:
    return moment is not None and seen.start <= moment < seen.end


def last_end(runs: list[Run]) -> float:
    return max(run["ended_at"] for run in runs)


def all_ended(seen: Observation) -> float | None:
    if not all(within(seen, row.finished_at) for row in seen.rows):
        return None
    return max(row.finished_at for row in seen.rows) - seen.start


def in_flight(seen: Observation) -> tuple[float, int]:
    """Mean and maximum of the runs that go on at the provider."""
    changes = [
        change
        for run in seen.runs
        if run["created_at"] < seen.end and run["ended_at"] > seen.start
        for change in (
            (max(run["created_at"], seen.start), 1),
            (min(run["ended_at"], seen.end), -1),
        )
    ]
    count = peak = 0
    area, before = 0.0, seen.start
    for moment, change in sorted(changes):
        area += count * (moment - before)
        count, before = count + change, moment
        peak = max(peak, count)
    return area / (seen.end - seen.start), peak


def per_item(amount: float, items: int) -> float | None:
    return amount / items if items else None


def spread(values: Iterable[float]) -> Spread | None:
    ordered = sorted(values)
    if not ordered:
        return None
    last = len(ordered) - 1
    return Spread(ordered[round(0.5 * last)], ordered[round(0.95 * last)], ordered[last])


class Outcomes:
    """How the simulations accepted have ended, by the database and by the emulator's ledger."""

    def __init__(self, seen: Observation, runs: dict[str, list[Run]]) -> None:
        self.runs = runs
        self.timed_out = sum(self._had_its_time(row) for row in seen.rows)
        self.answered = sum(self._has_its_answer(row) for row in seen.rows)
        self.unfinished = sum(row.status in ("PENDING", "RUNNING") for row in seen.rows)
        self.lost = seen.accepted - self.answered - self.timed_out - self.unfinished

    def _had_its_time(self, row: Row) -> bool:
        """It was given up, and its run had not ended before the last poll in time."""
        limit = RUN_TIMEOUT_SECONDS - POLL_SECONDS
        lasted = [run["ended_at"] - run["created_at"] for run in self.runs[row.id]]
        return row.error_code == "run_timeout" and max(lasted, default=0.0) >= limit

    def _has_its_answer(self, row: Row) -> bool:
        """The very answer that the emulator gave to this simulation."""
        given = {run["answer"] for run in self.runs[row.id] if run["status"] == "completed"}
        return row.status == "COMPLETED" and row.raw_answer in given
