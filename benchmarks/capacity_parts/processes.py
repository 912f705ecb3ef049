"""CPU time and memory of processes and of the machine, as Linux counts them in /proc."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE = slice(3, 5)  # of /proc/stat's cpu line: idle and waiting for a disk


@dataclass(frozen=True)
class Process:
    """`seconds`: user and system time, its own and that of children it has waited for."""

    parent: int
    seconds: float


def snapshot() -> dict[int, Process]:
    """Every process of this machine, by its id."""
    found = {}
    for directory in PROC.iterdir():
        if directory.name.isdecimal():
            try:
                found[int(directory.name)] = _read(directory / "stat")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
    return found


def _read(stat: Path) -> Process:
    # The second field is a name in parentheses, which may hold blanks and parentheses.
    fields = stat.read_text().rpartition(")")[2].split()
    ticks = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return Process(parent=int(fields[1]), seconds=ticks / TICKS_PER_SECOND)


def family(roots: Iterable[int], processes: dict[int, Process]) -> list[int]:
    """The processes `roots` that are alive, and all their descendants."""
    members = [pid for pid in roots if pid in processes]
    for pid in members:  # grows while it is read
        members += [child for child, process in processes.items() if process.parent == pid]
    return members


def named(name: str, pid: int) -> list[int]:
    """`[pid]`, if that is a process of this name here: a server may run in a container."""
    try:
        found = (PROC / str(pid) / "comm").read_text().strip()
    except FileNotFoundError:
        return []
    return [pid] if found == name else []


def cpu_seconds(roots: Iterable[int], processes: dict[int, Process]) -> float:
    return sum(processes[pid].seconds for pid in family(roots, processes))


@dataclass(frozen=True)
class Memory:
    """In bytes; `proportional` counts a page that several processes share once in all."""

    resident: int
    proportional: int


def memory(roots: Iterable[int]) -> Memory:
    sizes = [_rollup(pid) for pid in family(roots, snapshot())]
    return Memory(
        resident=sum(size["Rss"] for size in sizes), proportional=sum(size["Pss"] for size in sizes)
    )


def _rollup(pid: int) -> dict[str, int]:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in fields}


def busy_seconds() -> float:
    """How long the cores were not idle since the machine started, all of them together."""
    line = (PROC / "stat").read_text().splitlines()[0]
    ticks = [int(field) for field in line.split()[1:9]]  # guests' time is part of user time
    return (sum(ticks) - sum(ticks[IDLE])) / TICKS_PER_SECOND
