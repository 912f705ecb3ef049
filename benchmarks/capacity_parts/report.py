"""Figures as Markdown tables and as JSON."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.capacity_parts.figures import Figures, Spread

MEBIBYTE = 2**20
NOTHING = "-"

Columns = Mapping[str, Callable[[Figures], str]]


def number(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def spread(value: Spread | None) -> str:
    return f"{value.p50:.2f} / {value.p95:.2f} / {value.longest:.2f}" if value else NOTHING


def memory(it: Figures) -> str:
    return f"{it.resident_bytes / MEBIBYTE:.0f} / {it.proportional_bytes / MEBIBYTE:.0f}"


WHO: Columns = {
    "contender": lambda it: it.contender,
    "N": lambda it: number(it.load.in_flight),
}
STREAM: Columns = {
    "in flight": lambda it: f"{it.in_flight_mean:,.0f} (max {it.in_flight_max:,})",
    "done/s": lambda it: number(it.per_second, 2),
}
BURST: Columns = {
    "max in flight": lambda it: number(it.in_flight_max),
    "all ended after s": lambda it: number(it.all_ended, 1),
}
WORK: Columns = {
    "CPU ms each": lambda it: number(it.cpu_ms, 1),
    "polls each": lambda it: number(it.polls, 1),
    "webhooks each": lambda it: number(it.webhooks, 1),
    "lag s p50 / p95 / max": lambda it: spread(it.lag),
    "start s p50 / p95 / max": lambda it: spread(it.start),
    "MB RSS / PSS": memory,
}
OUTCOME: Columns = {
    "accepted": lambda it: number(it.accepted),
    "answered": lambda it: number(it.answered),
    "timed out": lambda it: number(it.timed_out),
    "unfinished": lambda it: number(it.unfinished),
    "lost": lambda it: number(it.lost),
    "extra runs": lambda it: number(it.extra_runs),
}


def cores(results: Sequence[Figures]) -> Columns:
    def used_by(name: str) -> Callable[[Figures], str]:
        return lambda it: number(it.cores[name], 2)

    return {name: used_by(name) for name in results[0].cores} | {
        f"all, of {os.cpu_count()}": lambda it: number(sum(it.cores.values()), 2),
        "arrivals late by s": lambda it: number(it.late, 2),
    }


def table(columns: Columns, results: Sequence[Figures]) -> str:
    return markdown([list(columns), *([cell(it) for cell in columns.values()] for it in results)])


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """The first line is the head; the first column is text, the others are numbers."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    head, *body = ([line[0].ljust(widths[0]), *_right(line[1:], widths[1:])] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def _right(texts: Iterable[str], widths: Iterable[int]) -> list[str]:
    return [text.rjust(width) for text, width in zip(texts, widths, strict=True)]


RATIOS: Mapping[str, Callable[[Figures], float | None]] = {
    "in flight": lambda it: it.in_flight_mean,
    "done/s": lambda it: it.per_second,
    "CPU each": lambda it: it.cpu_ms,
    "polls each": lambda it: it.polls,
    "lag p50": lambda it: it.lag and it.lag.p50,
    "start p50": lambda it: it.start and it.start.p50,
    "PSS": lambda it: it.proportional_bytes,
}


def ratios(results: Sequence[Figures]) -> str:
    """Each contender of the product against each reference under the same load, if any."""
    lines = [
        [
            f"{ours.contender} : {theirs.contender}",
            number(ours.load.in_flight),
            *(ratio(value(ours), value(theirs)) for value in RATIOS.values()),
        ]
        for ours in results
        for theirs in results
        if theirs.load == ours.load and is_reference(theirs) and not is_reference(ours)
    ]
    return markdown([["ratio", "N", *RATIOS], *lines]) if lines else ""


def is_reference(it: Figures) -> bool:
    return it.contender.startswith("reference")


def ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else NOTHING


def print_report(results: Sequence[Figures]) -> None:
    if not results:
        return
    kind = BURST if results[0].load.burst else STREAM
    sections = {
        "All at once" if kind is BURST else "Steady stream": table(WHO | kind | WORK, results),
        "What became of them": table(WHO | OUTCOME, results),
        "Cores used": table(WHO | cores(results), results),
        "Ratios": ratios(results),
    }
    for title, text in sections.items():
        if text:
            print(f"\n{title}\n\n{text}")


def as_json(results: Sequence[Figures]) -> dict[str, Any]:
    return {"machine": describe_machine(), "results": [asdict(it) for it in results]}


def describe_machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
