"""`make test`: the suite on SQLite alone, and on PostgreSQL with a Celery worker on Redis.

Both at the same time, since they wait more than they work. What needs no database runs on the first
only. The second is left out, with the reason, where a service does not answer; with CI=true that is
a failure.
"""

import os
import subprocess
import sys
import tempfile
from typing import IO

from tests import services


def main() -> int:
    arguments = sys.argv[1:]
    reason = missing_service()
    with tempfile.TemporaryFile("w+") as log:
        on_services = None if reason else start("postgresql", ["--skip-pure", *arguments], log)
        print("\n== The suite on sqlite", flush=True)
        failed = start("sqlite", arguments).wait()
        if on_services is None:
            print(f"Not run on PostgreSQL and Redis. {reason}", flush=True)
            return failed or services.IN_CI
        failed = on_services.wait() or failed
        log.seek(0)
        print(f"\n== The suite on postgresql\n{log.read()}", flush=True)
    return failed


def start(
    database: str, arguments: list[str], log: IO[str] | None = None
) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"TEST_DATABASE": database}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def missing_service() -> str:
    for name, url in {
        "TEST_DATABASE_URL": services.DATABASE_URL,
        "TEST_BROKER_URL": services.BROKER_URL,
    }.items():
        if not services.answers(url):
            return f"{name}: nothing answers at {services.place(url)}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
