"""What keywords can do: whether one ever changes what is sent, and how far up it brings articles.

A text that contains a keyword also contains the keywords within it. Those of them that come before
it in the curated order bring their articles first, in every such text. So the keyword alone is its
best case: whatever else a text contains can only push its articles further back. Pure: no Django
here.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from knowledge.matching import KeywordIndex, KeywordMatch, keywords_by_article


@dataclass(frozen=True)
class Standing:
    """A keyword, and the earlier ones that every text with it contains too."""

    match: KeywordMatch
    earlier: tuple[KeywordMatch, ...]

    def place_of(self, article_id: str, published: Container[str]) -> int:
        """The best place, from 1, that the keyword can give to a published article of its own."""
        brought = keywords_by_article((*self.earlier, self.match))
        return [found for found in brought if found in published].index(article_id) + 1


@dataclass(frozen=True)
class Shadowed:
    """A keyword that never changes which articles are sent or in which order.

    The keywords it is shadowed `by` bring all its articles before it does; or, if it
    `is_crowded_out`, they fill all places.
    """

    keyword: str
    by: tuple[str, ...]
    is_crowded_out: bool


@dataclass(frozen=True)
class Survey:
    """`reached` are the published articles that some text gets sent."""

    shadowed: tuple[Shadowed, ...]
    reached: frozenset[str]


def survey(index: KeywordIndex, published: Container[str], places: int) -> Survey:
    """Looks at every keyword once, each in one pass of the index over its own few characters."""
    shadowed: list[Shadowed] = []
    reached: set[str] = set()
    for standing in standings(index, index.entries):
        first = _published((*standing.earlier, standing.match), published)[:places]
        reached.update(first)
        if found := _shadow(standing, published, places):
            shadowed.append(found)
    return Survey(tuple(shadowed), frozenset(reached))


def standings(index: KeywordIndex, entries: Iterable[KeywordMatch]) -> Iterator[Standing]:
    """Of keywords of the index."""
    for entry in entries:
        yield Standing(entry, tuple(_earlier(index, entry)))


def _earlier(index: KeywordIndex, entry: KeywordMatch) -> list[KeywordMatch]:
    matches = index.find_matches(entry.keyword)
    before = matches[: matches.index(entry)]
    if index.wants_whole_word(entry) or not any(map(index.wants_whole_word, before)):
        return before
    # In a text, letters may touch the keyword's edges. What is a whole word only because it begins
    # or ends there is not one in every text that contains the keyword.
    length = len(entry.keyword)
    always = {
        hit.match
        for hit in index.explain(entry.keyword)
        if not hit.wants_whole_word
        or any(span.start > 0 and span.end < length for span in hit.spans)
    }
    return [match for match in before if match in always]


def _shadow(standing: Standing, published: Container[str], places: int) -> Shadowed | None:
    own = set(standing.match.article_ids)
    if not own or not standing.earlier:
        return None
    keyword = standing.match.keyword
    if own <= set(keywords_by_article(standing.earlier)):
        by = (match.keyword for match in standing.earlier if own & set(match.article_ids))
        return Shadowed(keyword, tuple(by), is_crowded_out=False)
    if len(_published(standing.earlier, published)) >= places:
        by = (match.keyword for match in standing.earlier if _published([match], published))
        return Shadowed(keyword, tuple(by), is_crowded_out=True)
    return None


def _published(matches: Iterable[KeywordMatch], published: Container[str]) -> list[str]:
    return [article_id for article_id in keywords_by_article(matches) if article_id in published]
