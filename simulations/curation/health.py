"""What the curation of articles and keywords lacks, by its own rules and by what people ask."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Left, Length
from django.utils import timezone

from knowledge.context import ARTICLE_LIMIT, cut_text, text_length
from knowledge.grounding import MAX_ARTICLES, current_index
from knowledge.matching import KeywordIndex
from knowledge.models import Article
from knowledge.reach import Shadowed, survey
from simulations.curation.terms import frequent_terms, terms_of
from simulations.models import Feedback, Simulation

PERIOD = timedelta(days=30)
# What one look at the page may cost, whatever there is.
MAX_QUERIES = 2_000
READ_FOR_TERMS = 1_000  # characters of each query
MAX_TERMS = 30

PHRASE_LENGTH = 200
MAX_USELESS = 50


@dataclass(frozen=True)
class UnreachedArticle:
    """A published article that no question gets, though its keywords, if any, are in some."""

    article: Article
    has_keywords: bool


@dataclass(frozen=True)
class LongArticle:
    """Of an article's `length` the end is cut off; both in UTF-16 code units."""

    article: Article
    length: int
    cut: int


@dataclass(frozen=True)
class UnmatchedQuery:
    """A question that no keyword of a published article is in, and how often it was asked."""

    simulation_id: object
    query: str
    asked_at: datetime
    count: int
    phrase: str


@dataclass(frozen=True)
class Unmatched:
    """Of the questions since `since`, the latest `read`; all of them if `is_all`."""

    since: datetime
    read: int
    is_all: bool
    count: int
    terms: list[tuple[str, int]]
    queries: list[UnmatchedQuery]


@dataclass(frozen=True)
class Health:
    idle_keywords: list[str]
    unreached: list[UnreachedArticle]
    shadowed: list[Shadowed]
    long_articles: list[LongArticle]
    unmatched: Unmatched
    useless: list[Feedback]


def examine() -> Health:
    """Looks at all keywords and articles, and at a bounded number of questions."""
    index = current_index()
    published = set(Article.objects.published().values_list("slug", flat=True))
    surveyed = survey(index, published, MAX_ARTICLES)
    return Health(
        idle_keywords=_idle_keywords(index, published),
        unreached=_unreached(index, published - surveyed.reached),
        shadowed=list(surveyed.shadowed),
        long_articles=_long_articles(),
        unmatched=_unmatched(index, published),
        useless=_useless(),
    )


def _idle_keywords(index: KeywordIndex, published: set[str]) -> list[str]:
    return [entry.keyword for entry in index.entries if published.isdisjoint(entry.article_ids)]


def _unreached(index: KeywordIndex, slugs: set[str]) -> list[UnreachedArticle]:
    linked = {slug for entry in index.entries for slug in entry.article_ids}
    articles = Article.objects.defer("text").in_bulk(list(slugs), field_name="slug").values()
    return [
        UnreachedArticle(article, article.slug in linked)
        for article in sorted(articles, key=lambda article: article.title)
    ]


def _long_articles() -> list[LongArticle]:
    """Those that are or may be sent; what is cut most comes first."""
    # A character has at most two code units.
    candidates = Article.objects.filter(
        status__in=[Article.Status.PUBLISHED, Article.Status.DRAFT]
    ).alias(characters=Length("text"))
    found = []
    for article in candidates.filter(characters__gt=ARTICLE_LIMIT // 2).iterator(chunk_size=100):
        kept, was_cut = cut_text(article.text)
        if was_cut:
            length = text_length(article.text)
            found.append(LongArticle(article, length, length - text_length(kept)))
    return sorted(found, key=lambda long: -long.cut)


def _useless() -> list[Feedback]:
    """The latest answers of the period that were not useful, with the beginning of the `query`."""
    since = timezone.now() - PERIOD
    said = Feedback.objects.filter(is_useful=False, given_at__gte=since)
    return list(said.annotate(query=Left(F("simulation__query"), PHRASE_LENGTH))[:MAX_USELESS])


def _unmatched(index: KeywordIndex, published: Container[str]) -> Unmatched:
    since = timezone.now() - PERIOD
    # A retry asks nothing new.
    asked = Simulation.objects.filter(created_at__gte=since, retry_of=None)
    recent = asked.order_by("-created_at", "-id").values_list("pk", "query", "created_at")
    read, found = 0, []
    for pk, query, asked_at in recent[: MAX_QUERIES + 1].iterator(chunk_size=200):
        read += 1
        if read <= MAX_QUERIES and not _brings_something(index, published, query):
            found.append((pk, query[:READ_FOR_TERMS], asked_at))
    terms = frequent_terms(query for _, query, _ in found)
    return Unmatched(
        since=since,
        read=min(read, MAX_QUERIES),
        is_all=read <= MAX_QUERIES,
        count=len(found),
        terms=terms[:MAX_TERMS],
        queries=_grouped(found, dict(terms)),
    )


def _brings_something(index: KeywordIndex, published: Container[str], query: str) -> bool:
    return any(slug in published for slug in index.find_article_ids(query))


def _grouped(
    found: Iterable[tuple[object, str, datetime]], counts: dict[str, int]
) -> list[UnmatchedQuery]:
    """Each question once, as it was asked last; the most frequent first, then the latest."""
    groups: dict[str, list[tuple[object, str, datetime]]] = {}
    for row in found:
        groups.setdefault(" ".join(row[1].lower().split()), []).append(row)
    queries = [
        UnmatchedQuery(*rows[0], count=len(rows), phrase=_phrase(rows[0][1], counts))
        for rows in groups.values()
    ]
    return sorted(queries, key=lambda query: -query.count)


def _phrase(query: str, counts: dict[str, int]) -> str:
    """What a keyword could be made of: the term most questions share, a pair before a word."""
    return min(
        terms_of(query),
        key=lambda term: (-counts.get(term, 0), " " not in term, -len(term), term),
        default=" ".join(query.split())[:PHRASE_LENGTH],
    )
