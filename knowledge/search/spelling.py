"""What a word that no article holds was probably meant to be."""

import unicodedata

from knowledge.search.index import SearchIndex
from knowledge.search.query import Query

# Shorter words are like too many others.
SHORTEST = 4
# From this length on two mistakes are forgiven, below it one.
LONG = 6
# Similar words to measure, and how many words of a query may be put right.
CANDIDATES = 50
MAX_CORRECTIONS = 5


def correct(query: Query, index: SearchIndex) -> Query | None:
    """The query with its unknown words put right; None if it can't be said how."""
    unknown = [word for word in query.single_words() if not index.match(Query.of_word(word), 1)]
    corrections = {word: _closest(word, index) for word in unknown[:MAX_CORRECTIONS]}
    known = {word: better for word, better in corrections.items() if better}
    return query.with_words(lambda word: known.get(word, word)) if known else None


def _closest(word: str, index: SearchIndex) -> str:
    """The word with fewest mistakes that a published article holds, or nothing."""
    folded = fold(word)
    if len(folded) < SHORTEST or not folded.isalpha():
        return ""
    forgiven = 2 if len(folded) >= LONG else 1
    distances = {
        candidate: distance(folded, fold(candidate))
        for candidate in index.similar_words(folded, CANDIDATES)
    }
    close = [candidate for candidate in distances if distances[candidate] <= forgiven]
    close.sort(key=lambda candidate: (distances[candidate], candidate[0] != word[0], candidate))
    return next((found for found in close if index.match(Query.of_word(found), 1)), "")


def fold(word: str) -> str:
    """Without case and accents."""
    decomposed = unicodedata.normalize("NFD", word.casefold())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def distance(one: str, other: str) -> int:
    """Letters to insert, to leave out, to replace, and neighbours to swap, to make one the other.

    The optimal string alignment distance: no letter is touched twice.
    """
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, counterpart in enumerate(other, start=1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != counterpart))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], counterpart):
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]
