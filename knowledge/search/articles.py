"""The search of people and of assistants: ranked, highlighted, in pages."""

from dataclasses import dataclass

from knowledge.models import Article
from knowledge.search.highlights import Fragment, Marks
from knowledge.search.index import SearchIndex, get_index
from knowledge.search.query import Query, parse_query
from knowledge.search.spelling import correct

PAGE_SIZE = 10
# Of a query that matches more, this many are ranked: ranking 100,000 takes seconds.
MAX_RANKED = 500
LAST_PAGE = 2 * MAX_RANKED // PAGE_SIZE


@dataclass(frozen=True)
class Hit:
    """`score`: 1 for the best hit of the query, and what the others have of it."""

    article: Article
    score: float
    title: tuple[Fragment, ...]
    snippet: tuple[Fragment, ...]


@dataclass(frozen=True)
class Results:
    """`corrected`: what was searched for instead, because nothing had the words as typed.

    `total` counts what was ranked; unless it `is_complete`, more articles match.
    """

    hits: tuple[Hit, ...] = ()
    total: int = 0
    is_complete: bool = True
    corrected: str = ""
    page: int = 1
    has_next: bool = False

    @property
    def next_page(self) -> int | None:
        return self.page + 1 if self.has_next else None

    @property
    def previous_page(self) -> int | None:
        return self.page - 1 or None


def search_articles(text: str, *, page: int = 1, page_size: int = PAGE_SIZE) -> Results:
    """Published articles that match, best first; InvalidQuery where the text is too long."""
    query, index = parse_query(text), get_index()
    if not query:
        return Results()
    corrected = ""
    ranks, is_complete = _rank(query, index)
    if not ranks and (better := correct(query, index)):
        query = better
        ranks, is_complete = _rank(query, index)
        corrected = str(query) if ranks else ""
    start, end = (page - 1) * page_size, page * page_size
    shown = sorted(ranks, key=lambda pk: (-ranks[pk], pk))[start:end]
    best = max(ranks.values(), default=0)
    return Results(
        hits=_hits(query, index, {pk: ranks[pk] / best for pk in shown}),
        total=len(ranks),
        is_complete=is_complete,
        corrected=corrected,
        page=page,
        has_next=len(ranks) > end,
    )


def _rank(query: Query, index: SearchIndex) -> tuple[dict[int, float], bool]:
    """Ranks by article, and whether they are all that match.

    Of too many, those with the words in title or tags come into it first: an article is in most
    cases about what its title says, and these are the few that the limit must not leave out.
    """
    ranks = index.match(query, MAX_RANKED + 1)
    if len(ranks) <= MAX_RANKED:
        return ranks, True
    return index.match(query, MAX_RANKED, head_only=True) | ranks, False


def _hits(query: Query, index: SearchIndex, scores: dict[int, float]) -> tuple[Hit, ...]:
    marks = Marks()
    articles = Article.objects.published().in_bulk(list(scores))
    highlights = index.highlight(query, articles, marks)
    return tuple(
        Hit(articles[pk], score, *map(marks.split, highlights[pk]))
        for pk, score in scores.items()
        if pk in highlights
    )
