"""Finding published articles by words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from knowledge.models import Article

MAX_TERMS = 12
MAX_RESULTS = 20
SNIPPET_LENGTH = 240
TERM = re.compile(r"\w{2,}")


@dataclass(frozen=True)
class Fragment:
    """A piece of a snippet; `is_hit` where it matches one of the words asked for."""

    text: str
    is_hit: bool


@dataclass(frozen=True)
class Hit:
    article: Article
    score: int
    snippet: tuple[Fragment, ...]


def search_articles(query: str) -> list[Hit]:
    """Published articles that hold every word of the query, best first.

    A word in the title counts ten times, in category or tags five times as much as in the text.
    Case is ignored in every script, which SQLite's own comparison can't: articles are read and
    compared here, which suits the hundreds of a curated desk.
    """
    terms = list(dict.fromkeys(term.lower() for term in TERM.findall(query)))[:MAX_TERMS]
    if not terms:
        return []
    scored = ((article, _score(article, terms)) for article in Article.objects.published())
    best = sorted(
        ((article, score) for article, score in scored if score),
        key=lambda pair: (-pair[1], pair[0].title),
    )
    return [_hit(article, score, terms) for article, score in best[:MAX_RESULTS]]


def _score(article: Article, terms: list[str]) -> int:
    """0 unless every term is there."""
    weighted = [
        (article.title.lower(), 10),
        (f"{article.category} {' '.join(article.tags)}".lower(), 5),
        (article.text.lower(), 1),
    ]
    scores = [sum(text.count(term) * weight for text, weight in weighted) for term in terms]
    return sum(scores) if all(scores) else 0


def _hit(article: Article, score: int, terms: list[str]) -> Hit:
    return Hit(article, score, tuple(_fragments(_excerpt(article.text, terms), terms)))


def _excerpt(text: str, terms: list[str]) -> str:
    """The text around the first hit, on one line."""
    flat = " ".join(text.split())
    first = re.search("|".join(map(re.escape, terms)), flat, re.IGNORECASE)
    start = max(0, (first.start() if first else 0) - SNIPPET_LENGTH // 3)
    end = start + SNIPPET_LENGTH
    return f"{'…' if start else ''}{flat[start:end]}{'…' if end < len(flat) else ''}"


def _fragments(excerpt: str, terms: list[str]) -> Iterator[Fragment]:
    pattern = re.compile("|".join(map(re.escape, terms)), re.IGNORECASE)
    end = 0
    for match in pattern.finditer(excerpt):
        if match.start() > end:
            yield Fragment(excerpt[end : match.start()], is_hit=False)
        yield Fragment(match.group(), is_hit=True)
        end = match.end()
    if end < len(excerpt):
        yield Fragment(excerpt[end:], is_hit=False)
