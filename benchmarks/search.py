"""How long a search takes: `python -m benchmarks.search`, `--full` with 100,000 articles.

Articles are made of a vocabulary whose words are as frequent as Zipf has it, in lengths as people
write them. Searches of several kinds run as on the page, snippets included, and beside them the
scan that is usually written: `icontains` on title and text. On SQLite, and on PostgreSQL where it
answers (`TEST_DATABASE_URL`), in databases that are made for it and dropped. See
docs/performance.md.
"""

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Callable
from itertools import accumulate
from statistics import median, quantiles
from time import perf_counter

import django
from django.core.management import call_command

from benchmarks.shared_parts.databases import databases
from tests import services

SHORT, FULL = 3_000, 100_000
SEED = 7
VOCABULARY = 30_000
SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvz" for vowel in "aeiou"]
BATCH = 1_000
SEARCHES, SCANS = 40, 3


class Corpus:
    """Words, most frequent first, and articles made of them; the same for the same seed."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)
        words: dict[str, None] = {}
        while len(words) < VOCABULARY:
            words["".join(self.random.choices(SYLLABLES, k=self.random.randint(2, 5)))] = None
        self.words = list(words)
        self.frequencies = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))

    def text(self, length: int) -> str:
        words = self.random.choices(self.words, cum_weights=self.frequencies, k=length)
        lines = (" ".join(words[i : i + 60]) for i in range(0, length, 60))
        return ".\n\n".join(lines)

    def length(self) -> int:
        """Words of an article: 350 in the median, 450 in the mean."""
        return max(30, int(self.random.lognormvariate(5.86, 0.7)))

    def around(self, rank: int) -> str:
        return self.words[self.random.randint(rank, rank + rank // 2)]

    def misspell(self, word: str) -> str:
        place = self.random.randint(1, len(word) - 3)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]

    def queries(self) -> dict[str, Callable[[], str]]:
        return {
            "the most common word": lambda: self.words[self.random.randint(0, 2)],
            "a common word": lambda: self.around(100),
            "a rare word": lambda: self.around(10_000),
            "two common words": lambda: f"{self.around(100)} {self.around(200)}",
            "a common and a rare word": lambda: f"{self.around(2)} {self.around(8_000)}",
            "a phrase": lambda: f'"{self.around(5)} {self.around(10)}"',
            "a misspelt word": lambda: self.misspell(self.around(5_000)),
            "a word of no article": lambda: "qqxw" + self.around(5_000),
        }


def fill(corpus: Corpus, articles: int) -> None:
    from knowledge.models import Article

    for start in range(0, articles, BATCH):
        Article.objects.bulk_create(
            Article(
                slug=f"made-{number}",
                title=corpus.text(6).capitalize(),
                category=corpus.around(50),
                tags=[corpus.around(200), corpus.around(400)],
                text=corpus.text(corpus.length()),
                status=Article.Status.PUBLISHED,
            )
            for number in range(start, min(start + BATCH, articles))
        )


def scan(query: str) -> None:
    from django.db.models import Q

    from knowledge.models import Article

    matching = Article.objects.published()
    for part in [query.strip('"')] if '"' in query else query.split():
        matching = matching.filter(Q(title__icontains=part) | Q(text__icontains=part))
    list(matching[:20])


def milliseconds(run: Callable[[str], object], queries: list[str]) -> list[float]:
    times = []
    for query in queries:
        start = perf_counter()
        run(query)
        times.append((perf_counter() - start) * 1000)
    return times


def measure(corpus: Corpus) -> None:
    from knowledge.search.articles import search_articles

    columns = ("p50 ms", "p95 ms", "scan ms", "ratio")
    print(f"{'':<28}" + "".join(f"{column:>10}" for column in columns))
    for name, make in corpus.queries().items():
        queries = [make() for _ in range(SEARCHES)]
        milliseconds(search_articles, queries[:5])
        times = milliseconds(search_articles, queries)
        middle, scanned = median(times), median(milliseconds(scan, queries[:SCANS]))
        p95 = quantiles(times, n=20)[-1]
        print(f"{name:<28}{middle:>10.1f}{p95:>10.1f}{scanned:>10.0f}{scanned / middle:>10.0f}")


def run_here(articles: int) -> None:
    """On the database of this process's environment, which is empty."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection

    call_command("migrate", verbosity=0)
    corpus = Corpus()
    start = perf_counter()
    fill(corpus, articles)
    each = (perf_counter() - start) / articles * 1000
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE knowledge_article, knowledge_searchword")
    print(f"\n{connection.vendor}, {articles:,} articles; {each:.1f} ms to make and index one\n")
    measure(corpus)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search")
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} articles; some 12 minutes")
    parser.add_argument("--articles", type=int, help=f"default: {SHORT:,}")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    articles = arguments.articles or (FULL if arguments.full else SHORT)
    if arguments.here:
        run_here(articles)
        return
    for database in databases():
        with database() as url:
            command = [sys.executable, "-m", "benchmarks.search", "--here", "--articles"]
            environment = os.environ | services.environment() | {"DATABASE_URL": url}
            subprocess.run([*command, str(articles)], env=environment, check=True)


if __name__ == "__main__":
    main()
