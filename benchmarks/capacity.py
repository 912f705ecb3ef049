"""What two worker processes carry: `python -m benchmarks.capacity`, `--full` for all of it.

Simulations arrive evenly, N of them every 30 s, and their runs take 30 s in the median (lognormal;
a run's latency depends on seed and text alone), so that somewhat more than N are in flight.
The engine, with and without webhooks, is compared with the loop that is usually written: a Celery
task that follows one run and sleeps between its polls, on two processes of one task each and on two
processes of 150 threads each. PostgreSQL, Redis, the emulator and the process that submits run on
the same machine. See docs/performance.md.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from benchmarks.capacity_parts.contenders import CONTENDERS, running
from benchmarks.capacity_parts.figures import Figures, compute
from benchmarks.capacity_parts.measuring import Load, observe
from benchmarks.capacity_parts.report import as_json, print_report
from tests import services

SHORT = {"in_flight": [300], "warm_up": 30.0, "seconds": 30.0}
FULL = {"in_flight": [100, 1000, 2000], "warm_up": 60.0, "seconds": 60.0}
BURST_SECONDS = 120.0


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity")
    add = parser.add_argument
    add("--full", action="store_true", help="all loads, a minute each, and bursts; about 70 min")
    add("--in-flight", type=numbers, metavar="N,…")
    add("--contenders", type=names, default=list(CONTENDERS), metavar=",".join(CONTENDERS))
    add("--warm-up", type=float, metavar="SECONDS", help="before the window")
    add("--seconds", type=float, help="the window")
    add("--seed", type=int, default=7, help="of the latencies; default: %(default)s")
    add("--burst", action="store_true", help="N at once instead of a stream")
    add("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    for name, value in (FULL if arguments.full else SHORT).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def loads(arguments: argparse.Namespace, *, burst: bool) -> list[Load]:
    return [
        Load(
            in_flight=in_flight,
            warm_up=0.0 if burst else arguments.warm_up,
            seconds=BURST_SECONDS if burst else arguments.seconds,
            seed=arguments.seed,
            burst=burst,
            patient=arguments.full,
        )
        for in_flight in arguments.in_flight
    ]


def measure(load: Load, contenders: list[str]) -> Iterable[Figures]:
    for name in contenders:
        print(f"{name}: {describe(load)} …", flush=True)
        with running(CONTENDERS[name]) as site:
            figures = compute(observe(site, load))
            if figures.lost:
                print(f"{figures.lost} lost. The end of the log:\n{site.log_end()}")
            yield figures


def describe(load: Load) -> str:
    if load.burst:
        return f"{load.in_flight:,} at once, watched for {load.seconds:g} s at most"
    pace = f"{load.per_second:.1f} a second"
    return f"{pace}, {load.warm_up:g} s of warm-up, {load.seconds:g} s measured"


def main() -> int:
    arguments = parse_arguments()
    for url in (services.DATABASE_URL, services.BROKER_URL):
        if not services.answers(url):
            print("Needs PostgreSQL and Redis: TEST_DATABASE_URL, TEST_BROKER_URL")
            return 0
    if not arguments.full:
        print("Short form: half a minute each unless told otherwise; --full takes its time.")
    modes = (False, True) if arguments.full else (arguments.burst,)
    results: list[Figures] = []
    try:
        for load in chain.from_iterable(loads(arguments, burst=burst) for burst in modes):
            for figures in measure(load, arguments.contenders):
                results.append(figures)
    finally:  # what was measured is shown, whatever stopped the rest
        for burst in modes:
            print_report([figures for figures in results if figures.load.burst is burst])
        if arguments.json:
            arguments.json.write_text(json.dumps(as_json(results), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
