"""All tries on one database, and what is printed of them."""

import argparse
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain, product

from tests.crashpoints.lanes import crew
from tests.crashpoints.lives import LIVES
from tests.crashpoints.options import PROTOCOLS
from tests.crashpoints.probes import Boundary, Kill
from tests.crashpoints.tries import Report, Try

# Lives that nothing interrupts: what is numbered is what all of them passed.
WHOLE_LIVES = 2
# Kills that never came to their boundary, by share or by number: on a busy machine a life may need
# a poll less. More would mean that the numbering is wrong.
MISSES_ALLOWED = 0.1
FEW_MISSES = 3


@dataclass
class Tally:
    """One life in one protocol: as it is when nothing is killed, and the kills that follow."""

    whole: list[Report] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def boundaries(self) -> list[Boundary]:
        """Timing may bring one more or less, such as another look for work during a slow call."""
        first, *others = [report.boundaries for report in self.whole]
        return [boundary for boundary in first if all(boundary in other for other in others)]

    @property
    def is_complete(self) -> bool:
        return len(self.reports) == len(self.tries)

    @property
    def broken(self) -> int:
        found = sum(bool(report.violations) for report in (*self.whole, *self.reports))
        missed = sum(not report.reached for report in self.reports)
        allowed = min(max(FEW_MISSES, MISSES_ALLOWED * len(self.tries)), len(self.tries) - 1)
        return found + (missed > allowed)


def run(options: argparse.Namespace) -> int:
    """The exit status: 1 if anything that must hold did not."""
    began = time.monotonic()
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    with crew(options.lanes) as lanes:
        for report in lanes.run(whole_lives(options) * WHOLE_LIVES):
            tallies[key(report.tried)].whole.append(report)
            show(report, options)
        for tally in tallies.values():
            tally.tries = kills(options, tally)
        for report in lanes.run(chain(*[tally.tries for tally in tallies.values()])):
            tally = tallies[key(report.tried)]
            tally.reports.append(report)
            show(report, options)
            if tally.is_complete:
                say(f"{options.database} {' '.join(key(report.tried))}: {summary([tally])}")
    broken = sum(tally.broken for tally in tallies.values())
    seconds = time.monotonic() - began
    say(f"{options.database}: {summary(tallies.values())}; {broken} broken, {seconds:.0f} s")
    return 1 if broken else 0


def summary(tallies: Collection[Tally]) -> str:
    boundaries = sum(len(tally.boundaries) for tally in tallies)
    reports = [report for tally in tallies for report in tally.reports]
    lost = sum(report.lost for report in reports)
    wrong = sum(bool(report.violations) and not report.lost for report in reports)
    twice = sum(report.extra > 0 for report in reports)
    missed = [str(report.tried.kill) for report in reports if not report.reached]
    names = f" ({', '.join(missed)})" if missed else ""
    return (
        f"{boundaries} boundaries × 2, {len(reports)} kills: {lost} lost, {wrong} wrong, "
        f"{twice} billed twice, {len(missed)} never reached{names}"
    )


def key(tried: Try) -> tuple[str, str]:
    return tried.protocol, tried.life


def whole_lives(options: argparse.Namespace) -> list[Try]:
    protocols = [options.protocol] if options.protocol else PROTOCOLS
    lives = [options.life] if options.life else LIVES
    return [
        Try(protocol, life, options.seed, options.broken)
        for protocol, life in product(protocols, lives)
    ]


def kills(options: argparse.Namespace, tally: Tally) -> list[Try]:
    whole = tally.whole[0].tried
    every = [
        whole.with_kill(Kill(side, boundary))
        for boundary in tally.boundaries
        for side in ("before", "after")
    ]
    chosen = [tried for tried in every if options.only in str(tried.kill)]
    return chosen[:: options.every or LIVES[whole.life].every]


def show(report: Report, options: argparse.Namespace) -> None:
    """Where it was killed and what was wrong then; of a whole life, if asked, its boundaries."""
    tried = report.tried
    if options.list and tried.kill is None:
        for number, boundary in enumerate(report.boundaries, start=1):
            say(f"{tried.protocol} {tried.life} {number:3} {boundary}")
    if report.violations:
        again = f"--database {options.database} --protocol {tried.protocol} --life {tried.life}"
        say(f"BROKEN: {tried} on {options.database}")
        say("".join(f"    {violation}\n" for violation in report.violations) + report.log)
        say(f"    again: python -m tests.crashpoints {again} --only '{tried.kill or ''}'\n")


def say(text: str) -> None:
    print(text, flush=True)
