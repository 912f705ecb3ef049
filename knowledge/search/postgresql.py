"""The index in PostgreSQL: two tsvector columns, and the words with their trigrams."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from knowledge.search.highlights import Marks
from knowledge.search.query import Query, Term

# Of text, nothing, category and tags, title. 1: longer articles count a little less.
WEIGHTS, NORMALIZATION = "{0.1, 0.1, 0.4, 1.0}", 1
# What two words must have in common at least, of all their trigrams: "gaurd" and "guard" do.
SIMILARITY = "0.19"

# The reverse of knowledge_plain_words(), for what comes back of a text.
PUNCTUATION = "-./:@<>&_+~'%?=#"
CONTROLS = "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15"
TO_PUNCTUATION = str.maketrans(CONTROLS, PUNCTUATION)

Sql = tuple[str, list[str]]


class PostgresqlIndex:
    def match(self, query: Query, limit: int, *, head_only: bool = False) -> dict[int, float]:
        expression, words = _tsquery(query)
        # Ranks of words that must all be there depend on how near they are, and on little else.
        ranked_by, ranked_words = _any_of(query)
        column = "search_head" if head_only else "search_vector"
        statement = f"""
            WITH matching AS MATERIALIZED (
                SELECT id, search_vector FROM knowledge_article
                WHERE status = 'published' AND {column} @@ ({expression}) LIMIT %s
            )
            SELECT id, ts_rank(%s, search_vector, {ranked_by}, %s) FROM matching
        """  # noqa: S608 - of constants; the words are parameters
        # For a word that it has never seen, the planner expects hits soon, and reads the table.
        with _cursor_with("enable_seqscan", "off") as cursor:
            cursor.execute(statement, [*words, limit, WEIGHTS, *ranked_words, NORMALIZATION])
            return dict(cursor.fetchall())

    def highlight(
        self, query: Query, ids: Iterable[int], marks: Marks
    ) -> dict[int, tuple[str, str]]:
        expression, words = _any_of(query)
        selection = f'StartSel="{marks.start}", StopSel="{marks.stop}"'
        options = [f"{selection}, HighlightAll=true", f"{selection}, MaxWords=40, MinWords=20"]
        statement = f"""
            SELECT id,
                ts_headline('sitrep', knowledge_plain_words(title), q.query, %s),
                ts_headline('sitrep', knowledge_plain_words(text), q.query, %s)
            FROM knowledge_article, (SELECT {expression} AS query) q
            WHERE status = 'published' AND id = ANY(%s)
        """  # noqa: S608 - of constants; the words are parameters
        with connection.cursor() as cursor:
            cursor.execute(statement, [*options, *words, list(ids)])
            return {
                pk: (title.translate(TO_PUNCTUATION), text.translate(TO_PUNCTUATION))
                for pk, title, text in cursor.fetchall()
            }

    def similar_words(self, word: str, limit: int) -> list[str]:
        with _cursor_with("pg_trgm.similarity_threshold", SIMILARITY) as cursor:
            cursor.execute(
                "SELECT word FROM knowledge_searchword WHERE word %% %s "
                "ORDER BY similarity(word, %s) DESC, word LIMIT %s",
                [word, word, limit],
            )
            return [found for (found,) in cursor.fetchall()]


@contextmanager
def _cursor_with(setting: str, value: str) -> Iterator[CursorWrapper]:
    """A cursor in a transaction for which PostgreSQL has this setting."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])
        yield cursor


def _tsquery(query: Query) -> Sql:
    """An expression of type tsquery, and its parameters."""
    return _join(" || ", [_join(" && ", map(_term, group)) for group in query.groups])


def _term(term: Term) -> Sql:
    negation = "!!" if term.is_excluded else ""
    return f"{negation}phraseto_tsquery('sitrep', %s)", [term.text]


def _join(operator: str, parts: Iterable[Sql]) -> Sql:
    def both(one: Sql, other: Sql) -> Sql:
        return f"{one[0]}{operator}{other[0]}", one[1] + other[1]

    expression, words = reduce(both, parts)
    return f"({expression})", words


def _any_of(query: Query) -> Sql:
    """The same for any of the terms that are looked for."""
    wanted = (term for group in query.groups for term in group if not term.is_excluded)
    return _join(" || ", map(_term, wanted))
