"""`make chaos`: the soak from the command line; exits 1 if anything did not hold."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

from scripts.service import ROOT
from tests.chaos import services
from tests.chaos.controls import CONTROLS
from tests.chaos.plan import Plan
from tests.chaos.soak import soak

PER_MINUTE = 150


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--minutes", type=float, help=f"default: {PER_MINUTE} simulations in each")
    parser.add_argument("--seed", type=int, help="default: a random one, which the report names")
    parser.add_argument("--webhooks", action="store_true", help="the provider sends webhooks")
    parser.add_argument("--control", choices=CONTROLS, help="a product without this rule")
    parser.add_argument(
        "--report", type=Path, default=ROOT / "var" / "chaos.json", help="its log is beside it"
    )
    return parser.parse_args()


def make_plan(arguments: argparse.Namespace) -> Plan:
    """A control has its own: what breaks without its rule."""
    seed = random.getrandbits(32) if arguments.seed is None else arguments.seed
    if arguments.control:
        return replace(CONTROLS[arguments.control], seed=seed)
    seconds = 60 * (arguments.minutes or arguments.simulations / PER_MINUTE)
    return Plan(
        seed=seed,
        simulations=arguments.simulations,
        seconds=seconds,
        calm=min(20, seconds / 4),
        patience=180,
        webhooks=arguments.webhooks,
    )


def main() -> int:
    arguments = parse_arguments()
    if reason := services.missing():
        sys.exit(f"The soak needs services of its own. {reason}.")
    arguments.report.parent.mkdir(exist_ok=True)
    log = arguments.report.with_suffix(".log")
    report = asyncio.run(soak(make_plan(arguments), log, arguments.control or ""))
    text = json.dumps(report, indent=2, default=str)
    arguments.report.write_text(text)
    print(text)
    for name in report["broken"]:
        print(f"Broken: {name}", file=sys.stderr)
    return 1 if report["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
