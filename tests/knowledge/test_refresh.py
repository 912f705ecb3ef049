"""One edit of a keyword reaches every process at once, and each reads the keywords once for it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from knowledge import grounding
from knowledge.grounding import CurationCache
from knowledge.models import Article, Keyword

REACHES_ALL_WITHIN = 2.0
NOW = timedelta(0)
ROOT = Path(__file__).resolve().parents[2]

# Answers every line with the articles that it brings to the engine, and how many queries that took:
# of all, and of those that read the keywords.
READER = """
import json, sys
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from django.db import connection
from django.test.utils import CaptureQueriesContext
from config.settings import CURATION_MAX_AGE
from knowledge.grounding import find_sources
for line in sys.stdin:
    with CaptureQueriesContext(connection) as queries:
        sources = find_sources(line, max_age=CURATION_MAX_AGE)
    reads = [query for query in queries if 'FROM "knowledge_keyword"' in query["sql"]]
    print(json.dumps([[source.article.slug for source in sources], len(queries), len(reads)]))
    sys.stdout.flush()
"""


class Reader:
    """A process of its own, as a worker is."""

    def __init__(self, database: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER, database],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, text: str) -> tuple[list[str], int, int]:
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        slugs, queries, reads = json.loads(self.process.stdout.readline())
        return slugs, queries, reads

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def start_reader(
    transactional_db: None, articles: dict[str, Article]
) -> Iterator[Callable[[], Reader]]:
    readers: list[Reader] = []

    def start() -> Reader:
        readers.append(Reader(str(connection.settings_dict["NAME"])))
        return readers[-1]

    yield start
    for reader in readers:
        reader.stop()


def test_an_edit_reaches_every_process_without_a_storm_of_queries(
    start_reader: Callable[[], Reader],
) -> None:
    readers = [start_reader(), start_reader()]
    for reader in readers:
        assert reader.ask("a gate")[0] == ["alpha-001", "beta-001"]
    Keyword.objects.filter(phrase="gate").update(phrase="portal")
    edited = time.monotonic()
    for reader in readers:
        slugs: list[str] = []
        queries = reads = 0
        while not slugs:
            assert time.monotonic() - edited < REACHES_ALL_WITHIN
            slugs, more_queries, more_reads = reader.ask("a portal")
            queries, reads = queries + more_queries, reads + more_reads
        assert (slugs, reads) == (["alpha-001", "beta-001"], 1)
        assert queries <= 5  # the stamp, perhaps once more; the keywords, their links, the articles


def test_without_an_edit_a_busy_process_asks_for_the_stamp_alone(
    start_reader: Callable[[], Reader],
) -> None:
    reader = start_reader()
    reader.ask("a gate")
    begun = time.monotonic()
    answers = [reader.ask("a gate") for _ in range(200)]
    elapsed = time.monotonic() - begun
    assert sum(queries for _, queries, _ in answers) <= elapsed + 1


@pytest.mark.django_db(transaction=True)
def test_threads_that_see_an_edit_together_read_the_keywords_once(
    articles: dict[str, Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, builds = CurationCache(), []
    build = grounding._build_index

    def counted() -> object:
        builds.append(threading.get_ident())
        time.sleep(0.05)  # long enough for the others to arrive
        return build()

    monkeypatch.setattr(grounding, "_build_index", counted)
    cache.get(NOW)
    Keyword.objects.filter(phrase="gate").update(phrase="portal")
    found: list[int] = []

    def ask() -> None:
        found.append(len(cache.get(NOW).index.find_matches("a portal")))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(builds)) == ([1] * 8, 2)
