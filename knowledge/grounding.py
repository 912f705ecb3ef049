"""Which published articles a query brings, and by which keywords."""

import threading
from collections import defaultdict
from dataclasses import dataclass

from knowledge.matching import KeywordIndex
from knowledge.models import Article, CurationStamp, Keyword

MAX_ARTICLES = 3


@dataclass(frozen=True)
class Source:
    """An article and, in curated order, the keywords of the query that brought it."""

    article: Article
    keywords: tuple[str, ...]


class IndexCache:
    """The index of the database's keywords, built once per process and per change of curation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: tuple[int | None, KeywordIndex] | None = None

    def get(self) -> KeywordIndex:
        stamp = CurationStamp.objects.values_list("value", flat=True).first()
        with self._lock:
            if self._built is None or self._built[0] != stamp:
                # The stamp is read before the keywords: an index may be newer than its stamp and
                # is then built once more, but never older.
                self._built = (stamp, _build_index())
            return self._built[1]


def _build_index() -> KeywordIndex:
    slugs: dict[int, list[str]] = defaultdict(list)
    links = Keyword.articles.through.objects.order_by("keyword_id", "position", "pk")
    for keyword_id, slug in links.values_list("keyword_id", "article__slug"):
        slugs[keyword_id].append(slug)
    keywords = list(Keyword.objects.all())
    return KeywordIndex(
        [(keyword.phrase, slugs[keyword.pk]) for keyword in keywords],
        whole_words={keyword.phrase for keyword in keywords if keyword.whole_word},
    )


_cache = IndexCache()


def find_sources(text: str, limit: int = MAX_ARTICLES) -> list[Source]:
    """The first `limit` distinct published articles, in the order of the matched keywords."""
    brought_by: dict[str, list[str]] = defaultdict(list)
    for match in _cache.get().find_matches(text):
        for slug in match.article_ids:
            brought_by[slug].append(match.keyword)
    articles = Article.objects.published().in_bulk(list(brought_by), field_name="slug")
    found = [
        Source(articles[slug], tuple(dict.fromkeys(keywords)))
        for slug, keywords in brought_by.items()
        if slug in articles
    ]
    return found[:limit]
