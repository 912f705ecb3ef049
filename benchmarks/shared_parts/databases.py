"""Empty databases for a benchmark, gone when it is over: the product's URLs of them."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests import services


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="sitrep-benchmark-") as directory:
        yield f"sqlite:///{Path(directory) / 'benchmark.sqlite3'}"


@contextmanager
def postgresql(template: str = "template1") -> Iterator[str]:
    """Beside TEST_DATABASE_URL; a copy of `template`, which is the name of another one."""
    name = f"sitrep_benchmark_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(services.DATABASE_URL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield urlunsplit(urlsplit(services.DATABASE_URL)._replace(path=f"/{name}"))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def databases() -> list[Callable[[], AbstractContextManager[str]]]:
    """SQLite, and PostgreSQL where it answers."""
    return [sqlite, postgresql] if services.answers(services.DATABASE_URL) else [sqlite]
