"""`make test`: the suite on SQLite alone, then on PostgreSQL with a Celery worker on Redis.

The second run is left out, with the reason, where a service does not answer; with CI=true that is
a failure.
"""

import os
import subprocess
import sys

from tests import services


def main() -> int:
    arguments = sys.argv[1:]
    if failed := run("sqlite", arguments):
        return failed
    for name, url in {
        "TEST_DATABASE_URL": services.DATABASE_URL,
        "TEST_BROKER_URL": services.BROKER_URL,
    }.items():
        if not services.answers(url):
            reason = f"{name}: nothing answers at {services.place(url)}"
            print(f"Not run on PostgreSQL and Redis. {reason}", flush=True)
            return 1 if services.IN_CI else 0
    return run("postgresql", arguments)


def run(database: str, arguments: list[str]) -> int:
    print(f"\n== The suite on {database}", flush=True)
    environment = os.environ | {"TEST_DATABASE": database}
    command = [sys.executable, "-m", "pytest"]
    return subprocess.run([*command, *arguments], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
