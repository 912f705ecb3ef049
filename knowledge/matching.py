"""Which curated keywords a text contains, and the articles they bring. Pure: no Django here.

The rule is a loop over the keywords in curated order: a keyword counts when the lower-cased text
contains it, its articles are appended, and an article already there keeps its first place. One
Aho-Corasick pass finds all keywords at once, so the cost grows with the text and the number of
occurrences in it, not with the number of keywords.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind


@dataclass(frozen=True, slots=True)
class KeywordMatch:
    """A keyword found in a text: spelled as curated, with the articles it brings."""

    keyword: str
    article_ids: tuple[str, ...]


class KeywordIndex:
    """An immutable index over curated keywords; safe to share between threads.

    `pairs` holds (keyword, article ids) in curated order. Keywords named in `whole_words`,
    spelled as in `pairs`, count only where no letter, digit or underscore touches them.
    The empty keyword is contained in every text and has no word to be whole.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[str, Sequence[str]]],
        whole_words: Collection[str] = frozenset(),
    ) -> None:
        self._entries = [KeywordMatch(keyword, tuple(ids)) for keyword, ids in pairs]
        whole_words = frozenset(whole_words)
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
            group = as_word if entry.keyword in whole_words else anywhere
            group.setdefault(pattern, []).append(position)
        patterns = list(dict.fromkeys([*anywhere, *as_word]))
        self._anywhere = [anywhere.get(pattern, ()) for pattern in patterns]
        self._as_word = [as_word.get(pattern, ()) for pattern in patterns]
        # Only Standard reports overlapping matches, which nested keywords need. Measured with
        # 50,000 keywords: ContiguousNFA matches fastest; a DFA is too large for the cache.
        self._automaton = BytesAhoCorasick(
            patterns, matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA
        )

    def find_matches(self, text: str) -> list[KeywordMatch]:
        """The keywords `text` contains, in curated order."""
        haystack = _lowered(text)
        found, found_as_word = set(), set()
        for pattern, start, end in self._automaton.find_matches_as_indexes(
            haystack, overlapping=True
        ):
            found.add(pattern)
            if (
                self._as_word[pattern]
                and pattern not in found_as_word
                and _is_whole_word(haystack, start, end)
            ):
                found_as_word.add(pattern)
        return [self._entries[position] for position in self._positions(found, found_as_word)]

    def find_article_ids(self, text: str) -> list[str]:
        """The distinct articles of the keywords `text` contains, first occurrence first."""
        matches = self.find_matches(text)
        return list(dict.fromkeys(chain.from_iterable(match.article_ids for match in matches)))

    def _positions(self, found: set[int], found_as_word: set[int]) -> list[int]:
        groups: Iterator[Iterable[int]] = chain(
            [self._always],
            (self._anywhere[pattern] for pattern in found),
            (self._as_word[pattern] for pattern in found_as_word),
        )
        return sorted(chain.from_iterable(groups))


def _lowered(text: str) -> bytes:
    # Bytes, because a lone surrogate cannot become a Rust string. UTF-8 synchronizes itself, so
    # byte matches are exactly the character matches; offsets count in the lowered text, which
    # can be longer than the original ("İ").
    return text.lower().encode("utf-8", "surrogatepass")


def _is_whole_word(haystack: bytes, start: int, end: int) -> bool:
    return not (
        _is_word_character(_character_before(haystack, start))
        or _is_word_character(_character_at(haystack, end))
    )


def _is_word_character(character: str) -> bool:
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
