"""What full-text search stands on; docs/architecture.md says why it is made this way.

Only published articles are indexed, by triggers: they also see what passes by the models.
SQLite drops an article table's triggers whenever a later migration rebuilds that table: such a
migration must end with `create_triggers` of this one.
"""

from django.db import migrations

# ASCII punctuation that makes PostgreSQL's parser see e-mail addresses, paths, hosts, tags and
# numbers where a reader sees words. Control characters are blanks to it, and can be turned back.
PUNCTUATION = "-./:@<>&_+~''%?=#"
BLANKS = r"E'\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15'"

# A tsvector holds 1 MB at most: a text is indexed up to here.
INDEXED_LENGTH = 200_000

POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS unaccent",
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    # English stems without English stop words: "WHO" and "IT" are names here.
    "CREATE TEXT SEARCH DICTIONARY sitrep_stem "
    "(TEMPLATE = pg_catalog.snowball, LANGUAGE = english)",
    "CREATE TEXT SEARCH CONFIGURATION sitrep (COPY = pg_catalog.english)",
    "ALTER TEXT SEARCH CONFIGURATION sitrep ALTER MAPPING FOR asciiword WITH sitrep_stem",
    "ALTER TEXT SEARCH CONFIGURATION sitrep ALTER MAPPING FOR word WITH unaccent, sitrep_stem",
    f"""
    CREATE FUNCTION knowledge_plain_words(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    AS $$ SELECT translate($1, '{PUNCTUATION}', {BLANKS}) $$
    """,
    "ALTER TABLE knowledge_article ADD COLUMN search_head tsvector, "
    "ADD COLUMN search_vector tsvector",
    "CREATE TABLE knowledge_searchword (word text PRIMARY KEY)",
    f"""
    CREATE FUNCTION knowledge_index_article() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $$
    DECLARE
        gap tsvector := '¶:1';
        tags text := (SELECT string_agg(tag, ' ') FROM jsonb_array_elements_text(NEW.tags) tag);
        body text := left(NEW.text, {INDEXED_LENGTH});
    BEGIN
        IF NEW.status <> 'published' THEN
            NEW.search_head := NULL;
            NEW.search_vector := NULL;
            RETURN NEW;
        END IF;
        -- A lexeme that nobody can search for keeps phrases from reaching over an end.
        NEW.search_head :=
            setweight(to_tsvector('sitrep', knowledge_plain_words(NEW.title)), 'A')
            || gap || setweight(to_tsvector('sitrep', knowledge_plain_words(NEW.category)), 'B')
            || gap || setweight(to_tsvector('sitrep', knowledge_plain_words(coalesce(tags, ''))), 'B');
        NEW.search_vector :=
            NEW.search_head || gap || to_tsvector('sitrep', knowledge_plain_words(body));
        -- In order, so that two writers can't wait for each other's words.
        INSERT INTO knowledge_searchword (word)
        SELECT word FROM unnest(tsvector_to_array(to_tsvector(
            'simple', knowledge_plain_words(concat_ws(' ', NEW.title, NEW.category, tags, body))))) word
        WHERE length(word) BETWEEN 4 AND 30 AND word !~ '[0-9]'
            AND NOT EXISTS (SELECT FROM knowledge_searchword known WHERE known.word = word.word)
        ORDER BY word
        ON CONFLICT DO NOTHING;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER knowledge_article_search BEFORE INSERT OR UPDATE ON knowledge_article "
    "FOR EACH ROW EXECUTE FUNCTION knowledge_index_article()",
    "CREATE INDEX knowledge_article_search_head ON knowledge_article USING gin (search_head)",
    "CREATE INDEX knowledge_article_search_vector ON knowledge_article USING gin (search_vector)",
    "CREATE INDEX knowledge_searchword_trigrams ON knowledge_searchword "
    "USING gin (word gin_trgm_ops)",
]
POSTGRESQL_REVERSE = [  # without the extensions: they may be another one's
    "DROP TRIGGER knowledge_article_search ON knowledge_article",
    "DROP FUNCTION knowledge_index_article()",
    "ALTER TABLE knowledge_article DROP COLUMN search_head, DROP COLUMN search_vector",
    "DROP TABLE knowledge_searchword",
    "DROP FUNCTION knowledge_plain_words(text)",
    "DROP TEXT SEARCH CONFIGURATION sitrep",
    "DROP TEXT SEARCH DICTIONARY sitrep_stem",
]

SQLITE_TABLES = [
    "CREATE VIRTUAL TABLE knowledge_search USING fts5(title, category, tags, text, "
    "content='knowledge_article', content_rowid='id', "
    "tokenize='porter unicode61 remove_diacritics 2')",
    # The words of published articles, and an index of their trigrams.
    "CREATE TABLE knowledge_searchword (id integer PRIMARY KEY, word text NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE knowledge_searchtrigram "
    "USING fts5(word, content='', tokenize='trigram')",
    "CREATE TRIGGER knowledge_searchword_insert AFTER INSERT ON knowledge_searchword BEGIN "
    "INSERT INTO knowledge_searchtrigram (rowid, word) "
    "VALUES (new.id, '  ' || new.word || ' '); END",
    # SQL can't split a text into words, but FTS5 can: this table holds one text at a time.
    "CREATE VIRTUAL TABLE knowledge_searchtext "
    "USING fts5(text, content='', detail='none', columnsize=0, "
    "tokenize='unicode61 remove_diacritics 0')",
    "CREATE VIRTUAL TABLE knowledge_searchtext_words USING fts5vocab(knowledge_searchtext, row)",
]


def sqlite_values(row):
    tags = f"(SELECT group_concat(value, ' ') FROM json_each({row}.tags))"
    return [f"{row}.title", f"{row}.category", f"coalesce({tags}, '')", f"{row}.text"]


# An index without content of its own must be told what to take out, word for word.
SQLITE_REMOVE = f"""
INSERT INTO knowledge_search (knowledge_search, rowid, title, category, tags, text)
SELECT 'delete', old.id, {", ".join(sqlite_values("old"))} WHERE old.status = 'published';
"""


def sqlite_add(source=""):
    """Of the row that a trigger calls `new`, or of the rows of a `source` by that name."""
    return f"""
INSERT INTO knowledge_search (rowid, title, category, tags, text)
SELECT new.id, {", ".join(sqlite_values("new"))} {source} WHERE new.status = 'published';
INSERT INTO knowledge_searchtext (rowid, text)
SELECT new.id, {" || ' ' || ".join(sqlite_values("new"))} {source} WHERE new.status = 'published';
INSERT INTO knowledge_searchword (word)
SELECT term FROM knowledge_searchtext_words
WHERE length(term) BETWEEN 4 AND 30 AND term NOT GLOB '*[0-9]*' ON CONFLICT DO NOTHING;
INSERT INTO knowledge_searchtext (knowledge_searchtext) VALUES ('delete-all');
"""


# One trigger for each event: of several, SQLite does not say which comes first.
SQLITE_TRIGGERS = {
    "INSERT": sqlite_add(),
    "UPDATE": SQLITE_REMOVE + sqlite_add(),
    "DELETE": SQLITE_REMOVE,
}
SQLITE_REVERSE = [
    *(f"DROP TRIGGER knowledge_article_search_{event.lower()}" for event in SQLITE_TRIGGERS),
    "DROP TABLE knowledge_searchtext_words",
    "DROP TABLE knowledge_searchtext",
    "DROP TABLE knowledge_searchtrigram",
    "DROP TABLE knowledge_searchword",
    "DROP TABLE knowledge_search",
]


def create_triggers(apps, schema_editor):
    """On SQLite alone; PostgreSQL keeps its own when a table changes."""
    if schema_editor.connection.vendor != "sqlite":
        return
    for event, body in SQLITE_TRIGGERS.items():
        schema_editor.execute(
            f"CREATE TRIGGER knowledge_article_search_{event.lower()} "
            f"AFTER {event} ON knowledge_article BEGIN {body} END",
            params=None,
        )


def create_search(apps, schema_editor):
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    for statement in SQLITE_TABLES if is_sqlite else POSTGRESQL:
        schema_editor.execute(statement, params=None)
    create_triggers(apps, schema_editor)
    if is_sqlite:
        index_all = sqlite_add("FROM knowledge_article new").strip().split(";\n")
    else:
        index_all = ["UPDATE knowledge_article SET id = id"]
    for statement in index_all:
        schema_editor.execute(statement, params=None)


def drop_search(apps, schema_editor):
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    for statement in SQLITE_REVERSE if is_sqlite else POSTGRESQL_REVERSE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("knowledge", "0005_first_revisions")]

    operations = [migrations.RunPython(create_search, drop_search)]
