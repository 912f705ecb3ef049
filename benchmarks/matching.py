"""What finding 50,000 keywords in a long query takes, beside looking up each one:
`python -m benchmarks.matching`.

The plain loop is timed in Python and, where it is installed, in node, over keywords that are
lower-cased already. Every contender must find the same articles in the same order. The refresh is
timed on a database of its own, SQLite in a temporary file.
"""

import gc
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from knowledge.matching import KeywordIndex
from knowledge.reach import survey

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS, ARTICLES, QUERY_LENGTH = 50_000, 2_000, 12_000
SEED = 7
NODE = shutil.which("node")
NODE_LOOP = """
const { pairs, text } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
let found, best = Infinity;
for (let round = 0; round < 5; round++) {
  const start = performance.now();
  const lower = text.toLowerCase();
  const matched = new Set();
  for (const [keyword, ids] of pairs) {
    if (lower.includes(keyword)) ids.forEach((id) => matched.add(id));
  }
  found = Array.from(matched);
  best = Math.min(best, performance.now() - start);
}
console.log(JSON.stringify([found, best / 1000]));
"""

Pairs = list[tuple[str, list[str]]]


def seed_prose() -> str:
    articles = sorted((ROOT / "knowledge" / "seed" / "articles").glob("*.md"))
    return "\n\n".join(path.read_text(encoding="utf-8") for path in articles)


def make_keywords(prose: str) -> Pairs:
    """One to three words each, of the seed articles' vocabulary: many of them nest and overlap."""
    chance = random.Random(SEED)
    words = sorted(set(re.findall(r"[a-z]{4,}", prose.lower())))
    phrases: dict[str, None] = {}
    while len(phrases) < KEYWORDS:
        phrases[" ".join(chance.sample(words, chance.randint(1, 3)))] = None
    return [
        (phrase, [f"article-{chance.randrange(ARTICLES)}" for _ in range(2)]) for phrase in phrases
    ]


def plain_loop(pairs: Pairs, text: str) -> list[str]:
    lowered = text.lower()
    found: dict[str, None] = {}
    for keyword, ids in pairs:
        if keyword in lowered:
            found.update(dict.fromkeys(ids))
    return list(found)


def node_loop(pairs: Pairs, text: str) -> tuple[list[str], float]:
    """What it found, and seconds."""
    given = json.dumps({"pairs": pairs, "text": text})
    done = subprocess.run(
        [NODE, "-e", NODE_LOOP], input=given, capture_output=True, text=True, check=True
    )
    found, seconds = json.loads(done.stdout)
    return found, seconds


def timed(work: Callable[[], Any], rounds: int) -> tuple[Any, float]:
    """The result, and the seconds of the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        result = work()
        best = min(best, perf_counter() - start)
    return result, best


def resident_megabytes() -> float:
    """0 where the system doesn't say."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def compare(index: KeywordIndex, pairs: Pairs, name: str, text: str) -> None:
    expected, loop_seconds = timed(lambda: plain_loop(pairs, text), 3)
    found, seconds = timed(lambda: index.find_article_ids(text), 30)
    assert found == expected, "the index and the plain loop disagree"
    hits, explain_seconds = timed(lambda: index.explain(text), 5)
    assert [hit.match for hit in hits] == index.find_matches(text)
    line = f"{name:<22}{len(hits):>7}{seconds * 1e3:>10.2f}{explain_seconds * 1e3:>10.1f}"
    line += f"{loop_seconds * 1e3:>10.0f}{loop_seconds / seconds:>8,.0f}"
    if NODE:
        found, node_seconds = node_loop(pairs, text)
        assert found == expected, "the index and node disagree"
        line += f"{node_seconds * 1e3:>10.0f}{node_seconds / seconds:>8,.0f}"
    print(line)


def matching(pairs: Pairs, prose: str) -> None:
    before = resident_megabytes()
    index, build_seconds = timed(lambda: KeywordIndex(pairs), 1)
    memory = resident_megabytes() - before
    print(f"{len(pairs):,} keywords: built in {build_seconds:.2f} s, {memory:.0f} MB")
    print(f"{'':<22}{'found':>7}{'index ms':>10}{'explain':>10}{'loop ms':>10}{'times':>8}", end="")
    print(f"{'node ms':>10}{'times':>8}" if NODE else "  (node is not installed)")
    chance = random.Random(SEED)
    phrases = " ".join(keyword for keyword, _ in chance.sample(pairs, 2_000))
    for name, text in {
        "prose": prose[:QUERY_LENGTH],
        "nothing but keywords": phrases[:QUERY_LENGTH],
        "none of them": "0123456789 " * (QUERY_LENGTH // 11),
    }.items():
        compare(index, pairs, name, text)
    published = {slug for _, ids in pairs for slug in ids}
    found, seconds = timed(lambda: survey(index, published, 3), 1)
    print(f"survey of all keywords: {len(found.shadowed):,} shadowed, found in {seconds:.1f} s")


def refresh(pairs: Pairs, text: str) -> None:
    """How long the first query after an edit takes, and the one after it."""
    # Django is set up by now: the models need it.
    from knowledge.grounding import find_sources
    from knowledge.models import Article, Keyword, KeywordArticle

    slugs = [f"article-{number}" for number in range(ARTICLES)]
    Article.objects.bulk_create(
        Article(slug=slug, title=slug, category="C", text="T", status="published") for slug in slugs
    )
    Keyword.objects.bulk_create(
        (Keyword(phrase=phrase, position=place) for place, (phrase, _) in enumerate(pairs)),
        batch_size=2_000,
    )
    keys = dict(Keyword.objects.values_list("phrase", "pk"))
    articles = dict(Article.objects.values_list("slug", "pk"))
    KeywordArticle.objects.bulk_create(
        (
            KeywordArticle(keyword_id=keys[phrase], article_id=articles[slug], position=place)
            for phrase, ids in pairs
            for place, slug in enumerate(dict.fromkeys(ids))
        ),
        batch_size=2_000,
    )
    find_sources(text)
    Keyword.objects.filter(phrase=pairs[0][0]).update(phrase="edited")
    _, after_edit = timed(lambda: find_sources(text), 1)
    _, unchanged = timed(lambda: find_sources(text), 5)
    print(f"after one edit: {after_edit:.2f} s once, then {unchanged * 1e3:.1f} ms a query")


def on_a_database(work: Callable[[], None]) -> None:
    import django
    from django.core.management import call_command

    with tempfile.TemporaryDirectory() as directory:
        os.environ["DATABASE_URL"] = f"sqlite:///{directory}/bench.sqlite3"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        work()


if __name__ == "__main__":
    prose = seed_prose()
    pairs = make_keywords(prose)
    matching(pairs, prose)
    on_a_database(lambda: refresh(pairs, prose[:QUERY_LENGTH]))
