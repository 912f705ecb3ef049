"""Which published articles a query brings, and how."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import models

from knowledge.matching import KeywordIndex, keywords_by_article
from knowledge.models import Article, CurationStamp, Keyword
from knowledge.search.questions import find_by_question

MAX_ARTICLES = 3
# A text can bring thousands: so many are asked for before it is known whether more are needed.
READ_AT_ONCE = 20
# Some megabytes: an article has a few thousand characters.
KEPT_ARTICLES = 2_000


class FoundBy(models.TextChoices):
    KEYWORD = "keyword", "Keyword"
    SEARCH = "search", "Full-text search"


@dataclass(frozen=True)
class Source:
    """An article and, in curated order, the keywords of the query that brought it."""

    article: Article
    keywords: tuple[str, ...] = ()
    found_by: FoundBy = FoundBy.KEYWORD


class Curation:
    """The keywords and the articles they bring, as of one curation stamp."""

    def __init__(self) -> None:
        self.index = _build_index()
        self._articles: dict[str, Article | None] = {}

    def published(self, slugs: Sequence[str]) -> list[Article]:
        """The published ones among `slugs`, in their order; each is read from the database once."""
        known = self._articles
        if unread := [slug for slug in slugs if slug not in known]:
            published = Article.objects.published().with_revision()
            found = published.in_bulk(unread, field_name="slug")
            known.update((slug, found.get(slug)) for slug in unread)
        if len(known) > KEPT_ARTICLES:
            self._articles = {}
        return [article for slug in slugs if (article := known[slug]) is not None]


class CurationCache:
    """The curation in the database, read once per process and per change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: tuple[int | None, Curation] | None = None
        self._checked_at = float("-inf")

    def get(self, max_age: timedelta) -> Curation:
        """As it was at most `max_age` ago."""
        now = time.monotonic()
        if self._read is not None and now - self._checked_at < max_age.total_seconds():
            return self._read[1]
        stamp = CurationStamp.objects.values_list("value", flat=True).first()
        with self._lock:
            if self._read is None or self._read[0] != stamp:
                # The stamp is read before what it stands for: what is kept may be newer than its
                # stamp and is then read once more, but never older.
                self._read = (stamp, Curation())
            self._checked_at = now
            return self._read[1]


def _build_index() -> KeywordIndex:
    slugs: dict[int, list[str]] = defaultdict(list)
    links = Keyword.articles.through.objects.order_by("keyword_id", "position", "pk")
    for keyword_id, slug in links.values_list("keyword_id", "article__slug"):
        slugs[keyword_id].append(slug)
    keywords = list(Keyword.objects.values_list("pk", "phrase", "whole_word"))
    return KeywordIndex(
        [(phrase, slugs[keyword_id]) for keyword_id, phrase, _ in keywords],
        whole_words={phrase for _, phrase, wants_whole_word in keywords if wants_whole_word},
    )


_cache = CurationCache()


def current_index() -> KeywordIndex:
    """The index of the keywords as they are in the database now."""
    return _cache.get(timedelta(0)).index


def find_sources(
    text: str, limit: int = MAX_ARTICLES, *, max_age: timedelta = timedelta(0)
) -> list[Source]:
    """The first `limit` distinct published articles, in the order of the matched keywords.

    Keywords and articles are as they were at most `max_age` ago. Where keywords bring none,
    full-text search may, if GROUND_BY_SEARCH lets it.
    """
    return _brought_by_keywords(text, limit, max_age) or found_by_search(text, limit)


def _brought_by_keywords(text: str, limit: int, max_age: timedelta) -> list[Source]:
    curation = _cache.get(max_age)
    brought_by = keywords_by_article(curation.index.find_matches(text))
    slugs, found = list(brought_by), []
    while slugs and len(found) < limit:
        found += curation.published(slugs[:READ_AT_ONCE])
        del slugs[:READ_AT_ONCE]
    return [Source(article, brought_by[article.slug]) for article in found[:limit]]


def found_by_search(text: str, limit: int = MAX_ARTICLES) -> list[Source]:
    """None, unless GROUND_BY_SEARCH lets it."""
    if not settings.GROUND_BY_SEARCH:
        return []
    return [Source(article, found_by=FoundBy.SEARCH) for article in find_by_question(text, limit)]
