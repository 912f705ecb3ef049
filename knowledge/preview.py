"""What a text would bring into a prompt, and why, before it is asked."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from knowledge.context import QUERY_LIMIT, cut_text, text_length
from knowledge.grounding import MAX_ARTICLES, FoundBy, current_index, found_by_search
from knowledge.matching import ExplainedMatch, Span, is_word_character, keywords_by_article
from knowledge.models import Article
from knowledge.reach import standings

# Enough to see what stands in the way of what; a text can match thousands.
MAX_SHOWN = 20


@dataclass(frozen=True)
class PreviewArticle:
    """An article that the text brings. `place` counts the published ones from 1; drafts: None."""

    article: Article
    keywords: tuple[str, ...]
    place: int | None
    found_by: FoundBy = FoundBy.KEYWORD

    @property
    def is_sent(self) -> bool:
        return _is_sent(self.place)

    @cached_property
    def cut_off(self) -> str:
        """The end of its text, which does not fit into the prompt; mostly empty."""
        kept, _ = cut_text(self.article.text)
        return self.article.text[len(kept) :]

    @property
    def cut_length(self) -> int:
        return text_length(self.cut_off)


@dataclass(frozen=True)
class PreviewKeyword:
    """A keyword that the text contains.

    `inside` is the word that it was found in, if it stands nowhere in the text as a word itself.
    `slugs` are the articles it brings, of those that may be shown.
    """

    keyword: str
    count: int
    spans: tuple[Span, ...]
    inside: str
    slugs: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A piece of the text, and the keywords that stand there."""

    text: str
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """`text` is what is read of the text, `articles` the first MAX_SHOWN of them in order."""

    text: str
    is_truncated: bool
    keywords: tuple[PreviewKeyword, ...]
    articles: tuple[PreviewArticle, ...]
    more_articles: int

    @property
    def sent(self) -> list[PreviewArticle]:
        return [article for article in self.articles if article.is_sent]

    @property
    def others(self) -> list[PreviewArticle]:
        return [article for article in self.articles if not article.is_sent]

    @property
    def doubtful(self) -> list[PreviewKeyword]:
        """Those that may be found by accident, or for nothing."""
        return [found for found in self.keywords if found.inside or not found.slugs]

    @property
    def parts(self) -> list[Part]:
        return highlight(self.text, self.keywords)


@dataclass(frozen=True)
class Way:
    """A keyword of an article: the best place that it can give it, and the earlier keywords within
    it whose articles come before."""

    keyword: str
    place: int
    behind: tuple[str, ...]

    @property
    def is_sent(self) -> bool:
        return _is_sent(self.place)


def preview(text: str, *, include_drafts: bool = False) -> Preview:
    """The articles that `text` brings as a question, in the order in which they are sent.

    The first MAX_ARTICLES published ones are; where keywords bring none, those that search finds,
    as `find_sources` has it. Drafts take no place; they and the keywords that bring nothing are for
    those who curate.
    """
    kept = text[:QUERY_LIMIT]
    hits = current_index().explain(kept)
    brought_by = keywords_by_article(hit.match for hit in hits)
    places = _places(brought_by, include_drafts)
    shown = [
        slug
        for number, (slug, place) in enumerate(places.items())
        if number < MAX_SHOWN or _is_sent(place)
    ]
    articles = Article.objects.in_bulk(shown, field_name="slug")
    brought = tuple(
        PreviewArticle(articles[slug], brought_by[slug], places[slug])
        for slug in shown
        if slug in articles
    )
    if not any(article.is_sent for article in brought):
        brought = (*_found_by_search(kept), *brought)
    keywords = (_keyword(kept, hit, places) for hit in hits)
    return Preview(
        text=kept,
        is_truncated=len(text) > QUERY_LIMIT,
        keywords=tuple(found for found in keywords if found.slugs or include_drafts),
        articles=brought,
        more_articles=len(places) - len(shown),
    )


def _found_by_search(text: str) -> list[PreviewArticle]:
    return [
        PreviewArticle(source.article, source.keywords, place, source.found_by)
        for place, source in enumerate(found_by_search(text), start=1)
    ]


def _places(slugs: Iterable[str], include_drafts: bool) -> dict[str, int | None]:
    """Those of the articles that may be shown, in their order, with their places."""
    found = Article.objects.only("slug", "status").in_bulk(list(slugs), field_name="slug")
    places: dict[str, int | None] = {}
    next_place = count(1)
    for slug in slugs:
        status = found[slug].status if slug in found else None
        if status == Article.Status.PUBLISHED:
            places[slug] = next(next_place)
        elif status == Article.Status.DRAFT and include_drafts:
            places[slug] = None
    return places


def _is_sent(place: int | None) -> bool:
    return place is not None and place <= MAX_ARTICLES


def _keyword(text: str, hit: ExplainedMatch, visible: Container[str]) -> PreviewKeyword:
    stands_alone = not hit.spans or any(span.is_whole_word for span in hit.spans)
    return PreviewKeyword(
        keyword=hit.match.keyword,
        count=hit.count,
        spans=hit.spans,
        inside="" if stands_alone else _word_around(text, hit.spans[0]),
        slugs=tuple(slug for slug in hit.match.article_ids if slug in visible),
    )


def _word_around(text: str, span: Span) -> str:
    start, end = span.start, span.end
    while start > 0 and is_word_character(text[start - 1]):
        start -= 1
    while end < len(text) and is_word_character(text[end]):
        end += 1
    return text[start:end]


def ways_to(article: Article) -> list[Way]:
    """What each of an article's keywords can do for it, published or not, in curated order."""
    index = current_index()
    entries = [entry for entry in index.entries if article.slug in entry.article_ids]
    published = {article.slug, *Article.objects.published().values_list("slug", flat=True)}
    return [
        Way(
            keyword=standing.match.keyword,
            place=standing.place_of(article.slug, published),
            behind=tuple(
                earlier.keyword
                for earlier in standing.earlier
                if not published.isdisjoint(earlier.article_ids)
            ),
        )
        for standing in standings(index, entries)
    ]


def highlight(text: str, keywords: Iterable[PreviewKeyword]) -> list[Part]:
    """`text` in pieces; keywords that overlap each other share one."""
    parts: list[Part] = []
    done = 0
    for start, end, words in _merged(keywords):
        parts += [Part(text[done:start]), Part(text[start:end], tuple(words))]
        done = end
    parts.append(Part(text[done:]))
    return [part for part in parts if part.text]


def _merged(keywords: Iterable[PreviewKeyword]) -> list[tuple[int, int, dict[str, None]]]:
    """Where keywords stand, and which, in order and without overlaps."""
    places = sorted(
        (span.start, span.end, found.keyword) for found in keywords for span in found.spans
    )
    merged: list[tuple[int, int, dict[str, None]]] = []
    for start, end, keyword in places:
        if merged and start < merged[-1][1]:
            first, last, words = merged.pop()
            merged.append((first, max(last, end), words | {keyword: None}))
        else:
            merged.append((start, end, {keyword: None}))
    return merged
