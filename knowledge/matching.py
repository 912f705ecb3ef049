"""Which curated keywords a text contains, and the articles they bring. Pure: no Django here.

The rule is a loop over the keywords in curated order: a keyword counts when the lower-cased text
contains it, its articles are appended, and an article already there keeps its first place. One
Aho-Corasick pass finds all keywords at once, so the cost grows with the text and the number of
occurrences in it, not with the number of keywords.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind


@dataclass(frozen=True, slots=True)
class KeywordMatch:
    """A keyword found in a text: spelled as curated, with the articles it brings."""

    keyword: str
    article_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a keyword stands, in characters of the text as it was given: `text[start:end]`.

    `is_whole_word`: no letter, digit or underscore touches it; else it is a part of a word.
    """

    start: int
    end: int
    is_whole_word: bool


@dataclass(frozen=True, slots=True)
class ExplainedMatch:
    """A match and where it comes from.

    `count` is how often the keyword counts in the text, `spans` its first MAX_SPANS places. Both
    leave out the places where a keyword that wants whole words is a part of one. The empty
    keyword counts once and stands nowhere.
    """

    match: KeywordMatch
    wants_whole_word: bool
    count: int
    spans: tuple[Span, ...]


class KeywordIndex:
    """An immutable index over curated keywords; safe to share between threads.

    `pairs` holds (keyword, article ids) in curated order. Keywords named in `whole_words`,
    spelled as in `pairs`, count only where no letter, digit or underscore touches them.
    The empty keyword is contained in every text and has no word to be whole.
    """

    MAX_SPANS = 100

    def __init__(
        self,
        pairs: Iterable[tuple[str, Sequence[str]]],
        whole_words: Collection[str] = frozenset(),
    ) -> None:
        self._entries = [KeywordMatch(keyword, tuple(ids)) for keyword, ids in pairs]
        self._whole_words = frozenset(whole_words)
        self._always: list[int] = []
        # Positions in the curated order, by the lower-cased keyword: spellings that differ only
        # in case share one pattern, and each keeps its place.
        anywhere: dict[bytes, list[int]] = {}
        as_word: dict[bytes, list[int]] = {}
        for position, entry in enumerate(self._entries):
            pattern = _lowered(entry.keyword)
            if not pattern:
                self._always.append(position)  # the automaton refuses empty patterns
                continue
            group = as_word if self.wants_whole_word(entry) else anywhere
            group.setdefault(pattern, []).append(position)
        patterns = list(dict.fromkeys([*anywhere, *as_word]))
        self._anywhere = [anywhere.get(pattern, ()) for pattern in patterns]
        self._as_word = [as_word.get(pattern, ()) for pattern in patterns]
        self._wanted_as_word = {number for number, group in enumerate(self._as_word) if group}
        # Only Standard reports overlapping matches, which nested keywords need. Measured with
        # 50,000 keywords: ContiguousNFA matches fastest; a DFA is too large for the cache.
        self._automaton = BytesAhoCorasick(
            patterns, matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA
        )

    @property
    def entries(self) -> Sequence[KeywordMatch]:
        """All keywords, in curated order."""
        return self._entries

    def wants_whole_word(self, entry: KeywordMatch) -> bool:
        return entry.keyword in self._whole_words

    def find_matches(self, text: str) -> list[KeywordMatch]:
        """The keywords `text` contains, in curated order."""
        haystack = _lowered(text)
        hits = self._automaton.find_matches_as_indexes(haystack, overlapping=True)
        found = {pattern for pattern, _, _ in hits}
        sought, found_as_word = found & self._wanted_as_word, set()
        for pattern, start, end in hits if sought else ():
            if pattern in sought and _is_whole_word(haystack, start, end):
                found_as_word.add(pattern)
                sought.discard(pattern)
        return [self._entries[position] for position in self._positions(found, found_as_word)]

    def find_article_ids(self, text: str) -> list[str]:
        """The distinct articles of the keywords `text` contains, first occurrence first."""
        matches = self.find_matches(text)
        return list(dict.fromkeys(chain.from_iterable(match.article_ids for match in matches)))

    def explain(self, text: str) -> list[ExplainedMatch]:
        """`find_matches` with the places where each keyword was found; takes longer."""
        haystack = _lowered(text)
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for pattern, start, end in self._automaton.find_matches_as_indexes(
            haystack, overlapping=True
        ):
            places[pattern].append((start, end))
        spans = _Spans(text, haystack)
        hits = {
            position: ExplainedMatch(self._entries[position], False, 1, ())
            for position in self._always
        }
        for pattern, found in places.items():
            for position in self._anywhere[pattern]:
                entry = self._entries[position]
                hits[position] = ExplainedMatch(entry, False, len(found), spans.of(found))
            words = [place for place in found if _is_whole_word(haystack, *place)]
            for position in self._as_word[pattern] if words else ():
                hits[position] = ExplainedMatch(
                    self._entries[position], True, len(words), spans.of(words)
                )
        return [hits[position] for position in sorted(hits)]

    def _positions(self, found: set[int], found_as_word: set[int]) -> list[int]:
        groups: Iterator[Iterable[int]] = chain(
            [self._always],
            (self._anywhere[pattern] for pattern in found),
            (self._as_word[pattern] for pattern in found_as_word),
        )
        return sorted(chain.from_iterable(groups))


class _Spans:
    """Turns places in the lowered bytes of a text into spans of the text itself."""

    def __init__(self, text: str, haystack: bytes) -> None:
        self._haystack = haystack
        # Where each character begins. One by one, characters become as long as they do in the
        # whole text: only the final sigma looks at its neighbours, and both its forms are alike
        # in length.
        lengths = (len(_lowered(character)) for character in text)
        self._starts = list(accumulate(lengths, initial=0))

    def of(self, places: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
        return tuple(
            Span(
                self._character(start),
                # The character that holds the last byte, and what follows it: a keyword may end
                # within "İ", which lowers to two characters.
                self._character(end - 1) + 1,
                _is_whole_word(self._haystack, start, end),
            )
            for start, end in places[: KeywordIndex.MAX_SPANS]
        )

    def _character(self, byte: int) -> int:
        return bisect_right(self._starts, byte) - 1


def keywords_by_article(matches: Iterable[KeywordMatch]) -> dict[str, tuple[str, ...]]:
    """The distinct articles in the order in which they are brought, each with its keywords."""
    keywords: dict[str, dict[str, None]] = defaultdict(dict)
    for match in matches:
        for article_id in match.article_ids:
            keywords[article_id][match.keyword] = None
    return {article_id: tuple(found) for article_id, found in keywords.items()}


def _lowered(text: str) -> bytes:
    # Bytes, because a lone surrogate cannot become a Rust string. UTF-8 synchronizes itself, so
    # byte matches are exactly the character matches; offsets count in the lowered text, which
    # can be longer than the original ("İ").
    return text.lower().encode("utf-8", "surrogatepass")


def _is_whole_word(haystack: bytes, start: int, end: int) -> bool:
    return not (
        is_word_character(_character_before(haystack, start))
        or is_word_character(_character_at(haystack, end))
    )


def is_word_character(character: str) -> bool:
    return character.isalnum() or character == "_"


def _character_before(haystack: bytes, end: int) -> str:
    start = end - 1
    while start > 0 and _is_continuation(haystack[start]):
        start -= 1
    return _decoded(haystack[max(start, 0) : end])


def _character_at(haystack: bytes, start: int) -> str:
    end = start + 1
    while end < len(haystack) and _is_continuation(haystack[end]):
        end += 1
    return _decoded(haystack[start:end])


def _is_continuation(byte: int) -> bool:
    return byte & 0b1100_0000 == 0b1000_0000


def _decoded(character: bytes) -> str:
    return character.decode("utf-8", "surrogatepass")
