"""A sample of `make crashpoints` on the suite's database, and the proof that it can fail."""

import os
import subprocess
import sys

import pytest

from tests import services

pytestmark = pytest.mark.timeout(300)

DATABASE = "postgresql" if services.ON_POSTGRESQL else "sqlite"


def run(*options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.crashpoints", "--database", DATABASE, *options]
    environment = {key: value for key, value in os.environ.items() if key != "TEST_DATABASE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_a_worker_killed_here_and_there_loses_nothing() -> None:
    code, output = run("--life", "question", "--every", "7", "--lanes", "3")
    assert code == 0, output


def test_a_money_gate_that_keeps_its_intent_in_memory_is_found_out() -> None:
    call = "POST /v1/responses sent"
    options = ["--life", "question", "--protocol", "responses", "--only", call, "--lanes", "2"]
    code, output = run(*options, "--broken", "intent")
    assert code == 1, output
    assert f"killed after HTTP {call} #1" in output
    assert "billed twice: 1 extra runs for 0 faults" in output
