"""The index in SQLite: FTS5 tables that the database's triggers keep."""

from collections.abc import Iterable

from django.db import connection

from knowledge.search.highlights import Marks
from knowledge.search.query import Query, Term

# BM25 saturates: ten times the weight is never more than 2.2 times the rank. What stands in title
# or tags is therefore counted once more by itself, so that it comes first as on PostgreSQL.
RANK = (
    "-bm25(knowledge_search, 10.0, 4.0, 4.0, 1.0) - 2 * bm25(knowledge_search, 10.0, 1.0, 1.0, 0.0)"
)
HEAD_COLUMNS = "{title category tags}"
TITLE, TEXT = 0, 3
SNIPPET_WORDS = 40


class SqliteIndex:
    def match(self, query: Query, limit: int, *, head_only: bool = False) -> dict[int, float]:
        expression = _expression(query)
        if head_only:
            expression = f"{HEAD_COLUMNS} : ({expression})"
        statement = f"""
            SELECT rowid, {RANK} FROM knowledge_search
            WHERE knowledge_search MATCH %s LIMIT %s
        """  # noqa: S608 - of constants
        with connection.cursor() as cursor:
            cursor.execute(statement, [expression, limit])
            return dict(cursor.fetchall())

    def highlight(
        self, query: Query, ids: Iterable[int], marks: Marks
    ) -> dict[int, tuple[str, str]]:
        statement = f"""
            SELECT highlight(knowledge_search, {TITLE}, %s, %s),
                snippet(knowledge_search, {TEXT}, %s, %s, '…', {SNIPPET_WORDS})
            FROM knowledge_search WHERE knowledge_search MATCH %s AND rowid = %s
        """  # noqa: S608 - of constants
        around = [marks.start, marks.stop]
        found = {}
        with connection.cursor() as cursor:
            for pk in ids:  # one by one: each is a look-up, where a list would be a scan
                cursor.execute(statement, [*around, *around, _expression(query), pk])
                if row := cursor.fetchone():
                    found[pk] = row
        return found

    def similar_words(self, word: str, limit: int) -> list[str]:
        padded = f"  {word} "  # as pg_trgm does: beginnings and ends count
        trigrams = {padded[i : i + 3] for i in range(len(padded) - 2)}
        expression = " OR ".join(f'"{trigram}"' for trigram in sorted(trigrams))
        statement = """
            SELECT knowledge_searchword.word FROM knowledge_searchtrigram
            JOIN knowledge_searchword ON knowledge_searchword.id = knowledge_searchtrigram.rowid
            WHERE knowledge_searchtrigram MATCH %s
            ORDER BY knowledge_searchtrigram.rank, knowledge_searchword.word LIMIT %s
        """
        with connection.cursor() as cursor:
            cursor.execute(statement, [expression, limit])
            return [found for (found,) in cursor.fetchall()]


def _expression(query: Query) -> str:
    return " OR ".join(f"({_group(group)})" for group in query.groups)


def _group(group: tuple[Term, ...]) -> str:
    """Words are quoted, so that none of them is an operator; they hold no quotes themselves."""
    wanted = " AND ".join(f'"{term.text}"' for term in group if not term.is_excluded)
    unwanted = "".join(f' NOT "{term.text}"' for term in group if term.is_excluded)
    return f"({wanted}){unwanted}"
