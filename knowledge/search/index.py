"""What search asks of a database."""

from collections.abc import Iterable
from typing import Protocol

from django.db import connection

from knowledge.search.highlights import Marks
from knowledge.search.postgresql import PostgresqlIndex
from knowledge.search.query import Query
from knowledge.search.sqlite import SqliteIndex

Rank = float  # more is better; ranks of two queries can't be compared
Highlights = tuple[str, str]  # an article's title, and the piece of its text that fits best


class SearchIndex(Protocol):
    """An index of the published articles; a word counts most in a title, least in the text."""

    def match(self, query: Query, limit: int, *, head_only: bool = False) -> dict[int, Rank]:
        """Any `limit` articles that match, with their ranks: not the best ones.

        `head_only`: in title, category and tags alone.
        """
        ...

    def highlight(self, query: Query, ids: Iterable[int], marks: Marks) -> dict[int, Highlights]:
        """Marked where the query matched."""
        ...

    def similar_words(self, word: str, limit: int) -> list[str]:
        """Words with most trigrams in common; some may be of articles that are gone."""
        ...


def get_index() -> SearchIndex:
    return PostgresqlIndex() if connection.vendor == "postgresql" else SqliteIndex()
