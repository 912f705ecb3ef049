"""Submits simulations at a steady pace, or all at once; run by `measuring.driver`.

Prints "ready", waits for a line, and prints a JSON object when it is done: `accepted`, `submitted`
(when the burst was committed; epoch seconds) and `late` (seconds that it was behind at worst).
"""

import argparse
import json
import sys
import time

from django.db import transaction

from accounts.models import User
from benchmarks.capacity_parts.reference_task import run_simulation
from simulations.models import Simulation
from simulations.services import submit

# A month's simulations of one user are counted at each submission: not too many for any of them.
OWNERS = 100

QUESTIONS = (
    "How do we improve access control and encryption at field office {}?",
    "Which threat assessment does the convoy to district {} need?",
    "What should the evacuation plan of compound {} contain?",
    "How do we protect the laptops and mobile phones of team {} from phishing?",
    "Is the residential security of site {} good enough against burglary?",
    "Who decides on a relocation of staff when a warning reaches base {}?",
)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--per-second", type=float, help="default: all in one transaction")
    parser.add_argument("--send", action="store_true", help="a Celery task for each as well")
    return parser.parse_args()


def query(number: int) -> str:
    return QUESTIONS[number % len(QUESTIONS)].format(number)


def find_owners() -> list[User]:
    return [
        User.objects.get_or_create(
            username=f"analyst-{number}",
            defaults={"modules": ["simulations"], "monthly_simulation_limit": 1_000_000},
        )[0]
        for number in range(OWNERS)
    ]


class Arrivals:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.owners = find_owners()
        self.numbers = range(arguments.count)
        self.send = arguments.send

    def accept(self, number: int) -> Simulation:
        return submit(self.owners[number % OWNERS], query(number))

    def hand_over(self, simulation: Simulation) -> None:
        if self.send:
            run_simulation.delay(str(simulation.pk))

    def evenly(self, per_second: float) -> dict[str, float]:
        start, late = time.monotonic(), 0.0
        for position, number in enumerate(self.numbers):
            wait = start + position / per_second - time.monotonic()
            late = max(late, -wait)
            time.sleep(max(0.0, wait))
            self.hand_over(self.accept(number))
        return {"accepted": len(self.numbers), "submitted": 0.0, "late": late}

    def at_once(self) -> dict[str, float]:
        """None is seen before all are in: how long submitting takes is not the question."""
        with transaction.atomic():
            simulations = [self.accept(number) for number in self.numbers]
        submitted = time.time()
        for simulation in simulations:
            self.hand_over(simulation)
        return {"accepted": len(self.numbers), "submitted": submitted, "late": 0.0}


def main() -> None:
    arguments = parse_arguments()
    arrivals = Arrivals(arguments)
    print("ready", flush=True)
    sys.stdin.readline()
    pace = arguments.per_second
    print(json.dumps(arrivals.evenly(pace) if pace else arrivals.at_once()), flush=True)
