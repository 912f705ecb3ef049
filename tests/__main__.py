"""`make test`: the suite on SQLite alone, and on PostgreSQL with a Celery worker on Redis.

In lanes that run at the same time, since they wait more than they work: on each database what
starts processes of its own, and the rest. What needs no database runs on the first only. PostgreSQL
is left out, with the reason, where a service does not answer; with CI=true that is a failure.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scripts import service
from tests import services

LANES = {
    "sqlite": [["pure", "rows"], ["whole-stack"]],
    "postgresql": [["rows"], ["whole-stack"]],
}


def main() -> int:
    reason = missing_service()
    databases = ["sqlite"] if reason else ["sqlite", "postgresql"]
    with tempfile.TemporaryDirectory(prefix="sitrep-lanes-") as directory:
        lanes = [
            Lane(database, names, Path(directory))
            for database in databases
            for names in LANES[database]
        ]
        print(f"Running {', '.join(map(str, lanes))} …", flush=True)
        service.collect_assets(os.environ | services.environment())
        for lane in lanes:
            lane.start(sys.argv[1:])
        codes = {lane: lane.wait() for lane in lanes}
    if reason:
        print(f"Not run on PostgreSQL and Redis. {reason}")
    ran = {lane: code for lane, code in codes.items() if code != pytest.ExitCode.NO_TESTS_COLLECTED}
    for lane, code in ran.items():
        print(f"{lane}: {'FAILED' if code else 'passed'}")
    return not ran or any(ran.values()) or (bool(reason) and services.IN_CI)


class Lane:
    def __init__(self, database: str, names: list[str], directory: Path) -> None:
        self.database = database
        self.names = names
        self.log = directory / f"{self}.txt"

    def __str__(self) -> str:
        return f"{' and '.join(self.names)} on {self.database}"

    def start(self, arguments: list[str]) -> None:
        options = [f"--lane={name}" for name in self.names]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, *arguments],
                env=os.environ | {"TEST_DATABASE": self.database, "TEST_ASSETS": "collected"},
                stdout=log,
                stderr=log,
            )

    def wait(self) -> int:
        """Its exit code, when what it said has been printed."""
        code = self.process.wait()
        print(f"\n== {self}\n{self.log.read_text(encoding='utf-8')}", flush=True)
        return code


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
