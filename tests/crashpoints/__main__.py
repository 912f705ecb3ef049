"""Kills the worker before and after every boundary of a simulation's life.

Each database is tried in a process of its own, as `python -m tests` does: the settings choose it.
"""

import argparse
import os
import signal
import subprocess
import sys

from tests import services
from tests.crashpoints.options import DATABASES, parse_options


def main() -> int:
    options = parse_options(__doc__)
    if options.database is None:
        return max([elsewhere(database) for database in DATABASES])
    if os.environ.get("TEST_DATABASE") != options.database:
        return elsewhere(options.database)
    return here(options)


def elsewhere(database: str) -> int:
    if database == "postgresql" and not services.answers(services.DATABASE_URL):
        place = services.place(services.DATABASE_URL)
        print(f"Not run on PostgreSQL: nothing answers at {place}", flush=True)
        return 1 if services.IN_CI else 0
    environment = os.environ | {
        "TEST_DATABASE": database,
        "DJANGO_SETTINGS_MODULE": "tests.crashpoints.settings",
    }
    command = [sys.executable, "-m", "tests.crashpoints", *sys.argv[1:], "--database", database]
    return subprocess.run(command, env=environment).returncode


def here(options: argparse.Namespace) -> int:
    # An end that is asked for leaves no database behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    import django

    django.setup()
    from tests.crashpoints import campaign

    return campaign.run(options)


if __name__ == "__main__":
    sys.exit(main())
