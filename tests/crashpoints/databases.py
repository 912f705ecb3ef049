"""A database for each lane, and what the harness adds to it: a log of status changes."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection

from accounts.models import Module, User
from knowledge.models import Article, Keyword
from simulations.models import AnswerRule, Assistant, RulesVersion
from tests import services
from tests.crashpoints.children import run_in_child

OWNER = "owner"
SLUGS = ("alpha-001", "beta-001")
KEPT = {Assistant, AnswerRule, RulesVersion}
MIGRATION_LIMIT = 120.0

STATUS_LOG = "CREATE TABLE status_log (simulation varchar(36), was varchar(16), became varchar(16))"
ON_STATUS = "CREATE TRIGGER status_log AFTER UPDATE OF status ON simulations_simulation"
INSERT = "INSERT INTO status_log VALUES (NEW.id, OLD.status, NEW.status);"
TRIGGER = {
    "sqlite": [f"{ON_STATUS} BEGIN {INSERT} END"],
    "postgresql": [
        "CREATE FUNCTION log_status() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {INSERT} RETURN NULL; END $$",
        f"{ON_STATUS} FOR EACH ROW EXECUTE FUNCTION log_status()",
    ],
}


@contextmanager
def databases(count: int) -> Iterator[list[str]]:
    """The names of `count` databases, migrated and filled; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sitrep-crash-") as directory:
        make = postgresql_databases if services.ON_POSTGRESQL else sqlite_databases
        with make(count, Path(directory)) as names:
            yield names


@contextmanager
def sqlite_databases(count: int, directory: Path) -> Iterator[list[str]]:
    paths = [directory / f"{number}.sqlite3" for number in range(count)]
    fill(str(paths[0]), directory)
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    yield [str(path) for path in paths]


@contextmanager
def postgresql_databases(count: int, directory: Path) -> Iterator[list[str]]:
    prefix = f"sitrep_crash_{uuid.uuid4().hex[:12]}"
    names = [f"{prefix}_{number}" for number in range(count)]
    with psycopg.connect(services.DATABASE_URL, autocommit=True) as server:
        try:
            server.execute(f"CREATE DATABASE {names[0]}")
            fill(names[0], directory)
            for name in names[1:]:
                server.execute(f"CREATE DATABASE {name} TEMPLATE {names[0]}")
            yield names
        finally:
            for name in names:
                server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def fill(name: str, directory: Path) -> None:
    """In a child: the parent never opens a connection, since its children would share it."""
    log = directory / "migrate.txt"
    if run_in_child(lambda: _fill(name), log, MIGRATION_LIMIT).code:
        raise RuntimeError(f"The database could not be made:\n{log.read_text()}")


def _fill(name: str) -> None:
    use(name)
    call_command("migrate", verbosity=0)
    User.objects.create_user(OWNER, modules=Module.values, monthly_simulation_limit=10_000)
    Assistant.objects.get_or_create_default()
    for slug in SLUGS:
        text = f"Guards check every badge at the gate. This is the text of {slug}."
        article = Article.objects.create(
            slug=slug, title=slug, category="Testing", text=text, status="published"
        )
        Keyword.objects.create(phrase=slug.split("-")[0]).links.create(article=article)
    log_status_changes()
    connection.close()


def log_status_changes() -> None:
    with connection.cursor() as cursor:
        for statement in [STATUS_LOG, *TRIGGER[connection.vendor]]:
            cursor.execute(statement)


def use(name: str) -> None:
    """Of this process; before it connects."""
    connection.settings_dict["NAME"] = name


def clear() -> None:
    """Forgets the lives before; users, articles, the assistant and the answer rules stay."""
    models = set(apps.get_app_config("simulations").get_models()) - KEPT
    tables = ["status_log", *(model._meta.db_table for model in models)]
    connection.ops.execute_sql_flush(
        connection.ops.sql_flush(no_style(), tables, allow_cascade=True)
    )


def status_changes(simulation: object) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT simulation, was, became FROM status_log")
        key = str(simulation).replace("-", "")
        return [
            (was, became)
            for logged, was, became in cursor.fetchall()
            if logged.replace("-", "") == key
        ]
