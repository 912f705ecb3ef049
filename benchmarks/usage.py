"""What the page of usage costs: `python -m benchmarks.usage`, `--full` with 1,000,000 simulations.

Two years of simulations that are over, of 50 users, most with one run and some with more; two
models whose prices changed twice. An admin asks for the page and its longest file, through the
whole of Django but no socket, with 1,000 simulations and with many. On SQLite, and on PostgreSQL
where it answers (`TEST_DATABASE_URL`), in databases that are made for it and dropped. See
docs/performance.md.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

from benchmarks.shared_parts.databases import databases
from tests import services

if TYPE_CHECKING:
    from django.test import Client

FEW, MANY, FULL = 1_000, 100_000, 1_000_000
ROUNDS, WARM_UP = 5, 1
SEED = 7
USERS = 50
MODELS = ["gpt-a", "gpt-b"]
BATCH = 2_000
PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
TWO_YEARS = timedelta(days=700)
PATHS = {
    "the page, 12 months": "/usage/",
    "the page, 24 months": "/usage/?months=24",
    "the page, one month": "/usage/?months=1",
    "the file by user and month, 24 months": "/usage/by-user-and-month.csv?months=24",
}


def fill(rows: int) -> None:
    from django.utils import timezone

    from accounts.models import User
    from simulations.models import Assistant, Conversation, Price, Run, Simulation, Status

    chance, now = random.Random(SEED), timezone.now()
    names = [f"user-{number}" for number in range(USERS)]
    owners = User.objects.bulk_create(User(username=name) for name in names)
    assistants = [
        Assistant.objects.get_or_create_default(),
        Assistant.objects.create(name="Second"),
    ]
    for model in MODELS:
        for days in [1_000, 400, 100]:
            Price.objects.create(
                model=model,
                valid_from=(now - timedelta(days=days)).date(),
                input_price=Decimal(f"1.{days}"),
                output_price=Decimal(10),
            )
    for start in range(0, rows, BATCH):
        made, runs = [], []
        for _ in range(min(BATCH, rows - start)):
            owner, asked = chance.choice(owners), now - TWO_YEARS * chance.random()
            status = chance.choices(
                [Status.COMPLETED, Status.FAILED, Status.CANCELLED], weights=[90, 7, 3]
            )[0]
            simulation = Simulation(
                owner=owner,
                assistant=chance.choice(assistants),
                conversation=Conversation(owner=owner, protocol="responses"),
                query="Which measures fit the office? " * 8,
                prompt="Context. " * 60,
                answer="Badges. " * 60,
                status=status,
                created_at=asked,
                finished_at=asked + timedelta(seconds=chance.lognormvariate(3.1, 0.5)),
            )
            made.append(simulation)
            for _ in range(chance.choices([1, 2, 3], weights=[80, 15, 5])[0]):
                tokens = chance.randrange(900, 5_200) if status == Status.COMPLETED else None
                runs.append(
                    Run(
                        simulation=simulation,
                        model=chance.choice(MODELS),
                        provider_id=f"resp_{chance.getrandbits(128):032x}",
                        requested_at=asked,
                        finished_at=simulation.finished_at,
                        outcome=Run.Outcome(status.lower()),
                        input_tokens=tokens,
                        output_tokens=tokens,
                        total_tokens=tokens and tokens * 2,
                    )
                )
        Conversation.objects.bulk_create(simulation.conversation for simulation in made)
        Simulation.objects.bulk_create(made)
        Run.objects.bulk_create(runs)


def run_here(rows: int) -> None:
    """On the empty database of this process's environment; prints milliseconds by path."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test import Client, override_settings

    from accounts.models import Role, User

    call_command("migrate", verbosity=0)
    fill(rows)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_user("admin", role=Role.ADMIN))
    # Nothing was collected.
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN}}):
        print(json.dumps({path: milliseconds(client, path) for path in PATHS.values()}))


def milliseconds(client: "Client", path: str) -> float:
    times = []
    for _ in range(WARM_UP + ROUNDS):
        start = perf_counter()
        response = client.get(path)
        times.append((perf_counter() - start) * 1000)
        assert response.status_code == 200, (path, response.status_code)
    return median(times[WARM_UP:])


def measure(url: str, rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.usage", "--here", "--rows", str(rows)]
    environment = os.environ | services.environment() | {"DATABASE_URL": url}
    environment |= {"LOG_LEVEL": "ERROR"}
    measured = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(measured.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.usage")
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} rows; some minutes")
    parser.add_argument("--rows", type=int, help=f"default: {MANY:,}")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = arguments.rows or (FULL if arguments.full else MANY)
    if arguments.here:
        run_here(rows)
        return
    for database in databases():
        taken = []
        for number in (FEW, rows):
            with database() as url:
                taken.append(measure(url, number))
        print(f"\n| {database.__name__} | ms at {FEW:,} | ms at {rows:,} | ratio |")
        print("| --- | ---: | ---: | ---: |")
        for name, path in PATHS.items():
            few, many = (times[path] for times in taken)
            print(f"| {name} | {few:.0f} | {many:.0f} | {many / few:.1f} |")


if __name__ == "__main__":
    main()
