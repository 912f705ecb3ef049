"""Articles for a question in plain language, where no keyword brings any."""

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice

from knowledge.models import Article
from knowledge.search.index import SearchIndex, get_index
from knowledge.search.query import STOP_WORDS, Query, split_words

# Words of a question that are looked up, and articles that are known of each. A word that more
# articles hold tells nothing of what the question is about.
MAX_WORDS = 32
MAX_ARTICLES_OF_WORD = 1000

# An article must hold two of the question's words, if there are two, and this part of them all,
# weighed by how rare they are. Words that no article holds are mostly the small change of language.
LEAST_WORDS, FLOOR = 2, 0.4
WEIGHT_OF_UNKNOWN = 0.5
# What the question names in an article's title or tags is what the article is about.
HEAD_FACTOR = 3


@dataclass
class Fit:
    """What an article has of a question: words, their weight, and that with their ranks in it."""

    words: int = 0
    weight: float = 0.0
    relevance: float = 0.0


def find_by_question(text: str, limit: int) -> list[Article]:
    """The published articles that hold most of what the question's rarer words ask for.

    Any word may be missing, so that a long question finds something; below the floor an article is
    left out, so that an unrelated one does not. The same on both databases: they say which
    articles hold a word and how well it fits, the rest is done here.
    """
    words = significant_words(text)
    fits, whole = _weigh(words, get_index())
    least = min(LEAST_WORDS, len(words))
    close = [pk for pk, fit in fits.items() if fit.words >= least and fit.weight >= FLOOR * whole]
    close.sort(key=lambda pk: (-fits[pk].relevance, pk))
    # One may have been withdrawn meanwhile.
    found = Article.objects.published().with_revision().in_bulk(close[:limit])
    return [found[pk] for pk in close[:limit] if pk in found]


def significant_words(text: str) -> list[str]:
    words = (word for word in split_words(text) if len(word) > 1 and word not in STOP_WORDS)
    return list(islice(words, MAX_WORDS))


def _weigh(words: list[str], index: SearchIndex) -> tuple[dict[int, Fit], float]:
    """By article, and what all the words weigh together."""
    fits: dict[int, Fit] = defaultdict(Fit)
    whole = 0.0
    for word in words:
        ranks = index.match(Query.of_word(word), MAX_ARTICLES_OF_WORD + 1)
        if len(ranks) > MAX_ARTICLES_OF_WORD:
            continue
        weight = _weight(len(ranks))
        whole += weight
        if not ranks:
            continue
        in_head = index.match(Query.of_word(word), len(ranks), head_only=True)
        best = max(ranks.values())
        for pk, rank in ranks.items():
            fits[pk].words += 1
            fits[pk].weight += weight
            factor = HEAD_FACTOR if pk in in_head else 1
            fits[pk].relevance += weight * factor * (1 + rank / best)
    return fits, whole


def _weight(articles: int) -> float:
    return 1 / (1 + 0.5 * math.log(articles)) if articles else WEIGHT_OF_UNKNOWN
