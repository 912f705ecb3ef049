"""A dump of a database with answers in it becomes a site that goes on."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import service
from tests import services
from tests.e2e.stack import Stack, Template, prepare
from tests.e2e.test_main_job import QUERY

MISSING = not (shutil.which("pg_dump") and shutil.which("pg_restore"))
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not services.ON_POSTGRESQL, reason="SQLite is a file that is copied"),
    pytest.mark.skipif(MISSING and not services.IN_CI, reason="pg_dump is not installed"),
]
COUNTS = """
SELECT count(*) FROM {table}
"""
TABLES = [
    "accounts_user",
    "knowledge_article",
    "knowledge_articlerevision",
    "knowledge_keyword",
    "simulations_simulation",
    "simulations_run",
    "simulations_citation",
]


def counts(stack: Stack) -> dict[str, int]:
    return {table: stack.query(COUNTS.format(table=table))[0] for table in TABLES}


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def test_a_restored_database_has_its_answers_and_takes_questions(
    template: Template, tmp_path: Path
) -> None:
    dump = str(tmp_path / "sitrep.dump")
    (tmp_path / "old").mkdir()
    old = Stack(tmp_path / "old", template, "responses")
    try:
        old.start()
        client = old.client("analyst")
        before = client.wait(client.submit(QUERY).headers["Location"])
        assert before["status"] == "COMPLETED"
        run("pg_dump", "--format=custom", "--file", dump, old.database)
        kept = counts(old)
    finally:
        old.stop()

    new = Stack(tmp_path, None, "responses")
    try:
        options = ("--no-owner", "--exit-on-error", "--dbname", new.database)
        run("pg_restore", *options, dump)
        prepare(new.environment)
        assert counts(new) == kept
        new.start_process("web", service.web("127.0.0.1", new.port))
        new.start_workers()
        new.wait_for_web()
        client = new.client("analyst")
        after = client.get(f"simulations/{before['id']}").json()
        assert (after["answer"], after["citations"]) == (before["answer"], before["citations"])
        again = client.wait(client.submit(QUERY).headers["Location"])
        assert again["status"] == "COMPLETED"
        assert again["citations"] == before["citations"]
        assert client.get("knowledge/search?q=convoy").json()["results"]
    finally:
        new.stop()
